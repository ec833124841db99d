#include "gateway/admission/json_prefixes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kApibanNone = "no new bans";

// Takes the entries as the parser meets them; what nests is kept on a stack of its own.
class Entries : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Entries(LoadedPrefixes& loaded) : loaded_(loaded) {}

  bool start_object(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_array() override {
    const Level& level = levels_.back();
    if (level.has_entry && !level.other.empty()) {
      refuse(quoted_entry(level.other) + " stands among addresses and is none");
    }
    if (level.is_empty) has_empty_list_ = true;
    return close();
  }
  bool key(std::string& name) override {
    if (levels_.size() == 1) {
      is_error_ =
          ascii::equal_ignoring_case(name, "error") || ascii::equal_ignoring_case(name, "errors");
    }
    return true;
  }
  bool string(std::string& text) override {
    fill();
    if (is_error_ && !text.empty()) refuse("it is an error message: " + quoted_entry(text));
    if (in_lists_ == 0) return true;
    const auto prefix = parse_list_entry(text);
    Level& level = levels_.back();
    if (prefix && loaded_.prefixes.size() < kPrefixesMax) {
      loaded_.prefixes.push_back(*prefix);
      level.has_entry = true;
    } else if (prefix) {
      refuse("it has more than " + std::to_string(kPrefixesMax) + " entries");
    } else if (is_everybody(text)) {
      refuse(quoted_entry(text) + " means everybody");
    } else if (text == kApibanNone) {
      says_none_ = true;
    } else if (level.is_list && level.other.empty()) {
      level.other = text.empty() ? "\"\"" : text;
    }
    return true;
  }
  bool null() override { return scalar(); }
  bool boolean(bool value) override { return value ? counted() : scalar(); }
  bool number_integer(std::int64_t) override { return counted(); }
  bool number_unsigned(std::uint64_t) override { return counted(); }
  bool number_float(double, const std::string&) override { return counted(); }
  bool binary(nlohmann::json::binary_t&) override { return scalar(); }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::json::exception&) override {
    error_at_ = at;
    return false;
  }

  std::size_t error_at() const { return error_at_; }
  bool says_none() const { return says_none_; }
  bool has_empty_list() const { return has_empty_list_; }
  // The next value of the text begins.
  void begin() {
    levels_.clear();
    in_lists_ = 0;
    is_error_ = false;
  }

 private:
  struct Level {
    bool is_list = false, is_empty = true, has_entry = false;
    std::string other;  // of a list: the first text in it that is no entry
  };
  static bool is_everybody(std::string_view text) {
    const std::size_t slash = text.find('/');
    return slash != text.npos && text.substr(slash) == "/0" && parse_address(text.substr(0, slash));
  }
  void fill() {
    if (!levels_.empty()) levels_.back().is_empty = false;
  }
  bool open(bool is_list) {
    fill();
    levels_.push_back({is_list, true, false, {}});
    in_lists_ += is_list ? 1 : 0;
    return true;
  }
  bool close() {
    in_lists_ -= levels_.back().is_list ? 1 : 0;
    levels_.pop_back();
    return true;
  }
  bool scalar() {
    fill();
    return true;
  }
  bool counted() {
    fill();
    if (is_error_) refuse("it is an error message");
    return true;
  }
  void refuse(std::string mistake) {
    if (loaded_.mistake.empty()) loaded_.mistake = std::move(mistake);
  }

  LoadedPrefixes& loaded_;
  std::vector<Level> levels_;
  std::size_t in_lists_ = 0, error_at_ = 0;
  bool is_error_ = false, says_none_ = false, has_empty_list_ = false;
};

std::size_t line_of(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, std::min(at, text.size()));
  return 1 + static_cast<std::size_t>(std::ranges::count(before, '\n'));
}

bool parse(std::string_view text, Entries& entries) {
  entries.begin();
  return nlohmann::json::sax_parse(text.begin(), text.end(), &entries);
}

// One value a line, as Spamhaus and many log formats do. Each counts as an item of a list.
bool parse_lines(std::string_view text, Entries& entries, std::size_t& wrong_line) {
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view value = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (value.find_first_not_of(kBlanks) == value.npos) continue;
    const std::string item = "[" + std::string(value) + "]";
    if (parse(item, entries)) continue;
    wrong_line = line;
    return false;
  }
  return true;
}

}  // namespace

bool is_json(std::string_view text) {
  if (text.starts_with('{')) return true;
  const std::size_t next = text.find_first_not_of(kBlanks, 1);
  return text.starts_with('[') && next != text.npos &&
         std::string_view("\"{[]").find(text[next]) != std::string_view::npos;
}

LoadedPrefixes parse_json_prefixes(std::string_view text) {
  LoadedPrefixes loaded;
  Entries entries(loaded);
  if (!parse(text, entries)) {
    const std::size_t wrong = line_of(text, entries.error_at());
    // The first value is whole, and more follow on lines of their own.
    const std::size_t first_end = std::min(text.find('\n'), text.size());
    LoadedPrefixes by_line;
    Entries items(by_line);
    std::size_t wrong_line = 0;
    if (wrong < 2 || first_end == text.size() ||
        !nlohmann::json::accept(text.substr(0, first_end))) {
      loaded.wrong_line = wrong;
    } else if (!parse_lines(text, items, wrong_line)) {
      loaded.wrong_line = wrong_line;
    } else {
      loaded = std::move(by_line);
    }
    if (loaded.wrong_line != 0) {
      loaded.prefixes.clear();
      loaded.mistake = "this is no JSON: the file is cut off, or something else than a list";
      return loaded;
    }
  }
  if (loaded.mistake.empty() && loaded.prefixes.empty() && !entries.says_none()) {
    loaded.is_empty = entries.has_empty_list();
    loaded.mistake = "there is no list of addresses in it: " + quoted_entry(text);
  }
  if (!loaded.mistake.empty()) loaded.wrong_line = 1;
  return loaded;
}

}  // namespace ringway
