#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringway {

// A set of texts, of which those are found that a given text begins with, case ignored. Sorted, so
// that the cost does not grow with the texts: one step of a binary search for each doubling, and
// none at all where no text begins with the same two bytes.
class PatternIndex {
 public:
  using Id = std::uint16_t;

  // text: 2 bytes or more. id: given back by find().
  void add(std::string_view text, Id id);
  // Sorts; call it once, after the last add().
  void finish();
  bool empty() const { return entries_.empty(); }

  // False for nearly everything that begins no text. value: 2 bytes or more.
  bool may_begin(std::string_view value) const { return pairs_[pair_of(value[0], value[1])]; }

  // Calls found(id) for each text that value begins with.
  template <typename Found>
  void find(std::string_view value, Found&& found) const {
    if (value.size() < 2 || !may_begin(value)) return;
    for (std::int32_t i = last_at_most(value); i >= 0; i = entries_[place(i)].shorter) {
      if (begins(value, entries_[place(i)].text)) found(entries_[place(i)].id);
    }
  }

 private:
  struct Entry {
    std::string text;           // bit 5 of each byte set, so that case does not matter
    std::int32_t shorter = -1;  // the longest other text that this one begins with
    Id id = 0;
  };
  static std::size_t place(std::int32_t index) { return static_cast<std::size_t>(index); }
  static std::size_t pair_of(char first, char second) {
    return (static_cast<std::size_t>(first) & 31) << 5 | (static_cast<std::size_t>(second) & 31);
  }
  static bool begins(std::string_view value, std::string_view text);
  std::int32_t last_at_most(std::string_view value) const;

  std::vector<Entry> entries_;
  std::vector<std::uint64_t> heads_;  // of entries_, in the same order: first 8 bytes
  std::bitset<1024> pairs_;           // of the first two bytes of each text
};

}  // namespace ringway
