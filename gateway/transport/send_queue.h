#pragma once

#include <array>
#include <cstdint>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/outbox.h"
#include "gateway/base/slot_table.h"

namespace ringway {

// One piece of a stream's outgoing bytes: a WebSocket frame header, if any, and a buffer.
struct SendItem {
  static constexpr std::size_t kHeaderMax = 10;

  BufferRef buffer;  // may be empty: then the header is all
  Ticket ticket = 0;
  std::uint32_t offset = 0;  // bytes of header and buffer, in this order, already consumed
  std::uint32_t next = 0;
  std::uint8_t header_size = 0;
  bool is_request = false;  // of a connection that we opened: Outstanding has its ticket
  std::array<std::uint8_t, kHeaderMax> header{};

  std::size_t size() const { return header_size + buffer.size() - offset; }
  Bytes header_left() const {
    return offset < header_size ? Bytes(header).subspan(offset, header_size - offset) : Bytes{};
  }
  Bytes buffer_left() const {
    if (!buffer) return {};
    return buffer.bytes().subspan(offset > header_size ? offset - header_size : 0);
  }
};

using SendItems = SlotTable<SendItem>;

// A list of items in the order in which they are sent. The owner clears it before it goes.
class SendList {
 public:
  bool empty() const { return count_ == 0; }
  std::uint32_t count() const { return count_; }

  // False if the table is full.
  bool push(SendItems& items, SendItem&& item) {
    const SlotId id = items.take(std::move(item));
    if (!id) return false;
    append(items, id.slot);
    return true;
  }
  SendItem& front(SendItems& items) { return *items.at(first_); }
  // The item that follows; the caller counts.
  static SendItem& after(SendItems& items, const SendItem& item) { return *items.at(item.next); }
  void pop(SendItems& items) { items.release(items.id_at(unlink(items))); }
  // Moves the front to the end of another list.
  void move_front_to(SendItems& items, SendList& other) { other.append(items, unlink(items)); }
  void clear(SendItems& items) {
    while (!empty()) pop(items);
  }

 private:
  void append(SendItems& items, std::uint32_t slot) {
    if (count_++ == 0) {
      first_ = slot;
    } else {
      items.at(last_)->next = slot;
    }
    last_ = slot;
  }
  std::uint32_t unlink(SendItems& items) {
    const std::uint32_t slot = first_;
    first_ = items.at(slot)->next;
    --count_;
    return slot;
  }

  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace ringway
