#include "gateway/transport/sender.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "gateway/transport/bounds.h"
#include "protocol/base/utf8.h"
#include "protocol/websocket/frame.h"

// Queues, their bounds, and what becomes of them at the end. sender_flush.cc: the way out.

namespace ringway {
namespace {

constexpr std::size_t kVectorsMax = 8'192;
constexpr std::size_t kHeadersMax = 4'096;
constexpr std::size_t kHoardersATime = 64;

bool is_response(Bytes message) {
  return as_text(message).starts_with("SIP/2.0 ");
}

}  // namespace

Sender::Sender(const StreamEnvironment& environment, StreamTable& table)
    : config_(environment.config),
      listeners_(environment.listeners),
      kernel_(environment.kernel),
      buffers_(environment.buffers),
      counters_(environment.counters),
      log_(environment.log),
      table_(table),
      items_(bounds::kSendItemsMax),
      queued_bytes_max_(environment.config.limits.buffer_bytes / 4),
      vectors_(kVectorsMax),
      headers_(kHeadersMax),
      record_(std::make_unique<std::uint8_t[]>(bounds::kRecordMax)) {}

void Sender::message(Stream& stream, BufferRef message, Ticket ticket, Instant now) {
  SendItem item;
  // A request on a connection of ours fails with the connection, sent or not; anything else fails
  // only while it is here.
  if (ticket != 0 && stream.outbound && !is_response(message.bytes())) {
    item.is_request = true;
    if (!outstanding_.add(*stream.outbound, ticket, now)) counters_.requests_forgotten.add();
  } else {
    item.ticket = ticket;
  }
  if (stream.protocol == Stream::Protocol::WebSocket) {
    const bool text = valid_utf8(message.bytes());
    Writer writer(item.header);
    websocket::write_frame_header(text ? websocket::Opcode::Text : websocket::Opcode::Binary,
                                  message.size(), writer);
    item.header_size = static_cast<std::uint8_t>(writer.size());
  }
  item.buffer = std::move(message);
  enqueue(stream, list_of(stream), std::move(item), now);
}

void Sender::bytes(Stream& stream, Bytes bytes, Instant now) {
  SendItem item;
  if (bytes.size() <= SendItem::kHeaderMax) {
    item.header_size = static_cast<std::uint8_t>(bytes.size());
    std::memcpy(item.header.data(), bytes.data(), bytes.size());
  } else {
    item.buffer = copy(bytes, now);
    if (!item.buffer) return no_memory(stream, now);
  }
  enqueue(stream, list_of(stream), std::move(item), now);
}

void Sender::ciphertext(Stream& stream, Bytes bytes, Instant now) {
  if (bytes.empty()) return;
  SendItem item;
  item.buffer = copy(bytes, now);
  if (!item.buffer) return no_memory(stream, now);
  enqueue(stream, stream.wire, std::move(item), now);
}

void Sender::relay_request(Stream& stream, BufferRef request, Instant now) {
  SendItem item;
  item.buffer = std::move(request);
  enqueue(stream, stream.wire, std::move(item), now);
}

void Sender::control_frame(Stream& stream, websocket::Opcode opcode, Bytes payload, Instant now) {
  std::array<std::uint8_t, websocket::kControlPayloadMax + 2> memory;
  Writer writer(memory);
  websocket::write_control_frame(opcode, payload, writer);
  bytes(stream, writer.written(), now);
}

void Sender::owe_pong(Stream& stream, Bytes payload, Instant now) {
  // An empty payload is owed all the same: the buffer says that it is.
  BufferRef pong = take(std::max<std::size_t>(payload.size(), 1), now);
  if (!pong) return;
  if (!payload.empty()) std::memcpy(pong.space().data(), payload.data(), payload.size());
  pong.set_size(payload.size());
  stream.pong = std::move(pong);
  mark_dirty(stream);
}

void Sender::owe_keepalive(Stream& stream) {
  stream.keepalive_owed = true;
  mark_dirty(stream);
}

void Sender::page(Stream& stream, std::shared_ptr<const StaticPages> pages, std::string_view body) {
  stream.page = std::make_unique<PageTransfer>(PageTransfer{std::move(pages), body});
  mark_dirty(stream);
}

// Bounds.

std::size_t Sender::load_of(const Stream& stream) {
  return stream.queued_bytes + std::size_t{stream.queued_items()} * bounds::kSendItemCharge;
}

void Sender::charge(Stream& stream, std::size_t size) {
  stream.queued_bytes += static_cast<std::uint32_t>(size);
  queued_bytes_ += size;
}

void Sender::discharge(Stream& stream, std::size_t size) {
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(size, stream.queued_bytes));
  stream.queued_bytes -= count;
  queued_bytes_ -= count;
}

// Who pipelines requests and reads the answers is no hoarder: nothing leaves before the turn ends.
std::size_t Sender::load_max(const Stream& stream, Instant now) const {
  const std::size_t bytes = config_.limits.send_queue_bytes;
  const bool had_time = stream.sends != 0 && now >= stream.send_since + bounds::kSendGrace;
  return had_time || stream.stage < Stream::Stage::Open ? bytes : bytes * bounds::kSendBurst;
}

// Appends to one of the stream's lists. False: it was closed instead, and item's ticket failed.
bool Sender::enqueue(Stream& stream, SendList& list, SendItem&& item, Instant now) {
  const std::size_t size = item.size();
  const Ticket ticket = item.ticket;
  const bool fits = load_of(stream) + size + bounds::kSendItemCharge <= load_max(stream, now);
  if (fits && make_room(stream, now) && !(stream.stage == Stream::Stage::Ending) &&
      list.push(items_, std::move(item))) {
    charge(stream, size);
    mark_dirty(stream);
    return true;
  }
  counters_.send_queue_overflows.add();
  table_.report_failure(ticket, TransportFailure::QueueFull);
  table_.close(stream, {FlowEnd::TimedOut, TransportFailure::QueueFull, Closing::Manner::Abrupt},
               now);
  return false;
}

// Room for one item more in the shard, by closing those that hoard. False: there is none.
bool Sender::make_room(const Stream& stream, Instant now) {
  const auto in_use = [&] { return items_.size(); };
  if (in_use() >= bounds::kSendItemsCrowded || queued_bytes_ >= queued_bytes_max_) {
    close_hoarders(now);
  }
  const std::uint32_t limit = is_ordinary(stream)
                                  ? bounds::kSendItemsMax - bounds::kSendItemsReserved
                                  : bounds::kSendItemsMax;
  return in_use() < limit;
}

// The streams with at least half the load of the one that has most, at most some at a time: what
// is freed is then much more than what the next message takes, so that the search is rare.
void Sender::close_hoarders(Instant now) {
  std::size_t most = 0;
  for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
    const Stream* stream = table_.at(slot);
    if (stream && is_ordinary(*stream) && stream->stage != Stream::Stage::Ending) {
      most = std::max(most, load_of(*stream));
    }
  }
  if (most == 0) return;
  std::size_t closed_now = 0;
  for (std::uint32_t slot = 0; slot < table_.used_slots() && closed_now < kHoardersATime; ++slot) {
    Stream* stream = table_.at(slot);
    if (!stream || !is_ordinary(*stream) || stream->stage == Stream::Stage::Ending) continue;
    if (load_of(*stream) < (most + 1) / 2) continue;
    ++closed_now;
    counters_.hoarders_closed.add();
    const Closing closing{FlowEnd::TimedOut, TransportFailure::QueueFull, Closing::Manner::Abrupt};
    if (stream->is_closing()) {
      table_.end(*stream);
    } else {
      table_.close(*stream, closing, now);
    }
    drop_queues(*stream, TransportFailure::QueueFull);
  }
  log_.warning("hoarders_closed", {{"flows", closed_now}, {"queued_bytes_each", most}});
}

BufferRef Sender::take(std::size_t size, Instant now) {
  BufferRef buffer = buffers_.take(size);
  if (buffer) return buffer;
  close_hoarders(now);
  return buffers_.take(size);
}

BufferRef Sender::copy(Bytes bytes, Instant now) {
  BufferRef buffer = take(bytes.size(), now);
  if (!buffer) return buffer;
  std::memcpy(buffer.space().data(), bytes.data(), bytes.size());
  buffer.set_size(bytes.size());
  return buffer;
}

void Sender::no_memory(Stream& stream, Instant now) {
  table_.close(stream, {FlowEnd::TimedOut, TransportFailure::QueueFull, Closing::Manner::Abrupt},
               now);
}

// The end.

void Sender::closed(Stream& stream, Instant now) {
  const TransportFailure failure = stream.closing.failure;
  stream.pong.reset();
  stream.keepalive_owed = false;
  if (stream.outbound) {
    if (stream.stage != Stream::Stage::Ending) drop_unsent_requests(stream);
    // A request that was sent may have arrived; that no answer can come here is another failure.
    const TransportFailure lost =
        stream.was_handshaking ? failure : TransportFailure::ConnectionLost;
    outstanding_.take_all(*stream.outbound, now,
                          [&](Ticket ticket) { table_.report_failure(ticket, lost); });
  }
  if (stream.was_handshaking) {  // nothing of it was encrypted
    fail_list(stream.plain, failure);
    stream.plain.clear(items_);
  }
  if (stream.stage == Stream::Stage::Ending) return drop_queues(stream, failure);
  mark_dirty(stream);
}

void Sender::release(Stream& stream) {
  stream.wire.clear(items_);
  queued_bytes_ -= std::exchange(stream.queued_bytes, 0);
}

// They go out on another connection: here they would have no answer.
void Sender::drop_unsent_requests(Stream& stream) {
  if (!stream.peer_closed) return;
  for (SendList* list : {&stream.plain, &stream.wire}) {
    if (list->empty()) continue;
    SendItem* item = &list->front(items_);
    for (std::uint32_t i = 0; i < list->count(); ++i) {
      const bool in_flight = list == &stream.wire && i < stream.sending_items && stream.sends != 0;
      if (item->is_request && !in_flight && item->offset == 0) {
        discharge(stream, item->size());
        item->buffer.reset();
        item->header_size = 0;
      }
      if (i + 1 < list->count()) item = &SendList::after(items_, *item);
    }
  }
}

void Sender::fail_list(SendList& list, TransportFailure failure) {
  if (list.empty()) return;
  SendItem* item = &list.front(items_);
  for (std::uint32_t i = 0; i < list.count(); ++i) {
    table_.report_failure(std::exchange(item->ticket, 0), failure);
    if (i + 1 < list.count()) item = &SendList::after(items_, *item);
  }
}

void Sender::drop_queues(Stream& stream, TransportFailure failure) {
  fail_list(stream.wire, failure);
  fail_list(stream.unconfirmed, failure);
  fail_list(stream.plain, failure);
  stream.plain.clear(items_);
  stream.unconfirmed.clear(items_);
  if (stream.sends == 0) stream.wire.clear(items_);  // else the kernel still reads it
  queued_bytes_ -= std::exchange(stream.queued_bytes, 0);
  stream.page.reset();
}

}  // namespace ringway
