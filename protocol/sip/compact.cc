#include "protocol/sip/compact.h"

#include "protocol/sip/header_name.h"

namespace ringway::sip {
namespace {

constexpr std::string_view kWhiteSpace = " \t";

// line ends behind its CRLF.
void write_line(std::string_view line, Writer& out) {
  const std::size_t colon = line.find(':');
  const bool folded = kWhiteSpace.contains(line.front());
  if (folded || colon == line.npos || colon == 0) {
    out.text(line);
    return;
  }
  const std::string_view name = line.substr(0, line.find_last_not_of(kWhiteSpace, colon - 1) + 1);
  const HeaderName known = parse_header_name(name);
  if (known == HeaderName::Other || known == HeaderName::Identity) {
    out.text(line);
    return;
  }
  const char short_name = compact_form(known);
  if (short_name != 0) {
    out.character(short_name);
  } else {
    out.text(name);
  }
  const std::size_t value = line.find_first_not_of(kWhiteSpace, colon + 1);
  out.character(':').text(line.substr(value));  // the line end is no white space
}

}  // namespace

bool write_compact(std::string_view message, Writer& out) {
  std::size_t begin = message.find("\r\n");
  begin = begin == message.npos ? message.size() : begin + 2;
  out.text(message.substr(0, begin));
  while (begin < message.size()) {
    const std::size_t end = message.find("\r\n", begin);
    if (end == begin || end == message.npos) break;
    write_line(message.substr(begin, end + 2 - begin), out);
    begin = end + 2;
  }
  out.text(message.substr(begin));
  return !out.overflowed();
}

}  // namespace ringway::sip
