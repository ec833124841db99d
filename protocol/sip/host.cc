#include "protocol/sip/host.h"

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"

namespace ringway::sip {
namespace {

bool is_ipv4_address(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    std::size_t digits = 0;
    while (digits < text.size() && ascii::is_digit(text[digits])) ++digits;
    if (digits > 3 || !ascii::parse_number(text.substr(0, digits), 255)) return false;
    text.remove_prefix(digits);
    if (part == 3) return text.empty();
    if (text.empty() || text[0] != '.') return false;
    text.remove_prefix(1);
  }
  return false;
}

}  // namespace

bool is_ipv6_address(std::string_view text) {
  int groups = 0;
  bool compressed = false;
  if (text == "::") return true;
  if (text.starts_with(':')) {
    if (!text.starts_with("::")) return false;
    text.remove_prefix(1);  // the loop reads the second colon
  }
  while (true) {
    if (!text.empty() && text[0] == ':') {
      if (compressed) return false;
      compressed = true;
      text.remove_prefix(1);
      if (text.empty()) break;
      if (text[0] == ':') return is_ipv4_address(text.substr(1)) && groups < 6;
    }
    std::size_t digits = 0;
    while (digits < text.size() && ascii::is(text[digits], ascii::kHex)) ++digits;
    if (digits < text.size() && text[digits] == '.') {
      if (!is_ipv4_address(text)) return false;
      groups += 2;
      break;
    }
    if (digits == 0 || digits > 4) return false;
    ++groups;
    text.remove_prefix(digits);
    if (text.empty()) break;
    if (text[0] != ':') return false;
    text.remove_prefix(1);
    if (text.empty()) return false;
  }
  return compressed ? groups < 8 : groups == 8;
}

std::expected<HostPort, HostError> parse_host_port(std::string_view text, ColonSpace space) {
  HostPort out;
  if (!text.empty() && text[0] == '[') {
    const std::size_t close = text.find(']');
    if (close == text.npos) return std::unexpected(HostError::Host);
    out.host = text.substr(1, close - 1);
    out.is_ipv6 = true;
    if (!is_ipv6_address(out.host)) return std::unexpected(HostError::Host);
    out.size = close + 1;
  } else {
    out.size = lexical::skip(text, 0, lexical::kHost);
    out.host = text.substr(0, out.size);
    if (out.host.empty() || out.host[0] == '.' || out.host[0] == '-') {
      return std::unexpected(HostError::Host);
    }
  }
  std::size_t at = out.size;
  if (space == ColonSpace::Allowed) at = lexical::skip(text, at, lexical::kLws);
  if (at == text.size() || text[at] != ':') return out;
  ++at;
  if (space == ColonSpace::Allowed) at = lexical::skip(text, at, lexical::kLws);
  std::size_t end = at;
  while (end < text.size() && ascii::is_digit(text[end])) ++end;
  const auto port = ascii::parse_number(text.substr(at, end - at), 65'535);
  if (!port || *port == 0) return std::unexpected(HostError::Port);
  out.port = static_cast<std::uint16_t>(*port);
  out.size = end;
  return out;
}

}  // namespace ringway::sip
