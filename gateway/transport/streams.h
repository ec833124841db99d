#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/fifo.h"
#include "gateway/base/log.h"
#include "gateway/base/prefix.h"
#include "gateway/base/random.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/config/config.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/transport/event.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/source_counts.h"
#include "gateway/transport/static_pages.h"
#include "gateway/transport/stream.h"
#include "gateway/transport/tls_settings.h"
#include "protocol/bencode/bencode.h"

namespace ringway {

// All TCP connections of one shard: accepted and opened, plain and TLS, SIP and WebSocket, and
// those to the media relays. Completions and commands go in; events come out of next_event(),
// which is to be called until None after each of them.
//
// By concern: streams.cc (accept, receive, close, deadlines), stream_send.cc, stream_tls.cc,
// sip_stream.cc, websocket_stream.cc, connector.cc, relay_stream.cc.
class Streams {
 public:
  struct Environment {
    const Config& config;
    ShardIndex shard = 0;
    const ShardListeners& listeners;
    Kernel& kernel;
    BufferPool& buffers;
    Counters& counters;
    Log& log;
    HashKey hash_key{};
    std::uint64_t seed = 0;  // for jitter
  };
  // All references outlive this object; the kernel has ended before.
  explicit Streams(const Environment& environment);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // Registers buffers, accepts on all listeners, connects to the media relays.
  [[nodiscard]] std::expected<void, std::string> open(Instant now);

  // Snapshots; open connections keep theirs.
  void publish_tls(std::shared_ptr<const TlsSettings> tls) { tls_ = std::move(tls); }
  void publish_pages(std::shared_ptr<const StaticPages> pages) { pages_ = std::move(pages); }

  // Completions by their kind.
  void accepted(const Completion& completion, Instant now);
  void received(const Completion& completion, Instant now);
  void sent(const Completion& completion, Instant now);
  void connected(const Completion& completion, Instant now);

  StreamEvent next_event(Instant now);

  // One message: on WebSockets one frame, text if it is valid UTF-8, else binary (RFC 7118 4.2).
  // If it cannot be delivered, an event SendFailed follows for a ticket other than 0.
  void send(FlowId flow, BufferRef message, Ticket ticket, Instant now);
  struct Destination {
    Transport transport = Transport::Tcp;
    ListenerIndex listener = kNoListener;  // whose address is ours
    Endpoint remote;
    std::uint16_t next_hop = 0xffff;  // on whose behalf; 0xffff: no configured one
    std::string_view name;            // to verify (TLS)
  };
  // On the connection that leads there, which is opened if there is none.
  void send_connect(const Destination& destination, BufferRef message, Ticket ticket, Instant now);
  void send_relay(std::uint8_t relay, BufferRef request, Instant now);
  // websocket_code: 0 for 1000.
  void close(FlowId flow, std::uint16_t websocket_code, Instant now);

  // What comes and goes costs as much as many messages, so it waits to be asked for.
  // One step of one TLS handshake (the dearest: a signature); false if none waits.
  bool step_handshake(Instant now);
  bool has_handshakes() const { return !handshakes_.empty(); }
  // One step of one close: what its end means, or giving back what it held; false if none waits.
  bool step_closing(Instant now);
  bool has_closings() const { return !leaving_.empty() || !ended_.empty(); }

  Instant next_deadline() const;
  // How late the latest of the deadlines was that were served; zero if none was due.
  Duration expire(Instant now);
  // End of the turn: encrypts and sends what was queued, gives buffers back, arms receives.
  void flush(Instant now);

  // flush() has more to do.
  bool has_unflushed() const { return !dirty_.empty(); }
  // Messages can be sent on it.
  bool is_open(FlowId flow) {
    const Stream* stream = find(flow);
    return stream && stream->stage == Stage::Open && !stream->leaving;
  }

  // Listeners stop for good.
  void stop_accepting();
  // Everything is closed in good manners; WebSockets with this code.
  void close_all(std::uint16_t websocket_code, Instant now);
  // Connections of user agents and next hops that are not fully closed.
  std::size_t open_streams() const { return streams_.size() - relay_streams_; }

 private:
  using Stage = Stream::Stage;
  using Protocol = Stream::Protocol;

  // Accepts all that comes, until as many handshakes run as may; from then on one by one, as places
  // become free, until the backlog must be empty.
  struct Acceptor {
    int fd = -1;
    ListenerIndex listener = 0;
    bool armed = false;  // the multishot accept
    bool cancelling = false;
    bool handshakes = false;    // TLS or an upgrade comes first
    bool one_by_one = false;    // only with handshakes
    std::uint32_t singles = 0;  // single accepts in the kernel
    std::vector<Prefix> proxy_sources;
  };
  // The bytes that next_event() works on.
  struct Intake {
    SlotId stream;                                              // empty: nothing
    MutableBytes raw;                                           // as received
    MutableBytes plain;                                         // decrypted, or raw itself
    BufferRef held;                                             // raw lies here,
    std::int32_t buffer = -1;                                   // or in this receive buffer
    tls::TlsSession::State tls = tls::TlsSession::State::Done;  // what the last read said
    bool gave_message = false;
  };
  struct Relay {
    Endpoint endpoint;
    SlotId stream;  // empty: not connected
    Instant retry_at{};
    Duration retry_after{};
    bool reported = false;  // that it cannot be reached was logged
    std::unique_ptr<std::uint8_t[]> pending;
    std::size_t pending_size = 0;
    std::size_t pending_used = 0;
    bencode::MessageFramer framer;
  };
  enum class Manner : std::uint8_t { Graceful, Abrupt };

  FlowId flow_id(const Stream& stream) const {
    return {shard_, stream.id.slot, stream.id.generation};
  }
  Stream* find(FlowId flow) {
    return flow.shard() == shard_ ? streams_.find({flow.slot(), flow.generation()}) : nullptr;
  }

  // streams.cc
  void update_accepts();
  void admit(const Acceptor& acceptor, int fd, Instant now);
  void begin(Stream& stream, Instant now);
  void enter(Stream& stream, Stage stage, Instant now);
  void leave_establishing(Stream& stream);
  void opened(Stream& stream, Instant now);
  void arm_receive(Stream& stream);
  void take_in(Stream& stream, MutableBytes bytes, BufferRef held, std::int32_t buffer);
  void end_intake();
  std::optional<StreamEvent> step(Stream& stream, Instant now);
  bool append_partial(Stream& stream, MutableBytes& input, std::size_t size_max);
  void compact_partial(Stream& stream);
  void drop_partial(Stream& stream);
  void begin_close(Stream& stream, FlowEnd end, TransportFailure failure, Manner manner,
                   Instant now);
  void leave(Stream& stream, FlowEnd end, TransportFailure failure);
  void fail_list(SendList& list, TransportFailure failure);
  void drop_queues(Stream& stream, TransportFailure failure);
  void end(Stream& stream);
  void finish_if_idle(Stream& stream);
  void release(Stream& stream);
  bool refill(Stream& stream, Instant now);
  Instant deadline_of(const Stream& stream) const;
  void schedule(Stream& stream, Instant now);
  void timed_out(Stream& stream, Instant now);
  void report_failure(Ticket ticket, TransportFailure failure);
  Source source_of(const Stream& stream) const;

  // stream_send.cc
  bool enqueue(Stream& stream, SendList& list, SendItem&& item, Instant now);
  void enqueue_bytes(Stream& stream, Bytes bytes, Instant now);  // before encryption
  void enqueue_ciphertext(Stream& stream, Bytes bytes, Instant now);
  void enqueue_message(Stream& stream, BufferRef message, Ticket ticket, Instant now);
  void mark_dirty(Stream& stream);
  void flush_stream(Stream& stream, Instant now);
  void feed_page(Stream& stream, Instant now);
  void submit(Stream& stream, Instant now);
  void submit_relay(Stream& stream, Instant now);
  void confirm(Stream& stream, std::size_t bytes);

  // stream_tls.cc
  std::uint16_t tls_profile(const Stream& stream) const;
  void begin_tls(Stream& stream, Instant now);
  void tls_unavailable(Stream& stream, Instant now);
  bool make_session(Stream& stream);
  void queue_handshake(Stream& stream);
  void note_certificate_names(Stream& stream);
  void handshake_failed(Stream& stream, Instant now);
  bool decrypt(Stream& stream, Instant now);
  void encrypt(Stream& stream, Instant now);
  void log_tls_failure(const Stream& stream, std::string_view event);

  // sip_stream.cc, websocket_stream.cc, relay_stream.cc, proxy header
  std::optional<StreamEvent> step_proxy_header(Stream& stream, Instant now);
  std::optional<StreamEvent> step_sip(Stream& stream, Instant now);
  std::optional<StreamEvent> step_upgrade(Stream& stream, Instant now);
  std::optional<StreamEvent> step_websocket(Stream& stream, Instant now);
  std::optional<StreamEvent> step_relay(Stream& stream, Instant now);
  void answer_request(Stream& stream, const http::RequestHead& head, Instant now);
  void answer_error(Stream& stream, http::Status status, std::string_view headers, Instant now);
  void close_websocket(Stream& stream, std::uint16_t code, FlowEnd end, Instant now);
  void send_control(Stream& stream, websocket::Opcode opcode, Bytes payload, Instant now);

  // connector.cc
  Stream* connect(const Destination& destination, std::uint64_t key, TransportFailure& failure,
                  Instant now);
  std::uint64_t reuse_key(const Destination& destination) const;
  std::uint16_t client_profile(const Destination& destination) const;
  void forget_outbound(Stream& stream);

  // relay_stream.cc
  void connect_relay(std::uint8_t index, Instant now);
  void relay_ended(Stream& stream, Instant now);
  void relay_opened(Stream& stream, Instant now);

  static constexpr std::uint16_t kGroup = 2;
  static constexpr std::uint32_t kReceiveBytesMax = 16'384;  // in one go, per stream

  const Config& config_;
  ShardIndex shard_;
  Kernel& kernel_;
  BufferPool& buffers_;
  Counters& counters_;
  Log& log_;
  const ShardListeners& listeners_;
  HashKey hash_key_;
  Random random_;
  std::shared_ptr<const TlsSettings> tls_;
  std::shared_ptr<const StaticPages> pages_;

  ReceiveBuffers receive_buffers_;
  std::uint32_t receive_bytes_max_ = kReceiveBytesMax;  // 0: the kernel knows no limit
  std::vector<Acceptor> acceptors_;
  std::vector<std::uint16_t> acceptor_of_listener_;
  bool draining_ = false;             // accepts stop for good
  Instant accept_again_at_ = kNever;  // descriptors or memory ran out

  SlotTable<Stream> streams_;
  std::size_t relay_streams_ = 0;
  std::uint32_t establishing_ = 0;  // accepted, not open yet
  SendItems items_;
  TimerWheel timers_;
  SourceCounts sources_;
  std::unordered_multimap<std::uint64_t, SlotId> reusable_;
  std::vector<Relay> relays_;

  Intake intake_;
  Fifo<StreamEvent> events_;
  Fifo<SlotId> handshakes_;
  Fifo<SlotId> leaving_;  // ended by their peers
  Fifo<SlotId> ended_;    // to be released
  std::vector<SlotId> dirty_, flushing_;
  Fifo<SlotId> starved_;
  std::vector<iovec> vectors_;
  std::vector<msghdr> headers_;
  std::size_t vectors_used_ = 0, headers_used_ = 0;
  std::unique_ptr<std::uint8_t[]> plaintext_;  // kPlaintextSize bytes
  std::unique_ptr<std::uint8_t[]> output_;     // what TLS writes while it reads
};

}  // namespace ringway
