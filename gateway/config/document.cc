#include "gateway/config/document.h"

#include <algorithm>

// Where toml++ meets what it did not expect, it asserts: "[!]" as a table's name is enough. A file
// ends no process, so its assertions are thrown and told like any other mistake.
namespace ringway {
namespace {
struct ParserLost {};
}  // namespace
}  // namespace ringway
#undef NDEBUG
#define TOML_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : throw ::ringway::ParserLost())

// toml++ stays in this file: it is large. Its header-only form is the one that has no exceptions.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wterminate"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

namespace ringway {
namespace {

Position to_position(const toml::source_position& position) {
  return {static_cast<std::uint32_t>(position.line), static_cast<std::uint32_t>(position.column)};
}

bool stands_before(const Position& a, const Position& b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
}

TomlNode convert(const toml::node& from) {
  TomlNode node;
  node.position = node.key_position = to_position(from.source().begin);
  if (const toml::table* table = from.as_table()) {
    for (const auto& [key, value] : *table) {
      TomlNode& child = node.children.emplace_back(convert(value));
      child.key = key.str();
      child.key_position = to_position(key.source().begin);
    }
    std::sort(node.children.begin(), node.children.end(), [](const auto& a, const auto& b) {
      return stands_before(a.key_position, b.key_position);
    });
  } else if (const toml::array* array = from.as_array()) {
    node.kind = TomlNode::Kind::Array;
    for (const toml::node& element : *array) node.children.push_back(convert(element));
  } else if (const auto* text = from.as_string()) {
    node.kind = TomlNode::Kind::String;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.kind = TomlNode::Kind::Integer;
    node.integer = integer->get();
  } else if (const auto* real = from.as_floating_point()) {
    node.kind = TomlNode::Kind::Real;
    node.real = real->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.kind = TomlNode::Kind::Boolean;
    node.boolean = boolean->get();
  } else {
    node.kind = TomlNode::Kind::Time;
  }
  return node;
}

// The first table header whose name begins with no character of a name; line 0: there is none.
Position find_nameless_table(std::string_view text) {
  for (std::uint32_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view here = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t bracket = here.find_first_not_of(" \t");
    if (bracket == here.npos || here[bracket] != '[') continue;
    const std::size_t name = here.find_first_not_of("[ \t", bracket);
    if (name == here.npos) continue;
    const char c = here[name];
    const bool begins_name = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                             (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '"' ||
                             c == '\'';
    if (!begins_name) return {line, static_cast<std::uint32_t>(name + 1)};
  }
  return {};
}

// toml++ 3 takes it for certain that a character beyond ASCII that could be a space is one. Such a
// character may stand in texts and comments only, so a document is searched for others first.
//
//   Outside --"--> Basic        --"-----------> Outside      a line's end ends Basic and Literal
//   Outside --'--> Literal      --'-----------> Outside      too: they are broken, and the parser
//   Outside --"""--> LongBasic  --"""---------> Outside      says so there
//   Outside --'''--> LongLiteral --'''--------> Outside
//   Outside --#--> Comment      --line's end--> Outside
class ForeignCharacterSearch {
 public:
  explicit ForeignCharacterSearch(std::string_view text) : text_(text) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  // The first one that the parser must not see; line 0: there is none.
  Position find() {
    while (at_ < text_.size()) {
      if (is_foreign() && state_ == State::Outside) return position();
      if (is_foreign() && state_ == State::LongBasic && escaped_) return position();
      step();
    }
    return {};
  }

 private:
  enum class State : std::uint8_t { Outside, Basic, Literal, LongBasic, LongLiteral, Comment };

  bool is_foreign() const { return static_cast<unsigned char>(text_[at_]) >= 0x80; }
  bool is_long() const { return state_ == State::LongBasic || state_ == State::LongLiteral; }
  char quote() const { return state_ == State::Basic || state_ == State::LongBasic ? '"' : '\''; }

  void step() {
    const char c = text_[at_];
    const std::string_view rest = text_.substr(at_);
    std::size_t size = 1;
    if (state_ == State::Outside) {
      const bool is_long_text = rest.starts_with("\"\"\"") || rest.starts_with("'''");
      if (is_long_text) size = 3;
      if (c == '"') state_ = is_long_text ? State::LongBasic : State::Basic;
      if (c == '\'') state_ = is_long_text ? State::LongLiteral : State::Literal;
      if (c == '#') state_ = State::Comment;
    } else if (escaped_) {
      // Behind a backslash at a line's end all space up to the next character is left out.
      escaped_ = state_ == State::LongBasic && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
    } else if (c == '\\' && (state_ == State::Basic || state_ == State::LongBasic)) {
      escaped_ = true;
    } else if (is_long()) {
      const std::size_t quotes = std::min(rest.find_first_not_of(quote()), rest.size());
      if (quotes >= 3) {  // two more may be the last of the text
        size = std::min<std::size_t>(quotes, 5);
        state_ = State::Outside;
      }
    } else if (c == '\n' || (state_ != State::Comment && c == quote())) {
      state_ = State::Outside;
    }
    at_ += size;
  }

  // Columns are characters, as the parser counts them.
  Position position() const {
    const std::string_view before = text_.substr(0, at_);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const std::string_view line = before.substr(before.rfind('\n') + 1);
    const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    });
    return {static_cast<std::uint32_t>(lines + 1), static_cast<std::uint32_t>(characters + 1)};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  State state_ = State::Outside;
  bool escaped_ = false;  // a backslash stands in front, and in LongBasic perhaps space behind it
};

TomlNode parse_with_assertions(std::string_view text, std::vector<Mistake>& mistakes) {
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    mistakes.push_back({to_position(error.source().begin), std::string(error.description())});
    return {};
  }
  return convert(result.table());
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view name) const {
  for (const TomlNode& child : children) {
    if (child.key == name) return &child;
  }
  return nullptr;
}

TomlNode parse_document(std::string_view text, std::vector<Mistake>& mistakes) {
  if (const Position foreign = ForeignCharacterSearch(text).find(); foreign.line != 0) {
    mistakes.push_back({foreign,
                        "this character is not ASCII: it may stand in quotes and in comments only, "
                        "and not first behind a backslash that ends a line"});
    return {};
  }
  try {
    return parse_with_assertions(text, mistakes);
  } catch (const ParserLost&) {
    mistakes.push_back({find_nameless_table(text),
                        "a table's name holds letters, digits, - and _, or stands in quotes"});
    return {};
  }
}

std::string_view text_of(TomlNode::Kind kind) {
  switch (kind) {
    case TomlNode::Kind::Table:
      return "a table";
    case TomlNode::Kind::Array:
      return "a list";
    case TomlNode::Kind::String:
      return "a text";
    case TomlNode::Kind::Integer:
      return "a whole number";
    case TomlNode::Kind::Real:
      return "a number";
    case TomlNode::Kind::Boolean:
      return "true or false";
    case TomlNode::Kind::Time:
      return "a date or time";
  }
  return {};
}

std::string resolve_path(std::string_view path, std::string_view named_in) {
  if (path.empty() || path.front() == '/') return std::string(path);
  const std::size_t slash = named_in.rfind('/');
  if (slash == named_in.npos) return std::string(path);
  return std::string(named_in.substr(0, slash + 1)) + std::string(path);
}

}  // namespace ringway
