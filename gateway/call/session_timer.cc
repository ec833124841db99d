#include "gateway/call/session_timer.h"

#include "protocol/sip/header_values.h"

namespace ringway {

Instant session_end(const sip::MessageView& response, Instant now) {
  if (!response.has(sip::HeaderName::SessionExpires)) return kNever;
  const auto seconds = sip::parse_seconds(response.value(sip::HeaderName::SessionExpires));
  if (!seconds || *seconds == 0) return kNever;
  return now + std::chrono::seconds(*seconds);
}

}  // namespace ringway
