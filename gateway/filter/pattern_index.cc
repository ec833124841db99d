#include "gateway/filter/pattern_index.h"

#include <algorithm>

#include "gateway/base/check.h"
#include "protocol/base/bytes.h"

namespace ringway {
namespace {

// Maps both cases of a letter to one value. Some other characters fall together too, so that what
// is found may be wrong in case and in these: the caller compares once more.
constexpr std::uint8_t folded(char c) {
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(c) | 0x20);
}

// The first eight bytes, folded, the first one highest; zero behind the end.
std::uint64_t head_of(std::string_view text) {
  if (text.size() >= 8) return read_u64(as_bytes(text)) | 0x2020'2020'2020'2020;
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    head |= std::uint64_t{folded(text[i])} << (8 * (7 - i));
  }
  return head;
}

// Below zero, zero or above it, as the folded value stands to an entry's text.
int compare(std::string_view value, std::string_view text) {
  const std::size_t size = std::min(value.size(), text.size());
  for (std::size_t i = 0; i < size; ++i) {
    const int difference = folded(value[i]) - static_cast<std::uint8_t>(text[i]);
    if (difference != 0) return difference;
  }
  return static_cast<int>(value.size() > size) - static_cast<int>(text.size() > size);
}

}  // namespace

void PatternIndex::add(std::string_view text, Id id) {
  CHECK(text.size() >= 2);
  Entry& entry = entries_.emplace_back();
  for (const char c : text) entry.text += static_cast<char>(folded(c));
  entry.id = id;
  seconds_[static_cast<unsigned char>(text[0]) & 31] |=
      std::uint32_t{1} << (static_cast<unsigned char>(text[1]) & 31);
}

void PatternIndex::finish() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return compare(a.text, b.text) < 0; });
  // In sorted order a text's prefixes stand before it, and the last of them leads to the others.
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    auto candidate = static_cast<std::int32_t>(i) - 1;
    while (candidate >= 0 && !entries_[i].text.starts_with(entries_[place(candidate)].text)) {
      candidate = entries_[place(candidate)].shorter;
    }
    entries_[i].shorter = candidate;
  }
  heads_.clear();
  for (const Entry& entry : entries_) heads_.push_back(head_of(entry.text));
}

bool PatternIndex::begins(std::string_view value, std::string_view text) {
  if (value.size() < text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (folded(value[i]) != static_cast<std::uint8_t>(text[i])) return false;
  }
  return true;
}

// The last entry whose text is not greater than value. Every text that value begins with is that
// one or is reached from it over `shorter`: what stands between such a text and value begins with
// it too.
std::int32_t PatternIndex::last_at_most(std::string_view value) const {
  const std::uint64_t head = head_of(value);
  auto low = std::lower_bound(heads_.begin(), heads_.end(), head) - heads_.begin();
  auto high = std::upper_bound(heads_.begin() + low, heads_.end(), head) - heads_.begin();
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    if (compare(value, entries_[static_cast<std::size_t>(middle)].text) < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return static_cast<std::int32_t>(low) - 1;
}

}  // namespace ringway
