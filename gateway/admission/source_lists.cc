#include "gateway/admission/source_lists.h"

#include <algorithm>

namespace ringway {
PrefixSet::Number PrefixSet::number_of(const Address& address) {
  Number number;
  if (address.family == Family::V4) {
    number.low = 0xffff;
    for (std::size_t i = 0; i < 4; ++i) number.low = number.low << 8 | address.bytes[i];
    return number;
  }
  for (std::size_t i = 0; i < 8; ++i) {
    number.high = number.high << 8 | address.bytes[i];
    number.low = number.low << 8 | address.bytes[8 + i];
  }
  return number;
}

PrefixSet::Number PrefixSet::last_of(const Prefix& prefix) {
  Number last = number_of(prefix.address);
  const unsigned bits = prefix.bits + (prefix.address.family == Family::V4 ? 96u : 0u);
  if (bits < 64) last.high |= ~std::uint64_t{0} >> bits;
  if (bits <= 64) {
    last.low = ~std::uint64_t{0};
  } else if (bits < 128) {
    last.low |= ~std::uint64_t{0} >> (bits - 64);
  }
  return last;
}

bool PrefixSet::is_next(const Number& last, const Number& first) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  if (last.low != kMost) return last.high == first.high && last.low + 1 == first.low;
  return last.high != kMost && last.high + 1 == first.high && first.low == 0;
}

PrefixSet::PrefixSet(const std::vector<Prefix>& prefixes) {
  ranges_.reserve(prefixes.size());
  for (const Prefix& prefix : prefixes) {
    ranges_.push_back({number_of(prefix.address), last_of(prefix)});
  }
  std::ranges::sort(ranges_, {}, &Range::first);
  std::size_t kept = 0;
  for (const Range& range : ranges_) {
    if (kept != 0 &&
        (range.first <= ranges_[kept - 1].last || is_next(ranges_[kept - 1].last, range.first))) {
      ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, range.last);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
  ranges_.shrink_to_fit();
}

bool PrefixSet::contains(const Address& address) const {
  if (ranges_.empty()) return false;
  const Number number = number_of(address);
  const auto after = std::ranges::upper_bound(ranges_, number, {}, &Range::first);
  return after != ranges_.begin() && number <= std::prev(after)->last;
}

bool PrefixSet::covers(const Prefix& prefix) const {
  const auto after =
      std::ranges::upper_bound(ranges_, number_of(prefix.address), {}, &Range::first);
  return after != ranges_.begin() && last_of(prefix) <= std::prev(after)->last;
}

bool PrefixSet::touches(const Prefix& prefix) const {
  const auto after = std::ranges::upper_bound(ranges_, last_of(prefix), {}, &Range::first);
  return after != ranges_.begin() && number_of(prefix.address) <= std::prev(after)->last;
}

}  // namespace ringway
