#include "tests/sim/shell.h"

#include <algorithm>
#include <utility>

#include "protocol/websocket/frame.h"
#include "tests/sim/gateway.h"

namespace ringway::sim {
namespace {

// How soon the transport's pings, or the end of its patience, find a connection that died silently.
constexpr Duration kPingPeriod = 15s, kIdlePeriod = 60s;
constexpr websocket::Mask kUnmasked{};

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

Shell::Shell(Gateway& gateway, ShardIndex index, std::size_t shards, std::uint64_t seed)
    : gateway_(gateway),
      index_(index),
      name_("shard " + std::to_string(index)),
      log_(index, gateway.config().log_level, log_queue_, counters_),
      buffers_(gateway.config().limits.buffer_bytes),
      core_(std::make_unique<ProxyCore>(
          ProxyCore::Environment{gateway.config(), index, static_cast<ShardIndex>(shards),
                                 gateway.listeners(), gateway.mac(), seed, gateway.epoch(),
                                 buffers_, counters_, log_})) {}

void Shell::start(std::shared_ptr<const NextHopSnapshot> next_hops,
                  std::shared_ptr<const FilterRules> filter) {
  if (filter) core_->publish_filter(std::move(filter));
  core_->publish_next_hops(std::move(next_hops), gateway_.tools().clock.now(), outbox_);
  deliver();
  if (!gateway_.config().media.relays.empty()) connect_relay();
}

std::uint32_t Shell::probes() const {
  const auto& next_hops = gateway_.config().next_hops;
  return static_cast<std::uint32_t>(
      std::ranges::count_if(next_hops, [](const auto& hop) { return hop.probe_interval > 0s; }));
}

void Shell::kill() {
  killed_ = true;
  for (auto& flow : flows_) {
    if (flow && flow->wire) flow->wire->close(flow->side, Wire::Ending::Reset);
  }
  flows_.clear();
  if (relay_) relay_->close(Wire::Side::Client, Wire::Ending::Reset);
  relay_.reset();
  outbox_.clear();
  core_.reset();
}

// --- What the kernel would tell ----------------------------------------------------------------

void Shell::receive_datagram(ListenerIndex listener, const Endpoint& from, std::string_view bytes) {
  receive_message({Transport::Udp, listener, from, {}}, bytes);
}

void Shell::receive_message(const Source& source, std::string_view bytes) {
  Checks& checks = gateway_.tools().checks;
  gateway_.tools().trace.line(name_, "< " + to_string(source.remote), bytes);
  const bool trusted = gateway_.listeners()[source.listener].config.side == Side::Network;
  checks.received(index_, source, bytes, trusted);
  // In memory of its own, so that reading beyond its end is seen.
  const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  core_->receive_message(source, copy, gateway_.tools().clock.now(), outbox_);
  deliver();
}

void Shell::receive_handed_over(const HandedOver& received) {
  gateway_.tools().trace.line(name_, "< another shard", received.bytes);
  const bool trusted = gateway_.listeners()[received.source.listener].config.side == Side::Network;
  gateway_.tools().checks.received(index_, received.source, received.bytes, trusted);
  const std::vector<std::uint8_t> copy(received.bytes.begin(), received.bytes.end());
  core_->receive_handed_over(received.source, copy, gateway_.tools().clock.now(), outbox_);
  deliver();
}

std::optional<Wire::End> Shell::accept(ListenerIndex listener, const Endpoint& from,
                                       std::shared_ptr<Wire> wire) {
  if (killed_ || draining_) return std::nullopt;
  Flow& flow = new_flow(gateway_.listeners()[listener].config.transport, listener, from);
  flow.wire = std::move(wire);
  flow.announced = true;
  gateway_.tools().checks.flow_opened(flow.info.flow);
  core_->flow_opened(flow.info, gateway_.tools().clock.now(), outbox_);
  deliver();
  const FlowId id = flow.info.flow;
  watch(id);
  return Wire::End{[this, id](std::string_view bytes) { receive_bytes(id, bytes); },
                   [this, id](Wire::Ending how) {
                     wire_ended(id, how == Wire::Ending::Closed ? FlowEnd::Closed : FlowEnd::Reset);
                   }};
}

Flow& Shell::new_flow(Transport transport, ListenerIndex listener, const Endpoint& remote) {
  std::size_t slot = 0;
  while (slot < flows_.size() && flows_[slot]) ++slot;
  if (slot == flows_.size()) {
    flows_.emplace_back();
    generations_.push_back(0);
  }
  FlowInfo info;
  info.flow = FlowId(index_, static_cast<std::uint32_t>(slot), ++generations_[slot]);
  info.transport = transport;
  info.listener = listener;
  info.remote = remote;
  flows_[slot] = std::make_unique<Flow>(info, Wire::Side::Server);
  return *flows_[slot];
}

Flow* Shell::find(FlowId id) {
  if (id.shard() != index_ || id.slot() >= flows_.size() || !flows_[id.slot()]) return nullptr;
  Flow& flow = *flows_[id.slot()];
  return flow.info.flow == id ? &flow : nullptr;
}

std::size_t Shell::open_flows() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(flows_, [](const auto& flow) { return flow != nullptr; }));
}

void Shell::receive_bytes(FlowId id, std::string_view bytes) {
  if (Flow* flow = find(id)) flow->framing.feed(bytes);
  // What is received may end the flow.
  while (Flow* flow = killed_ ? nullptr : find(id)) {
    using Kind = Framing::Result::Kind;
    const Framing::Result result = flow->framing.next();
    const Source source{flow->info.transport, flow->info.listener, flow->info.remote, id};
    switch (result.kind) {
      case Kind::None:
        return;
      case Kind::Message:
        receive_message(source, result.bytes);
        break;
      case Kind::Answer:
        flow->wire->send(flow->side, result.bytes);
        break;
      case Kind::Close:
        close(*flow, FlowEnd::Closed, TransportFailure::Closed, websocket::close_code::kNormal);
        deliver();
        break;
      case Kind::Broken:
        if (!result.bytes.empty()) receive_message(source, result.bytes);
        if (Flow* still = find(id)) {
          close(*still, FlowEnd::ProtocolError, TransportFailure::Closed,
                websocket::close_code::kProtocolError);
        }
        deliver();
        break;
    }
  }
}

void Shell::wire_ended(FlowId id, FlowEnd end) {
  Flow* flow = killed_ ? nullptr : find(id);
  if (!flow) return;
  close(*flow, end, end == FlowEnd::Closed ? TransportFailure::Closed : TransportFailure::Reset, 0);
  deliver();
}

void Shell::watch(FlowId id) {
  Flow* flow = killed_ ? nullptr : find(id);
  if (!flow) return;
  if (flow->wire && flow->wire->is_silent()) return wire_ended(id, FlowEnd::TimedOut);
  const Duration period = is_websocket(flow->info.transport) ? kPingPeriod : kIdlePeriod;
  gateway_.tools().clock.after(period, [this, id] { watch(id); });
}

void Shell::receive_mail(const Mail& mail) {
  const Instant now = gateway_.tools().clock.now();
  std::visit(
      Overloaded{
          [&](const HandedOver& received) { receive_handed_over(received); },
          [&](const SendOnFlow& send) {
            if (Flow* flow = find(send.flow)) return send_on(*flow, send.bytes, 0);
            if (send.ticket == 0) return;
            gateway_.post(index_, send.origin, SendFailed{send.ticket, TransportFailure::FlowGone});
          },
          [&](const CloseRemoteFlow& request) {
            Flow* flow = find(request.flow);
            if (!flow) return;
            close(*flow, FlowEnd::ProtocolError, TransportFailure::Closed, request.websocket_code);
          },
          [&](const SendFailed& failed) {
            core_->send_failed(failed.ticket, failed.failure, now, outbox_);
          },
          [&](const Output::Announcement& announcement) {
            core_->receive_announcement(announcement, now, outbox_);
          },
      },
      mail);
  deliver();
}

void Shell::drain() {
  draining_ = true;
  drain_until_ = gateway_.tools().clock.now() + gateway_.config().timers.drain;
  core_->drain(gateway_.tools().clock.now(), outbox_);
  gateway_.tools().clock.at(drain_until_, [this] {
    if (!killed_) advance_drain();
  });
  deliver();
}

void Shell::advance_drain() {
  if (drain_until_ == kNever) return;
  if (!core_->is_quiet() && gateway_.tools().clock.now() < drain_until_) return;
  drain_until_ = kNever;
  close_all();
}

void Shell::close_all() {
  for (std::size_t slot = 0; slot < flows_.size(); ++slot) {
    if (!flows_[slot]) continue;
    close(*flows_[slot], FlowEnd::ShuttingDown, TransportFailure::Closed,
          websocket::close_code::kGoingAway);
  }
  deliver();
}

void Shell::expire() {
  core_->expire(gateway_.tools().clock.now(), outbox_);
  deliver();
}

// --- What the core wants -----------------------------------------------------------------------

void Shell::deliver() {
  const Clock& clock = gateway_.tools().clock;
  for (;;) {
    for (Output& output : outbox_.items()) perform(output);
    outbox_.clear();
    if (events_.empty()) break;
    const Event event = events_.front();
    events_.pop_front();
    if (event.kind == Event::Kind::FlowClosed) {
      gateway_.tools().checks.flow_closed(event.flow);
      core_->flow_closed(event.flow, event.end, clock.now(), outbox_);
    } else {
      core_->send_failed(event.ticket, event.failure, clock.now(), outbox_);
    }
  }
  print_log();
  gateway_.tools().checks.gauges_are_sane(index_, counters_);
  advance_drain();
  // A deadline is served a little late, as by a thread that has to be woken.
  const Instant deadline = core_->next_deadline();
  if (deadline >= wake_at_) return;
  wake_at_ = deadline;
  gateway_.tools().clock.at(deadline + gateway_.tools().dice.between(0us, 1'500us),
                            [this, deadline] {
                              if (killed_ || wake_at_ != deadline) return;
                              wake_at_ = kNever;
                              expire();
                            });
}

void Shell::perform(Output& output) {
  Checks& checks = gateway_.tools().checks;
  const bool sends = output.kind == Output::Kind::SendDatagram ||
                     output.kind == Output::Kind::SendFlow ||
                     output.kind == Output::Kind::SendConnect;
  const std::string text(output.buffer ? as_text(output.buffer.bytes()) : std::string_view{});
  if (sends) {
    gateway_.tools().trace.line(name_,
                                "> " + (output.flow ? "flow " + std::to_string(output.flow.value())
                                                    : to_string(output.remote)),
                                text);
    checks.sent(index_, output);
  }
  switch (output.kind) {
    case Output::Kind::SendDatagram:
      return gateway_.tools().network.send(gateway_.listeners()[output.listener].local,
                                           output.remote, text);
    case Output::Kind::SendFlow: {
      const ShardIndex owner = output.flow.shard();
      if (owner != index_) {
        return gateway_.post(index_, owner, SendOnFlow{output.flow, output.ticket, index_, text});
      }
      if (Flow* flow = find(output.flow)) return send_on(*flow, text, output.ticket);
      return fail(output.ticket, TransportFailure::FlowGone);
    }
    case Output::Kind::SendConnect:
      return send_connect(output);
    case Output::Kind::CloseFlow:
      if (output.flow.shard() != index_) {
        return gateway_.post(index_, output.flow.shard(),
                             CloseRemoteFlow{output.flow, output.websocket_code});
      }
      if (Flow* flow = find(output.flow)) {
        close(*flow, FlowEnd::ProtocolError, TransportFailure::Closed, output.websocket_code);
      }
      return;
    case Output::Kind::RelayRequest:
      if (output.relay != 0) return checks.fail("a request to a media relay that is not there");
      gateway_.tools().trace.line(name_, "> relay", text);
      if (relay_) relay_->send(Wire::Side::Client, text);
      return;
    case Output::Kind::HandOver:
      if (output.shard >= gateway_.shards() || output.shard == index_) return;
      checks.handed_over(index_, text);
      return gateway_.post(index_, output.shard, HandedOver{output.source, text});
    case Output::Kind::Announce:
      for (std::size_t shard = 0; shard < gateway_.shards(); ++shard) {
        if (shard == index_) continue;
        gateway_.post(index_, static_cast<ShardIndex>(shard),
                      Output::Announcement(output.announcement));
      }
      return;
    case Output::Kind::Resolve:
      return resolve(output);
  }
}

void Shell::fail(Ticket ticket, TransportFailure failure) {
  if (ticket != 0) events_.push_back({Event::Kind::SendFailed, {}, {}, ticket, failure});
}

void Shell::send_on(Flow& flow, std::string_view bytes, Ticket ticket) {
  Dice& dice = gateway_.tools().dice;
  flow.queue.push_back({flow.framing.wrap(bytes, kUnmasked), ticket});
  if (!flow.slow && dice.chance(gateway_.tools().network.weather.cut / 8)) {
    flow.slow = true;
    gateway_.tools().clock.after(dice.between(10ms, 4s), [this, id = flow.info.flow] {
      Flow* still = killed_ ? nullptr : find(id);
      if (!still) return;
      still->slow = false;
      flush(*still);
    });
  }
  flush(flow);
}

void Shell::flush(Flow& flow) {
  while (flow.wire && !flow.slow && !flow.queue.empty()) {
    flow.wire->send(flow.side, flow.queue.front().bytes);
    flow.queue.pop_front();
  }
}

// Connections that we opened are used again, as the transport's key says.
void Shell::send_connect(const Output& output) {
  const std::string_view text = as_text(output.buffer.bytes());
  for (auto& flow : flows_) {
    if (flow && flow->info.opened_by_us && flow->info.transport == output.transport &&
        flow->info.remote == output.remote && flow->info.listener == output.listener &&
        flow->info.next_hop == output.next_hop) {
      return send_on(*flow, text, output.ticket);
    }
  }
  Flow& flow = new_flow(output.transport, output.listener, output.remote);
  flow.info.opened_by_us = true;
  flow.info.next_hop = output.next_hop;
  flow.side = Wire::Side::Client;
  const FlowId id = flow.info.flow;
  send_on(flow, text, output.ticket);
  Endpoint from = gateway_.listeners()[output.listener].local;
  from.port = static_cast<std::uint16_t>(gateway_.tools().dice.between(32'000, 60'000));
  Wire::End end{[this, id](std::string_view bytes) { receive_bytes(id, bytes); },
                [this, id](Wire::Ending how) {
                  wire_ended(id, how == Wire::Ending::Closed ? FlowEnd::Closed : FlowEnd::Reset);
                }};
  gateway_.tools().network.connect(
      from, output.remote, std::move(end), [this, id](std::shared_ptr<Wire> wire) {
        Flow* opened = killed_ ? nullptr : find(id);
        if (!opened) {
          if (wire) wire->close(Wire::Side::Client);
          return;
        }
        if (!wire) {
          close(*opened, FlowEnd::Reset, TransportFailure::Refused, 0);
          return deliver();
        }
        opened->wire = std::move(wire);
        opened->announced = true;
        gateway_.tools().checks.flow_opened(id);
        core_->flow_opened(opened->info, gateway_.tools().clock.now(), outbox_);
        flush(*opened);
        deliver();
        watch(id);
      });
}

// Told to the core in the order of gateway/transport: first the flow, then what it did not send.
void Shell::close(Flow& flow, FlowEnd end, TransportFailure failure, std::uint16_t websocket_code) {
  const FlowId id = flow.info.flow;
  gateway_.tools().trace.line(name_, "flow " + std::to_string(id.value()) + " ends");
  if (flow.announced) events_.push_back({Event::Kind::FlowClosed, id, end, 0, {}});
  for (const Flow::Queued& item : flow.queue) fail(item.ticket, failure);
  if (flow.wire) {
    if (websocket_code != 0) {
      flow.wire->send(flow.side, flow.framing.close(websocket_code, kUnmasked));
    }
    flow.wire->close(flow.side);
  }
  flows_[id.slot()].reset();
}

void Shell::resolve(const Output& output) {
  const auto known = gateway_.names.find(output.name);
  Resolution resolution;
  resolution.outcome = Resolution::Outcome::NoSuchName;
  if (known != gateway_.names.end()) {
    resolution.outcome = Resolution::Outcome::Found;
    resolution.targets.push_back({output.transport, known->second});
    gateway_.tools().checks.allow(known->second);
  }
  gateway_.tools().clock.after(
      gateway_.tools().dice.between(1ms, 200ms), [this, ticket = output.ticket, resolution] {
        if (killed_) return;
        core_->resolved(ticket, resolution, gateway_.tools().clock.now(), outbox_);
        deliver();
      });
}

// --- The media relay ---------------------------------------------------------------------------

void Shell::connect_relay() {
  if (killed_) return;
  Wire::End end{[this](std::string_view bytes) { receive_relay(bytes); },
                [this](Wire::Ending) {
                  if (killed_) return;
                  relay_.reset();
                  core_->relay_lost(0, gateway_.tools().clock.now(), outbox_);
                  deliver();
                  connect_relay();
                }};
  const Endpoint from = endpoint("10.0.0.5:4" + std::to_string(100 + index_));
  gateway_.tools().network.connect(
      from, gateway_.config().media.relays.front().address, std::move(end),
      [this](std::shared_ptr<Wire> wire) {
        if (killed_) return;
        if (!wire) return gateway_.tools().clock.after(500ms, [this] { connect_relay(); });
        relay_ = std::move(wire);
        relay_pending_.clear();
        relay_framer_.reset();
        core_->relay_connected(0, gateway_.tools().clock.now(), outbox_);
        deliver();
      });
}

void Shell::receive_relay(std::string_view bytes) {
  relay_pending_.append(bytes);
  for (;;) {
    const auto frame = relay_framer_.next(as_bytes(relay_pending_));
    if (frame.state != bencode::Scanner::State::Complete) return;
    const std::vector<std::uint8_t> message(
        relay_pending_.begin(), relay_pending_.begin() + static_cast<std::ptrdiff_t>(frame.size));
    relay_pending_.erase(0, frame.size);
    gateway_.tools().trace.line(name_, "< relay", as_text(message));
    core_->receive_relay(0, message, gateway_.tools().clock.now(), outbox_);
    deliver();
  }
}

// --- The log -----------------------------------------------------------------------------------

void Shell::print_log() {
  while (LogRecord* record = log_queue_.front()) {
    if (gateway_.tools().trace.printing()) {
      std::string text(record->event);
      for (std::size_t i = 0; i < record->field_count; ++i) {
        const LogRecord::Field& field = record->fields[i];
        text +=
            " " + std::string(field.key) + "=" +
            (field.is_number ? std::to_string(field.number) : std::string(record->text_of(field)));
      }
      gateway_.tools().trace.line(name_, "log: " + text);
    }
    log_queue_.pop();
  }
}

}  // namespace ringway::sim
