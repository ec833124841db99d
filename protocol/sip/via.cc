#include "protocol/sip/via.h"

#include "protocol/base/ascii.h"
#include "protocol/sip/host.h"
#include "protocol/sip/in_place.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/params.h"

namespace ringway::sip {
namespace {

using ascii::equal_ignoring_case;
using lexical::kLws;

// Takes "SIP / 2.0 / transport" and the white space behind it. False if it is not there.
std::expected<std::size_t, ViaError> parse_protocol(std::string_view text, Via& out) {
  std::size_t at = 0;
  if (text.size() > 8 && text.starts_with("SIP/2.0/")) {
    at = 8;
  } else {
    for (const std::string_view part : {"SIP", "2.0"}) {
      at = lexical::skip(text, at, kLws);
      if (!ascii::starts_with_ignoring_case(text.substr(at), part)) {
        return std::unexpected(ViaError::BadProtocol);
      }
      at = lexical::skip(text, at + part.size(), kLws);
      if (at == text.size() || text[at] != '/') return std::unexpected(ViaError::BadProtocol);
      ++at;
    }
  }
  at = lexical::skip(text, at, kLws);
  const std::size_t end = lexical::skip(text, at, lexical::kToken);
  const std::size_t host = lexical::skip(text, end, kLws);
  if (end == at || host == end) return std::unexpected(ViaError::BadTransport);
  out.transport = text.substr(at, end - at);
  return host;
}

// False if a parameter is malformed, or one that decides a route is there twice: two readers
// could take different ones (RFC 3261 7.3.1 forbids it).
bool parse_params(Via& out) {
  ParamCursor cursor(out.params);
  bool branch = false;
  bool received = false;
  bool maddr = false;
  while (const auto param = cursor.next()) {
    switch (param->name.size()) {
      case 5:
        if (equal_ignoring_case(param->name, "rport")) {
          if (out.rport) return false;
          out.rport = param->value;
        } else if (equal_ignoring_case(param->name, "maddr")) {
          if (maddr) return false;
          maddr = true;
          out.maddr = param->value;
        }
        break;
      case 6:
        if (equal_ignoring_case(param->name, "branch")) {
          if (branch) return false;
          branch = true;
          out.branch = param->value;
        }
        break;
      case 8:
        if (equal_ignoring_case(param->name, "received")) {
          if (received) return false;
          received = true;
          out.received = param->value;
        }
        break;
      default:
        break;
    }
  }
  return !cursor.bad();
}

}  // namespace

std::expected<Via, ViaError> parse_via(std::string_view value) {
  std::expected<Via, ViaError> out;
  if (const auto error = read_via(value, *out)) return std::unexpected(*error);
  return out;
}

std::optional<ViaError> read_via(std::string_view value, Via& out) {
  out.text = lexical::trim(value);
  const auto host_begin = parse_protocol(out.text, out);
  if (!host_begin) return host_begin.error();
  const std::string_view rest = out.text.substr(*host_begin);
  const auto host = parse_host_port(rest, ColonSpace::Allowed);
  if (!host) return host.error() == HostError::Port ? ViaError::BadPort : ViaError::BadHost;
  out.host = host->host;
  out.host_is_ipv6 = host->is_ipv6;
  out.port = host->port;
  out.sent_by = rest.substr(0, host->size);
  out.params = lexical::trim(rest.substr(host->size));
  if (!parse_params(out)) return ViaError::BadParams;
  return std::nullopt;
}

}  // namespace ringway::sip
