#pragma once

#include <uv.h>

#include <cstdint>
#include <vector>

// The libuv loop that everything in the generator shares, and the end of its turn.

namespace ringway::load {

class Flushable {
 public:
  virtual ~Flushable() = default;
  // Sends what the turn has queued. Called once a turn for those that asked by Loop::mark().
  virtual void flush() = 0;

 private:
  friend class Loop;
  bool marked_ = false;
};

class Loop {
 public:
  Loop() {
    uv_loop_init(&loop_);
    uv_prepare_init(&loop_, &prepare_);
    prepare_.data = this;
    uv_prepare_start(
        &prepare_, [](uv_prepare_t* handle) { static_cast<Loop*>(handle->data)->flush_marked(); });
    uv_unref(reinterpret_cast<uv_handle_t*>(&prepare_));
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  uv_loop_t* get() { return &loop_; }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }
  void stop() { uv_stop(&loop_); }

  void mark(Flushable& flushable) {
    if (flushable.marked_) return;
    flushable.marked_ = true;
    marked_.push_back(&flushable);
  }
  // Before a Flushable dies.
  void forget(Flushable& flushable) {
    for (Flushable*& entry : marked_) {
      if (entry == &flushable) entry = nullptr;
    }
  }
  // After each event: libuv may handle some ten thousand of them before a turn ends, and clients that
  // are many would not wait for each other.
  void flush_if_many() {
    if (marked_.size() >= kMany) flush_marked();
  }
  void flush_marked() {
    for (std::size_t i = 0; i < marked_.size(); ++i) {  // flush() may mark others
      if (marked_[i] == nullptr) continue;
      marked_[i]->marked_ = false;
      marked_[i]->flush();
    }
    marked_.clear();
  }

 private:
  static constexpr std::size_t kMany = 32;

  uv_loop_t loop_{};
  uv_prepare_t prepare_{};
  std::vector<Flushable*> marked_;
};

// Nanoseconds of the monotonic clock.
inline std::uint64_t now_ns() {
  return uv_hrtime();
}

}  // namespace ringway::load
