#pragma once

#include <optional>
#include <string_view>

namespace ringway::sip {

struct Param {
  std::string_view name;
  std::string_view value;  // empty for a valueless one; quotes of a quoted string are kept
  bool has_value = false;
  std::string_view text;  // name, = and value as they stand, without the semicolon
};

// Walks ";name=value;name" without allocating; white space around ; and = is accepted (header
// parameters). A malformed parameter ends the walk and sets bad().
class ParamCursor {
 public:
  // text starts at the first semicolon, or is empty.
  explicit ParamCursor(std::string_view text) : rest_(text) {}
  std::optional<Param> next();
  bool bad() const { return bad_; }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

// The first parameter of that name, ignoring case.
std::optional<Param> find_param(std::string_view params, std::string_view name);

}  // namespace ringway::sip
