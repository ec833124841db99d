#include "protocol/sip/credentials.h"

#include <algorithm>
#include <optional>

#include "protocol/base/ascii.h"

namespace ringway::sip {
namespace {

// Without the white space around it, folded lines too.
std::string_view trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

// Up to the next comma outside quotes; takes it off.
std::string_view take_param(std::string_view& rest) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != ','); ++at) {
    if (quoted && rest[at] == '\\')
      ++at;
    else if (rest[at] == '"')
      quoted = !quoted;
  }
  const std::string_view param = trimmed(rest.substr(0, at));
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return param;
}

// Without its quotes; nothing where it is no plain text or has escapes.
std::optional<std::string_view> plain(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
  value = value.substr(1, value.size() - 2);
  if (value.find_first_of("\\\"") != value.npos) return std::nullopt;
  return value;
}

// False: unclear.
bool read(std::string_view value, DigestUser& user) {
  constexpr std::string_view kDigest = "Digest";
  value = trimmed(value);
  if (!ascii::starts_with_ignoring_case(value, kDigest)) return false;
  value.remove_prefix(kDigest.size());
  bool has_username = false, has_realm = false;
  while (!value.empty()) {
    const std::string_view param = take_param(value);
    const std::size_t equals = std::min(param.find('='), param.size());
    const std::string_view name = trimmed(param.substr(0, equals));
    const bool is_username = ascii::equal_ignoring_case(name, "username");
    if (ascii::equal_ignoring_case(name, "username*")) return false;
    if (!is_username && !ascii::equal_ignoring_case(name, "realm")) continue;
    const auto text = plain(trimmed(param.substr(std::min(equals + 1, param.size()))));
    bool& seen = is_username ? has_username : has_realm;
    if (!text || seen) return false;
    seen = true;
    (is_username ? user.username : user.realm) = *text;
  }
  return has_username;
}

}  // namespace

DigestUser digest_user(const MessageView& request) {
  DigestUser user;
  for (const HeaderName name : {HeaderName::Authorization, HeaderName::ProxyAuthorization}) {
    for (const Header* header = request.find(name); header; header = request.next(header)) {
      if (user.kind != DigestUser::Kind::None || !read(request.text(header->value), user)) {
        return {DigestUser::Kind::Unclear, {}, {}};
      }
      user.kind = DigestUser::Kind::One;
    }
  }
  return user;
}

}  // namespace ringway::sip
