#include "gateway/transport/streams.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "gateway/base/check.h"

namespace ringway {
namespace {

constexpr std::uint32_t kReceiveCount = 256;
constexpr std::uint32_t kReceiveSize = 4'096;
constexpr std::uint32_t kReceiveStride = 4'096 + 64 * 3;
constexpr std::uint32_t kItemsMax = 262'144;
constexpr std::size_t kVectorsMax = 8'192;
constexpr std::size_t kHeadersMax = 4'096;
constexpr std::uint16_t kNoAcceptor = 0xffff;
constexpr std::uint32_t kManyAccepts = 1, kSingleAccept = 2;  // generation of the operation
constexpr std::uint32_t kSinglesMax = 8;
constexpr Duration kFlushMax = 2s;          // for what is queued to leave at close
constexpr Duration kLingerMax = 1s;         // for the peer to read it and close
constexpr Duration kSendStallMax = 10s;     // for a send to make progress
constexpr Duration kAcceptAgainAfter = 1s;  // when descriptors ran out and none is freed
constexpr std::size_t kPlaintextSize = 32'768;
constexpr std::size_t kOutputSize = 16'384;

std::uint32_t stream_capacity(const Config& config) {
  return std::min<std::uint32_t>(
      config.limits.flows + static_cast<std::uint32_t>(config.media.relays.size()) + 1, 0xff'ffff);
}

std::vector<Prefix> parse_prefixes(const std::vector<std::string>& texts) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    if (const auto prefix = parse_prefix(text)) prefixes.push_back(*prefix);
  }
  return prefixes;
}

}  // namespace

Streams::Streams(const Environment& environment)
    : config_(environment.config),
      shard_(environment.shard),
      kernel_(environment.kernel),
      buffers_(environment.buffers),
      counters_(environment.counters),
      log_(environment.log),
      listeners_(environment.listeners),
      hash_key_(environment.hash_key),
      random_(environment.seed),
      streams_(stream_capacity(environment.config)),
      items_(kItemsMax),
      timers_(stream_capacity(environment.config)),
      sources_(environment.hash_key),
      vectors_(kVectorsMax),
      headers_(kHeadersMax),
      plaintext_(std::make_unique<std::uint8_t[]>(kPlaintextSize)),
      output_(std::make_unique<std::uint8_t[]>(kOutputSize)) {
  acceptor_of_listener_.assign(listeners_.infos.size(), kNoAcceptor);
  for (std::size_t i = 0; i < listeners_.infos.size(); ++i) {
    const ListenConfig& listen = listeners_.infos[i].config;
    if (listen.transport == Transport::Udp) continue;
    acceptor_of_listener_[i] = static_cast<std::uint16_t>(acceptors_.size());
    Acceptor& acceptor = acceptors_.emplace_back();
    acceptor.fd = listeners_.sockets[i].fd();
    acceptor.listener = static_cast<ListenerIndex>(i);
    acceptor.handshakes = is_secure(listen.transport) || is_websocket(listen.transport);
    acceptor.proxy_sources = parse_prefixes(listen.proxy_protocol_from);
  }
  relays_.resize(config_.media.relays.size());
  for (std::size_t i = 0; i < relays_.size(); ++i) relays_[i].endpoint = config_.media.relays[i];
}

Streams::~Streams() {
  for (std::uint32_t slot = 0; slot < streams_.used_slots(); ++slot) {
    Stream* stream = streams_.at(slot);
    if (stream && stream->fd >= 0) kernel_.close(stream->fd);
  }
}

std::expected<void, std::string> Streams::open(Instant now) {
  auto opened =
      receive_buffers_.open(kernel_, {kGroup, kReceiveCount, kReceiveSize, kReceiveStride});
  if (!opened) return opened;
  update_accepts();
  for (std::size_t i = 0; i < relays_.size(); ++i) connect_relay(static_cast<std::uint8_t>(i), now);
  return {};
}

// Accepting.

void Streams::update_accepts() {
  const std::uint32_t limit = config_.limits.handshakes;
  const bool paused = draining_ || accept_again_at_ != kNever;
  for (Acceptor& acceptor : acceptors_) {
    if (acceptor.handshakes && establishing_ >= limit) acceptor.one_by_one = true;
    if (establishing_ <= limit / 4) acceptor.one_by_one = false;
    const Operation many{OperationKind::Accept, {acceptor.listener, kManyAccepts}};
    const Operation single{OperationKind::Accept, {acceptor.listener, kSingleAccept}};
    const bool wanted = !paused && !acceptor.one_by_one;
    if (wanted && !acceptor.armed) {
      acceptor.armed = true;
      kernel_.accept(acceptor.fd, many);
    } else if (!wanted && acceptor.armed && !acceptor.cancelling) {
      acceptor.cancelling = true;
      kernel_.cancel(acceptor.fd, many);
    }
    if (paused && acceptor.singles != 0) kernel_.cancel(acceptor.fd, single);
    if (paused || !acceptor.one_by_one) continue;
    while (acceptor.singles < kSinglesMax && establishing_ + acceptor.singles < limit) {
      ++acceptor.singles;
      kernel_.accept_one(acceptor.fd, single);
    }
  }
}

void Streams::accepted(const Completion& completion, Instant now) {
  Acceptor& acceptor = acceptors_[acceptor_of_listener_[completion.operation.id.slot]];
  if (completion.operation.id.generation == kSingleAccept) {
    --acceptor.singles;
  } else if (!completion.more) {
    acceptor.armed = acceptor.cancelling = false;
  }
  if (completion.result >= 0) {
    admit(acceptor, completion.result, now);
  } else if (accept_again_at_ == kNever &&
             (completion.result == -EMFILE || completion.result == -ENFILE ||
              completion.result == -ENOBUFS || completion.result == -ENOMEM)) {
    // The backlog keeps them until a descriptor is free.
    accept_again_at_ = now + kAcceptAgainAfter;
    log_.error("accept_paused", {{"reason", std::strerror(-completion.result)},
                                 {"cure", "raise the limit of open files (LimitNOFILE=)"}});
  }
  if (!completion.more) update_accepts();
}

void Streams::admit(const Acceptor& acceptor, int fd, Instant now) {
  const ListenConfig& listen = listeners_.infos[acceptor.listener].config;
  const auto transport = static_cast<std::size_t>(listen.transport);
  SocketAddress address{};
  if (draining_ || kernel_.peer_of(fd, &address.any, sizeof address) < 0) {
    kernel_.close(fd);
    return;
  }
  const Endpoint remote = read_socket_address(address);
  const bool proxied =
      std::any_of(acceptor.proxy_sources.begin(), acceptor.proxy_sources.end(),
                  [&](const auto& prefix) { return prefix.contains(remote.address); });
  const bool refused =
      !proxied && sources_.count(remote.address) >= config_.limits.flows_per_source;
  const SlotId id = refused ? SlotId{} : streams_.take();
  if (!id) {
    counters_.flows_refused[transport].add();
    kernel_.close(fd);
    return;
  }
  Stream& stream = *streams_.find(id);
  stream.fd = fd;
  stream.id = id;
  stream.transport = listen.transport;
  stream.protocol = is_websocket(listen.transport) ? Protocol::WebSocket : Protocol::Sip;
  stream.listener = acceptor.listener;
  stream.remote = remote;
  stream.last_received = now;
  counters_.flows[transport].add();
  if (!proxied) {
    sources_.add(remote.address);
    stream.source_counted = true;
  }
  if (acceptor.handshakes || proxied) {
    stream.counted = true;
    ++establishing_;
    counters_.handshakes_waiting.set(establishing_);
    if (establishing_ >= config_.limits.handshakes) update_accepts();
  }
  arm_receive(stream);
  if (proxied) {
    enter(stream, Stage::ProxyHeader, now);
  } else {
    begin(stream, now);
  }
}

// What comes first on a connection, after the PROXY header if there is one.
void Streams::begin(Stream& stream, Instant now) {
  if (is_secure(stream.transport)) {
    begin_tls(stream, now);
  } else if (stream.protocol == Protocol::WebSocket) {
    enter(stream, Stage::Upgrade, now);
  } else {
    opened(stream, now);
  }
}

void Streams::enter(Stream& stream, Stage stage, Instant now) {
  // TLS and the upgrade have one deadline together.
  if (!(stream.is_establishing() && stage == Stage::Upgrade)) stream.stage_since = now;
  stream.stage = stage;
  schedule(stream, now);
}

void Streams::leave_establishing(Stream& stream) {
  if (!stream.counted) return;
  stream.counted = false;
  --establishing_;
  counters_.handshakes_waiting.set(establishing_);
  if (acceptors_[acceptor_of_listener_[stream.listener]].one_by_one) update_accepts();
}

void Streams::opened(Stream& stream, Instant now) {
  leave_establishing(stream);
  enter(stream, Stage::Open, now);
  stream.announced = true;
  if (stream.protocol == Protocol::Relay) return relay_opened(stream, now);
  counters_.flows_opened[static_cast<std::size_t>(stream.transport)].add();
  StreamEvent& event = events_.emplace_back();
  event.kind = StreamEvent::Kind::FlowOpened;
  event.flow.flow = flow_id(stream);
  event.flow.transport = stream.transport;
  event.flow.listener = stream.listener;
  event.flow.remote = stream.remote;
  event.flow.opened_by_us = stream.outbound != nullptr;
  if (stream.outbound) event.flow.next_hop = stream.outbound->next_hop;
  if (stream.certificate_names) event.flow.certificate_names = *stream.certificate_names;
}

void Streams::stop_accepting() {
  draining_ = true;
  update_accepts();
  // New connections are refused by the kernel from here on, not left waiting in the backlog.
  for (const Acceptor& acceptor : acceptors_) kernel_.shutdown(acceptor.fd, SHUT_RDWR);
}

// Receiving.

void Streams::arm_receive(Stream& stream) {
  stream.receive_armed = true;
  kernel_.receive(stream.fd, kGroup, receive_bytes_max_, {OperationKind::ReceiveStream, stream.id});
}

void Streams::received(const Completion& completion, Instant now) {
  if (completion.has_buffer) receive_buffers_.taken();
  const auto give_back = [&] {
    if (completion.has_buffer) receive_buffers_.give_back(completion.buffer);
  };
  Stream* stream = streams_.find(completion.operation.id);
  if (!stream) return give_back();
  if (!completion.more) stream->receive_armed = false;
  if (stream->stage == Stage::Ending) {
    give_back();
    return finish_if_idle(*stream);
  }
  if (completion.result == -ENOBUFS) {
    counters_.receive_no_buffers.add();
    starved_.push_back(stream->id);
    return;
  }
  if (completion.result == -EINVAL && receive_bytes_max_ != 0) {
    receive_bytes_max_ = 0;  // kernels before 6.15 know no limit of a multishot receive
    return arm_receive(*stream);
  }
  if (completion.result <= 0) {
    give_back();
    if (completion.result == 0) return leave(*stream, FlowEnd::Closed, TransportFailure::Closed);
    return leave(*stream, completion.result == -ETIMEDOUT ? FlowEnd::TimedOut : FlowEnd::Reset,
                 TransportFailure::Reset);
  }
  if (!completion.more) {
    counters_.receive_rearms.add();
    arm_receive(*stream);
  }
  stream->last_received = now;
  stream->ping_sent = false;
  const auto size = static_cast<std::size_t>(completion.result);
  counters_.bytes_in[static_cast<std::size_t>(stream->transport)].add(size);
  if (!stream->is_usable()) return give_back();
  take_in(*stream, receive_buffers_.bytes(completion.buffer, size), {}, completion.buffer);
}

// Hands bytes to next_event(). held or buffer is where they lie.
void Streams::take_in(Stream& stream, MutableBytes bytes, BufferRef held, std::int32_t buffer) {
  DCHECK(!intake_.stream);
  intake_.stream = stream.id;
  intake_.raw = bytes;
  intake_.plain = {};
  intake_.held = std::move(held);
  intake_.buffer = buffer;
  intake_.tls = tls::TlsSession::State::Done;
  intake_.gave_message = false;
}

void Streams::end_intake() {
  intake_.stream = {};
  intake_.held.reset();
  if (intake_.buffer >= 0) {
    receive_buffers_.give_back(static_cast<std::uint16_t>(intake_.buffer));
    intake_.buffer = -1;
  }
}

StreamEvent Streams::next_event(Instant now) {
  for (;;) {
    if (!events_.empty()) return events_.take_front();
    if (!intake_.stream) return {};
    Stream* stream = streams_.find(intake_.stream);
    if (!stream || !stream->is_usable()) {
      end_intake();
    } else if (stream->broken) {
      counters_.framing_lost.add();
      begin_close(*stream, FlowEnd::ProtocolError, TransportFailure::Closed, Manner::Graceful, now);
    } else if (auto event = step(*stream, now)) {
      return *event;
    }
  }
}

std::optional<StreamEvent> Streams::step(Stream& stream, Instant now) {
  std::optional<StreamEvent> event;
  const Stage stage = stream.stage;
  switch (stage) {
    case Stage::ProxyHeader:
      return step_proxy_header(stream, now);
    case Stage::TlsHandshake: {
      // Expensive: it waits for its turn, after all that is established.
      if (!append_partial(stream, intake_.raw, BufferPool::kSizes.back())) {
        begin_close(stream, FlowEnd::ProtocolError, TransportFailure::TlsFailed, Manner::Abrupt,
                    now);
      } else {
        queue_handshake(stream);
      }
      end_intake();
      return std::nullopt;
    }
    case Stage::Upgrade:
      event = step_upgrade(stream, now);
      break;
    case Stage::Open:
      event = stream.protocol == Protocol::Sip         ? step_sip(stream, now)
              : stream.protocol == Protocol::WebSocket ? step_websocket(stream, now)
                                                       : step_relay(stream, now);
      break;
    case Stage::Connecting:
    case Stage::Flushing:
    case Stage::Lingering:
    case Stage::Ending:
      end_intake();
      return std::nullopt;
  }
  if (event) {
    intake_.gave_message = true;
    return event;
  }
  if (!stream.is_usable() || stream.broken || stream.stage != stage || !intake_.plain.empty()) {
    return std::nullopt;
  }
  if (refill(stream, now) || !stream.is_usable()) return std::nullopt;
  // All is used up: is a message waiting for its rest? A line end that may become a ping is none.
  const bool begun = stream.partial.size() > stream.partial_used &&
                     stream.partial.bytes()[stream.partial_used] != '\r';
  const bool incomplete = (begun || stream.websocket.in_message() ||
                           (stream.tls.valid() && stream.tls.holds_partial_record())) &&
                          stream.protocol != Protocol::Relay && stream.stage == Stage::Open;
  if (!incomplete) {
    stream.message_since = {};
  } else if (stream.message_since == Instant{} || intake_.gave_message) {
    stream.message_since = now;
    schedule(stream, now);
  }
  end_intake();
  return std::nullopt;
}

// More plaintext for the protocol, from what was received; false if there is no more.
bool Streams::refill(Stream& stream, Instant now) {
  if (is_secure(stream.transport)) return decrypt(stream, now);
  intake_.plain = intake_.raw;
  intake_.raw = {};
  return !intake_.plain.empty();
}

// Moves as much of input behind the incomplete message as makes size_max bytes; false if there is
// no space or no buffer.
bool Streams::append_partial(Stream& stream, MutableBytes& input, std::size_t size_max) {
  const std::size_t old_size = stream.partial.size() - stream.partial_used;
  if (old_size >= size_max) return false;
  const std::size_t count = std::min(input.size(), size_max - old_size);
  const std::size_t size = old_size + count;
  if (!stream.partial || stream.partial.space().size() < size) {
    BufferRef larger = buffers_.take(size);
    if (!larger) return false;
    if (old_size != 0) {
      const Bytes old = stream.partial.bytes().subspan(stream.partial_used);
      std::memcpy(larger.space().data(), old.data(), old_size);
    }
    stream.partial = std::move(larger);
  } else if (stream.partial_used != 0 && old_size != 0) {
    std::memmove(stream.partial.space().data(), stream.partial.space().data() + stream.partial_used,
                 old_size);
  }
  stream.partial_used = 0;
  if (count != 0) std::memcpy(stream.partial.space().data() + old_size, input.data(), count);
  stream.partial.set_size(size);
  input = input.subspan(count);
  return true;
}

void Streams::drop_partial(Stream& stream) {
  stream.partial.reset();
  stream.partial_used = 0;
}

Source Streams::source_of(const Stream& stream) const {
  return {stream.transport, stream.listener, stream.remote, flow_id(stream)};
}

// Closing.

void Streams::close(FlowId flow, std::uint16_t websocket_code, Instant now) {
  Stream* stream = find(flow);
  if (!stream || stream->is_closing()) return;
  if (stream->protocol == Protocol::WebSocket && stream->stage == Stage::Open) {
    return close_websocket(*stream,
                           websocket_code == 0 ? websocket::close_code::kNormal : websocket_code,
                           FlowEnd::Closed, now);
  }
  begin_close(*stream, FlowEnd::Closed, TransportFailure::Closed, Manner::Graceful, now);
}

void Streams::close_all(std::uint16_t websocket_code, Instant now) {
  for (std::uint32_t slot = 0; slot < streams_.used_slots(); ++slot) {
    Stream* stream = streams_.at(slot);
    if (!stream || stream->is_closing() || stream->protocol == Protocol::Relay) continue;
    if (stream->protocol == Protocol::WebSocket && stream->stage == Stage::Open) {
      close_websocket(*stream, websocket_code, FlowEnd::ShuttingDown, now);
    } else {
      begin_close(*stream, FlowEnd::ShuttingDown, TransportFailure::Closed, Manner::Graceful, now);
    }
  }
}

void Streams::report_failure(Ticket ticket, TransportFailure failure) {
  if (ticket == 0) return;
  StreamEvent& event = events_.emplace_back();
  event.kind = StreamEvent::Kind::SendFailed;
  event.ticket = ticket;
  event.failure = failure;
}

void Streams::fail_list(SendList& list, TransportFailure failure) {
  if (list.empty()) return;
  SendItem* item = &list.front(items_);
  for (std::uint32_t i = 0; i < list.count(); ++i) {
    report_failure(std::exchange(item->ticket, 0), failure);
    if (i + 1 < list.count()) item = &SendList::after(items_, *item);
  }
}

void Streams::drop_queues(Stream& stream, TransportFailure failure) {
  fail_list(stream.wire, failure);
  fail_list(stream.unconfirmed, failure);
  fail_list(stream.plain, failure);
  stream.plain.clear(items_);
  stream.unconfirmed.clear(items_);
  if (stream.sends == 0) stream.wire.clear(items_);  // else the kernel still reads it
  stream.page.reset();
}

// The peer has ended it: thousands may do so in one moment (a proxy before us restarts), while the
// calls of others go on.
void Streams::leave(Stream& stream, FlowEnd end, TransportFailure failure) {
  stream.peer_closed = true;
  if (stream.leaving || stream.stage == Stage::Ending) return;
  stream.leaving = true;
  stream.leave_end = end;
  stream.leave_failure = failure;
  leaving_.push_back(stream.id);
}

bool Streams::step_closing(Instant now) {
  if (!leaving_.empty()) {
    Stream* stream = streams_.find(leaving_.take_front());
    if (!stream) return true;
    stream->leaving = false;
    if (stream->stage == Stage::Lingering) {
      end(*stream);
    } else {
      begin_close(
          *stream, stream->leave_end, stream->leave_failure,
          stream->leave_failure == TransportFailure::Reset ? Manner::Abrupt : Manner::Graceful,
          now);
    }
    return true;
  }
  if (ended_.empty()) return false;
  if (Stream* stream = streams_.find(ended_.take_front())) release(*stream);
  return true;
}

void Streams::begin_close(Stream& stream, FlowEnd reason, TransportFailure failure, Manner manner,
                          Instant now) {
  if (stream.is_closing()) return;
  const bool handshaking = stream.stage == Stage::Connecting || stream.stage == Stage::TlsHandshake;
  leave_establishing(stream);
  if (stream.protocol == Protocol::Relay) {
    relay_ended(stream, now);
  } else if (stream.announced) {
    StreamEvent& event = events_.emplace_back();
    event.kind = StreamEvent::Kind::FlowClosed;
    event.flow.flow = flow_id(stream);
    event.end = reason;
  }
  stream.announced = false;
  if (reason == FlowEnd::TimedOut) counters_.flows_timed_out.add();
  forget_outbound(stream);
  drop_partial(stream);
  stream.stage_since = now;
  if (handshaking) {  // nothing of it was encrypted
    fail_list(stream.plain, failure);
    stream.plain.clear(items_);
  }
  if (manner == Manner::Abrupt || stream.stage == Stage::Connecting) {
    drop_queues(stream, failure);
    return end(stream);
  }
  stream.stage = Stage::Flushing;
  schedule(stream, now);
  mark_dirty(stream);
}

// Nothing more is sent or received; what the kernel still holds comes back on its own.
void Streams::end(Stream& stream) {
  if (stream.stage == Stage::Ending) return;
  drop_queues(stream, TransportFailure::Closed);
  stream.stage = Stage::Ending;
  timers_.cancel(stream.timer);
  stream.timer_at = kNever;
  // close() alone would neither send a FIN nor end what is armed.
  kernel_.shutdown(stream.fd, SHUT_RDWR);
  if (stream.receive_armed) kernel_.cancel(stream.fd, {OperationKind::ReceiveStream, stream.id});
  if (stream.sends != 0) kernel_.cancel(stream.fd, {OperationKind::SendStream, stream.id});
  if (stream.connecting) kernel_.cancel(stream.fd, {OperationKind::Connect, stream.id});
  finish_if_idle(stream);
}

void Streams::finish_if_idle(Stream& stream) {
  if (stream.stage != Stage::Ending || stream.ended) return;
  if (stream.receive_armed || stream.connecting || stream.sends != 0) return;
  stream.ended = true;
  ended_.push_back(stream.id);
}

void Streams::release(Stream& stream) {
  kernel_.close(stream.fd);
  if (stream.source_counted) sources_.remove(stream.remote.address);
  if (stream.protocol == Protocol::Relay) {
    --relay_streams_;
  } else {
    counters_.flows[static_cast<std::size_t>(stream.transport)].subtract();
  }
  stream.wire.clear(items_);
  timers_.cancel(stream.timer);
  streams_.release(stream.id);
  if (accept_again_at_ != kNever) {
    accept_again_at_ = kNever;
    update_accepts();
  }
}

// Deadlines. A stream has one timer, armed for the earliest of what may become due; one that has
// moved later meanwhile is armed again when it fires.

Instant Streams::deadline_of(const Stream& stream) const {
  const TimersConfig& timers = config_.timers;
  Instant deadline = kNever;
  switch (stream.stage) {
    case Stage::Connecting:
      deadline = stream.stage_since + timers.connect;
      break;
    case Stage::ProxyHeader:
    case Stage::TlsHandshake:
    case Stage::Upgrade:
      deadline = stream.stage_since + timers.handshake;
      break;
    case Stage::Open:
      if (stream.protocol == Protocol::WebSocket) {
        deadline = stream.last_received + timers.websocket_ping * (stream.ping_sent ? 2 : 1);
      } else if (stream.protocol == Protocol::Sip) {
        deadline = stream.last_received + timers.idle_connection;
      }
      if (stream.message_since != Instant{}) {
        deadline = std::min(deadline, stream.message_since + timers.message);
      }
      if (stream.sends != 0) deadline = std::min(deadline, stream.send_since + kSendStallMax);
      break;
    case Stage::Flushing:
      deadline = std::max(stream.stage_since, stream.send_since) +
                 (stream.page ? kSendStallMax : kFlushMax);
      break;
    case Stage::Lingering:
      deadline = stream.stage_since + kLingerMax;
      break;
    case Stage::Ending:
      break;
  }
  return deadline;
}

void Streams::schedule(Stream& stream, Instant) {
  const Instant deadline = deadline_of(stream);
  if (deadline >= stream.timer_at) return;
  timers_.cancel(stream.timer);
  stream.timer = timers_.arm(deadline, stream.id.packed());
  stream.timer_at = deadline;
}

void Streams::timed_out(Stream& stream, Instant now) {
  switch (stream.stage) {
    case Stage::Connecting:
      return begin_close(stream, FlowEnd::TimedOut, TransportFailure::TimedOut, Manner::Abrupt,
                         now);
    case Stage::TlsHandshake:
      counters_.handshakes_failed.add();
      return begin_close(stream, FlowEnd::TimedOut, TransportFailure::TimedOut, Manner::Abrupt,
                         now);
    case Stage::Upgrade:
      counters_.websocket_refused.add();
      return answer_error(stream, http::Status::RequestTimeout, {}, now);
    case Stage::ProxyHeader:
      return begin_close(stream, FlowEnd::TimedOut, TransportFailure::TimedOut, Manner::Abrupt,
                         now);
    case Stage::Open: {
      const bool stalled = stream.sends != 0 && now >= stream.send_since + kSendStallMax;
      const bool dribbled =
          stream.message_since != Instant{} && now >= stream.message_since + config_.timers.message;
      if (!stalled && !dribbled && stream.protocol == Protocol::WebSocket && !stream.ping_sent) {
        stream.ping_sent = true;
        counters_.pings_sent.add();
        send_control(stream, websocket::Opcode::Ping, {}, now);
        return schedule(stream, now);
      }
      const bool idle = stream.protocol == Protocol::Sip && !stalled && !dribbled;
      return begin_close(stream, FlowEnd::TimedOut, TransportFailure::TimedOut,
                         idle ? Manner::Graceful : Manner::Abrupt, now);
    }
    case Stage::Flushing:
    case Stage::Lingering:
      return end(stream);
    case Stage::Ending:
      return;
  }
}

Instant Streams::next_deadline() const {
  Instant deadline = std::min(timers_.next_deadline(), accept_again_at_);
  for (const Relay& relay : relays_) {
    if (!relay.stream) deadline = std::min(deadline, relay.retry_at);
  }
  return deadline;
}

Duration Streams::expire(Instant now) {
  const Duration late = timers_.expire(now, [&](std::uint64_t payload) {
    Stream* stream = streams_.find(SlotId::unpack(payload));
    if (!stream) return;
    stream->timer = 0;
    stream->timer_at = kNever;
    if (deadline_of(*stream) > now) return schedule(*stream, now);
    timed_out(*stream, now);
  });
  if (now >= accept_again_at_) {
    accept_again_at_ = kNever;
    update_accepts();
  }
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (!relays_[i].stream && now >= relays_[i].retry_at) {
      connect_relay(static_cast<std::uint8_t>(i), now);
    }
  }
  return late;
}

void Streams::flush(Instant now) {
  vectors_used_ = headers_used_ = 0;  // the wait before this turn submitted what used them
  flushing_.swap(dirty_);
  for (const SlotId id : flushing_) {
    if (Stream* stream = streams_.find(id)) {
      stream->dirty = false;
      flush_stream(*stream, now);
    }
  }
  flushing_.clear();
  receive_buffers_.publish();
  // One for each buffer: arming without would fail at once, and again, without end.
  for (auto left = receive_buffers_.available(); left != 0 && !starved_.empty(); --left) {
    Stream* stream = streams_.find(starved_.take_front());
    if (!stream || stream->receive_armed || stream->stage == Stage::Ending) continue;
    counters_.receive_rearms.add();
    arm_receive(*stream);
  }
}

}  // namespace ringway
