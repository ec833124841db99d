#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "gateway/base/transport.h"

namespace ringway {

// Written by one thread, read by any: a plain increment without a locked instruction.
class Counter {
 public:
  void add(std::uint64_t count = 1) { value_.store(value() + count, std::memory_order_relaxed); }
  void subtract(std::uint64_t count = 1) {
    value_.store(value() - count, std::memory_order_relaxed);
  }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

template <std::size_t N>
using CounterArray = std::array<Counter, N>;

// Why a request or response was dropped without an answer: index of Counters::drops.
enum class DropReason : std::uint8_t {
  Unparsable,
  Unanswerable,
  Filter,
  BadResponse,
  StrayResponse,
  NoBuffer,
  AckWithoutTarget,
  TableFull,
  DeadRequester,
  Stranger,     // a request that a stranger sent to the network side
  WrongSource,  // a response that does not come from where its request went
  Banned,       // its source is kept out
  Budget,       // its sender has spent his budget
  Amplifying,   // a response of ours that is longer than the datagram of a stranger
};

// Everything that one shard counts. Gauges say so; the rest only grows. The control thread sums
// the shards when /metrics is read.
struct Counters {
  // Messages and transactions (core).
  CounterArray<kTransportCount> messages_in, messages_out;
  CounterArray<16> requests_by_method;  // index: sip::Method
  CounterArray<7> responses_by_class;   // index: status / 100, sent towards the requester
  Counter parse_errors, bad_requests, bad_responses, stray_responses;
  Counter retransmissions_absorbed, retransmissions_sent;
  Counter server_transactions, client_transactions;  // gauges: live ones
  CounterArray<6> invite_server_states, invite_client_states, server_states,
      client_states;               // gauges
  Counter transactions_cut_short;  // finished ones forgotten early, table full
  Counter transactions_refused;    // 503: no slot or no buffer
  Counter timeouts_client, timer_c_fired, transport_errors;
  Counter dropped_no_answer;  // requests dropped on purpose, each also by reason
  CounterArray<16> drops;     // index: DropReason
  // Routing and NAT.
  Counter strangers_dropped, requests_forbidden, targets_forbidden, response_wrong_source,
      cancel_wrong_source;
  Counter tokens_refused, flows_dead_430, waits_started, waits_delivered, waits_expired;
  Counter sent_again;                      // requests down the newer flow of a user agent
  Counter released_calls;                  // far ends released after a browser was gone
  Counter bindings, user_agents, dialogs;  // gauges
  // Calls without a place, dialogs of a call beyond its bound, tombstones that made room.
  Counter calls_refused, dialogs_refused, call_tombstones_cut_short;
  Counter slimmed_messages, switched_to_tcp, back_to_udp;
  Counter names_refused;  // requests whose name found no place among those that wait for DNS
  Counter failovers, next_hop_down;  // next_hop_down: gauge
  Counter loops_482, max_forwards_483;
  // Media.
  CounterArray<7> ng_requests, ng_errors;  // index: RelayCommand
  Counter dtmf_played, dtmf_passed_on, dtmf_refused;  // digits by INFO (NextHopConfig::dtmf)
  Counter ng_timeouts, ng_resends, ng_reconnects, ng_unknown_cookies;
  Counter ng_refusals;                 // no room: load limit, no ports
  Counter media_moves;                 // offers that went on to another relay
  Counter media_orphans;               // sessions deleted that no call was for
  Counter media_sessions, ng_pending;  // gauges
  CounterArray<32> relay_up;           // gauges by place in Config::media: 1 while it answers
  CounterArray<32> relay_silent;       // the same: 1 while it is connected and does not
  CounterArray<20> ng_latency;         // bucket i: below 2^i * 16 microseconds
  Counter ng_latency_microseconds;
  // Admission.
  Counter banned_datagrams, banned_connections, banned_messages;  // kept out by a ban
  Counter blocked_datagrams, blocked_connections, blocked_messages;  // by a block-list
  Counter evidence_reported, evidence_lost;
  Counter budget_waits, budget_cut_off;
  Counter fraud_refused, fraud_ended;     // calls
  Counter overload_refused, lag_microseconds;  // lag_microseconds: gauge
  Counter answers_made_alike;
  Counter tarpitted;  // streams that are held without an answer
  // Filter.
  Counter filter_drops, filter_logged;
  CounterArray<1024> filter_rule_hits;  // by rule number in the published set
  // Transport.
  CounterArray<kTransportCount> flows;  // gauges
  CounterArray<kTransportCount> flows_opened, flows_refused;
  CounterArray<kTransportCount> bytes_in, bytes_out;
  Counter handshakes_started, handshakes_done, handshakes_resumed, handshakes_failed,
      handshakes_waiting;  // handshakes_waiting: gauge
  Counter websocket_upgrades, websocket_refused, websocket_violations;
  Counter http_pages, pings_sent, flows_timed_out, send_queue_overflows;
  Counter hoarders_closed;  // where all send queues together were full
  Counter silent_dropped;   // not open yet, when there were too many of their source or in all
  Counter accepts_paused;   // no descriptor was left
  Counter spare_descriptors_used;  // of those kept for next hops and relays
  Counter requests_forgotten;      // more wait for answers on our connections than are remembered
  Counter tls_sessions_failed;     // after the handshake
  Counter keepalives_answered, stun_answered, proxy_headers, framing_lost;
  Counter datagrams_truncated, datagrams_empty, datagrams_to_removed;
  // Listeners on all addresses: peers forgotten for others, addresses that found no place, sends
  // from an address that the host has no more.
  Counter datagram_peers_forgotten, local_addresses_refused, local_addresses_lost;
  Counter datagram_trains, datagrams_in_trains, datagram_trains_split;
  // Reactor.
  Counter ring_enters, ring_completions, ring_submissions, ring_overflows;
  Counter receive_rearms, receive_no_buffers, sends_failed;
  Counter turns;
  // Deadlines served more than 100 ms late: because the shard was busy, or because the machine let
  // it sleep on.
  Counter missed_deadlines, late_wakes;
  Counter guest_media_refused;                  // unanswered calls of who has not registered
  Counter handed_over, handed_over_full;        // to other shards by mailbox
  Counter buffers_in_use, buffer_bytes_in_use;  // gauges
  Counter log_dropped;
  Counter config_generation;  // gauge: of the last reload that was taken over; 0: none
};

}  // namespace ringway
