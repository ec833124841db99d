#pragma once

#include <cstdint>
#include <string_view>

namespace ringway::sip {

enum class Method : std::uint8_t {
  Invite,
  Ack,
  Bye,
  Cancel,
  Register,
  Options,
  Info,
  Prack,
  Update,
  Subscribe,
  Notify,
  Refer,
  Message,
  Publish,
  Other,
};

// Methods are case-sensitive (RFC 3261 7.1). Other for every token that is not in the list; a
// proxy forwards those too (RFC 3261 16.3).
Method parse_method(std::string_view token);

// The token; "OTHER" for Other, whose real token stands in the message only.
std::string_view to_text(Method method);

}  // namespace ringway::sip
