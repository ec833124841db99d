#include "tests/sim/checks.h"

#include <algorithm>

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
}

void Checks::connection_ended(std::uint64_t connection) {
  ended_.try_emplace(connection, clock_.now());
}

std::string Checks::key_of(const Message& message) {
  return message.branch() + " " + message.cseq_method();
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

void Checks::received(const Channel& from, std::string_view text, bool trusted, bool promised) {
  if (from.connection == 0) named_.insert(from.address);
  const auto message = Message::parse(text);
  if (!message) return;
  if (trusted) name_addresses(*message);
  if (!message->is_request() || message->method == "ACK") return;
  Request& request = requests_[key_of(*message)];
  // Behind timer J the transaction is forgotten, and a repetition that was on its way for that long
  // is a new request.
  if (!request.answers.empty() && clock_.now() - request.answered > kTimerJ) {
    request.answers.clear();
  }
  if (request.since == Instant{}) {
    request.since = clock_.now();
    request.invite = message->method == "INVITE";
  }
  request.promised |= promised;
  if (from.connection == 0) {
    request.sources.insert(from.address);
    request.locals.insert(from.local);
  } else {
    request.connections.insert(from.connection);
  }
}

// --- Of each message that leaves ---------------------------------------------------------------

void Checks::sent(const Channel& to, std::string_view text) {
  const auto message = Message::parse(text);
  if (!message) return fail("what the gateway sent is no SIP message", text);
  if (message->is_request()) {
    if (!message->has("Max-Forwards")) fail("a request without Max-Forwards", text);
    return;
  }
  const auto found = requests_.find(key_of(*message));
  // What the process before this one was asked may still be on a wire.
  if (found == requests_.end()) {
    if (to.connection == 0) fail("a response without a request", text);
    return;
  }
  response_goes_where_the_request_came_from(found->second, to, text);
  final_answer_is_the_only_one(found->second, to, *message, text);
}

void Checks::final_answer_is_the_only_one(Request& request, const Channel& to,
                                          const Message& response, std::string_view text) {
  Final& answer = request.answers[to.text()];
  if (response.status < 200) {
    const bool may_pass = may_reorder && to.connection == 0;
    if (answer.status != 0 && !may_forget && !may_pass) {
      fail("a provisional response behind the final one", text);
    }
    if (answer.status == 0) request.answers.erase(to.text());
    return;
  }
  const std::string tag = parameter(response.header("To"), "tag");
  if (answer.status == 0) {
    answer = {response.status, tag};
    request.answered = clock_.now();
    return;
  }
  const bool repeated = answer.status == response.status && answer.to_tag == tag;
  // Two that were asked may both say yes (RFC 3261 13.2.2.4).
  const bool forked = request.invite && answer.status / 100 == 2 && response.status / 100 == 2;
  if (!repeated && !forked && !may_forget) {
    fail("a second final answer, after " + std::to_string(answer.status), text);
  }
}

// Over UDP it leaves from where the request came to: no NAT lets it pass otherwise (RFC 3581 4). A
// user agent that has lost its connection hears the answer on the one that it is back on, a
// server over a new connection to the address in its Via (RFC 3261 18.2.2).
void Checks::response_goes_where_the_request_came_from(const Request& request, const Channel& to,
                                                       std::string_view text) {
  if (to.connection == 0 && request.connections.empty() && !request.locals.contains(to.local)) {
    fail("a response leaves from " + to.local + ", where its request did not come to", text);
  }
  if (to.connection == 0 ? request.sources.contains(to.address)
                         : request.connections.contains(to.connection)) {
    return;
  }
  for (const std::uint64_t connection : request.connections) {
    if (ended_.contains(connection)) return;
  }
  fail("a response goes elsewhere than its request came from", text);
}

void Checks::reached(const Endpoint& remote) {
  const std::string text = to_string(remote);
  if (forbidden_.contains(text)) return fail("sent to " + text + ", which is nobody's target");
  if (!named_.contains(text)) fail("sent to " + text + ", which nobody named");
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

// Silence is right only where the asker is gone, for a request other than INVITE that its target
// never answered (RFC 4320 4.2), and for what came to a removed UDP listener after it was read
// empty; the latter two are counted.
void Checks::each_request_was_answered(const std::vector<const Counters*>& counters) {
  std::uint64_t timed_out = 0, dropped = 0, unheard = 0, withheld = 0;
  for (const Counters* shard : counters) {
    timed_out += shard->timeouts_client.value();
    unheard += shard->datagrams_to_removed.value();
    for (const DropReason reason :
         {DropReason::NoBuffer, DropReason::TableFull, DropReason::Filter, DropReason::Stranger}) {
      dropped += shard->drops[static_cast<std::size_t>(reason)].value();
    }
    // Over UDP what has to wait for its sender's budget is to come again.
    withheld += shard->drops[static_cast<std::size_t>(DropReason::Budget)].value();
  }
  // Longer than timer C and all branches that are tried before.
  constexpr Duration kInviteMax = 280s;
  std::uint64_t silent = 0, silent_invites = 0, promised = 0;
  std::string last;
  for (const auto& [key, request] : requests_) {
    if (!request.answers.empty()) continue;
    Instant gone = kNever;
    for (const std::uint64_t connection : request.connections) {
      const auto ended = ended_.find(connection);
      if (ended != ended_.end()) gone = std::min(gone, ended->second);
    }
    if (gone < (request.invite ? request.since + kInviteMax : kNever)) continue;
    silent_invites += request.invite ? 1 : 0;
    if (request.invite && dropped + (request.promised ? 0 : unheard) == 0) {
      return fail("an INVITE has no final answer: " + key);
    }
    ++silent;
    promised += request.promised ? 1 : 0;
    last = key;
  }
  const std::uint64_t excused = timed_out + dropped + withheld;
  if (silent > excused + unheard || promised > excused || silent_invites > dropped + unheard) {
    fail(std::to_string(silent) + " requests have no answer, " + std::to_string(silent_invites) +
         " of them INVITE and " + std::to_string(promised) + " here before a reload; " +
         std::to_string(timed_out) + " timed out, " + std::to_string(dropped) +
         " were dropped and " + std::to_string(unheard) + " not heard; the last: " + last);
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
