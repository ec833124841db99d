#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/core/response_context.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"
#include "gateway/peers/header_rules.h"
#include "protocol/sip/edit.h"

namespace ringway {

// The copy of a response that is forwarded, with the edits of RFC 3261 16.7 items 3 to 9: our Via
// comes off, what we changed in the request is changed back.
class ResponseWriter {
 public:
  // All outlive this object.
  ResponseWriter(Services& core, const Router& router, const HeaderRules& rules)
      : core_(core), router_(router), rules_(rules) {}

  // body: in place of the response's own, if given; borrowed for the call.
  // Empty: no buffer, or it is larger than a message may be.
  BufferRef write(const ResponseContext& context, const sip::MessageView& response,
                  std::optional<std::string_view> body, Instant now);

 private:
  void apply_header_rules(const ResponseContext& context, const sip::MessageView& response);
  void name_far_end(const ResponseContext& context, const sip::MessageView& response, Instant now);
  void remove_own_record_route(const sip::MessageView& response);
  void restore_contacts(const sip::MessageView& response);
  void hide_service_unavailable(const sip::MessageView& response);
  void add_challenges(const ResponseContext& context, const sip::MessageView& response);
  void add_session_timer(const ResponseContext& context, const sip::MessageView& response);
  void set_body(const sip::MessageView& response, std::optional<std::string_view> body);

  Services& core_;
  const Router& router_;
  const HeaderRules& rules_;
  sip::EditList edits_;
  Writer text_{MutableBytes{}};  // edited text, in scratch_
  sip::MessageView other_;       // a stored message beside the response
  std::array<std::uint8_t, 16'384> scratch_;
};

}  // namespace ringway
