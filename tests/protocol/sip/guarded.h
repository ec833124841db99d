#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "protocol/base/bytes.h"

namespace ringway::test {

// A copy of text whose last byte is followed by a page that may not be touched: one byte read
// beyond the end kills the test.
class Guarded {
 public:
  explicit Guarded(std::string_view text) : size_(text.size()) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t room = (size_ + page - 1) / page * page + page;
    map_size_ = room + page;
    map_ = static_cast<char*>(
        mmap(nullptr, map_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map_ == MAP_FAILED || mprotect(map_ + room, page, PROT_NONE) != 0) std::abort();
    data_ = map_ + room - size_;
    if (size_ != 0) std::memcpy(data_, text.data(), size_);
  }
  ~Guarded() { munmap(map_, map_size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::string_view text() const { return {data_, size_}; }
  Bytes bytes() const { return as_bytes(text()); }
  // The last count bytes: cuts at the front without another map.
  std::string_view last(std::size_t count) const { return text().substr(size_ - count); }

 private:
  std::size_t size_;
  std::size_t map_size_ = 0;
  char* map_ = nullptr;
  char* data_ = nullptr;
};

}  // namespace ringway::test
