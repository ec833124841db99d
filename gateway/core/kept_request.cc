#include "gateway/core/kept_request.h"

#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

using sip::HeaderName;

// A request of our own has no Via yet.
bool read_own(const ResponseContext& context, sip::MessageView& view, sip::Essentials& essentials) {
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, view)) return false;
  const auto uri = sip::parse_uri(view.request_uri());
  const auto cseq = sip::parse_cseq(view.value(HeaderName::CSeq));
  if (!uri || !cseq) return false;
  essentials.call_id = view.value(HeaderName::CallId);
  essentials.max_forwards = 70;
  essentials.request_uri = *uri;
  essentials.cseq = *cseq;
  essentials.to_tag = sip::find_tag(view.value(HeaderName::To));
  essentials.from_tag = sip::find_tag(view.value(HeaderName::From));
  return true;
}

}  // namespace

bool read_kept(const ResponseContext& context, sip::MessageView& view,
               sip::Essentials& essentials) {
  if (context.own && context.method != sip::Method::Ack) return read_own(context, view, essentials);
  return sip::parse_message(context.request.bytes(), sip::Framing::Datagram, view) &&
         sip::validate_request(view, essentials).ok();
}

}  // namespace ringway
