#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>

#include "gateway/reactor/buffer_ring.h"
#include "gateway/reactor/kernel.h"
#include "protocol/base/bytes.h"

namespace ringway {

// Buffers that the kernel fills for many sockets: a completion names one, which is lent until it is
// given back, in the turn that got it. Memory is reserved for all and becomes resident when
// touched.
class ReceiveBuffers {
 public:
  struct Shape {
    std::uint16_t group = 0;
    std::uint32_t count = 0;   // a power of two
    std::uint32_t size = 0;    // bytes of each
    std::uint32_t stride = 0;  // >= size; odd in cache lines, so that starts spread over sets
  };

  ReceiveBuffers() = default;
  ~ReceiveBuffers();
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;

  // Registers with kernel and gives it all of them. This object outlives the kernel's end().
  // Errors: a sentence that says what to do.
  [[nodiscard]] std::expected<void, std::string> open(Kernel& kernel, const Shape& shape);
  // What the kernel said to them: an errno; 0 if it took them.
  int refusal() const { return refusal_; }

  std::uint16_t group() const { return shape_.group; }
  // The size first bytes of a lent buffer. Precondition: size <= Shape::size.
  MutableBytes bytes(std::uint16_t buffer, std::size_t size) const;
  // A completion brought a buffer. It leaves the kernel's stock.
  void taken() { --available_; }
  void give_back(std::uint16_t buffer);
  // Hands everything given back to the kernel; once a turn, before receives are armed again.
  void publish();
  // Buffers that the kernel has, as far as completions seen so far tell.
  std::uint32_t available() const { return available_; }

 private:
  Shape shape_;
  BufferRing ring_;  // shared with the kernel
  std::uint8_t* memory_ = nullptr;
  int refusal_ = 0;
  std::uint16_t tail_ = 0;
  std::uint32_t available_ = 0;  // available_ <= count
};

}  // namespace ringway
