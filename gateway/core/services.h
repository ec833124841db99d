#pragma once

#include <cstdint>
#include <vector>

#include "gateway/base/random.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/core/environment.h"
#include "gateway/nat/flow_token.h"
#include "gateway/nat/own_uris.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/sip/message.h"
#include "protocol/sip/parse.h"
#include "protocol/sip/validate.h"

namespace ringway {

// The methods that we pass on, as a header line (RFC 3261 20.5): what OPTIONS is about.
inline constexpr std::string_view kAllow =
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, SUBSCRIBE, "
    "NOTIFY, PUBLISH, REFER\r\n";

// What every part of one shard's core uses. One object for each core; outlives all its parts.
struct Services {
  const Config& config;
  ShardIndex shard;
  ShardIndex shard_count;
  std::uint32_t epoch;                  // random at each start, the same on all shards
  std::vector<ListenerInfo> listeners;  // same order on every shard
  const tls::Mac& mac;
  HashKey hash_key;    // the same on all shards and after a restart
  HashKey branch_key;  // of branches: the same on all shards, another one after a restart
  OwnUris own;
  BufferPool& buffers;
  Counters& counters;
  Log& log;
  Random random;
  TimerWheel wheel;
  Duration calendar{};  // from the clock of Instant to the calendar
  std::uint8_t node = 0;  // of tokens: which of the gateways that share a key this is, 0..15

  const ListenConfig& listener(ListenerIndex index) const { return listeners[index].config; }
  // Of a listener that a reload has removed: the one that has its socket now, or another one at its
  // address; kNoListener: nobody. Of any other: itself.
  ListenerIndex heir_of(ListenerIndex index) const;
  // What is written into messages for a removed listener: the one at its address, else another of
  // its side and transport; itself if there is none.
  ListenerIndex name_for(ListenerIndex index) const;
  // As tokens have it.
  std::uint16_t token_epoch() const { return static_cast<std::uint16_t>(epoch); }
  // One of this run, written now.
  FlowToken new_token(Instant now) const {
    FlowToken token;
    token.epoch = token_epoch();
    token.node = node;
    token.shard = shard;
    token.day = static_cast<std::uint8_t>(today(now) & 15);
    return token;
  }
  // A token's flow means something only in the run that wrote it.
  bool is_of_this_run(const FlowToken& token) const {
    return token.node == node && token.epoch == token_epoch();
  }
  // Days of a calendar that goes on over restarts.
  std::uint64_t today(Instant now) const {
    return static_cast<std::uint64_t>((now + calendar).time_since_epoch() / std::chrono::hours(24));
  }
  void drop(DropReason reason) { counters.drops[static_cast<std::size_t>(reason)].add(); }
};

// Takes the listeners out of environment.
Services make_services(CoreEnvironment& environment);

// How a message that came by that transport was cut (RFC 3261 18.3, RFC 7118 5).
inline sip::Framing framing_of(Transport transport) {
  if (transport == Transport::Udp) return sip::Framing::Datagram;
  return is_websocket(transport) ? sip::Framing::WebSocket : sip::Framing::Stream;
}

// A message with what was read of it; valid during one turn.
struct Incoming {
  const sip::MessageView& view;
  const sip::Essentials& essentials;
};

}  // namespace ringway
