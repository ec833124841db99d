#include "protocol/bencode/bencode.h"

#include <limits>

#include "protocol/base/ascii.h"

namespace ringway::bencode {
namespace {

constexpr std::size_t kIntegerDigitsMax = 19;  // of any 64-bit integer

bool is_cookie_char(char c) {
  return c > ' ' && c < 0x7f;
}

// The size of the first value of a text that is known to be well-formed.
std::size_t first_size(std::string_view text) {
  Scanner scanner;
  return scanner.scan(text) == Scanner::State::Complete ? scanner.size() : 0;
}

// The bytes of `N:bytes`. Precondition: text is a well-formed string.
std::string_view string_in(std::string_view text) {
  return text.substr(text.find(':') + 1);
}

}  // namespace

Encoder& Encoder::begin_dictionary() {
  writer_.character('d');
  return *this;
}

Encoder& Encoder::begin_list() {
  writer_.character('l');
  return *this;
}

Encoder& Encoder::end() {
  writer_.character('e');
  return *this;
}

Encoder& Encoder::string(std::string_view bytes) {
  writer_.number(bytes.size()).character(':').text(bytes);
  return *this;
}

Encoder& Encoder::integer(std::int64_t value) {
  writer_.character('i');
  auto magnitude = static_cast<std::uint64_t>(value);
  if (value < 0) {
    writer_.character('-');
    magnitude = 0 - magnitude;
  }
  writer_.number(magnitude).character('e');
  return *this;
}

Encoder& Encoder::pair(std::string_view name, std::string_view value) {
  return string(name).string(value);
}

Encoder& Encoder::pair(std::string_view name, std::int64_t value) {
  return string(name).integer(value);
}

Scanner::State Scanner::scan(std::string_view text) {
  while (position_ < text.size()) {
    if (expect_ == Expect::Bytes) {
      const std::size_t there = text.size() - position_;
      const std::size_t taken = there < remaining_ ? there : remaining_;
      position_ += taken;
      remaining_ -= taken;
      if (remaining_ > 0) return State::Incomplete;
      if (value_ended() == State::Complete) return State::Complete;
      continue;
    }
    if (position_ >= bytes_max_) return State::Malformed;
    const State state = step(text[position_]);
    if (state == State::Malformed) return state;
    ++position_;
    // An empty string ends with its colon.
    const bool empty_string = expect_ == Expect::Bytes && remaining_ == 0;
    const State ended = empty_string ? value_ended() : state;
    if (ended == State::Complete) return ended;
  }
  return State::Incomplete;
}

// Looks at one byte outside a string's content. Complete: it was the last of the value.
Scanner::State Scanner::step(char c) {
  switch (expect_) {
    case Expect::Value:
    case Expect::Key:
      if (ascii::is_digit(c)) {
        expect_ = Expect::Length;
        length_ = static_cast<std::size_t>(c - '0');
        digits_ = 1;
        return State::Incomplete;
      }
      if (c == 'e' && depth_ > 0 && !key_read_[depth_ - 1u]) {
        --depth_;
        return value_ended();
      }
      if (expect_ == Expect::Key) return State::Malformed;
      if (c == 'd') return begin_container(Expect::Key);
      if (c == 'l') return begin_container(Expect::Value);
      if (c != 'i') return State::Malformed;
      expect_ = Expect::IntegerStart;
      digits_ = 0;
      negative_ = false;
      return State::Incomplete;
    case Expect::Length:
      if (c == ':') {
        expect_ = Expect::Bytes;
        remaining_ = length_;
        return State::Incomplete;
      }
      // Leading zeros are not bencode, and without them the number of digits is bounded.
      if (!ascii::is_digit(c) || length_ == 0) return State::Malformed;
      length_ = length_ * 10 + static_cast<std::size_t>(c - '0');
      return length_ > bytes_max_ - position_ ? State::Malformed : State::Incomplete;
    case Expect::IntegerStart:
      if (c == '-' && !negative_) {
        negative_ = true;
        return State::Incomplete;
      }
      if (!ascii::is_digit(c)) return State::Malformed;
      leading_zero_ = c == '0';
      digits_ = 1;
      expect_ = Expect::Integer;
      return State::Incomplete;
    case Expect::Integer:
      if (c == 'e') return leading_zero_ && negative_ ? State::Malformed : value_ended();
      if (!ascii::is_digit(c) || leading_zero_ || ++digits_ > kIntegerDigitsMax) {
        return State::Malformed;
      }
      return State::Incomplete;
    case Expect::Bytes:
      break;  // scan() skips them
  }
  return State::Malformed;
}

Scanner::State Scanner::begin_container(Expect first) {
  if (depth_ == kDepthMax) return State::Malformed;
  is_dictionary_[depth_] = first == Expect::Key;
  key_read_[depth_] = false;
  ++depth_;
  expect_ = first;
  return State::Incomplete;
}

// A string, an integer or a container is over; what comes next is up to the one around it.
Scanner::State Scanner::value_ended() {
  if (depth_ == 0) return State::Complete;
  const std::size_t around = depth_ - 1u;
  if (!is_dictionary_[around]) {
    expect_ = Expect::Value;
    return State::Incomplete;
  }
  key_read_[around] = !key_read_[around];
  expect_ = key_read_[around] ? Expect::Value : Expect::Key;
  return State::Incomplete;
}

MessageFramer::Frame MessageFramer::next(Bytes pending) {
  const std::string_view text = as_text(pending);
  const Frame malformed{Scanner::State::Malformed, 0, {}, {}};
  while (!cookie_complete_) {
    if (cookie_size_ == text.size()) return {Scanner::State::Incomplete, 0, {}, {}};
    const char c = text[cookie_size_];
    if (c == ' ' && cookie_size_ > 0) {
      cookie_complete_ = true;
    } else if (!is_cookie_char(c) || cookie_size_ == limits_.cookie_bytes_max) {
      return malformed;
    } else {
      ++cookie_size_;
    }
  }
  const std::string_view value = text.substr(cookie_size_ + 1);
  if (!value.empty() && value.front() != 'd') return malformed;
  const Scanner::State state = scanner_.scan(value);
  const std::size_t size = cookie_size_ + 1 + scanner_.size();
  if (state == Scanner::State::Malformed || size > limits_.message_bytes_max) return malformed;
  if (state == Scanner::State::Incomplete) return {state, 0, {}, {}};
  const Frame frame{state, size, text.substr(0, cookie_size_), value.substr(0, scanner_.size())};
  reset();
  return frame;
}

Value::Kind Value::kind() const {
  switch (text_.front()) {
    case 'i':
      return Kind::Integer;
    case 'l':
      return Kind::List;
    case 'd':
      return Kind::Dictionary;
    default:
      return Kind::String;
  }
}

std::optional<std::string_view> Value::string() const {
  if (kind() != Kind::String) return std::nullopt;
  return string_in(text_);
}

std::optional<std::int64_t> Value::integer() const {
  if (kind() != Kind::Integer) return std::nullopt;
  std::string_view digits = text_.substr(1, text_.size() - 2);
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  std::uint64_t magnitude = 0;  // at most 19 digits: no overflow
  for (const char c : digits) magnitude = magnitude * 10 + static_cast<std::uint64_t>(c - '0');
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (magnitude > kMax + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

std::optional<List> Value::list() const {
  if (kind() != Kind::List) return std::nullopt;
  return List(text_.substr(1, text_.size() - 2));
}

std::optional<Dictionary> Value::dictionary() const {
  if (kind() != Kind::Dictionary) return std::nullopt;
  return Dictionary(text_.substr(1, text_.size() - 2));
}

std::optional<Value> List::next() {
  if (rest_.empty()) return std::nullopt;
  const std::size_t size = first_size(rest_);
  const Value value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

std::optional<Dictionary> Dictionary::parse(std::string_view text) {
  if (!text.starts_with('d')) return std::nullopt;
  Scanner scanner;
  if (scanner.scan(text) != Scanner::State::Complete || scanner.size() != text.size()) {
    return std::nullopt;
  }
  return Dictionary(text.substr(1, text.size() - 2));
}

std::optional<Dictionary::Pair> Dictionary::next_pair(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const std::size_t key_size = first_size(rest);
  const std::string_view key = string_in(rest.substr(0, key_size));
  rest.remove_prefix(key_size);
  const std::size_t value_size = first_size(rest);
  const Value value(rest.substr(0, value_size));
  rest.remove_prefix(value_size);
  return Pair{key, value};
}

std::optional<Value> Dictionary::find(std::string_view key) const {
  std::string_view rest = pairs_;
  while (const auto pair = next_pair(rest)) {
    if (pair->key == key) return pair->value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Dictionary::find_string(std::string_view key) const {
  const auto value = find(key);
  return value ? value->string() : std::nullopt;
}

std::optional<std::int64_t> Dictionary::find_integer(std::string_view key) const {
  const auto value = find(key);
  return value ? value->integer() : std::nullopt;
}

std::optional<List> Dictionary::find_list(std::string_view key) const {
  const auto value = find(key);
  return value ? value->list() : std::nullopt;
}

std::optional<Dictionary> Dictionary::find_dictionary(std::string_view key) const {
  const auto value = find(key);
  return value ? value->dictionary() : std::nullopt;
}

}  // namespace ringway::bencode
