#pragma once

#include <concepts>
#include <string>
#include <string_view>

// What the lab tells its parent and its tests: one JSON object a line on standard output.

namespace ringway::lab {

// An object under construction. Keys are written as given, values are escaped; octets that are not
// printable ASCII become \u00xx, so that a stranger's header can never break the line.
class JsonLine {
 public:
  explicit JsonLine(std::string_view event) { add("event", event); }

  JsonLine& add(std::string_view key, std::string_view text);
  JsonLine& add(std::string_view key, const char* text) {
    return add(key, std::string_view(text != nullptr ? text : ""));
  }
  JsonLine& add(std::string_view key, std::integral auto number) {
    return add_raw(key, std::to_string(number));
  }
  // json is written without any escaping.
  JsonLine& add_raw(std::string_view key, std::string_view json);

  std::string text() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

// Writes the line and flushes. A closed standard output is not an error: nobody listens then.
void write_event(const JsonLine& line);

}  // namespace ringway::lab
