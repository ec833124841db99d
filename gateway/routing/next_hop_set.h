#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/base/target.h"
#include "gateway/config/config.h"
#include "gateway/routing/next_hops.h"
#include "protocol/base/time.h"
#include "protocol/sip/uri.h"

namespace ringway {

struct ListenerInfo;

// Up to eight places to try, in order.
struct TargetList {
  static constexpr std::size_t kTargetsMax = 8;
  std::array<Target, kTargetsMax> targets;
  std::size_t count = 0;
  void add(Target target) {
    if (count < kTargetsMax) targets[count++] = std::move(target);
  }
};

// The configured next hops: which one a domain goes to, in which order their addresses are tried
// (priority, weight, health; RFC 3263), and which listener sends.
class NextHopSet {
 public:
  static constexpr std::uint16_t kNone = 0xffff;

  NextHopSet(const Config& config, const std::vector<ListenerInfo>& listeners, Counters& counters,
             Log& log, Random& random);

  void publish(std::shared_ptr<const NextHopSnapshot> snapshot) { snapshot_ = std::move(snapshot); }

  enum class Outcome : std::uint8_t {
    Found,
    NoRoute,      // no next hop for that domain
    NotOpen,      // those for that domain take nothing from that side
    NotResolved,  // its name has no address now
    AllDown,      // none is healthy, or left to be tried
    NoListener,   // nothing of ours can send there
  };
  // Targets for a request to that domain that comes from that side: next hops that name the domain
  // and are open to the side, else the default ones. explicit_only: never the default ones. One
  // that used to answer probes and is silent now is not tried: the next probe finds out.
  Outcome select(std::string_view domain, Side from, bool explicit_only, Instant now,
                 TargetList& out);
  // True if requests from that side may be sent to it.
  bool is_open_to(std::uint16_t next_hop, Side from) const;
  // Next hops that serve the same domains are one group: a binding that one of them granted is one
  // of the others', too. 0: no such next hop.
  std::uint16_t group_of(std::uint16_t next_hop) const;
  // The next hop whose own host and port a URI names, or kNone. Of several, rather: the one that
  // the call is made with.
  std::uint16_t find_by_uri(const sip::Uri& uri, std::uint16_t rather = kNone) const;
  // Targets of one next hop. Here and above: where none is healthy, those that failed, since
  // refusing everybody helps nobody and only a request finds out that one is back. One that asked
  // to be left alone for a while (503 with Retry-After) comes after all others.
  Outcome select_next_hop(std::uint16_t next_hop, Instant now, TargetList& out);
  // A next hop that select() did not try, and that is to be probed now, since a request came for
  // it; each once in kProbeAgain. kNone: none.
  std::uint16_t take_probe_wanted(Instant now);
  static constexpr Duration kProbeAgain = 1s;
  // Every address of it, healthy or not.
  void select_for_probe(std::uint16_t next_hop, TargetList& out) const;
  // True if endpoint is one of any next hop's.
  bool is_next_hop(const Endpoint& source) const;
  // The next hop that has that address, or kNone.
  std::uint16_t next_hop_of(const Endpoint& endpoint) const;

  // The listener that sends over transport: send_from of the next hop or its twin; where that
  // speaks another transport, one of the network side on its address, else any of the network side.
  // Without send_from the first of the network side, else the first of any side. kNoListener: none.
  ListenerIndex listener_for(Transport transport, Family family, std::uint16_t next_hop) const;

  // Held: new requests that only a domain leads here go to others. What names it, or belongs to a
  // dialog, goes on.
  void set_held(std::uint16_t next_hop, bool held) { held_.set(next_hop, held); }
  bool is_held(std::uint16_t next_hop) const { return held_.test(next_hop); }

  // Health, by address. Failures in a row put it aside; success brings it back.
  void failed(const Target& target, Instant now);
  void succeeded(const Target& target);
  // A probe goes out; the one before it still without an answer counts as a failure.
  void probe_sent(const Target& target, Instant now);
  void probe_answered(const Target& target);
  // By 503, or its transport was refused: calls find out as soon as a probe whether that is over.
  void probe_refused(const Target& target);
  void hold_off(const Target& target, Instant until);  // Retry-After
  bool is_up(const Endpoint& endpoint, Transport transport, Instant now) const;
  bool is_held_off(const Endpoint& endpoint, Transport transport, Instant now) const;

  // TCP was refused there for a request that was only large: UDP for a while (RFC 3261 18.1.1).
  void tcp_refused(const Endpoint& endpoint, Instant now);
  bool is_tcp_refused(const Endpoint& endpoint, Instant now) const;
  // It was refused, and that is about to be forgotten: ask again meanwhile, beside all calls.
  bool wants_tcp_probe(const Endpoint& endpoint, Duration interval, Instant now) const;
  void tcp_works(const Endpoint& endpoint);

 private:
  struct Health {
    Endpoint endpoint;
    Transport transport = Transport::Udp;
    std::uint8_t failures = 0;
    Instant down_until{};  // after failures
    Instant held_until{};  // by Retry-After
    Instant no_tcp_until{};
    bool probe_waits = false;
    bool answers_probes = false;
    bool counted_down = false;  // in the gauge, and logged
  };
  enum class Wanted : std::uint8_t { Healthy, NotHeldOff, HeldOff };
  enum class Silent : std::uint8_t { Tried, Left };
  Outcome select_targets(std::uint16_t next_hop, Wanted wanted, Silent silent, Instant now,
                         TargetList& out);
  bool is_silent(const Endpoint& endpoint, Transport transport, Instant now) const;
  void find_groups();
  std::size_t draw_order(const std::vector<ResolvedTarget>& targets,
                         std::array<std::uint8_t, 32>& order);
  Health* health(const Endpoint& endpoint, Transport transport);
  const Health* health(const Endpoint& endpoint, Transport transport) const {
    return const_cast<NextHopSet*>(this)->health(endpoint, transport);
  }
  Health& take_health(const Endpoint& endpoint, Transport transport);

  const Config& config_;
  const std::vector<ListenerInfo>& listeners_;
  Counters& counters_;
  Log& log_;
  Random& random_;
  std::shared_ptr<const NextHopSnapshot> snapshot_;
  std::vector<std::uint16_t> groups_;  // by next hop
  std::bitset<256> held_;              // by next hop; there are 255 at most
  std::bitset<256> probe_wanted_;
  std::array<Instant, 256> probe_wanted_at_{};
  std::array<Health, 256> health_{};   // bounded: the oldest place is used again
  std::size_t next_health_ = 0;
};

}  // namespace ringway
