#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "gateway/transport/streams.h"
#include "protocol/base/utf8.h"
#include "protocol/websocket/frame.h"

namespace ringway {
namespace {

constexpr std::uint32_t kGatherMax = 64;  // items in one send
constexpr std::size_t kPageChunk = 16'000;

}  // namespace

void Streams::send(FlowId flow, BufferRef message, Ticket ticket, Instant now) {
  Stream* stream = find(flow);
  if (!stream || !stream->is_usable() || stream->stage != Stage::Open) {
    return report_failure(ticket, TransportFailure::FlowGone);
  }
  enqueue_message(*stream, std::move(message), ticket, now);
}

// Appends to one of the stream's lists. False: it was closed instead, and item's ticket failed.
bool Streams::enqueue(Stream& stream, SendList& list, SendItem&& item, Instant now) {
  const std::size_t size = item.size();
  const Ticket ticket = item.ticket;
  if (stream.queued_bytes + size > config_.limits.send_queue_bytes ||
      !list.push(items_, std::move(item))) {
    counters_.send_queue_overflows.add();
    report_failure(ticket, TransportFailure::QueueFull);
    begin_close(stream, FlowEnd::TimedOut, TransportFailure::QueueFull, Manner::Abrupt, now);
    return false;
  }
  stream.queued_bytes += static_cast<std::uint32_t>(size);
  mark_dirty(stream);
  return true;
}

void Streams::enqueue_bytes(Stream& stream, Bytes bytes, Instant now) {
  SendItem item;
  if (bytes.size() <= SendItem::kHeaderMax) {
    item.header_size = static_cast<std::uint8_t>(bytes.size());
    std::memcpy(item.header.data(), bytes.data(), bytes.size());
  } else {
    item.buffer = buffers_.copy(bytes);
    if (!item.buffer) {
      return begin_close(stream, FlowEnd::TimedOut, TransportFailure::QueueFull, Manner::Abrupt,
                         now);
    }
  }
  enqueue(stream, is_secure(stream.transport) ? stream.plain : stream.wire, std::move(item), now);
}

void Streams::enqueue_ciphertext(Stream& stream, Bytes bytes, Instant now) {
  if (bytes.empty()) return;
  SendItem item;
  item.buffer = buffers_.copy(bytes);
  if (!item.buffer) {
    return begin_close(stream, FlowEnd::TimedOut, TransportFailure::QueueFull, Manner::Abrupt, now);
  }
  enqueue(stream, stream.wire, std::move(item), now);
}

void Streams::enqueue_message(Stream& stream, BufferRef message, Ticket ticket, Instant now) {
  SendItem item;
  item.ticket = ticket;
  if (stream.protocol == Protocol::WebSocket) {
    const bool text = valid_utf8(message.bytes());
    Writer writer(item.header);
    websocket::write_frame_header(text ? websocket::Opcode::Text : websocket::Opcode::Binary,
                                  message.size(), writer);
    item.header_size = static_cast<std::uint8_t>(writer.size());
  }
  item.buffer = std::move(message);
  enqueue(stream, is_secure(stream.transport) ? stream.plain : stream.wire, std::move(item), now);
}

void Streams::mark_dirty(Stream& stream) {
  if (stream.dirty) return;
  stream.dirty = true;
  dirty_.push_back(stream.id);
}

// At most one send is in flight for a stream, so that bytes stay in order; all that gathers
// meanwhile goes with the next.
void Streams::flush_stream(Stream& stream, Instant now) {
  if (stream.sends != 0 || stream.stage == Stage::Connecting || stream.stage >= Stage::Lingering) {
    return;
  }
  if (stream.page) feed_page(stream, now);
  if (is_secure(stream.transport) && !stream.plain.empty() && stream.tls.handshake_done()) {
    encrypt(stream, now);
  }
  if (stream.stage == Stage::Flushing && stream.wire.empty() && stream.plain.empty() &&
      stream.tls.handshake_done() && !stream.tls_close_queued) {
    stream.tls_close_queued = true;
    Writer writer({output_.get(), 1'024});
    static_cast<void>(stream.tls.close(writer));
    enqueue_ciphertext(stream, writer.written(), now);
  }
  if (stream.stage >= Stage::Lingering) return;
  if (!stream.wire.empty()) {
    return stream.protocol == Protocol::Relay ? submit_relay(stream, now) : submit(stream, now);
  }
  if (stream.stage != Stage::Flushing) return;
  if (stream.peer_closed) return end(stream);
  // The peer reads to the end before it sees the connection go.
  kernel_.shutdown(stream.fd, SHUT_WR);
  stream.stage = Stage::Lingering;
  stream.stage_since = now;
  stream.timer_at = kNever;
  timers_.cancel(stream.timer);
  schedule(stream, now);
}

// The next piece of a page, once the one before has left.
void Streams::feed_page(Stream& stream, Instant now) {
  if (!stream.plain.empty() || !stream.wire.empty()) return;
  std::string_view& rest = stream.page->rest;
  const std::string_view piece = rest.substr(0, kPageChunk);
  rest.remove_prefix(piece.size());
  if (!piece.empty()) enqueue_bytes(stream, as_bytes(piece), now);
  if (stream.page && stream.page->rest.empty()) stream.page.reset();
}

void Streams::submit(Stream& stream, Instant now) {
  const std::uint32_t count = std::min(stream.wire.count(), kGatherMax);
  const Operation operation{OperationKind::SendStream, stream.id};
  stream.sends = 1;
  stream.sending_items = static_cast<std::uint16_t>(count);
  stream.send_since = now;
  schedule(stream, now);
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

void Streams::sent(const Completion& completion, Instant now) {
  Stream* found = streams_.find(completion.operation.id);
  if (!found) return;
  Stream& stream = *found;
  const bool is_relay = stream.protocol == Protocol::Relay;
  --stream.sends;
  if (stream.stage == Stage::Ending) {
    if (stream.sends == 0) stream.wire.clear(items_);
    return finish_if_idle(stream);
  }
  std::size_t expected = 0;
  SendItem* item = &stream.wire.front(items_);
  const std::uint32_t count = is_relay ? 1 : stream.sending_items;
  for (std::uint32_t i = 0; i < count; ++i) {
    expected += item->size();
    if (i + 1 < count) item = &SendList::after(items_, *item);
  }
  const std::size_t size = completion.result > 0 ? static_cast<std::size_t>(completion.result) : 0;
  confirm(stream, size);
  if (size < expected) {
    const FlowEnd reason = completion.result == -ETIMEDOUT ? FlowEnd::TimedOut : FlowEnd::Reset;
    return begin_close(stream, reason, TransportFailure::Reset, Manner::Abrupt, now);
  }
  if (stream.sends != 0) return;
  stream.unconfirmed.clear(items_);
  if (!stream.wire.empty() || !stream.plain.empty() || stream.page ||
      stream.stage == Stage::Flushing) {
    mark_dirty(stream);
  }
}

// So many bytes of wire have left.
void Streams::confirm(Stream& stream, std::size_t bytes) {
  counters_.bytes_out[static_cast<std::size_t>(stream.transport)].add(bytes);
  stream.queued_bytes -=
      static_cast<std::uint32_t>(std::min<std::size_t>(bytes, stream.queued_bytes));
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
