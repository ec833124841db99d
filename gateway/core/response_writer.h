#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/core/response_context.h"
#include "gateway/core/services.h"
#include "protocol/sip/edit.h"

namespace ringway {

// The copy of a response that is forwarded, with the edits of RFC 3261 16.7 items 3 to 9: our Via
// comes off, what we changed in the request is changed back.
class ResponseWriter {
 public:
  explicit ResponseWriter(Services& core) : core_(core) {}

  // body: in place of the response's own, if given; borrowed for the call.
  // Empty: no buffer, or it is larger than a message may be.
  BufferRef write(const ResponseContext& context, const sip::MessageView& response,
                  std::optional<std::string_view> body);

 private:
  void restore_contacts(const sip::MessageView& response);
  void hide_service_unavailable(const sip::MessageView& response);
  void add_challenges(const ResponseContext& context, const sip::MessageView& response);
  void add_session_timer(const ResponseContext& context, const sip::MessageView& response);
  void set_body(const sip::MessageView& response, std::optional<std::string_view> body);

  Services& core_;
  sip::EditList edits_;
  Writer text_{MutableBytes{}};  // edited text, in scratch_
  sip::MessageView other_;       // a stored message beside the response
  std::array<std::uint8_t, 16'384> scratch_;
};

}  // namespace ringway
