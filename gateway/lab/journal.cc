#include "gateway/lab/journal.h"

#include <cstdio>

namespace ringway::lab {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (octet < 0x20 || octet > 0x7e) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", octet);
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

JsonLine& JsonLine::add_raw(std::string_view key, std::string_view json) {
  if (text_.size() > 1) text_ += ',';
  append_quoted(text_, key);
  text_ += ':';
  text_ += json;
  return *this;
}

JsonLine& JsonLine::add(std::string_view key, std::string_view text) {
  std::string quoted;
  append_quoted(quoted, text);
  return add_raw(key, quoted);
}

void write_event(const JsonLine& line) {
  std::puts(line.text().c_str());
  std::fflush(stdout);
}

}  // namespace ringway::lab
