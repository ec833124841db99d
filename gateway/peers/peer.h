#pragma once

#include <cstdint>

namespace ringway {

// Who speaks.
enum class PeerKind : std::uint8_t {
  NextHop,    // a configured SIP server or one of its members
  Trusted,    // another server that [[trusted]] lists
  FarEnd,     // the end of a dialog, over a stream that we opened to it
  UserAgent,  // a browser or phone that a next hop has registered
  Stranger,   // everybody else
};

struct Peer {
  static constexpr std::uint16_t kNoNextHop = 0xffff;
  PeerKind kind = PeerKind::Stranger;
  std::uint16_t next_hop = kNoNextHop;  // NextHop: entry of Config::next_hops
  friend bool operator==(const Peer&, const Peer&) = default;
};

}  // namespace ringway
