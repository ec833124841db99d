#include "gateway/transport/accepted_streams.h"

#include <algorithm>

#include "gateway/transport/bounds.h"

namespace ringway {
namespace {

constexpr Duration kWarnEvery = 10s;
constexpr Duration kRoomEvery = 50ms;  // when handshakes are full, room is made so often,
constexpr int kRoom = 8;               // for so many
constexpr int kMuteATime = 64;

}  // namespace

AcceptedStreams::AcceptedStreams(const StreamEnvironment& environment, StreamTable& table)
    : config_(environment.config),
      gate_(environment.gate),
      listeners_(environment.listeners),
      counters_(environment.counters),
      log_(environment.log),
      table_(table),
      flows_(environment.hash_key),
      newcomers_(environment, table) {}

// Sources.

bool AcceptedStreams::is_shut_out(ListenerIndex listener, const Address& address, Instant now) {
  if (!gate_ || listeners_.infos[listener].config.side != Side::Access) return false;
  switch (gate_->ask(address, BanScope::Everything, now)) {
    case SourceGate::Answer::Open:
      return false;
    case SourceGate::Answer::Banned:
      counters_.banned_connections.add();
      return true;
    case SourceGate::Answer::Blocked:
      counters_.blocked_connections.add();
      return true;
  }
  return false;
}

Stream* AcceptedStreams::add(int fd, ListenerIndex listener, const Endpoint& remote, bool by_proxy,
                             Instant now) {
  const Transport transport = listeners_.infos[listener].config.transport;
  if (table_.is_crowded()) close_mute(now);
  const bool refused = !by_proxy && flows_.count(remote.address) >= config_.limits.flows_per_source;
  Stream* stream = refused ? nullptr : table_.add(fd, Stream::Role::Accepted, transport, now);
  if (!stream) {
    counters_.flows_refused[static_cast<std::size_t>(transport)].add();
    return nullptr;
  }
  stream->protocol = is_websocket(transport) ? Stream::Protocol::WebSocket : Stream::Protocol::Sip;
  stream->listener = listener;
  stream->remote = remote;
  if (!by_proxy) {
    flows_.add(remote.address);
    stream->source_counted = true;
  }
  return stream;
}

bool AcceptedStreams::set_remote(Stream& stream, const Endpoint& remote, Instant now) {
  newcomers_.set_source(stream, remote.address);
  if (stream.source_counted) flows_.remove(stream.remote.address);
  stream.source_counted = false;
  if (stream.remote.address != remote.address) stream.from_proxy = false;
  stream.remote = remote;
  if (is_shut_out(stream.listener, remote.address, now)) return false;
  if (flows_.count(remote.address) >= config_.limits.flows_per_source) {
    counters_.flows_refused[static_cast<std::size_t>(stream.transport)].add();
    return false;
  }
  flows_.add(remote.address);
  stream.source_counted = true;
  return true;
}

void AcceptedStreams::release(Stream& stream) {
  if (stream.source_counted) flows_.remove(stream.remote.address);
  stream.source_counted = false;
}

// What is not open yet.

bool AcceptedStreams::wait(Stream& stream, Instant now) {
  newcomers_.add(stream, now);
  Stream* surplus = newcomers_.find_surplus(stream.remote.address, now);
  if (surplus) drop(*surplus, now);
  const bool is_full = newcomers_.is_full();
  if (is_full) make_room(now);
  return surplus || is_full;
}

Instant AcceptedStreams::next_deadline() const {
  if (!newcomers_.is_full()) return kNever;
  return std::max(newcomers_.next_surplus(), made_room_at_ + kRoomEvery);
}

bool AcceptedStreams::expire(Instant now) {
  if (!newcomers_.is_full() || now < made_room_at_ + kRoomEvery) return false;
  make_room(now);
  return true;
}

// Some at a time: whoever fills the places comes again at once.
void AcceptedStreams::make_room(Instant now) {
  made_room_at_ = now;
  for (int i = 0; i < kRoom; ++i) {
    Stream* heaviest = newcomers_.find_heaviest(now);
    if (!heaviest) break;
    drop(*heaviest, now);
  }
}

// Places run short: those go that are open and never sent a message, the heaviest sources' first.
void AcceptedStreams::close_mute(Instant now) {
  if (now < closed_mute_at_ + kRoomEvery) return;
  closed_mute_at_ = now;
  const auto flows_of_mute = [&](const Stream* stream) {
    const bool is_mute = stream && stream->stage == Stream::Stage::Open && stream->source_counted &&
                         !stream->gave_message && stream->stage_since + bounds::kWaitingMin <= now;
    return is_mute ? flows_.count(stream->remote.address) : 0;
  };
  std::uint32_t most = 0;
  for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
    most = std::max(most, flows_of_mute(table_.at(slot)));
  }
  int left = most == 0 ? 0 : kMuteATime;
  for (std::uint32_t slot = 0; slot < table_.used_slots() && left != 0; ++slot) {
    if (flows_of_mute(table_.at(slot)) < (most + 1) / 2) continue;
    drop(*table_.at(slot), now);
    --left;
  }
}

void AcceptedStreams::drop(Stream& stream, Instant now) {
  counters_.silent_dropped.add();
  ++dropped_unsaid_;
  if (now >= warned_at_ + kWarnEvery) {
    warned_at_ = now;
    log_.warning("silent_connections_dropped",
                 {{"count", dropped_unsaid_},
                  {"reason", "too many connections wait without finishing their handshake"}});
    dropped_unsaid_ = 0;
  }
  table_.close(stream, {FlowEnd::TimedOut, TransportFailure::TimedOut, Closing::Manner::Abrupt},
               now);
  newcomers_.remove(stream);
}

}  // namespace ringway
