#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/config/document.h"
#include "protocol/base/time.h"

namespace ringway {

// Where each setting stands, by its path: "timers.grace", "listen[1].address".
using Locations = std::map<std::string, Position, std::less<>>;

// What all readers of one document write to.
struct ReadLog {
  std::vector<Mistake> mistakes;
  Locations locations;
  std::set<std::string> known;  // every key asked for, indexes left out: "listen.address"
  std::set<std::string> all;    // every key there is, for a key that stands in the wrong table
};

// The units of a quantity, for messages.
std::string duration_text(Duration duration);
std::string size_text(std::uint64_t bytes);

// Reads one table of a document key by key. A key that is absent leaves its target as it was, a
// wrong value is added to the log's mistakes. In the end finish() reports what was not asked for.
//
// table may be null: then every key is absent. table and log outlive the reader.
class TableReader {
 public:
  TableReader(const TomlNode* table, std::string path, ReadLog& log);

  void read(std::string_view key, bool& target);
  void read(std::string_view key, std::string& target);
  // One text or a list of texts.
  void read(std::string_view key, std::vector<std::string>& target);
  template <std::unsigned_integral Integer>
  void read(std::string_view key, Integer& target, std::uint64_t min, std::uint64_t max) {
    target = static_cast<Integer>(read_number(key, target, min, max));
  }
  // "15s", "500ms", "1m", "2h", or a number of seconds.
  void read(std::string_view key, Duration& target, Duration min, Duration max);
  // A number of bytes or "64k", "16m", "1g" (powers of 1,024).
  template <std::unsigned_integral Integer>
  void read_size(std::string_view key, Integer& target, std::uint64_t min, std::uint64_t max) {
    target = static_cast<Integer>(read_bytes(key, target, min, max));
  }
  // A numeric address with its port. default_port 0: the port must be given.
  bool read(std::string_view key, Endpoint& target, std::uint16_t default_port);
  template <typename Enum>
  void read(std::string_view key, Enum& target,
            std::initializer_list<std::pair<std::string_view, Enum>> choices) {
    const TomlNode* node = find(key, TomlNode::Kind::String);
    if (!node) return;
    std::string allowed;
    for (const auto& [word, value] : choices) {
      if (node->text == word) {
        target = value;
        return;
      }
      allowed += (allowed.empty() ? "\"" : ", \"") + std::string(word) + "\"";
    }
    mistake(*node, std::string(key) + " is \"" + node->text + "\"; it can be " + allowed);
  }
  // A file's name, made relative to the directory of the document.
  void read_path(std::string_view key, std::string& target, std::string_view document);

  // The value of key, whatever it is; null if absent.
  const TomlNode* find(std::string_view key);
  // The same; a mistake and null if it is of another kind.
  const TomlNode* find(std::string_view key, TomlNode::Kind kind);
  // The tables of [[key]], each with its path.
  std::vector<std::pair<const TomlNode*, std::string>> tables(std::string_view key);

  void mistake(const TomlNode& at, std::string text);
  void finish();
  const std::string& path() const { return path_; }

 private:
  std::string path_of(std::string_view key) const;
  std::string hint(const std::string& key) const;
  std::uint64_t read_number(std::string_view key, std::uint64_t value, std::uint64_t min,
                            std::uint64_t max);
  std::uint64_t read_bytes(std::string_view key, std::uint64_t value, std::uint64_t min,
                           std::uint64_t max);

  const TomlNode* table_;
  std::string path_;
  ReadLog& log_;
  std::vector<std::string> known_;
};

// "15s" and the like; nullopt if it is none.
std::optional<Duration> parse_duration(std::string_view text);
std::optional<std::uint64_t> parse_size(std::string_view text);

// The one of words that word was probably meant to be; empty if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& words);

}  // namespace ringway
