#include <algorithm>
#include <cstring>

#include "gateway/transport/bounds.h"
#include "gateway/transport/sender.h"
#include "gateway/transport/tls_failure.h"

// From the queues to the kernel.

namespace ringway {
namespace {

using Stage = Stream::Stage;

constexpr std::uint32_t kGatherMax = 64;      // items in one send
constexpr std::uint32_t kRelaySendsMax = 32;  // sends in one chain
constexpr std::uint32_t kRecordsMax = 4;      // that wait for the kernel
constexpr std::size_t kPageChunk = 16'000;
constexpr std::size_t kRecordOverhead = 256;

}  // namespace

void Sender::mark_dirty(Stream& stream) {
  if (stream.dirty) return;
  stream.dirty = true;
  dirty_.push_back(stream.id);
}

void Sender::flush(Instant now) {
  vectors_used_ = headers_used_ = 0;  // the wait before this turn submitted what used them
  flushing_.swap(dirty_);
  for (const SlotId id : flushing_) {
    if (Stream* stream = table_.find(id)) {
      stream->dirty = false;
      flush_stream(*stream, now);
    }
  }
  flushing_.clear();
}

// At most one send is in flight for a stream, so that bytes stay in order; all that gathers
// meanwhile goes with the next.
void Sender::flush_stream(Stream& stream, Instant now) {
  if (stream.sends != 0 || stream.stage == Stage::Connecting || stream.stage >= Stage::Lingering) {
    return;
  }
  if (stream.stage == Stage::Open) pay_owed(stream, now);
  if (stream.page) feed_page(stream, now);
  if (is_secure(stream.transport) && !stream.plain.empty() && stream.tls.handshake_done()) {
    encrypt(stream, now);
  }
  if (stream.stage == Stage::Flushing && stream.wire.empty() && stream.plain.empty() &&
      stream.tls.handshake_done() && !stream.tls_close_queued) {
    stream.tls_close_queued = true;
    Writer writer({record_.get(), 1'024});
    static_cast<void>(stream.tls.close(writer));
    ciphertext(stream, writer.written(), now);
  }
  if (stream.stage >= Stage::Lingering) return;
  while (!stream.wire.empty() && stream.wire.front(items_).size() == 0) stream.wire.pop(items_);
  if (!stream.wire.empty()) {
    return stream.role == Stream::Role::Relay ? submit_relay(stream, now) : submit(stream, now);
  }
  if (stream.stage == Stage::Flushing) table_.flushed(stream, now);
}

void Sender::pay_owed(Stream& stream, Instant now) {
  if (stream.pong) {
    const BufferRef pong = std::move(stream.pong);
    control_frame(stream, websocket::Opcode::Pong, pong.bytes(), now);
  }
  if (!stream.keepalive_owed || stream.is_closing()) return;
  stream.keepalive_owed = false;
  if (stream.protocol != Stream::Protocol::WebSocket) return bytes(stream, as_bytes("\r\n"), now);
  if (BufferRef line = copy(as_bytes("\r\n"), now)) message(stream, std::move(line), 0, now);
}

// The next piece of a page, once the one before has left.
void Sender::feed_page(Stream& stream, Instant now) {
  if (!stream.plain.empty() || !stream.wire.empty()) return;
  std::string_view& rest = stream.page->rest;
  const std::string_view piece = rest.substr(0, kPageChunk);
  rest.remove_prefix(piece.size());
  if (!piece.empty()) bytes(stream, as_bytes(piece), now);
  if (stream.page && stream.page->rest.empty()) stream.page.reset();
}

// Everything that the stream has gathered goes into as few records as possible. One record carries
// what a turn has gathered; a larger one would make the peer wait for all of it before it can read
// the first byte.
void Sender::encrypt(Stream& stream, Instant now) {
  while (!stream.plain.empty() && stream.wire.count() < kRecordsMax) {
    std::size_t size = 0;
    while (!stream.plain.empty() && size < bounds::kRecordMax) {
      SendItem& item = stream.plain.front(items_);
      for (const Bytes bytes : {item.header_left(), item.buffer_left()}) {
        const std::size_t count = std::min(bytes.size(), bounds::kRecordMax - size);
        if (count != 0) std::memcpy(record_.get() + size, bytes.data(), count);
        size += count;
        item.offset += static_cast<std::uint32_t>(count);
      }
      if (item.size() != 0) break;
      stream.plain.move_front_to(items_, stream.unconfirmed);
    }
    if (size == 0) continue;
    discharge(stream, size);
    SendItem record;
    record.buffer = take(size + kRecordOverhead, now);
    if (!record.buffer) return no_memory(stream, now);
    Writer writer(record.buffer.space());
    const auto progress = stream.tls.write({record_.get(), size}, writer);
    if (progress.state != tls::TlsSession::State::Done || progress.size != size) {
      log_tls_failure(log_, listeners_, stream, "tls_session_failed");
      return table_.close(
          stream, {FlowEnd::ProtocolError, TransportFailure::TlsFailed, Closing::Manner::Abrupt},
          now);
    }
    record.buffer.set_size(writer.size());
    if (!enqueue(stream, stream.wire, std::move(record), now)) return;
  }
}

void Sender::submit(Stream& stream, Instant now) {
  const std::uint32_t count = std::min(stream.wire.count(), kGatherMax);
  const Operation operation{OperationKind::SendStream, stream.id};
  stream.sends = 1;
  stream.sending_items = static_cast<std::uint16_t>(count);
  stream.send_since = now;
  table_.schedule(stream);
  SendItem* item = &stream.wire.front(items_);
  if (count == 1 && (item->header_left().empty() || !item->buffer)) {
    const Bytes bytes = item->buffer ? item->buffer_left() : item->header_left();
    return kernel_.send(stream.fd, bytes, Kernel::Chain::Last, operation);
  }
  if (vectors_used_ + 2 * count > vectors_.size() || headers_used_ == headers_.size()) {
    kernel_.reserve(UINT32_MAX);  // submits, after which the kernel has its copies
    vectors_used_ = headers_used_ = 0;
  }
  msghdr& header = headers_[headers_used_++];
  header = {};
  header.msg_iov = &vectors_[vectors_used_];
  for (std::uint32_t i = 0; i < count; ++i) {
    for (const Bytes bytes : {item->header_left(), item->buffer_left()}) {
      if (bytes.empty()) continue;
      vectors_[vectors_used_++] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
      ++header.msg_iovlen;
    }
    if (i + 1 < count) item = &SendList::after(items_, *item);
  }
  kernel_.send_message(stream.fd, &header, operation);
}

// One send for each request: the relay closes a connection on which more than 1,024 bytes of an
// incomplete request are left after a read, so no segment should end inside one. Sends of one
// turn are chained, which keeps their order.
void Sender::submit_relay(Stream& stream, Instant now) {
  const std::uint32_t count = std::min(stream.wire.count(), kRelaySendsMax);
  kernel_.reserve(count);
  stream.sends = static_cast<std::uint8_t>(count);
  stream.sending_items = static_cast<std::uint16_t>(count);
  stream.send_since = now;
  table_.schedule(stream);
  SendItem* item = &stream.wire.front(items_);
  for (std::uint32_t i = 0; i < count; ++i) {
    kernel_.send(stream.fd, item->buffer_left(),
                 i + 1 < count ? Kernel::Chain::Linked : Kernel::Chain::Last,
                 {OperationKind::SendStream, stream.id});
    if (i + 1 < count) item = &SendList::after(items_, *item);
  }
}

void Sender::sent(const Completion& completion, Instant now) {
  Stream* found = table_.find(completion.operation.id);
  if (!found) return;
  Stream& stream = *found;
  --stream.sends;
  if (stream.stage == Stage::Ending) {
    if (stream.sends == 0) stream.wire.clear(items_);
    return table_.finish_if_idle(stream);
  }
  std::size_t expected = 0;
  SendItem* item = &stream.wire.front(items_);
  const std::uint32_t count = stream.role == Stream::Role::Relay ? 1 : stream.sending_items;
  for (std::uint32_t i = 0; i < count; ++i) {
    expected += item->size();
    if (i + 1 < count) item = &SendList::after(items_, *item);
  }
  const std::size_t size = completion.result > 0 ? static_cast<std::size_t>(completion.result) : 0;
  confirm(stream, size);
  if (size < expected) {
    const FlowEnd end = completion.result == -ETIMEDOUT ? FlowEnd::TimedOut : FlowEnd::Reset;
    if (stream.is_closing()) return table_.end(stream);
    return table_.close(stream, {end, TransportFailure::Reset, Closing::Manner::Abrupt}, now);
  }
  if (stream.sends != 0) return;
  stream.unconfirmed.clear(items_);
  if (!stream.wire.empty() || !stream.plain.empty() || stream.page || stream.pong ||
      stream.keepalive_owed || stream.stage == Stage::Flushing) {
    mark_dirty(stream);
  }
}

// So many bytes of wire have left.
void Sender::confirm(Stream& stream, std::size_t bytes) {
  counters_.bytes_out[static_cast<std::size_t>(stream.transport)].add(bytes);
  discharge(stream, bytes);
  while (!stream.wire.empty()) {
    SendItem& item = stream.wire.front(items_);
    const std::size_t size = item.size();
    if (bytes < size) {
      item.offset += static_cast<std::uint32_t>(bytes);
      return;
    }
    bytes -= size;
    stream.wire.pop(items_);
    if (bytes == 0) return;
  }
}

}  // namespace ringway
