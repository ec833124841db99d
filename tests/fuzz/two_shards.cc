#include "tests/fuzz/two_shards.h"

#include <cstdio>

#include "tests/fuzz/hold.h"

namespace ringway::fuzz {
namespace {

constexpr std::size_t kRemembered = 16;

template <typename Item>
void put(std::deque<Item>& list, Item item) {
  list.push_back(std::move(item));
  if (list.size() > kRemembered) list.pop_front();
}

ListenConfig listener(Side side, Transport transport, const char* address) {
  ListenConfig config;
  config.name = side == Side::Access ? "access" : "network";
  config.side = side;
  config.transport = transport;
  config.admission = Admission::Open;
  config.address = *parse_endpoint(address);
  return config;
}

Config make_config() {
  Config config;
  config.listen = {listener(Side::Access, Transport::Udp, "192.0.2.1:5060"),
                   listener(Side::Network, Transport::Udp, "10.0.0.1:5060"),
                   listener(Side::Access, Transport::Ws, "192.0.2.1:8080")};
  NextHopConfig pbx;
  pbx.name = "pbx";
  pbx.host = "10.0.0.9";
  pbx.port = 5060;
  pbx.transport = Transport::Udp;
  pbx.probe_interval = Duration::zero();
  config.next_hops = {pbx};
  config.limits.transactions = config.limits.client_transactions = config.limits.contexts = 48;
  config.limits.buffer_bytes = 2u << 20;
  config.limits.flows = 64;
  config.limits.bindings = 32;
  config.limits.dialogs = 32;
  config.answers.alike = true;
  FraudConfig fraud;
  fraud.name = "few";
  fraud.prefixes = {"+"};
  fraud.calls = 2;
  fraud.longest = 60s;
  config.fraud = {fraud};
  return config;
}

bool is_inside(const Address& address) {
  if (address.family != Family::V4) return true;  // nobody here has one
  const auto octets = address.octets();
  return octets[0] == 10 || octets[0] == 127 || octets[0] == 0 || octets[0] >= 224 ||
         (octets[0] == 192 && octets[1] == 168) || (octets[0] == 172 && (octets[1] & 0xf0) == 16) ||
         (octets[0] == 169 && octets[1] == 254) || (octets[0] == 192 && octets[1] == 0);
}

CallCaps& caps() {
  static CallCaps all;
  return all;
}

}  // namespace

const Endpoint& pbx_address() {
  static const Endpoint kAddress = *parse_endpoint("10.0.0.9:5060");
  return kAddress;
}

struct TwoShards::Shard {
  Shard(const Config& config, ShardIndex index)
      : buffers(config.limits.buffer_bytes), log(index, LogLevel::Error, queue, *counters) {
    std::vector<ListenerInfo> listeners;
    for (const ListenConfig& one : config.listen) listeners.push_back({one, one.address});
    core = std::make_unique<ProxyCore>(ProxyCore::Environment{config,
                                                              index,
                                                              2,
                                                              listeners,
                                                              mac,
                                                              std::uint64_t{100} + index,
                                                              7,
                                                              buffers,
                                                              *counters,
                                                              log,
                                                              {},
                                                              nullptr,
                                                              &caps()});
  }
  tls::Mac mac{tls::MacKey{1, 2, 3}};
  BufferPool buffers;
  std::unique_ptr<Counters> counters = std::make_unique<Counters>();
  Log::Queue queue{16};
  Log log;
  std::unique_ptr<ProxyCore> core;
  Outbox outbox;
};

TwoShards::TwoShards() : config_(make_config()) {
  auto next_hops = std::make_shared<NextHopSnapshot>();
  Resolution found;
  found.outcome = Resolution::Outcome::Found;
  found.targets.push_back({Transport::Udp, pbx_address(), 0, 0});
  next_hops->next_hops.push_back(found);
  auto rules = FraudRules::build(config_.fraud, {std::string()}, 0s);
  hold(rules.has_value(), "the fraud rule is none");
  const auto fraud = std::make_shared<const FraudRules>(std::move(*rules));
  for (ShardIndex i = 0; i < 2; ++i) {
    shards_[i] = std::make_unique<Shard>(config_, i);
    shards_[i]->core->publish_next_hops(next_hops, now_, shards_[i]->outbox);
    shards_[i]->core->publish_fraud(fraud);
  }
  pump();
  for (std::uint8_t i = 0; i < kFlows; ++i) toggle_flow(i);
}
TwoShards::~TwoShards() = default;

Source TwoShards::user(std::size_t index) const {
  Source source;
  const std::string host = "198.51.100." + std::to_string(10 + index);
  source.remote = *parse_endpoint(host + ":40000");
  if (index < kFlows) {
    source.transport = Transport::Ws;
    source.listener = 2;
    source.flow = FlowId(static_cast<ShardIndex>(index % 2), static_cast<std::uint32_t>(index),
                         generations_[index]);
  }
  return source;
}

std::size_t TwoShards::user_at(const Endpoint& remote) const {
  for (std::size_t i = kFlows; i < kUsers; ++i) {
    if (user(i).remote == remote) return i;
  }
  return kUsers;
}

void TwoShards::remember(const std::string& text) {
  put(earlier_, text);
}

std::string TwoShards::earlier(std::uint8_t which) const {
  return earlier_.empty() ? std::string() : earlier_[which % earlier_.size()];
}

void TwoShards::deliver(const Source& source, const std::string& text) {
  const std::size_t index =
      source.flow ? source.flow.shard() : source.remote.address.octets()[3] % 2;
  Shard& shard = *shards_[index];
  shard.core->receive_message(source, as_bytes(text), now_, shard.outbox);
  pump();
}

void TwoShards::deliver_from(std::uint8_t from, std::string_view text) {
  const std::size_t who = from % (kUsers + 2);
  if (who < kFlows && !open_[who]) return;
  if (text.empty() || text.size() > 8'000) return;
  Source source = who < kUsers ? user(who) : Source{};
  if (who >= kUsers) {
    source.listener = 1;
    source.remote =
        who == kUsers ? pbx_address() : *parse_endpoint("203.0.113.5:5060");  // a stranger
  }
  deliver(source, std::string(text));
}

void TwoShards::pump() {
  for (int turn = 0; turn < 1'000; ++turn) {
    bool any = false;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      std::vector<Output> items;
      items.swap(shards_[i]->outbox.items());
      for (Output& output : items) perform(i, output);
      any = any || !items.empty();
    }
    if (!any) return;
  }
  hold(false, "the shards never come to rest");
}

void TwoShards::perform(std::size_t index, Output& output) {
  Shard& shard = *shards_[index];
  switch (output.kind) {
    case Output::Kind::SendDatagram:
      return went_to(output.remote, std::string(as_text(output.buffer.bytes())));
    case Output::Kind::SendFlow: {
      const std::size_t place = output.flow.slot();
      const bool is_open = place < kFlows && open_[place] && user(place).flow == output.flow;
      if (!is_open) {
        if (output.ticket == 0) return;
        return shard.core->send_failed(output.ticket, TransportFailure::FlowGone, now_,
                                       shard.outbox);
      }
      put(at_users_, Request{std::string(as_text(output.buffer.bytes())), place});
      if (at_users_.back().text.starts_with("SIP/2.0 2")) put(answers_, at_users_.back());
      return remember(at_users_.back().text);
    }
    case Output::Kind::SendConnect:
      hold(!is_inside(output.remote.address) || output.remote.address == pbx_address().address,
           "a connection to an address that nobody listed");
      if (output.ticket == 0) return;
      return shard.core->send_failed(output.ticket, TransportFailure::Refused, now_, shard.outbox);
    case Output::Kind::CloseFlow: {
      const std::size_t place = output.flow.slot();
      if (place < kFlows && open_[place] && user(place).flow == output.flow) {
        toggle_flow(static_cast<std::uint8_t>(place));
      }
      return;
    }
    case Output::Kind::RelayRequest:
      return;
    case Output::Kind::HandOver: {
      hold(output.shard < 2 && output.shard != index, "a hand-over to itself");
      Shard& other = *shards_[output.shard];
      const std::string text(as_text(output.buffer.bytes()));
      return other.core->receive_handed_over(output.source, as_bytes(text), now_, other.outbox);
    }
    case Output::Kind::Announce: {
      Shard& other = *shards_[1 - index];
      return other.core->receive_announcement(output.announcement, now_, other.outbox);
    }
    case Output::Kind::Resolve: {
      Resolution nothing;
      nothing.outcome = Resolution::Outcome::NoSuchName;
      return shard.core->resolved(output.ticket, nothing, now_, shard.outbox);
    }
  }
}

void TwoShards::went_to(const Endpoint& remote, std::string text) {
  const std::size_t at = user_at(remote);
  const bool is_pbx = remote.address == pbx_address().address;
  hold(is_pbx || !is_inside(remote.address), "a datagram to an address that nobody listed", text);
  remember(text);
  if (is_pbx) {
    if (const std::string path = value_of(text, "Path: "); !path.empty()) path_ = path;
    return put(at_pbx_, Request{std::move(text), 0});
  }
  if (text.starts_with("SIP/2.0 2")) put(answers_, Request{text, at});
  put(at_users_, Request{std::move(text), at});
}

// --- Flows and time ----------------------------------------------------------------------------

void TwoShards::toggle_flow(std::uint8_t which) {
  const std::size_t place = which % kFlows;
  Shard& shard = *shards_[place % 2];
  open_[place] = !open_[place];
  if (open_[place]) {
    ++generations_[place];
    FlowInfo info;
    const Source source = user(place);
    info.flow = source.flow;
    info.transport = source.transport;
    info.listener = source.listener;
    info.remote = source.remote;
    shard.core->flow_opened(info, now_, shard.outbox);
  } else {
    shard.core->flow_closed(user(place).flow, FlowEnd::Reset, now_, shard.outbox);
  }
  pump();
}

void TwoShards::switch_state(std::uint8_t which) {
  ProxyCore& core = *shards_[which & 1]->core;
  if (which & 2) {
    core.set_overloaded((which & 4) != 0, now_);
  } else {
    core.set_in_service((which & 4) == 0);
  }
}

void TwoShards::advance_to(Instant then) {
  for (int turn = 0; turn < 20'000; ++turn) {
    Instant next = then;
    for (const auto& shard : shards_)
      next = std::min(next, std::max(now_, shard->core->next_deadline()));
    now_ = next;
    for (const auto& shard : shards_) shard->core->expire(now_, shard->outbox);
    pump();
    if (now_ >= then) return;
  }
  hold(false, "deadlines without end");
}

void TwoShards::advance(Duration time) {
  advance_to(now_ + time);
}

bool TwoShards::is_quiet() const {
  for (const auto& shard : shards_) {
    const auto held = shard->core->occupancy();
    if (held.contexts != 0 || held.target_lists != 0 || held.server_transactions != 0 ||
        held.client_transactions != 0 || held.calls != 0 || held.dialogs != 0 ||
        held.user_agents != 0 || held.deadlines != 0) {
      return false;
    }
  }
  return true;
}

void TwoShards::end() {
  for (const auto& shard : shards_) {
    shard->core->set_overloaded(false, now_);
    shard->core->set_in_service(true);
  }
  for (std::uint8_t i = 0; i < kFlows; ++i) {
    if (open_[i]) toggle_flow(i);
  }
  const Instant last = now_ + config_.timers.call_longest + std::chrono::hours(2);
  while (now_ < last && !is_quiet()) advance(600s);
  if (is_quiet()) return;
  for (const auto& shard : shards_) {
    const auto held = shard->core->occupancy();
    std::fprintf(
        stderr,
        "contexts %u lists %u servers %u clients %u calls %u dialogs %u agents %u deadlines %u\n",
        held.contexts, held.target_lists, held.server_transactions, held.client_transactions,
        held.calls, held.dialogs, held.user_agents, held.deadlines);
  }
  hold(false, "something is held for ever");
}

}  // namespace ringway::fuzz
