#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/peers/peer_table.h"

namespace ringway {

// Two next hops, a trusted carrier, an access and a network listener.
class PeerFixture : public ::testing::Test {
 protected:
  static constexpr Instant kStart{1000s};
  static constexpr ListenerIndex kAccess = 0, kNetwork = 1;

  PeerFixture() {
    listen(Side::Access, "203.0.113.1:5060");
    listen(Side::Network, "203.0.113.1:5070");
    NextHopConfig pbx;
    pbx.host = "pbx.example.org";
    pbx.members = {"198.51.100.128/25", "sbc2.example.org"};
    NextHopConfig trunk;
    trunk.host = "10.0.0.5";
    trunk.domains = {"carrier.example"};
    config_.next_hops = {pbx, trunk};
    config_.trusted = {{"carrier", {"198.51.100.64/28"}}};
    snapshot_.next_hops.resize(2);
    resolve(0, {"198.51.100.1:5060", "198.51.100.2:5060"});
    resolve(1, {"10.0.0.5:5060"});
    snapshot_.members.resize(1);
    snapshot_.members[0].push_back(*parse_address("192.0.2.77"));
  }

  void listen(Side side, std::string_view local) {
    ListenerInfo listener;
    listener.config.side = side;
    listener.local = *parse_endpoint(local);
    listeners_.push_back(listener);
  }

  void resolve(std::size_t next_hop, std::vector<std::string> endpoints) {
    snapshot_.next_hops[next_hop].targets.clear();
    for (const std::string& text : endpoints) {
      snapshot_.next_hops[next_hop].targets.push_back({Transport::Udp, *parse_endpoint(text)});
    }
  }

  static Source source(ListenerIndex listener, std::string_view remote) {
    return {Transport::Udp, listener, *parse_endpoint(remote), {}};
  }

  Config config_;
  std::vector<ListenerInfo> listeners_;
  NextHopSnapshot snapshot_;
};

}  // namespace ringway
