#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gateway/transport/acceptors.h"
#include "gateway/transport/connector.h"
#include "gateway/transport/establishing.h"
#include "gateway/transport/event.h"
#include "gateway/transport/message_reader.h"
#include "gateway/transport/receiver.h"
#include "gateway/transport/relays.h"
#include "gateway/transport/sender.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// All TCP connections of one shard: accepted and opened, plain and TLS, SIP and WebSocket, and
// those to the media relays. Completions and commands go in; events come out of next_event(),
// which is to be called until None after each of them.
//
//   Acceptors      who is admitted            Receiver       bytes in, decrypted
//   Connector      what we open               Establishing   PROXY header, TLS, upgrade
//   Relays         the relays' control ports  MessageReader  messages and keepalives
//   StreamTable    stages and deadlines       Sender         queues, bounds, bytes out
class Streams {
 public:
  using Environment = StreamEnvironment;
  using Destination = Connector::Destination;

  explicit Streams(const StreamEnvironment& environment);
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // Registers buffers, accepts on all listeners, connects to the media relays.
  [[nodiscard]] std::expected<void, std::string> open(Instant now);

  void publish_tls(std::shared_ptr<const TlsSettings> tls) { snapshots_.tls = std::move(tls); }
  void publish_pages(std::shared_ptr<const StaticPages> pages) {
    snapshots_.pages = std::move(pages);
  }

  // Completions by their kind.
  void accepted(const Completion& completion, Instant now);
  void received(const Completion& completion, Instant now);
  void sent(const Completion& completion, Instant now);
  void connected(const Completion& completion, Instant now);

  StreamEvent next_event(Instant now);

  // One message. If it cannot be delivered, an event SendFailed follows for a ticket other than 0.
  // On a connection that we opened that goes for a request until it can no longer be answered: then
  // with TransportFailure::ConnectionLost, which leaves open whether it has arrived.
  void send(FlowId flow, BufferRef message, Ticket ticket, Instant now);
  // On the connection that leads there, which is opened if there is none.
  void send_connect(const Destination& destination, BufferRef message, Ticket ticket, Instant now);
  void send_relay(std::uint8_t relay, BufferRef request, Instant now);
  // websocket_code: 0 for 1000.
  void close(FlowId flow, std::uint16_t websocket_code, Instant now);

  // What comes and goes costs as much as many messages, so it waits to be asked for.
  // One step of one TLS handshake (the dearest: a signature); false if none waits.
  bool step_handshake(Instant now);
  bool has_handshakes() const { return establishing_.has_handshakes(); }
  // One step of one close: what its end means, or giving back what it held; false if none waits.
  bool step_closing(Instant now);
  bool has_closings() const { return table_.has_closings(); }

  Instant next_deadline() const;
  // How late the latest of the deadlines was that were served; zero if none was due.
  Duration expire(Instant now);
  // End of the turn: encrypts and sends what was queued, gives buffers back, arms receives.
  void flush(Instant now);

  // flush() has more to do.
  bool has_unflushed() const { return sender_.has_dirty(); }
  // Messages can be sent on it.
  bool is_open(FlowId flow) {
    const Stream* stream = table_.find(flow);
    return stream && stream->stage == Stream::Stage::Open && !stream->leaving;
  }

  // As of Acceptors: listeners that come and go with a reload.
  void add_listener(ListenerIndex listener) { acceptors_.add(listener); }
  void hand_over_listener(ListenerIndex from, ListenerIndex to) { acceptors_.hand_over(from, to); }
  void remove_listener(ListenerIndex listener, Socket socket) {
    acceptors_.remove(listener, std::move(socket));
  }
  // Listeners have other values, or have come: accepts on all of them.
  void config_changed() { acceptors_.config_changed(); }
  // Listeners stop for good.
  void stop_accepting() { acceptors_.stop(); }
  // Closes in good manners up to count of the connections for which keep(flow, stream) is
  // false, WebSockets with this code; relays stay. The search goes on where it ended; true once it
  // has come to the end since restart().
  template <typename Keep>
  bool close_some(std::size_t count, std::uint16_t websocket_code, Keep&& keep, Instant now) {
    for (; count != 0 && cursor_ < table_.used_slots(); ++cursor_) {
      Stream* stream = table_.at(cursor_);
      if (!stream || stream->is_closing() || stream->role == Stream::Role::Relay) continue;
      if (keep(table_.flow_id(*stream), *stream)) continue;
      --count;
      close(*stream, websocket_code, FlowEnd::ShuttingDown, now);
    }
    return cursor_ >= table_.used_slots();
  }
  void restart() { cursor_ = 0; }
  // Calls visit(flow, stream) for each connection that is open.
  template <typename Visit>
  void for_each_open(Visit&& visit) {
    for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
      const Stream* stream = table_.at(slot);
      if (stream && stream->stage == Stage::Open && !stream->leaving) {
        visit(table_.flow_id(*stream), *stream);
      }
    }
  }
  bool has_open_left() const { return cursor_ < table_.used_slots(); }
  // Connections of user agents and next hops that are not fully closed.
  std::size_t open_streams() const { return table_.size() - table_.count(Stream::Role::Relay); }

 private:
  using Stage = Stream::Stage;

  void settle(Instant now);
  std::optional<StreamEvent> step(Stream& stream, Instant now);
  void end_of_bytes(Stream& stream, Instant now);
  static std::size_t held_of(Stream& stream);
  void close_unfinished(Instant now);
  void close(Stream& stream, std::uint16_t websocket_code, FlowEnd end, Instant now);
  void timed_out(Stream& stream, Instant now);

  Counters& counters_;
  Log& log_;
  const std::uint64_t held_bytes_max_;  // of unfinished messages
  StreamSnapshots snapshots_;
  StreamTable table_;
  Sender sender_;
  Receiver receiver_;
  Acceptors acceptors_;
  Connector connector_;
  Relays relays_;
  Establishing establishing_;
  MessageReader reader_;
  bool may_hold_more_ = false;  // the reader gave a message and was not asked again
  bool gave_message_ = false;   // of this intake
  std::uint32_t cursor_ = 0;    // close_some: slot
};

}  // namespace ringway
