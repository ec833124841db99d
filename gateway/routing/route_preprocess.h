#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/base/outbox.h"
#include "gateway/nat/flow_token.h"
#include "gateway/nat/own_uris.h"
#include "protocol/sip/edit.h"
#include "protocol/sip/message.h"
#include "protocol/sip/validate.h"
#include "tls/mac.h"

namespace ringway {

// What the Route set and the Request-URI say of where a request goes, after our own values are
// taken off (RFC 3261 16.4, RFC 5626 5.3, RFC 5658 5). Views into the message.
struct RoutePreprocess {
  // 403: a value of ours that was changed, forged or torn apart, or a Record-Route value in a
  // request without a To tag, which cannot be one of its dialog's.
  bool refused = false;
  bool outdated = false;        // 430: a value of ours in a form, or of a day, that is over
  bool from_token = false;      // a signed value of ours was there: a dialog or binding of ours
  bool towards_access = false;  // goes down the flow that access names
  bool in_dialog = false;       // by a Record-Route token, not by Path or Contact alias
  // By a Path token that names the very flow that the request came over: it is taken off, and says
  // nothing of where the request goes (RFC 5626 5.3, "outgoing").
  bool own_flow = false;
  bool from_access_end = false;  // in_dialog: its first value is the one that the access side has
  std::optional<FlowToken> access;  // the token that names a flow
  bool media = false;
  std::uint32_t leg = 0;

  std::string_view request_uri;  // after strict routing and aliases are undone
  std::string_view next_route;   // URI of the first value left, or empty
  bool next_is_strict = false;   // that one has no lr (RFC 3261 16.6 item 6)
  bool more_routes = false;      // other values stand behind that one

  struct Range {
    std::uint16_t begin, end;
  };
  std::array<Range, 4> removals{};  // of Route header bytes
  std::size_t removal_count = 0;
  bool request_uri_changed = false;

  // The edits that take our values off and restore the Request-URI, and that make way for a
  // strict router. scratch: memory for new text, lives until the edits are written.
  void apply(const sip::MessageView& request, sip::EditList& edits, Writer& scratch) const;
};

// scratch: memory for a restored Request-URI; lives as long as the result is used. today: days of
// the calendar in which tokens are written.
RoutePreprocess preprocess_route(const sip::MessageView& request, const sip::Essentials& essentials,
                                 const Source& source, const OwnUris& own, const tls::Mac& mac,
                                 std::uint32_t epoch, Writer& scratch, std::uint64_t today = 0);

}  // namespace ringway
