#pragma once

#include <cstdint>

#include "gateway/base/slot_table.h"

namespace ringway {

// Where an entry stands in a FinishedList.
struct FinishedPlace {
  bool listed = false;
  std::uint32_t older = 0, newer = 0;  // slot + 1
};

// Those entries of a table that are over and only absorb repetitions, in the order in which they
// ended, so that the oldest can make room for what is new. T has a FinishedPlace `finished`.
template <typename T>
class FinishedList {
 public:
  explicit FinishedList(SlotTable<T>& table) : table_(table) {}

  // Does nothing if the entry is listed. Precondition: table.find(id).
  void add(SlotId id) {
    FinishedPlace& place = table_.find(id)->finished;
    if (place.listed) return;
    place = {true, newest_, 0};
    (newest_ != 0 ? table_.at(newest_ - 1)->finished.newer : oldest_) = id.slot + 1;
    newest_ = id.slot + 1;
    ++size_;
  }
  // Before an entry is freed; does nothing if it is not listed.
  void remove(T& entry) {
    const FinishedPlace place = entry.finished;
    if (!place.listed) return;
    (place.older != 0 ? table_.at(place.older - 1)->finished.newer : oldest_) = place.newer;
    (place.newer != 0 ? table_.at(place.newer - 1)->finished.older : newest_) = place.older;
    entry.finished = {};
    --size_;
  }
  SlotId oldest() const { return oldest_ != 0 ? table_.id_at(oldest_ - 1) : SlotId{}; }
  std::uint32_t size() const { return size_; }

 private:
  SlotTable<T>& table_;
  std::uint32_t oldest_ = 0, newest_ = 0;  // slot + 1
  std::uint32_t size_ = 0;
};

}  // namespace ringway
