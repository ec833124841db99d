#include "protocol/sip/scan.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ringway::sip {
namespace {

// What one block of up to 64 bytes holds, bit i for byte i.
struct Masks {
  std::uint64_t lf = 0;
  std::uint64_t cr = 0;
  std::uint64_t control = 0;  // below 0x20, without HTAB, CR and LF
};

// Gathers line ends from blocks. Everything that decides the result is here, so that the vector
// and the scalar scan differ in how they make masks and in nothing else.
class Collector {
 public:
  Collector(std::uint16_t* line_ends, std::size_t capacity)
      : line_ends_(line_ends), capacity_(capacity) {}

  // The block at base, behind all earlier ones. False: the scan is over. All of it is inlined into
  // the scans, so that the state stays in registers.
  [[gnu::always_inline]] bool add(std::size_t base, const Masks& masks) {
    const std::uint64_t behind_cr = masks.cr << 1 | last_cr_;
    const std::uint64_t behind_lf = masks.lf << 1 | last_lf_ >> 1;
    const std::uint64_t two_behind_lf = masks.lf << 2 | last_lf_;
    const std::uint64_t empty = masks.lf & (behind_lf | (behind_cr & two_behind_lf));
    const std::uint64_t irregular = masks.lf ^ behind_cr;
    last_cr_ = masks.cr >> 63;
    last_lf_ = masks.lf >> 62;
    const auto found = static_cast<std::size_t>(std::popcount(masks.lf));
    if (empty != 0 || capacity_ - out_.count < found + kAtOnce) {
      return add_last(base, masks, empty, irregular);
    }
    // Most blocks have a few line ends: so many are written whether they are there or not, since
    // a loop with that many rounds would be mispredicted.
    std::uint16_t* const out = line_ends_ + out_.count;
    std::uint64_t lf = masks.lf;
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      out[i] = static_cast<std::uint16_t>(base + static_cast<unsigned>(std::countr_zero(lf)));
      lf &= lf - 1;
    }
    for (std::size_t i = kAtOnce; i < found; ++i) {
      out[i] = static_cast<std::uint16_t>(base + static_cast<unsigned>(std::countr_zero(lf)));
      lf &= lf - 1;
    }
    out_.count += found;
    if ((irregular | masks.control | pending_irregular_ | pending_control_) != 0) {
      const std::uint64_t reported =
          masks.lf == 0 ? 0 : ~std::uint64_t{0} >> std::countl_zero(masks.lf);
      note(masks, irregular, reported);
    }
    return true;
  }

  LineScan result() const {
    return out_;
  }

 private:
  static constexpr std::size_t kAtOnce = 4;

  // A block with the empty line in it, or near the end of the capacity.
  [[gnu::always_inline]] bool add_last(std::size_t base, const Masks& masks, std::uint64_t empty,
                                       std::uint64_t irregular) {
    std::uint64_t last = 0;
    for (std::uint64_t lf = masks.lf; lf != 0 && out_.count < capacity_; lf &= lf - 1) {
      last = lf & -lf;
      line_ends_[out_.count++] =
          static_cast<std::uint16_t>(base + static_cast<unsigned>(std::countr_zero(lf)));
      out_.complete = (empty & last) != 0;
      if (out_.complete) break;
    }
    note(masks, irregular, last == 0 ? 0 : last | (last - 1));
    return !out_.complete && out_.count < capacity_;
  }

  // reported: the bytes up to the last line end that was reported.
  [[gnu::always_inline]] void note(const Masks& masks, std::uint64_t irregular,
                                   std::uint64_t reported) {
    if (reported != 0) {
      out_.regular &= (pending_irregular_ | (irregular & reported)) == 0;
      out_.controls |= (pending_control_ | (masks.control & reported)) != 0;
      pending_irregular_ = pending_control_ = 0;
    }
    pending_irregular_ |= irregular & ~reported;
    pending_control_ |= masks.control & ~reported;
  }

  std::uint16_t* line_ends_;
  std::size_t capacity_;
  std::uint64_t last_cr_ = 0;  // the last byte of the block before was a CR
  std::uint64_t last_lf_ = 2;  // its last two bytes; the text begins as if behind a LF
  // Seen behind the last line end; they count once a line end follows.
  std::uint64_t pending_irregular_ = 0;
  std::uint64_t pending_control_ = 0;
  LineScan out_;
};

constexpr std::size_t kBlock = 64;

Masks masks_scalar(const std::uint8_t* block, std::size_t size) {
  Masks out;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t c = block[i];
    if (c >= 0x20) continue;
    const std::uint64_t bit = std::uint64_t{1} << i;
    if (c == '\n') {
      out.lf |= bit;
    } else if (c == '\r') {
      out.cr |= bit;
    } else if (c != '\t') {
      out.control |= bit;
    }
  }
  return out;
}

// The last bytes of a text, fewer than a block, as a block of which only the first size bytes
// count. It is loaded from where it ends with the text, or from a copy if the text is shorter
// than a block, so that nothing outside the text is read.
struct Tail {
  const std::uint8_t* block;
  unsigned shift;      // bits in front that belong to the block before
  std::uint64_t mask;  // after the shift
  std::array<std::uint8_t, kBlock> copy;

  Tail(Bytes text, std::size_t at) {
    const auto size = static_cast<unsigned>(text.size() - at);  // 1..63
    mask = (std::uint64_t{1} << size) - 1;
    if (text.size() >= kBlock) {
      block = text.data() + text.size() - kBlock;
      shift = kBlock - size;
    } else {
      copy.fill(0);
      std::memcpy(copy.data(), text.data() + at, size);
      block = copy.data();
      shift = 0;
    }
  }
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  Masks cut(const Masks& whole) const {
    return {whole.lf >> shift & mask, whole.cr >> shift & mask, whole.control >> shift & mask};
  }
};

#if defined(__x86_64__)

// The scan with vectors, around what makes the masks of a block. Inlined into a function for the
// processor that has those vectors.
template <Masks (*kMasks)(const std::uint8_t*)>
[[gnu::always_inline]] inline LineScan scan_blocks(Bytes text, std::uint16_t* line_ends,
                                                   std::size_t capacity) {
  Collector collector(line_ends, capacity);
  std::size_t at = 0;
  for (; text.size() - at >= kBlock; at += kBlock) {
    if (!collector.add(at, kMasks(text.data() + at))) return collector.result();
  }
  if (at < text.size()) {
    const Tail tail(text, at);
    collector.add(at, tail.cut(kMasks(tail.block)));
  }
  return collector.result();
}

// One vector compare against the highest control character tells most blocks without a line end
// from the rest.
__attribute__((target("avx2"))) inline Masks masks_avx2(const std::uint8_t* block) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
  const auto bits = [](__m256i a, __m256i b) __attribute__((target("avx2"), always_inline)) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(a))) |
           static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(b))) << 32;
  };
  const __m256i top = _mm256_set1_epi8(0x1f);
  const std::uint64_t all = bits(_mm256_cmpeq_epi8(_mm256_min_epu8(low, top), low),
                                 _mm256_cmpeq_epi8(_mm256_min_epu8(high, top), high));
  if (all == 0) return {};
  const __m256i lf = _mm256_set1_epi8('\n');
  const __m256i cr = _mm256_set1_epi8('\r');
  Masks out;
  out.lf = bits(_mm256_cmpeq_epi8(low, lf), _mm256_cmpeq_epi8(high, lf));
  out.cr = bits(_mm256_cmpeq_epi8(low, cr), _mm256_cmpeq_epi8(high, cr));
  out.control = all & ~(out.lf | out.cr);
  if (out.control != 0) {
    const __m256i tab = _mm256_set1_epi8('\t');
    out.control &= ~bits(_mm256_cmpeq_epi8(low, tab), _mm256_cmpeq_epi8(high, tab));
  }
  return out;
}

// The same with one load, and compares that are masks at once.
__attribute__((target("avx512f,avx512bw"))) inline Masks masks_avx512(const std::uint8_t* block) {
  const __m512i bytes = _mm512_loadu_si512(block);
  const std::uint64_t all = _mm512_cmple_epu8_mask(bytes, _mm512_set1_epi8(0x1f));
  if (all == 0) return {};
  Masks out;
  out.lf = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\n'));
  out.cr = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\r'));
  out.control = all & ~(out.lf | out.cr);
  if (out.control != 0) out.control &= ~_mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\t'));
  return out;
}

__attribute__((target("avx512f,avx512bw"))) LineScan scan_avx512(Bytes text,
                                                                 std::uint16_t* line_ends,
                                                                 std::size_t capacity) {
  return scan_blocks<masks_avx512>(text, line_ends, capacity);
}

__attribute__((target("avx2"))) LineScan scan_avx2(Bytes text, std::uint16_t* line_ends,
                                                   std::size_t capacity) {
  return scan_blocks<masks_avx2>(text, line_ends, capacity);
}

inline Masks masks_sse2(const std::uint8_t* block) {
  Masks out;
  const __m128i top = _mm_set1_epi8(0x1f);
  for (unsigned part = 0; part < 4; ++part) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * part));
    const auto bits = [part](__m128i equal) {
      return std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(equal))} << (16 * part);
    };
    const std::uint64_t all = bits(_mm_cmpeq_epi8(_mm_min_epu8(bytes, top), bytes));
    const std::uint64_t lf = bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')));
    const std::uint64_t cr = bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
    const std::uint64_t tabs = bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
    out.lf |= lf;
    out.cr |= cr;
    out.control |= all & ~(lf | cr | tabs);
  }
  return out;
}

LineScan scan_sse2(Bytes text, std::uint16_t* line_ends, std::size_t capacity) {
  return scan_blocks<masks_sse2>(text, line_ends, capacity);
}

#endif

}  // namespace

LineScan scan_lines(Bytes text, std::uint16_t* line_ends, std::size_t capacity) {
  if (capacity == 0) return {};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw")) return scan_avx512(text, line_ends, capacity);
#endif
  return scan_lines_avx2(text, line_ends, capacity);
}

LineScan scan_lines_avx2(Bytes text, std::uint16_t* line_ends, std::size_t capacity) {
#if defined(__x86_64__)
  if (capacity == 0) return {};
  if (__builtin_cpu_supports("avx2")) return scan_avx2(text, line_ends, capacity);
#endif
  return scan_lines_baseline(text, line_ends, capacity);
}

LineScan scan_lines_baseline(Bytes text, std::uint16_t* line_ends, std::size_t capacity) {
#if defined(__x86_64__)
  if (capacity == 0) return {};
  return scan_sse2(text, line_ends, capacity);
#else
  return scan_lines_scalar(text, line_ends, capacity);
#endif
}

LineScan scan_lines_scalar(Bytes text, std::uint16_t* line_ends, std::size_t capacity) {
  if (capacity == 0) return {};
  Collector collector(line_ends, capacity);
  for (std::size_t at = 0; at < text.size(); at += kBlock) {
    const std::size_t size = text.size() - at < kBlock ? text.size() - at : kBlock;
    if (!collector.add(at, masks_scalar(text.data() + at, size))) break;
  }
  return collector.result();
}

std::size_t find_head_end(std::string_view text, std::size_t from) {
  for (std::size_t lf = text.find('\n', from); lf != text.npos; lf = text.find('\n', lf + 1)) {
    std::size_t next = lf + 1;
    if (next < text.size() && text[next] == '\r') ++next;
    if (next < text.size() && text[next] == '\n') return next + 1;
  }
  return text.npos;
}

}  // namespace ringway::sip
