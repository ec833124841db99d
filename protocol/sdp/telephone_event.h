#pragma once

#include <string_view>

namespace ringway::sdp {

// The answer names telephone-event at 8000 (RFC 4733) by payload types of its own only, none of
// which the same section of the offer has for it. RFC 3264 6.1 wants the offered number; who sends
// by one of the two sides' numbers is not understood by the other.
bool has_other_event_numbers(std::string_view offer, std::string_view answer);

// An audio section in use names telephone-event at 8000.
bool has_events(std::string_view description);

}  // namespace ringway::sdp
