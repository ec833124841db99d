#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

// The bencode of the media relay's control protocol ("ng"): strings `N:bytes`, integers `iNe`,
// lists `l..e`, dictionaries `d..e` whose keys are strings in any order (the relay does not sort
// them). Over TCP a message is `cookie SP dictionary` and the next follows directly: nothing but
// the dictionary itself says where it ends.

namespace ringway::bencode {

inline constexpr std::size_t kMessageBytesMax = 128 * 1024;  // cookie, space and dictionary
inline constexpr std::size_t kDepthMax = 16;                 // dictionaries and lists in each other
inline constexpr std::size_t kCookieBytesMax = 32;

// Writes values one after the other into a Writer of the caller; overflow is the Writer's.
// The caller balances begin and end, and writes a key before each value of a dictionary.
class Encoder {
 public:
  explicit Encoder(Writer& writer) : writer_(writer) {}

  Encoder& begin_dictionary();
  Encoder& begin_list();
  Encoder& end();  // of the innermost dictionary or list
  Encoder& string(std::string_view bytes);
  Encoder& integer(std::int64_t value);

  // A key and its value, inside a dictionary.
  Encoder& pair(std::string_view key, std::string_view value);
  Encoder& pair(std::string_view key, std::int64_t value);
  // A key; the list or dictionary that it names is begun next.
  Encoder& key(std::string_view name) { return string(name); }

 private:
  Writer& writer_;
};

// Finds the end of one value in bytes that arrive piece by piece. Each byte is looked at once, and
// the bytes of strings not at all. Keeps no bytes.
class Scanner {
 public:
  enum class State : std::uint8_t { Incomplete, Complete, Malformed };

  explicit Scanner(std::size_t bytes_max = kMessageBytesMax) : bytes_max_(bytes_max) {}

  // text: the value from its first byte, as much as is there; the same bytes in front as in the
  // call before. Complete: size() is the size of the value. Malformed: not bencode, deeper than
  // kDepthMax, or a string that would reach beyond bytes_max; it never gets better.
  State scan(std::string_view text);

  std::size_t size() const { return position_; }

 private:
  enum class Expect : std::uint8_t { Value, Key, Length, Bytes, IntegerStart, Integer };

  State begin_container(Expect first);
  State value_ended();
  State step(char c);

  std::size_t bytes_max_;
  std::size_t position_ = 0;   // bytes of the value looked at, or skipped inside a string
  std::size_t remaining_ = 0;  // of a string's bytes
  std::size_t digits_ = 0;     // read so far, of a length or an integer
  std::size_t length_ = 0;     // value of the length's digits; length_ <= bytes_max_
  Expect expect_ = Expect::Value;
  bool negative_ = false;
  bool leading_zero_ = false;
  std::uint8_t depth_ = 0;                       // depth_ <= kDepthMax
  std::array<bool, kDepthMax> is_dictionary_{};  // of each open container
  std::array<bool, kDepthMax> key_read_{};       // a dictionary waits for the key's value
};

// Cuts a byte stream into `cookie SP dictionary`.
class MessageFramer {
 public:
  struct Limits {
    std::size_t cookie_bytes_max = kCookieBytesMax;
    std::size_t message_bytes_max = kMessageBytesMax;  // cookie, space and dictionary
  };
  MessageFramer() : MessageFramer(Limits{}) {}
  explicit MessageFramer(const Limits& limits)
      : limits_(limits), scanner_(limits.message_bytes_max) {}

  struct Frame {
    Scanner::State state;
    std::size_t size;             // Complete: bytes to consume from the front; else 0
    std::string_view cookie;      // Complete: 1..cookie_bytes_max printable characters
    std::string_view dictionary;  // Complete: from 'd' to its 'e', well-formed
  };

  // pending: all bytes not yet consumed; the old ones unchanged in front, new ones behind. After
  // consuming a frame call again with the rest. Malformed: the stream has lost its framing and is
  // to be closed; reset() before the framer serves another.
  // The texts of a Frame borrow from pending.
  Frame next(Bytes pending);

  void reset() { *this = MessageFramer(limits_); }

 private:
  Limits limits_;
  std::size_t cookie_size_ = 0;  // cookie_size_ <= cookie_bytes_max
  bool cookie_complete_ = false;
  Scanner scanner_;
};

class List;
class Dictionary;

// One value inside a text that was found well-formed. Borrows from that text.
class Value {
 public:
  enum class Kind : std::uint8_t { String, Integer, List, Dictionary };

  Kind kind() const;
  // nullopt if the value is of another kind, or the integer does not fit.
  std::optional<std::string_view> string() const;
  std::optional<std::int64_t> integer() const;
  std::optional<List> list() const;
  std::optional<Dictionary> dictionary() const;

 private:
  friend class List;
  friend class Dictionary;
  explicit Value(std::string_view text) : text_(text) {}

  std::string_view text_;  // exactly one well-formed value
};

// The elements of a list, in order: `while (auto value = list.next())`.
class List {
 public:
  std::optional<Value> next();

 private:
  friend class Value;
  explicit List(std::string_view rest) : rest_(rest) {}

  std::string_view rest_;  // well-formed values, then nothing
};

// A dictionary. Lookup walks the pairs; of keys that occur twice the first counts.
class Dictionary {
 public:
  // text: one whole dictionary; nullopt if it is anything else, or not well-formed.
  static std::optional<Dictionary> parse(std::string_view text);

  std::optional<Value> find(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;
  std::optional<std::int64_t> find_integer(std::string_view key) const;
  std::optional<List> find_list(std::string_view key) const;
  std::optional<Dictionary> find_dictionary(std::string_view key) const;

  // Walks the pairs in order: begin with rest = pairs(), ends with nullopt.
  struct Pair {
    std::string_view key;
    Value value;
  };
  static std::optional<Pair> next_pair(std::string_view& rest);
  std::string_view pairs() const { return pairs_; }

 private:
  friend class Value;
  explicit Dictionary(std::string_view pairs) : pairs_(pairs) {}

  std::string_view pairs_;  // key, value, key, value: well-formed
};

}  // namespace ringway::bencode
