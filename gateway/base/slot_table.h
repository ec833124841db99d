#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "gateway/base/check.h"
#include "gateway/base/reserved_memory.h"

namespace ringway {

// Names an entry of a SlotTable for good: a slot that is used again has another generation.
// Packed in 56 bits so that eight bits are left for a kind. Value 0 names nothing.
struct SlotId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  constexpr explicit operator bool() const { return generation != 0; }
  constexpr std::uint64_t packed() const { return (std::uint64_t{slot} << 32) | generation; }
  static constexpr SlotId unpack(std::uint64_t value) {
    return {static_cast<std::uint32_t>(value >> 32) & 0xff'ffff, static_cast<std::uint32_t>(value)};
  }
  friend bool operator==(const SlotId&, const SlotId&) = default;
};

// A fixed number of places for T, found by slot and generation. Address space is reserved at
// construction and becomes resident when first used; the place freed last is used first.
template <typename T>
class SlotTable {
 public:
  // capacity: 1..2^24.
  explicit SlotTable(std::uint32_t capacity)
      : memory_(capacity * sizeof(Place)),
        places_(reinterpret_cast<Place*>(memory_.data())),
        capacity_(capacity) {
    CHECK(capacity > 0 && capacity <= 0x100'0000);
  }
  ~SlotTable() {
    for (std::uint32_t slot = 0; slot < carved_; ++slot) {
      if (places_[slot].live) value(slot)->~T();
    }
  }
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  // A new T; an empty id when the table is full.
  template <typename... Arguments>
  SlotId take(Arguments&&... arguments) {
    std::uint32_t slot;
    if (free_ != kNone) {
      slot = free_;
      free_ = places_[slot].next_free;
    } else if (carved_ < capacity_) {
      slot = carved_++;
      memory_.reach(carved_ * sizeof(Place));
    } else {
      return {};
    }
    Place& place = places_[slot];
    if (++place.generation == 0) place.generation = 1;
    place.live = true;
    new (place.memory) T(std::forward<Arguments>(arguments)...);
    ++size_;
    return {slot, place.generation};
  }

  // nullptr: freed since, or never existed.
  T* find(SlotId id) {
    if (id.slot >= carved_) return nullptr;
    Place& place = places_[id.slot];
    return place.live && place.generation == id.generation ? value(id.slot) : nullptr;
  }
  const T* find(SlotId id) const { return const_cast<SlotTable*>(this)->find(id); }

  // The entry at slot whatever its generation, or nullptr.
  const T* at(std::uint32_t slot) const { return const_cast<SlotTable*>(this)->at(slot); }
  T* at(std::uint32_t slot) { return slot < carved_ && places_[slot].live ? value(slot) : nullptr; }
  SlotId id_at(std::uint32_t slot) const { return {slot, places_[slot].generation}; }

  // Precondition: find(id).
  void release(SlotId id) {
    DCHECK(find(id));
    value(id.slot)->~T();
    Place& place = places_[id.slot];
    place.live = false;
    place.next_free = free_;
    free_ = id.slot;
    --size_;
  }

  std::uint32_t size() const { return size_; }
  std::uint32_t capacity() const { return capacity_; }
  // Slots that were ever used are 0 .. used_slots()-1.
  std::uint32_t used_slots() const { return carved_; }

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  struct Place {
    std::uint32_t generation;
    std::uint32_t next_free;
    bool live;
    alignas(T) unsigned char memory[sizeof(T)];
  };
  T* value(std::uint32_t slot) { return std::launder(reinterpret_cast<T*>(places_[slot].memory)); }

  ReservedMemory memory_;
  Place* places_;
  std::uint32_t capacity_;
  std::uint32_t carved_ = 0;  // carved_ <= capacity_
  std::uint32_t size_ = 0;    // size_ <= carved_
  std::uint32_t free_ = kNone;
};

}  // namespace ringway
