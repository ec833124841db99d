#include "gateway/config/document.h"

#include <algorithm>

// toml++ stays in this file: it is large. Its header-only form is the one that has no exceptions.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#pragma GCC diagnostic push
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

}  // namespace

const TomlNode* TomlNode::find(std::string_view name) const {
  for (const TomlNode& child : children) {
    if (child.key == name) return &child;
  }
  return nullptr;
}

TomlNode parse_document(std::string_view text, std::vector<Mistake>& mistakes) {
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    mistakes.push_back({to_position(error.source().begin), std::string(error.description())});
    return {};
  }
  return convert(result.table());
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
