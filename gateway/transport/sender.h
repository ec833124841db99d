#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "gateway/transport/outstanding.h"
#include "gateway/transport/send_queue.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"
#include "protocol/websocket/frame.h"

namespace ringway {

// What streams send: queued, framed, encrypted, given to the kernel, confirmed.
//
// A queue is charged for its bytes and for each of its items; a stream whose queue is full is
// closed. Where all queues together come near to what the shard has, the streams that hoard most
// are closed, not the one that asks next; the last places are for next hops and relays. What a peer
// makes us answer without a message waits at most once: one Pong (RFC 6455 5.5.3), one CRLF.
class Sender {
 public:
  explicit Sender(const StreamEnvironment& environment, StreamTable& table);

  // One message in the stream's framing: a WebSocket frame, text if it is valid UTF-8, else binary
  // (RFC 7118 4.2). A ticket fails if it is not delivered, as far as can be known.
  void message(Stream& stream, BufferRef message, Ticket ticket, Instant now);
  // Bytes of the protocol itself, before encryption.
  void bytes(Stream& stream, Bytes bytes, Instant now);
  // Records of TLS.
  void ciphertext(Stream& stream, Bytes bytes, Instant now);
  // A request to a relay, in a segment of its own.
  void relay_request(Stream& stream, BufferRef request, Instant now);
  void control_frame(Stream& stream, websocket::Opcode opcode, Bytes payload, Instant now);
  // Answers that wait until nothing of the stream is in flight; the newest replaces the one before.
  void owe_pong(Stream& stream, Bytes payload, Instant now);
  void owe_keepalive(Stream& stream);
  void page(Stream& stream, std::shared_ptr<const StaticPages> pages, std::string_view body);

  // A completion of a send.
  void sent(const Completion& completion, Instant now);
  // The stream was closed or has ended: what it cannot send any more fails.
  void closed(Stream& stream, Instant now);
  // Before its slot is freed.
  void release(Stream& stream);

  void mark_dirty(Stream& stream);
  bool has_dirty() const { return !dirty_.empty(); }
  // Once a turn and before each wait of the kernel: encrypts and submits what was queued.
  void flush(Instant now);

 private:
  bool enqueue(Stream& stream, SendList& list, SendItem&& item, Instant now);
  bool make_room(const Stream& stream, Instant now);
  void close_hoarders(Instant now);
  BufferRef copy(Bytes bytes, Instant now);
  BufferRef take(std::size_t size, Instant now);
  void no_memory(Stream& stream, Instant now);
  SendList& list_of(Stream& stream) const {
    return is_secure(stream.transport) ? stream.plain : stream.wire;
  }
  static std::size_t load_of(const Stream& stream);
  std::size_t load_max(const Stream& stream, Instant now) const;
  bool is_ordinary(const Stream& stream) const {
    return stream.role == Stream::Role::Accepted || stream.role == Stream::Role::FarEnd;
  }
  void charge(Stream& stream, std::size_t size);
  void discharge(Stream& stream, std::size_t size);

  void flush_stream(Stream& stream, Instant now);
  void pay_owed(Stream& stream, Instant now);
  void feed_page(Stream& stream, Instant now);
  void encrypt(Stream& stream, Instant now);
  void submit(Stream& stream, Instant now);
  void submit_relay(Stream& stream, Instant now);
  void confirm(Stream& stream, std::size_t bytes);

  void fail_list(SendList& list, TransportFailure failure);
  void drop_unsent_requests(Stream& stream);
  void drop_queues(Stream& stream, TransportFailure failure);

  const Config& config_;
  const ShardListeners& listeners_;
  Kernel& kernel_;
  BufferPool& buffers_;
  Counters& counters_;
  Log& log_;
  StreamTable& table_;
  SendItems items_;
  Outstanding outstanding_;
  std::uint64_t queued_bytes_ = 0;  // of all streams
  std::uint64_t queued_bytes_max_;
  std::vector<SlotId> dirty_, flushing_;
  std::vector<iovec> vectors_;
  std::vector<msghdr> headers_;
  std::size_t vectors_used_ = 0, headers_used_ = 0;
  std::unique_ptr<std::uint8_t[]> record_;  // plaintext of one record
};

}  // namespace ringway
