#include "gateway/config/table_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};
constexpr std::array kTimeUnits{Unit{"ns", 1},
                                Unit{"us", 1'000},
                                Unit{"ms", 1'000'000},
                                Unit{"s", 1'000'000'000},
                                Unit{"m", 60'000'000'000},
                                Unit{"h", 3'600'000'000'000}};
constexpr std::array kSizeUnits{Unit{"k", 1u << 10}, Unit{"m", 1u << 20}, Unit{"g", 1u << 30}};

// Digits and then one of units.
template <std::size_t N>
std::optional<std::uint64_t> parse_quantity(std::string_view text,
                                            const std::array<Unit, N>& units) {
  const std::size_t end = text.find_first_not_of("0123456789");
  if (end == text.npos) return std::nullopt;
  const auto number =
      ascii::parse_number(text.substr(0, end), std::numeric_limits<std::uint32_t>::max());
  if (!number) return std::nullopt;
  std::string_view suffix = text.substr(end);
  while (suffix.starts_with(' ')) suffix.remove_prefix(1);
  for (const Unit& unit : units) {
    if (!ascii::equal_ignoring_case(suffix, unit.suffix)) continue;
    const std::uint64_t value = *number * unit.factor;
    if (value / unit.factor != *number || value > std::uint64_t{1} << 62) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

template <typename Value>
std::string range_text(std::string_view key, const Value& value, const Value& min,
                       const Value& max) {
  return std::string(key) + " is " + value + "; it can be " + min + " to " + max;
}

}  // namespace

std::string duration_text(Duration duration) {
  const auto value = static_cast<std::uint64_t>(duration.count());
  if (value == 0) return "0s";
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend(); ++unit) {
    if (value % unit->factor == 0) {
      return std::to_string(value / unit->factor) + std::string(unit->suffix);
    }
  }
  return {};
}

std::string size_text(std::uint64_t bytes) {
  for (auto unit = kSizeUnits.rbegin(); unit != kSizeUnits.rend(); ++unit) {
    if (bytes != 0 && bytes % unit->factor == 0) {
      return std::to_string(bytes / unit->factor) + std::string(unit->suffix);
    }
  }
  return std::to_string(bytes);
}

std::optional<Duration> parse_duration(std::string_view text) {
  const auto value = parse_quantity(text, kTimeUnits);
  if (!value) return std::nullopt;
  return Duration(static_cast<std::int64_t>(*value));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_quantity(text, kSizeUnits);
}

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : words) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

TableReader::TableReader(const TomlNode* table, std::string path, ReadLog& log)
    : table_(table), path_(std::move(path)), log_(log) {
  if (table_ && table_->kind != TomlNode::Kind::Table) {
    mistake(*table_, path_ + " is " + std::string(text_of(table_->kind)) + "; it must be a table");
    table_ = nullptr;
  }
  if (table_ && !path_.empty()) log_.locations[path_] = table_->key_position;
}

std::string TableReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const TomlNode* TableReader::find(std::string_view key) {
  known_.emplace_back(key);
  std::string path;
  bool in_index = false;
  for (const char c : path_of(key)) {
    if (c == '[') in_index = true;
    if (!in_index) path += c;
    if (c == ']') in_index = false;
  }
  log_.known.insert(std::move(path));
  const TomlNode* node = table_ ? table_->find(key) : nullptr;
  if (node) log_.locations[path_of(key)] = node->position;
  return node;
}

const TomlNode* TableReader::find(std::string_view key, TomlNode::Kind kind) {
  const TomlNode* node = find(key);
  if (!node || node->kind == kind) return node;
  mistake(*node, std::string(key) + " is " + std::string(text_of(node->kind)) + "; it must be " +
                     std::string(text_of(kind)));
  return nullptr;
}

std::vector<std::pair<const TomlNode*, std::string>> TableReader::tables(std::string_view key) {
  std::vector<std::pair<const TomlNode*, std::string>> tables;
  const TomlNode* node = find(key);
  if (!node) return tables;
  if (node->kind != TomlNode::Kind::Array) {
    mistake(*node, "write [[" + std::string(key) + "]]: there can be several");
    return tables;
  }
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    tables.emplace_back(&node->children[i], path_of(key) + "[" + std::to_string(i) + "]");
  }
  return tables;
}

void TableReader::read(std::string_view key, bool& target) {
  if (const TomlNode* node = find(key, TomlNode::Kind::Boolean)) target = node->boolean;
}

void TableReader::read(std::string_view key, std::string& target) {
  if (const TomlNode* node = find(key, TomlNode::Kind::String)) target = node->text;
}

void TableReader::read(std::string_view key, std::vector<std::string>& target) {
  const TomlNode* node = find(key);
  if (!node) return;
  if (node->kind == TomlNode::Kind::String) {
    target = {node->text};
    return;
  }
  if (node->kind != TomlNode::Kind::Array) {
    mistake(*node, std::string(key) + " is " + std::string(text_of(node->kind)) +
                       "; it must be a text or a list of texts");
    return;
  }
  target.clear();
  for (std::size_t i = 0; i < node->children.size(); ++i) {
    const TomlNode& element = node->children[i];
    if (element.kind != TomlNode::Kind::String) {
      mistake(element, std::string(key) + " contains " + std::string(text_of(element.kind)) +
                           "; it must be a list of texts");
      continue;
    }
    log_.locations[path_of(key) + "[" + std::to_string(target.size()) + "]"] = element.position;
    target.push_back(element.text);
  }
}

std::uint64_t TableReader::read_number(std::string_view key, std::uint64_t value, std::uint64_t min,
                                       std::uint64_t max) {
  const TomlNode* node = find(key, TomlNode::Kind::Integer);
  if (!node) return value;
  if (node->integer < 0 || static_cast<std::uint64_t>(node->integer) < min ||
      static_cast<std::uint64_t>(node->integer) > max) {
    mistake(*node, range_text(key, std::to_string(node->integer), std::to_string(min),
                              std::to_string(max)));
    return value;
  }
  return static_cast<std::uint64_t>(node->integer);
}

std::uint64_t TableReader::read_bytes(std::string_view key, std::uint64_t value, std::uint64_t min,
                                      std::uint64_t max) {
  const TomlNode* node = find(key);
  if (!node) return value;
  std::optional<std::uint64_t> size;
  if (node->kind == TomlNode::Kind::Integer && node->integer >= 0) {
    size = static_cast<std::uint64_t>(node->integer);
  }
  if (node->kind == TomlNode::Kind::String) size = parse_size(node->text);
  if (!size) {
    mistake(*node, std::string(key) + " must be a number of bytes, or a text like \"64k\"");
    return value;
  }
  if (*size < min || *size > max) {
    mistake(*node, range_text(key, size_text(*size), size_text(min), size_text(max)));
    return value;
  }
  return *size;
}

void TableReader::read(std::string_view key, Duration& target, Duration min, Duration max) {
  const TomlNode* node = find(key);
  if (!node) return;
  std::optional<Duration> duration;
  constexpr std::int64_t kSecondsMax = 4'000'000'000;
  if (node->kind == TomlNode::Kind::Integer && node->integer >= 0 && node->integer < kSecondsMax) {
    duration = std::chrono::seconds(node->integer);
  }
  if (node->kind == TomlNode::Kind::Real && node->real >= 0 &&
      node->real < static_cast<double>(kSecondsMax)) {
    duration = std::chrono::milliseconds(std::llround(node->real * 1000));
  }
  if (node->kind == TomlNode::Kind::String) duration = parse_duration(node->text);
  if (!duration) {
    mistake(*node, std::string(key) +
                       " must be a text like \"15s\", \"500ms\" or \"1m\", or a "
                       "number of seconds");
    return;
  }
  if (*duration < min || *duration > max) {
    mistake(*node,
            range_text(key, duration_text(*duration), duration_text(min), duration_text(max)));
    return;
  }
  target = *duration;
}

bool TableReader::read(std::string_view key, Endpoint& target, std::uint16_t default_port) {
  const TomlNode* node = find(key, TomlNode::Kind::String);
  if (!node) return false;
  if (const auto endpoint = parse_endpoint(node->text)) {
    target = *endpoint;
    return true;
  }
  if (const auto address = parse_address(node->text); address && default_port != 0) {
    target = {*address, default_port};
    return true;
  }
  mistake(*node, std::string(key) + " is \"" + node->text +
                     "\"; it must be an address with a port, like \"192.0.2.1:5060\" or "
                     "\"[2001:db8::1]:5060\"");
  return false;
}

void TableReader::read_path(std::string_view key, std::string& target, std::string_view document) {
  read(key, target);
  target = resolve_path(target, document);
}

void TableReader::mistake(const TomlNode& at, std::string text) {
  log_.mistakes.push_back({at.position, std::move(text)});
}

void TableReader::finish() {
  if (!table_) return;
  for (const TomlNode& child : table_->children) {
    if (std::find(known_.begin(), known_.end(), child.key) != known_.end()) continue;
    std::string text = "unknown key \"" + child.key + "\"";
    if (!path_.empty()) text += " in " + path_;
    log_.mistakes.push_back({child.key_position, text + hint(child.key)});
  }
}

std::string TableReader::hint(const std::string& key) const {
  for (const std::string& path : log_.all) {
    const std::size_t dot = path.rfind('.');
    if (dot != path.npos && path.substr(dot + 1) == key) {
      return "; it belongs in [" + path.substr(0, dot) + "]";
    }
    if (dot == path.npos && path == key) return "; it belongs at the top of the file";
  }
  const std::string near = nearest(key, known_);
  return near.empty() ? std::string() : "; did you mean \"" + near + "\"?";
}

}  // namespace ringway
