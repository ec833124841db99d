#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/base/writer.h"
#include "protocol/sdp/slim.h"

namespace ringway::sdp {

struct BrowserRules {
  // A group is written: the description is an offer, or answers one that had a group.
  bool bundle = false;
  // Of an answer: the offer, whose group alone may be taken up (RFC 9143 7.3). Empty: an offer.
  std::string_view offer;
  // Judges the address of a candidate, so that hosts inside stay unknown outside (RFC 8828). Such a
  // candidate goes where its section has another address to be reached at. nullptr: all stay.
  bool (*is_private)(std::string_view address) = nullptr;
};

// The mids of the first BUNDLE group, separated by spaces; empty if there is none (RFC 9143).
std::string_view bundle_group(std::string_view session);

// Rewrites a description that a media relay made for a browser, where each section has a port of
// its own: a page with bundlePolicy "max-bundle" refuses one without a group, and two sections of a
// group would have to share one port. So the group names one section: the first audio in use, else
// the first in use. Groups that stand there go. A section without a mid is in none.
// The MID header extension goes too (RFC 9143 15): it tells the sections of one port apart, and a
// browser that agreed on it drops packets without, as a phone behind the relay sends them.
[[nodiscard]] SlimResult write_for_browser(std::string_view body, const BrowserRules& rules,
                                           Writer& out);

}  // namespace ringway::sdp
