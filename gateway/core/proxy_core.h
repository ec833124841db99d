#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "gateway/admission/fraud_rules.h"
#include "gateway/base/flow_info.h"
#include "gateway/base/outbox.h"
#include "gateway/core/call_info.h"
#include "gateway/core/environment.h"
#include "gateway/filter/filter.h"
#include "gateway/routing/next_hops.h"
#include "protocol/base/bytes.h"
#include "protocol/base/time.h"

namespace ringway {

struct Assembly;

// The signalling core of one shard: sans-IO. Bytes, events and the time go in, an outbox comes
// out. It never blocks, never calls back, reads no clock, and allocates nothing for a message.
//
// All references given to the constructor outlive the core. One thread.
class ProxyCore {
 public:
  using Environment = CoreEnvironment;
  explicit ProxyCore(Environment environment);
  ~ProxyCore();
  ProxyCore(const ProxyCore&) = delete;
  ProxyCore& operator=(const ProxyCore&) = delete;

  // A whole SIP message: one datagram, one WebSocket message, or one framed stream message.
  // bytes are borrowed for the call.
  void receive_message(const Source& source, Bytes bytes, Instant now, Outbox& outbox);
  // The same, from another shard by Output::HandOver. It is never handed on.
  void receive_handed_over(const Source& source, Bytes bytes, Instant now, Outbox& outbox);

  void flow_opened(const FlowInfo& flow, Instant now, Outbox& outbox);
  void flow_closed(FlowId flow, FlowEnd end, Instant now, Outbox& outbox);

  // Sending what carried ticket failed for good; nothing of it was or will be delivered, except
  // that ConnectionLost leaves that open.
  void send_failed(Ticket ticket, TransportFailure failure, Instant now, Outbox& outbox);

  // One whole ng message (cookie, space, dictionary) from media relay number relay.
  void receive_relay(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox);
  void relay_connected(std::uint8_t relay, Instant now, Outbox& outbox);
  void relay_lost(std::uint8_t relay, Instant now, Outbox& outbox);

  // The answer to an Output of kind Resolve.
  void resolved(Ticket ticket, const Resolution& resolution, Instant now, Outbox& outbox);

  // From another shard.
  void receive_announcement(const Output::Announcement& announcement, Instant now, Outbox& outbox);

  // From the control thread.
  void publish_next_hops(std::shared_ptr<const NextHopSnapshot> next_hops, Instant now,
                         Outbox& outbox);
  void publish_fraud(std::shared_ptr<const FraudRules> rules);
  void publish_filter(std::shared_ptr<const FilterRules> rules);
  // The configuration given to the constructor has other values now. Next hops may have come; no
  // place of any list has moved.
  void config_changed(Instant now);
  // What is at the places of listeners now. Those that were removed take nothing new.
  void listeners_changed(const std::vector<ListenerInfo>& listeners);
  // A request that came in or went out by it waits for its final response. Looks at all.
  bool waits_for_answers(ListenerIndex listener) const;
  // false: new dialogs are refused with 503 until it is true again.
  void set_in_service(bool in_service);
  // true: new requests outside dialogs, but emergency calls, are refused with 503.
  // Called in each turn of the shard.
  void set_overloaded(bool overloaded, Instant now);
  // New dialogs are refused with 503 from now on.
  void drain(Instant now, Outbox& outbox);
  // True when no transaction waits for anything but its end.
  bool is_quiet() const;
  // The time of the service drain is over: ends every call, as where its user agent is gone.
  void release_calls(Instant now, Outbox& outbox);

  // When expire() wants to be called again; kNever if nothing is pending.
  Instant next_deadline() const;
  // How late the latest of the deadlines was that were served; zero if none was due.
  Duration expire(Instant now, Outbox& outbox);

  // What is held right now, without the watch over media relays. Once nothing is under way and
  // every binding has expired, all of it is zero but the deadlines of probes: what is not was
  // forgotten.
  struct Occupancy {
    std::uint32_t contexts = 0, target_lists = 0;
    std::uint32_t server_transactions = 0, client_transactions = 0;
    std::uint32_t relay_requests = 0, calls = 0, dialogs = 0, user_agents = 0, deadlines = 0;
  };
  Occupancy occupancy() const;

  // For /calls: calls receive(CallInfo) for at most max calls.
  std::vector<CallInfo> calls(std::size_t max, Instant now) const;
  // For /agents and /next-hops. Views are lent until the next call of the core.
  std::vector<AgentInfo> agents(std::size_t max, Instant now) const;
  std::vector<NextHopInfo> next_hops(Instant now) const;

  // Commands of a person. Each says on how many entries it was carried out; 0: none has that name.
  std::uint32_t end_calls(std::string_view call_id, Instant now, Outbox& outbox);
  // aor: "bob@example.org"; its bindings here are forgotten, its registrar is not told.
  std::uint32_t forget_agents(std::string_view aor, Instant now, Outbox& outbox);
  // true: nothing new goes there until it is false again.
  std::uint32_t hold_next_hop(std::string_view name, bool held);
  std::uint32_t probe_next_hop(std::string_view name, Instant now, Outbox& outbox);
  std::uint32_t hold_relay(std::string_view address, bool held);
  std::uint32_t probe_relay(std::string_view address, Instant now, Outbox& outbox);

 private:
  std::unique_ptr<Assembly> parts_;
};

}  // namespace ringway
