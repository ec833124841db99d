#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/base/ascii.h"

namespace ringway {

// A forward reader that cannot leave its text. All parsers of text read through it.
// Borrows: valid as long as the text is.
class Cursor {
 public:
  explicit constexpr Cursor(std::string_view text) : text_(text) {}

  constexpr bool at_end() const { return position_ == text_.size(); }
  constexpr std::size_t position() const { return position_; }
  constexpr std::string_view rest() const { return text_.substr(position_); }

  // The next character, or NUL at the end (a NUL in the text is told apart by at_end()).
  constexpr char peek() const { return at_end() ? '\0' : text_[position_]; }

  constexpr void skip(std::size_t count) {
    const std::size_t left = text_.size() - position_;
    position_ += count < left ? count : left;
  }
  constexpr bool skip_char(char c) {
    if (at_end() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  constexpr bool skip_text(std::string_view expected) {
    if (!rest().starts_with(expected)) return false;
    position_ += expected.size();
    return true;
  }
  constexpr void skip_space() {
    while (!at_end() && ascii::is_space(text_[position_])) ++position_;
  }
  // The longest run whose characters have one of the classes; may be empty.
  constexpr std::string_view take_while(std::uint8_t classes) {
    const std::size_t start = position_;
    while (!at_end() && ascii::is(text_[position_], classes)) ++position_;
    return text_.substr(start, position_ - start);
  }
  // Everything before the first of the characters in stops, or the rest if there is none.
  constexpr std::string_view take_until(std::string_view stops) {
    const std::size_t start = position_;
    while (!at_end() && stops.find(text_[position_]) == stops.npos) ++position_;
    return text_.substr(start, position_ - start);
  }

 private:
  std::string_view text_;
  std::size_t position_ = 0;  // position_ <= text_.size()
};

}  // namespace ringway
