#pragma once

#include <array>
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

  // Calls found(id) for each text that value begins with.
  template <typename Found>
  void find(std::string_view value, Found&& found) const {
    if (value.size() < 2 || !may_begin(value[0], value[1])) return;
    for (std::int32_t i = last_at_most(value); i >= 0; i = entries_[place(i)].shorter) {
      if (begins(value, entries_[place(i)].text)) found(entries_[place(i)].id);
    }
  }
  // Calls found(id, start) for each text that stands in value at start.
  template <typename Found>
  void find_anywhere(std::string_view value, Found&& found) const {
    for (std::size_t i = 0; i + 1 < value.size(); ++i) {
      if (!may_begin(value[i], value[i + 1])) continue;
      find(value.substr(i), [&](Id id) { found(id, i); });
    }
  }

 private:
  struct Entry {
    std::string text;           // bit 5 of each byte set, so that case does not matter
    std::int32_t shorter = -1;  // the longest other text that this one begins with
    Id id = 0;
  };
  static std::size_t place(std::int32_t index) { return static_cast<std::size_t>(index); }
  // False for nearly everything that begins no text.
  bool may_begin(char first, char second) const {
    return (seconds_[static_cast<unsigned char>(first) & 31] >>
                (static_cast<unsigned char>(second) & 31) &
            1) != 0;
  }
  static bool begins(std::string_view value, std::string_view text);
  std::int32_t last_at_most(std::string_view value) const;

  std::vector<Entry> entries_;
  std::vector<std::uint64_t> heads_;  // of entries_, in the same order: first 8 bytes
  // By the lower five bits of a first byte: which lower five bits a second one may have.
  std::array<std::uint32_t, 32> seconds_{};
};

}  // namespace ringway
