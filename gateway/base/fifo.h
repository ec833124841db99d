#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace ringway {

// First in, first out, in memory that is used again: it grows to what was ever held at one time
// and asks for nothing after that.
template <typename T>
class Fifo {
 public:
  explicit Fifo(std::size_t capacity = 64) : places_(capacity) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& front() { return places_[head_]; }

  T& emplace_back() {
    if (size_ == places_.size()) grow();
    T& place = places_[(head_ + size_++) % places_.size()];
    place = T{};
    return place;
  }
  void push_back(T value) { emplace_back() = std::move(value); }

  // Precondition: not empty.
  T take_front() {
    T value = std::move(places_[head_]);
    head_ = (head_ + 1) % places_.size();
    --size_;
    return value;
  }

 private:
  void grow() {
    std::vector<T> larger(2 * places_.size());
    for (std::size_t i = 0; i < size_; ++i) {
      larger[i] = std::move(places_[(head_ + i) % places_.size()]);
    }
    places_ = std::move(larger);
    head_ = 0;
  }

  std::vector<T> places_;
  std::size_t head_ = 0, size_ = 0;  // size_ <= places_.size()
};

}  // namespace ringway
