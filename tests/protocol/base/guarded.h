#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.h"

// A copy of some bytes whose end touches a page that nobody may read or write, so that a parser
// that looks one byte too far dies at once, with sanitizers and without.

namespace ringway {

class Guarded {
 public:
  explicit Guarded(Bytes bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t usable = (bytes.size() / page + 1) * page;
    mapping_size_ = usable + page;
    void* const memory =
        mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mapping_ = static_cast<std::uint8_t*>(memory);
    mprotect(mapping_ + usable, page, PROT_NONE);
    bytes_ = MutableBytes{mapping_ + usable - bytes.size(), bytes.size()};
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }
  explicit Guarded(std::string_view text) : Guarded(as_bytes(text)) {}
  ~Guarded() { munmap(mapping_, mapping_size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  MutableBytes bytes() { return bytes_; }
  std::string_view text() const { return as_text(bytes_); }

 private:
  std::uint8_t* mapping_ = nullptr;
  std::size_t mapping_size_ = 0;
  MutableBytes bytes_;
};

}  // namespace ringway
