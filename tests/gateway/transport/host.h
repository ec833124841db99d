#pragma once

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/transport/datagram.h"
#include "gateway/transport/streams.h"
#include "tests/gateway/reactor/peer.h"
#include "tests/gateway/reactor/test_kernel.h"

namespace ringway::test {

inline ListenConfig listen_on(Transport transport, const char* ip = "127.0.0.1") {
  ListenConfig listen;
  listen.name = to_text(transport);
  listen.transport = transport;
  listen.address = {*parse_address(ip), 0};
  listen.tcp_twin = false;
  return listen;
}

// A configuration of a test's size.
inline Config config_with(std::initializer_list<ListenConfig> listeners) {
  Config config;
  config.listen = listeners;
  config.limits.flows = 1'000;
  config.limits.buffer_bytes = std::uint64_t{256} << 20;
  return config;
}

// The transport of one shard on the test's own thread: a real ring, real sockets, and a clock that
// stands until the test moves it.
class Host {
 public:
  explicit Host(Config config, std::shared_ptr<const TlsSettings> tls = {},
                std::shared_ptr<const StaticPages> pages = {})
      : config_(std::move(config)), kernel_(make_kernel(counters_)) {
    auto opened = open_listeners(config_, 1);
    if (!opened) throw std::runtime_error(opened.error());
    listeners_ = std::move(opened->front());
    datagrams_ = std::make_unique<Datagrams>(
        listeners_, *kernel_, addresses_, counters_,
        config_.udp_trains ? Datagrams::Trains::UnderLoad : Datagrams::Trains::Never);
    streams_ = std::make_unique<Streams>(Streams::Environment{
        config_, 3, listeners_, *kernel_, buffers_, counters_, log_, HashKey{1, 2}, 42});
    streams_->publish_tls(std::move(tls));
    streams_->publish_pages(std::move(pages));
    if (auto ready = kernel_->open(); !ready) throw std::runtime_error(ready.error());
    if (auto ready = datagrams_->open(); !ready) throw std::runtime_error(ready.error());
    if (auto ready = streams_->open(now_); !ready) throw std::runtime_error(ready.error());
    flush();
  }
  ~Host() { kernel_->end(); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // An event with its bytes, which the streams only lend.
  struct Seen : StreamEvent {
    std::string text;
  };

  Endpoint endpoint(std::size_t listener = 0) const { return listeners_.infos[listener].local; }
  int socket_of(std::size_t listener) const { return listeners_.sockets[listener].fd(); }
  ShardListeners& listeners() { return listeners_; }
  // What a reload adds, at the place behind all others.
  ListenerIndex add_place(ListenConfig listen, Endpoint local, Socket socket) {
    listeners_.infos.push_back({std::move(listen), local});
    listeners_.sockets.push_back(std::move(socket));
    return static_cast<ListenerIndex>(listeners_.infos.size() - 1);
  }
  Socket take_socket(std::size_t listener) {
    listeners_.infos[listener].config.removed = true;
    return std::move(listeners_.sockets[listener]);
  }
  Streams& streams() { return *streams_; }
  Datagrams& datagrams() { return *datagrams_; }
  LocalAddresses& addresses() { return addresses_; }
  const ListenerInfo& info_of(std::size_t listener) const { return listeners_.infos[listener]; }
  Counters& counters() { return counters_; }
  BufferPool& buffers() { return buffers_; }
  Instant now() const { return now_; }
  Log::Queue& log() { return log_queue_; }

  BufferRef buffer(std::string_view text) { return buffers_.copy(as_bytes(text)); }

  // One turn as a shard makes it.
  void turn() {
    const bool busy =
        streams_->has_handshakes() || streams_->has_closings() || streams_->has_unflushed();
    std::string error;
    ASSERT_TRUE(kernel_->wait(busy ? Duration::zero() : Duration(2ms), error)) << error;
    std::array<Completion, 256> batch;
    const auto completions = kernel_->reap(batch);
    for (const Completion& completion : completions) dispatch(completion);
    completions_ += completions.size();
    if (completions.size() < batch.size()) datagrams_->completions_drained();
    for (int i = 0; i < closing_steps && streams_->step_closing(now_); ++i) pump();
    for (int i = 0; i < handshake_steps && streams_->step_handshake(now_); ++i) pump();
    flush();
  }
  // Turns until condition() holds.
  template <typename Condition>
  [[nodiscard]] bool until(Condition&& condition) {
    for (const Patience patience; patience.left();) {
      if (condition()) return true;
      turn();
    }
    return condition();
  }
  // Turns until the kernel has nothing more to say.
  void settle() {
    for (int quiet = 0; quiet < 4; ++quiet) {
      const auto before = completions_ + events.size();
      turn();
      if (completions_ + events.size() != before) quiet = -1;
    }
  }
  // Lets time pass, after all that happened before is known.
  void advance(Duration duration) {
    settle();
    now_ += duration;
    log_.set_time(now_);
    streams_->expire(now_);
    pump();
    flush();
    settle();
  }

  std::size_t count(StreamEvent::Kind kind) const {
    std::size_t number = 0;
    for (const Seen& event : events) number += event.kind == kind ? 1 : 0;
    return number;
  }
  // The newest one; waits for the first.
  Seen last(StreamEvent::Kind kind) {
    EXPECT_TRUE(until([&] { return count(kind) != 0; })) << "no event of the kind";
    for (auto event = events.rbegin(); event != events.rend(); ++event) {
      if (event->kind == kind) return *event;
    }
    return {};
  }
  // All messages so far.
  std::vector<std::string> messages() const {
    std::vector<std::string> texts;
    for (const Seen& event : events) {
      if (event.kind == StreamEvent::Kind::Message) texts.push_back(event.text);
    }
    return texts;
  }
  // Waits for a connection to be established.
  FlowId opened_flow() { return last(StreamEvent::Kind::FlowOpened).flow.flow; }

  void send(FlowId flow, std::string_view text, Ticket ticket = 0) {
    streams_->send(flow, buffer(text), ticket, now_);
    pump();
  }
  // All connections, in good manners.
  void close_all(std::uint16_t websocket_code) {
    streams_->restart();
    const auto keep = [](FlowId, const Stream&) { return false; };
    EXPECT_TRUE(streams_->close_some(1'000'000, websocket_code, keep, now_));
    pump();
  }
  void send_connect(const Streams::Destination& destination, std::string_view text,
                    Ticket ticket = 0) {
    streams_->send_connect(destination, buffer(text), ticket, now_);
    pump();
  }

  // What the peer gets: at least size bytes of it.
  std::string read(int fd, std::size_t size) {
    std::string text;
    EXPECT_TRUE(until([&] {
      read_some(fd, text);
      return text.size() >= size;
    })) << "got only: "
        << text;
    return text;
  }
  // All that the peer gets until our end of the connection.
  std::string read_to_end(int fd) {
    std::string text;
    EXPECT_TRUE(until([&] { return read_some(fd, text) == Peek::End; })) << "got: " << text;
    return text;
  }
  enum class Peek { Nothing, Bytes, End };
  static Peek read_some(int fd, std::string& text) {
    char bytes[65'536];
    const ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN)) return Peek::End;
    if (size < 0) return Peek::Nothing;
    text.append(bytes, static_cast<std::size_t>(size));
    return Peek::Bytes;
  }

  struct ReceivedDatagram {
    Source source;
    std::string text;
  };
  std::vector<Seen> events;
  std::vector<ReceivedDatagram> received;
  std::vector<Datagrams::Failure> failures;
  int handshake_steps = 2;  // in one turn
  int closing_steps = 8;

 private:
  void dispatch(const Completion& completion) {
    switch (completion.operation.kind) {
      case OperationKind::ReceiveDatagram:
        if (const auto datagram = datagrams_->receive(completion)) {
          received.push_back({datagram->source, std::string(as_text(datagram->bytes))});
        }
        return datagrams_->finish();
      case OperationKind::SendDatagram:
        if (const auto failure = datagrams_->sent(completion)) failures.push_back(*failure);
        return;
      case OperationKind::Accept:
        streams_->accepted(completion, now_);
        return pump();
      case OperationKind::ReceiveStream:
        streams_->received(completion, now_);
        return pump();
      case OperationKind::SendStream:
        streams_->sent(completion, now_);
        return pump();
      case OperationKind::Connect:
        streams_->connected(completion, now_);
        return pump();
      case OperationKind::None:
      case OperationKind::WakeEvent:
      case OperationKind::WakeShard:
        return;
    }
  }
  void pump() {
    for (;;) {
      const StreamEvent event = streams_->next_event(now_);
      if (event.kind == StreamEvent::Kind::None) return;
      events.push_back({event, std::string(as_text(event.bytes))});
      events.back().bytes = {};
    }
  }
  void flush() {
    for (int i = 0; i < 8; ++i) {
      streams_->flush(now_);
      pump();
      if (!streams_->has_unflushed()) break;
    }
    datagrams_->flush();
  }

  Config config_;
  Counters counters_;
  Log::Queue log_queue_{1024};
  Log log_{3, LogLevel::Debug, log_queue_, counters_};
  BufferPool buffers_{config_.limits.buffer_bytes};
  ShardListeners listeners_;
  LocalAddresses addresses_{HashKey{3, 4}};
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<Datagrams> datagrams_;
  std::unique_ptr<Streams> streams_;
  Instant now_{1'000s};
  std::uint64_t completions_ = 0;
};

// A small message with a body, as a stream carries it.
inline std::string options(std::string_view call_id, std::size_t body = 4) {
  return "OPTIONS sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\nCall-ID: " +
         std::string(call_id) + "\r\nContent-Length: " + std::to_string(body) + "\r\n\r\n" +
         std::string(body, 'b');
}

inline void write_all(const Socket& socket, std::string_view text) {
  ASSERT_EQ(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

}  // namespace ringway::test
