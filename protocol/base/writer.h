#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/base/bytes.h"

namespace ringway {

// Writes into memory of the caller and never beyond it. Overflow is sticky: after the first piece
// that does not fit nothing more is written and overflowed() stays true, so that a caller checks
// once, at the end.
class Writer {
 public:
  explicit Writer(MutableBytes memory) : memory_(memory) {}

  Writer& text(std::string_view text) { return bytes(as_bytes(text)); }

  Writer& bytes(Bytes bytes) {
    if (overflowed_ || bytes.size() > memory_.size() - size_) {
      overflowed_ = true;
      return *this;
    }
    if (!bytes.empty()) std::memcpy(memory_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    return *this;
  }

  Writer& character(char c) { return text({&c, 1}); }

  Writer& number(std::uint64_t value) {
    char digits[20];
    std::size_t start = sizeof digits;
    do {
      digits[--start] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    return text({digits + start, sizeof digits - start});
  }

  // Lower case, without leading zeros but with at least width digits.
  Writer& hex(std::uint64_t value, std::size_t width = 1) {
    char digits[16];
    std::size_t start = sizeof digits;
    do {
      digits[--start] = "0123456789abcdef"[value & 15];
      value >>= 4;
    } while (value != 0 || sizeof digits - start < width);
    return text({digits + start, sizeof digits - start});
  }

  bool overflowed() const { return overflowed_; }
  std::size_t size() const { return size_; }
  std::size_t space() const { return memory_.size() - size_; }
  Bytes written() const { return memory_.first(size_); }
  std::string_view written_text() const { return as_text(written()); }

 private:
  MutableBytes memory_;
  std::size_t size_ = 0;  // size_ <= memory_.size()
  bool overflowed_ = false;
};

}  // namespace ringway
