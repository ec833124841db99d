#include "gateway/transport/bounds.h"

#include <array>

#include "gateway/config/config.h"
#include "gateway/transport/local_addresses.h"
#include "gateway/transport/outstanding.h"
#include "gateway/transport/stream.h"
#include "protocol/bencode/bencode.h"
#include "protocol/http/request_head.h"
#include "protocol/sdp/body.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/stream_framer.h"
#include "protocol/websocket/connection.h"
#include "protocol/websocket/frame.h"

namespace ringway::bounds {
namespace {

constexpr LimitsConfig kLimits{};
constexpr TimersConfig kTimers{};
constexpr BudgetsConfig kBudgets{};

constexpr std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(duration / 1ms);
}

using enum Bound::Unit;

constexpr std::array kTable{
    // Messages (RFC 3261).
    Bound{"header section of a message", sip::kHeadBytesMax, Bytes, "513; a stream is closed",
          "bad_requests_total", ""},
    Bound{"body of a message", sip::kBodyBytesMax, Bytes, "513; a stream is closed",
          "bad_requests_total", ""},
    Bound{"message", sip::kMessageBytesMax, Bytes, "513; a stream is closed", "bad_requests_total",
          ""},
    Bound{"header line, unfolded", sip::kHeaderLineBytesMax, Bytes, "400", "bad_requests_total",
          ""},
    Bound{"header lines of a message", sip::kHeaderCountMax, Count, "513", "bad_requests_total",
          ""},
    Bound{"header name", sip::kHeaderNameBytesMax, Bytes, "400", "bad_requests_total", ""},
    Bound{"start line", sip::kStartLineBytesMax, Bytes, "414", "bad_requests_total", ""},
    Bound{"URI", sip::kUriBytesMax, Bytes, "414", "bad_requests_total", ""},
    Bound{"method", sip::kMethodBytesMax, Bytes, "501", "bad_requests_total", ""},
    Bound{"Call-ID, tag, branch", sip::kTokenBytesMax, Bytes, "400", "bad_requests_total", ""},
    Bound{"Via values of a message", sip::kViaCountMax, Count, "513", "bad_requests_total", ""},
    Bound{"Route values of a message", sip::kRouteCountMax, Count, "400", "bad_requests_total", ""},
    Bound{"Contact values of a message", sip::kContactCountMax, Count, "400", "bad_requests_total",
          ""},
    Bound{"CSeq number", sip::kCSeqMax, Count, "400", "bad_requests_total", ""},
    Bound{"Max-Forwards", sip::kMaxForwardsMax, Count, "400", "bad_requests_total", ""},
    Bound{"request by UDP", 1'300, Bytes, "leaves by TCP (RFC 3261 18.1.1)",
          "switched_to_tcp_total", ""},
    Bound{"lines of an SDP", sdp::kLinesMax, Count, "488", "bad_requests_total", ""},
    Bound{"media descriptions of an SDP", sdp::kMediaMax, Count, "488", "bad_requests_total", ""},
    Bound{"NUL, LF and spaces between messages", sip::StreamFramer::kPaddingBytesMax, Bytes,
          "the stream is closed", "framing_lost_total", ""},
    Bound{"message on a stream, from first to last byte", milliseconds(kTimers.message),
          Milliseconds, "the stream is closed", "flows_timed_out_total", "timers.message"},
    // HTTP and WebSocket (RFC 9112, RFC 6455).
    Bound{"head of an HTTP request", http::kHeadBytesMax, Bytes, "431", "websocket_refused_total",
          ""},
    Bound{"lines of an HTTP request", http::kHeaderLinesMax, Count, "431",
          "websocket_refused_total", ""},
    Bound{"WebSocket message", websocket::kMessageBytesMax, Bytes, "1009",
          "websocket_violations_total", ""},
    Bound{"fragments of a WebSocket message", websocket::kFragmentsMax, Count, "1008",
          "websocket_violations_total", ""},
    Bound{"payload of a control frame", websocket::kControlPayloadMax, Bytes, "1002",
          "websocket_violations_total", ""},
    Bound{"pings at once (one more each 100 ms)", Stream::kPingBurst, Count, "1008",
          "websocket_violations_total", ""},
    Bound{"Pongs and CRLFs that wait, of a flow", 1, Count, "the newest replaces it",
          "keepalives_total", ""},
    Bound{"silence of a WebSocket until a ping", milliseconds(kTimers.websocket_ping), Milliseconds,
          "a ping", "pings_total", "timers.websocket_ping"},
    Bound{"answer to a ping", milliseconds(kTimers.websocket_pong), Milliseconds,
          "the flow is closed", "flows_timed_out_total", "timers.websocket_pong"},
    // Connections.
    Bound{"connections of a shard", kLimits.flows, Count, "refused", "flows_refused_total",
          "limits.flows"},
    Bound{"connections of a shard, until a sixteenth is left", kLimits.flows - kLimits.flows / 16,
          Count, "those that never sent a message are closed, the heaviest source's first",
          "silent_connections_dropped_total", "limits.flows"},
    Bound{"connections of a source", kLimits.flows_per_source, Count, "refused",
          "flows_refused_total", "limits.flows_per_source"},
    Bound{"connections of a source that are not open yet", kWaitingOfSourceMax, Count,
          "its oldest is dropped", "silent_connections_dropped_total", ""},
    Bound{"connections of a shard that are not open yet", kWaitingMax, Count,
          "the oldest of the heaviest source is dropped", "silent_connections_dropped_total", ""},
    Bound{"handshakes at one time", kLimits.handshakes, Count,
          "accepted later; the oldest of the heaviest source is dropped",
          "silent_connections_dropped_total", "limits.handshakes"},
    Bound{"PROXY header, TLS and upgrade together", milliseconds(kTimers.handshake), Milliseconds,
          "the connection is closed; 408 to HTTP", "flows_timed_out_total", "timers.handshake"},
    Bound{"silence of a TCP or TLS connection", milliseconds(kTimers.idle_connection), Milliseconds,
          "the connection is closed", "flows_timed_out_total", "timers.idle_connection"},
    Bound{"connecting to a next hop", milliseconds(kTimers.connect), Milliseconds,
          "the next target", "flows_timed_out_total", "timers.connect"},
    Bound{"descriptors kept for next hops and relays", kSpareDescriptors, Count, "the send fails",
          "spare_descriptors_used_total", ""},
    // Sending.
    Bound{"send queue of a flow", kLimits.send_queue_bytes, Bytes, "the flow is closed",
          "send_queue_overflows_total", "limits.send_queue_bytes"},
    Bound{"send queues of a flow whose peer has not had time to take it", kSendBurst, Count,
          "the flow is closed", "send_queue_overflows_total", ""},
    Bound{"charge of an item in a send queue", kSendItemCharge, Bytes, "counts for the queue",
          "send_queue_overflows_total", ""},
    Bound{"items in the send queues of a shard", kSendItemsCrowded, Count,
          "the flows with most of them are closed", "hoarders_closed_total", ""},
    Bound{"bytes in the send queues of a shard", kLimits.buffer_bytes / 4, Bytes,
          "the flows with most of them are closed", "hoarders_closed_total", "limits.buffer_bytes"},
    Bound{"bytes of unfinished messages of a shard", kLimits.buffer_bytes / 4, Bytes,
          "the flows with most of them are closed", "hoarders_closed_total", "limits.buffer_bytes"},
    Bound{"send without progress", milliseconds(kSendStallMax), Milliseconds, "the flow is closed",
          "flows_timed_out_total", ""},
    Bound{"what is queued at a close", milliseconds(kFlushMax), Milliseconds, "dropped",
          "sends_failed_total", ""},
    Bound{"requests that may be sent again", Outstanding::kMax, Count, "the oldest is forgotten",
          "requests_forgotten_total", ""},
    // UDP listeners on all addresses.
    Bound{"addresses of this host that are told apart", LocalAddresses::kAddressesMax, Count,
          "answers leave as the route leads", "local_addresses_refused_total", ""},
    Bound{"peers that were only heard", LocalAddresses::kPeersMax - LocalAddresses::kKnownMax,
          Count, "one of them is forgotten", "datagram_peers_forgotten_total", ""},
    Bound{"peers that we know or have sent requests to", LocalAddresses::kKnownMax, Count,
          "one that was not used is forgotten", "datagram_peers_forgotten_total", ""},
    // Who may ask how much.
    Bound{"requests at once of a connection that has shown no success", kBudgets.attempts, Count,
          "503, then the connection is closed", "over_budget_total", "budgets.attempts"},
    Bound{"requests at once of a connection that has", kBudgets.burst, Count,
          "503, then the connection is closed", "over_budget_total", "budgets.burst"},
    Bound{"requests a second of it", kBudgets.rate, Count, "503, then the connection is closed",
          "over_budget_total", "budgets.rate"},
    Bound{"requests at once of an address", kBudgets.source_burst, Count, "dropped; 503 to streams",
          "over_budget_total", "budgets.source_burst"},
    Bound{"requests a second of an address", kBudgets.source_rate, Count, "dropped; 503 to streams",
          "over_budget_total", "budgets.source_rate"},
    Bound{"media sessions of a guest's unanswered calls, of a flow", kLimits.guest_media_per_flow,
          Count, "503", "guest_media_refused_total", "limits.guest_media_per_flow"},
    Bound{"the same of an address", kLimits.guest_media_per_source, Count, "503",
          "guest_media_refused_total", "limits.guest_media_per_source"},
    Bound{"bans that are remembered", kLimits.bans, Count, "the oldest makes room",
          "bans_cut_short_total", "limits.bans"},
    Bound{"sources that are watched, and users", 65'536, Count, "not watched",
          "evidence_overlooked_total", ""},
    Bound{"lateness of a shard", milliseconds(OverloadConfig{}.lag), Milliseconds,
          "503 to new calls", "overload_refused_total", "overload.lag"},
    // Transactions and calls.
    Bound{"server transactions of a shard", kLimits.transactions, Count, "503",
          "transactions_refused_total", "limits.transactions"},
    Bound{"client transactions of a shard", kLimits.client_transactions, Count, "503",
          "transactions_refused_total", "limits.client_transactions"},
    Bound{"requests being forwarded", kLimits.contexts, Count, "503", "transactions_refused_total",
          "limits.contexts"},
    Bound{"INVITE after a provisional response", milliseconds(kTimers.timer_c), Milliseconds,
          "CANCEL, 408", "timer_c_total", "timers.timer_c"},
    Bound{"provisional responses of an INVITE at once (one more each 10 s)", 64, Count, "dropped",
          "drops_total", ""},
    Bound{"targets of a request", 8, Count, "the rest is not tried", "failovers_total", ""},
    Bound{"calls of a shard", kLimits.dialogs, Count, "ended ones make room, then 503",
          "calls_refused_total", "limits.dialogs"},
    Bound{"dialogs of a call", 16, Count, "the fork is not watched over", "dialogs_refused_total",
          ""},
    Bound{"call that nobody ends", milliseconds(kTimers.call_longest), Milliseconds,
          "BYE to both sides", "released_calls_total", "timers.call_longest"},
    Bound{"names that a shard asks for at one time", 256, Count, "503", "names_refused_total", ""},
    Bound{"first answer of a next hop", milliseconds(kTimers.first_answer), Milliseconds,
          "the next target", "failovers_total", "timers.first_answer"},
    // Media relays.
    Bound{"answer of a media relay", bencode::kMessageBytesMax, Bytes, "the connection is closed",
          "framing_lost_total", ""},
    Bound{"depth of its dictionaries", bencode::kDepthMax, Count, "the connection is closed",
          "framing_lost_total", ""},
    // What is told.
    Bound{"lines that wait for the log", 8'192, Count, "dropped", "log_lines_dropped_total", ""},
    Bound{"bytes that wait for the log", 4 << 20, Bytes, "dropped", "log_lines_dropped_total", ""},
    Bound{"messages that wait for a shard of two", 4'096, Count, "dropped as by a network",
          "handed_over_full_total", ""},
    Bound{"service drain", milliseconds(kTimers.drain), Milliseconds,
          "BYE or CANCEL to both sides of what is left, then the connections are closed",
          "released_calls_total", "timers.drain"},
};

}  // namespace

std::span<const Bound> table() {
  return kTable;
}

}  // namespace ringway::bounds
