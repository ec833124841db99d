#include "tests/sim/checks.h"

namespace ringway::sim {
namespace {

constexpr Duration kTimerJ = 32s;  // RFC 3261 17.2.2

std::uint64_t sum(const CounterArray<6>& states) {
  std::uint64_t total = 0;
  for (const Counter& state : states) total += state.value();
  return total;
}

}  // namespace

void Checks::fail(std::string_view what, std::string_view text) {
  trace_.line("CHECK", what, text);
  if (!failure_.empty()) return;
  failure_ = std::string(what);
  if (!text.empty()) failure_ += "\n" + std::string(text);
}

void Checks::gateway_started() {
  requests_.clear();
  flows_.clear();
  closed_.clear();
}

void Checks::flow_opened(FlowId flow) {
  if (!flows_.insert(flow.value()).second) fail("a flow id was given twice");
}

void Checks::flow_closed(FlowId flow) {
  if (!closed_.insert(flow.value()).second) fail("a flow closed twice");
}

std::string Checks::key_of(ShardIndex shard, const Message& message) {
  return std::to_string(shard) + " " + message.branch() + " " + message.cseq_method();
}

// A trusted side's Contact, Route set and Request-URI name remote targets.
void Checks::name_addresses(const Message& message) {
  if (message.is_request()) {
    if (const auto target = endpoint_of(message.uri)) allow(*target);
  }
  for (const std::string_view header : {"Contact", "Route", "Record-Route", "Path"}) {
    for (const std::string& value : message.values(header)) {
      if (const auto target = endpoint_of(uri_of(value))) allow(*target);
    }
  }
}

void Checks::received(ShardIndex shard, const Source& source, std::string_view text, bool trusted) {
  if (!source.flow) named_.insert(to_string(source.remote));
  const auto message = Message::parse(text);
  if (!message) return;
  if (trusted) name_addresses(*message);
  if (!message->is_request() || message->method == "ACK") return;
  Request& request = requests_[key_of(shard, *message)];
  // Behind timer J the transaction is forgotten, and a repetition that was on its way for that long
  // is a new request.
  if (request.status != 0 && clock_.now() - request.answered > kTimerJ) request.status = 0;
  if (request.since == Instant{}) {
    request.since = clock_.now();
    request.flow = source.flow;
    request.invite = message->method == "INVITE";
  }
  request.sources.insert(to_string(source.remote));
}

void Checks::handed_over(ShardIndex shard, std::string_view text) {
  const auto message = Message::parse(text);
  if (message && message->is_request()) requests_.erase(key_of(shard, *message));
}

// --- Of each message that leaves ---------------------------------------------------------------

void Checks::sent(ShardIndex shard, const Output& output) {
  const std::string_view text = as_text(output.buffer.bytes());
  address_is_known(output, text);
  flow_was_issued(output);
  const auto message = Message::parse(text);
  if (!message) return fail("what the gateway sent is no SIP message", text);
  if (message->is_request()) {
    if (!message->has("Max-Forwards")) fail("a request without Max-Forwards", text);
    return;
  }
  const auto found = requests_.find(key_of(shard, *message));
  if (found == requests_.end()) return fail("a response without a request", text);
  response_goes_where_the_request_came_from(found->second, output, text);
  final_answer_is_the_only_one(found->second, *message, text);
}

void Checks::final_answer_is_the_only_one(Request& request, const Message& response,
                                          std::string_view text) {
  if (response.status < 200) {
    if (request.status != 0 && !may_forget)
      fail("a provisional response behind the final one", text);
    return;
  }
  const std::string tag = parameter(response.header("To"), "tag");
  if (request.status == 0) {
    request.status = response.status;
    request.to_tag = tag;
    request.answered = clock_.now();
    return;
  }
  const bool repeated = request.status == response.status && request.to_tag == tag;
  // Two that were asked may both say yes (RFC 3261 13.2.2.4).
  const bool forked = request.invite && request.status / 100 == 2 && response.status / 100 == 2;
  if (!repeated && !forked && !may_forget) {
    fail("a second final answer, after " + std::to_string(request.status), text);
  }
}

void Checks::response_goes_where_the_request_came_from(const Request& request, const Output& output,
                                                       std::string_view text) {
  // A user agent that has lost its flow hears the answer on the one that it is back on, a server
  // over a new connection to the address in its Via (RFC 3261 18.2.2).
  if (output.kind == Output::Kind::SendConnect && closed_.contains(request.flow.value()) &&
      output.transport == Transport::Tcp &&
      text.find("TCP " + to_string(output.remote) + ";") == text.find("TCP ")) {
    return;
  }
  const bool back = output.kind == Output::Kind::SendFlow
                        ? output.flow == request.flow || closed_.contains(request.flow.value())
                        : output.kind == Output::Kind::SendDatagram && !request.flow &&
                              request.sources.contains(to_string(output.remote));
  if (!back) fail("a response goes elsewhere than its request came from", text);
}

void Checks::address_is_known(const Output& output, std::string_view text) {
  if (output.kind == Output::Kind::SendFlow) return;
  if (forbidden_.contains(to_string(output.remote))) {
    return fail("sent to " + to_string(output.remote) + ", which is nobody's target", text);
  }
  if (named_.contains(to_string(output.remote))) return;
  fail("sent to " + to_string(output.remote) + ", which nobody named", text);
}

void Checks::flow_was_issued(const Output& output) {
  if (output.kind == Output::Kind::SendFlow && !flows_.contains(output.flow.value())) {
    fail("sent on a flow that never was");
  }
}

// --- Of the whole ------------------------------------------------------------------------------

void Checks::gauges_are_sane(ShardIndex shard, const Counters& counters) {
  constexpr std::uint64_t kBelowZero = 1u << 30;
  const auto sane = [&](const Counter& gauge, std::string_view name) {
    if (gauge.value() > kBelowZero) {
      fail("shard " + std::to_string(shard) + ": gauge below zero: " + std::string(name));
    }
  };
  sane(counters.server_transactions, "server_transactions");
  sane(counters.client_transactions, "client_transactions");
  sane(counters.user_agents, "user_agents");
  sane(counters.dialogs, "dialogs");
  sane(counters.media_sessions, "media_sessions");
  sane(counters.ng_pending, "ng_pending");
  sane(counters.next_hop_down, "next_hop_down");
}

// Silence is right only where the asker is gone, or for a request other than INVITE that its
// target never answered (RFC 4320 4.2); the latter are counted.
void Checks::each_request_was_answered(const std::vector<const Counters*>& counters) {
  std::uint64_t timed_out = 0, dropped = 0;
  for (const Counters* shard : counters) {
    timed_out += shard->timeouts_client.value();
    for (const DropReason reason :
         {DropReason::NoBuffer, DropReason::TableFull, DropReason::Filter, DropReason::Stranger}) {
      dropped += shard->drops[static_cast<std::size_t>(reason)].value();
    }
  }
  std::uint64_t silent = 0;
  std::string last;
  for (const auto& [key, request] : requests_) {
    if (request.status != 0) continue;
    if (request.flow && closed_.contains(request.flow.value())) continue;
    if (request.invite && dropped == 0) return fail("an INVITE has no final answer: " + key);
    ++silent;
    last = key;
  }
  if (silent > timed_out + dropped) {
    fail(std::to_string(silent) + " requests have no answer, " + std::to_string(timed_out) +
         " timed out and " + std::to_string(dropped) + " were dropped; the last: " + last);
  }
}

void Checks::is_empty(ShardIndex shard, const ProxyCore::Occupancy& occupancy,
                      const Counters& counters, std::size_t buffers_in_use) {
  const auto none = [&](std::uint64_t count, std::string_view name) {
    if (count == 0) return;
    fail("shard " + std::to_string(shard) + " still holds " + std::to_string(count) + " " +
         std::string(name));
  };
  none(occupancy.contexts, "contexts");
  none(occupancy.target_lists, "target lists");
  none(occupancy.server_transactions, "server transactions");
  none(occupancy.client_transactions, "client transactions");
  none(occupancy.relay_requests, "relay requests");
  none(occupancy.calls, "calls");
  none(occupancy.user_agents, "user agents");
  none(occupancy.deadlines, "deadlines");
  none(buffers_in_use, "buffers");
  none(counters.media_sessions.value(), "media sessions (gauge)");
  none(counters.dialogs.value(), "dialogs (gauge)");
  none(counters.ng_pending.value(), "ng_pending (gauge)");
  none(sum(counters.invite_server_states), "INVITE servers by state");
  none(sum(counters.invite_client_states), "INVITE clients by state");
  none(sum(counters.server_states), "servers by state");
  none(sum(counters.client_states), "clients by state");
}

}  // namespace ringway::sim
