#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringway {

// The two sides of a call: who sent the INVITE and who got it, whichever of them is a browser.
enum class Party : std::uint8_t { Caller, Callee };

constexpr Party other(Party party) {
  return party == Party::Caller ? Party::Callee : Party::Caller;
}
constexpr std::size_t index_of(Party party) {
  return static_cast<std::size_t>(party);
}

// The name of a side towards the media relay. It is the same for the life of a call, whatever To
// tags its forks have, so that a fork's answer keeps ports, ICE and DTLS of the one before; and it
// is the same after a restart.
constexpr std::string_view relay_tag(Party party) {
  return party == Party::Caller ? "caller" : "callee";
}

// Names one passage of a Call-ID through us, beside the Call-ID: two passes of one Call-ID, or two
// forks of it, have two. It travels in the tokens of our Record-Routes and says which of the two
// sides their access token names, so that a call that nobody remembers still has a caller and a
// callee. 0 names none.
//
//    15                    2     1       0
//   +-----------------------+--------+---+
//   |    hash of the pass   | access | 1 |     access  1: the caller's, 0: the callee's
//   +-----------------------+--------+---+
using CallLeg = std::uint32_t;

inline constexpr CallLeg kLegPresent = 1, kLegAccessIsCaller = 2;
inline constexpr unsigned kLegHashShift = 2;

// hash: of what makes this pass what it is (caller's tag, Request-URI, Route).
constexpr CallLeg make_leg(std::uint64_t hash) {
  return static_cast<std::uint16_t>((hash ^ (hash >> 32)) << kLegHashShift) | kLegPresent;
}
constexpr CallLeg with_access(CallLeg leg, Party access) {
  return access == Party::Caller ? leg | kLegAccessIsCaller : leg & ~kLegAccessIsCaller;
}
constexpr Party access_party(CallLeg leg) {
  return (leg & kLegAccessIsCaller) != 0 ? Party::Caller : Party::Callee;
}
// The part that tells passes apart.
constexpr CallLeg pass_of(CallLeg leg) {
  return leg >> kLegHashShift;
}

}  // namespace ringway
