#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringway {

// A place in a configuration file, counted from one; line 0: no particular place.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// Something wrong in a configuration file, said for a person.
struct Mistake {
  Position position;
  std::string text;
};

// A TOML document as plain values that know where they stand.
struct TomlNode {
  enum class Kind : std::uint8_t { Table, Array, String, Integer, Real, Boolean, Time };
  Kind kind = Kind::Table;
  std::string key;                 // empty in arrays and for the root
  Position key_position;           // of the key, or of the value in arrays
  Position position;               // of the value
  std::string text;                // String
  std::int64_t integer = 0;        // Integer
  double real = 0;                 // Real
  bool boolean = false;            // Boolean
  std::vector<TomlNode> children;  // Table: in the order of the file; Array

  const TomlNode* find(std::string_view name) const;
};

// Parses TOML 1.0. On a syntax error the root is empty and one mistake is added.
TomlNode parse_document(std::string_view text, std::vector<Mistake>& mistakes);

// The kind as a person calls it: "a list".
std::string_view text_of(TomlNode::Kind kind);

// path as a file named in another file: relative to that file's directory. Empty stays empty.
std::string resolve_path(std::string_view path, std::string_view named_in);

}  // namespace ringway
