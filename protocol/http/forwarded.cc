#include "protocol/http/forwarded.h"

#include "protocol/base/ascii.h"

namespace ringway::http {
namespace {

// Where the last element of a comma-separated list begins; commas in quotes belong to an element.
std::size_t last_element(std::string_view list) {
  std::size_t begin = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '"') quoted = !quoted;
    if (list[i] == ',' && !quoted) begin = i + 1;
  }
  return begin;
}

std::string_view for_of(std::string_view element) {
  while (!element.empty()) {
    const std::size_t end = std::min(element.find(';'), element.size());
    const std::string_view pair = ascii::trim(element.substr(0, end));
    element.remove_prefix(std::min(end + 1, element.size()));
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos || !ascii::equal_ignoring_case(pair.substr(0, equals), "for")) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return {};
}

template <typename Read>
ForwardedNodes read_lines(const RequestHead& head, std::string_view name, Read&& read) {
  ForwardedNodes result;
  for (std::size_t i = head.headers().size(); i-- != 0;) {
    if (!ascii::equal_ignoring_case(head.headers()[i].name, name)) continue;
    std::string_view rest = head.headers()[i].value;
    for (bool more = true; more && result.count < ForwardedNodes::kMax;) {
      const std::size_t begin = last_element(rest);
      result.nodes[result.count++] = read(ascii::trim(rest.substr(begin)));
      more = begin != 0;
      if (more) rest = rest.substr(0, begin - 1);
    }
  }
  return result;
}

}  // namespace

ForwardedNodes read_forwarded_for(const RequestHead& head) {
  return read_lines(head, "X-Forwarded-For", [](std::string_view element) { return element; });
}

ForwardedNodes read_forwarded(const RequestHead& head) {
  return read_lines(head, "Forwarded", for_of);
}

}  // namespace ringway::http
