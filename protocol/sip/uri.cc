#include "protocol/sip/uri.h"

#include <array>

#include "protocol/base/ascii.h"
#include "protocol/sip/host.h"
#include "protocol/sip/in_place.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/params.h"

namespace ringway::sip {
namespace {

using ascii::equal_ignoring_case;

// Reads user, host, port, parameters and headers of a sip or sips URI behind its scheme.
std::optional<UriError> read_sip_part(std::string_view rest, Uri& uri) {
  // An @ cannot stand unescaped behind the user part, and ; ? / may stand in it: so the first @
  // ends it (RFC 3261 25.1, userinfo).
  const std::size_t user_end = lexical::skip(rest, 0, lexical::kUser);
  if (user_end < rest.size() && rest[user_end] == '@') {
    const std::string_view userinfo = rest.substr(0, user_end);
    uri.user = userinfo.substr(0, userinfo.find(':'));
    if (uri.user.empty()) return UriError::BadUser;
    uri.has_user = true;
    rest.remove_prefix(user_end + 1);
  }
  const auto host = parse_host_port(rest, ColonSpace::Forbidden);
  if (!host) {
    return host.error() == HostError::Port ? UriError::BadPort : UriError::BadHost;
  }
  uri.host = host->host;
  uri.host_is_ipv6 = host->is_ipv6;
  uri.port = host->port;
  rest.remove_prefix(host->size);
  if (rest.empty()) return std::nullopt;
  if (rest[0] == ':') return UriError::BadPort;
  if (rest[0] != ';' && rest[0] != '?') return UriError::BadHost;
  if (!lexical::all(rest, lexical::kUri) || rest.find('@') != rest.npos) {
    return UriError::BadParams;
  }
  const std::size_t question = rest.find('?');
  uri.params = rest.substr(0, question);
  if (question != rest.npos) uri.headers = rest.substr(question);
  ParamCursor params(uri.params);
  while (params.next()) {
  }
  if (params.bad()) return UriError::BadParams;
  return std::nullopt;
}

// Compares two pieces of a URI where %HH stands for a character that is not reserved
// (RFC 3261 19.1.4). Escapes of reserved characters stay escapes, in either case of their digits.
class Unescaped {
 public:
  explicit Unescaped(std::string_view text) : text_(text) {}
  bool at_end() const { return text_.empty(); }
  // 0..255: a character; above: the escape of a reserved or a control character.
  int next() {
    const char c = text_[0];
    if (c == '%' && text_.size() >= 3 && ascii::is(text_[1], ascii::kHex) &&
        ascii::is(text_[2], ascii::kHex)) {
      const int value = digit(text_[1]) * 16 + digit(text_[2]);
      text_.remove_prefix(3);
      const char decoded = static_cast<char>(value);
      const bool plain = ascii::is(decoded, ascii::kAlpha | ascii::kDigit) ||
                         (value != 0 && ascii::contains("-_.!~*'()", decoded));
      return plain ? value : 256 + value;
    }
    text_.remove_prefix(1);
    return static_cast<unsigned char>(c);
  }

 private:
  static int digit(char c) { return ascii::is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10; }
  std::string_view text_;
};

enum class Case : std::uint8_t { Sensitive, Ignored };

bool same_text(std::string_view a, std::string_view b, Case letters) {
  Unescaped left(a);
  Unescaped right(b);
  while (!left.at_end() && !right.at_end()) {
    int l = left.next();
    int r = right.next();
    if (letters == Case::Ignored) {
      if (l < 128) l = ascii::to_lower(static_cast<char>(l));
      if (r < 128) r = ascii::to_lower(static_cast<char>(r));
    }
    if (l != r) return false;
  }
  return left.at_end() && right.at_end();
}

// Password with its colon; empty if there is none.
std::string_view password(const Uri& uri) {
  if (!uri.has_user) return {};
  const std::size_t begin =
      static_cast<std::size_t>(uri.user.data() - uri.text.data()) + uri.user.size();
  return uri.text.substr(begin, uri.text.find('@', begin) - begin);
}

constexpr std::size_t kComparedMax = 64;  // parameters or headers; more never compare equal

// These never match a URI that lacks them (RFC 3261 19.1.4).
bool must_be_in_both(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames = {"user", "ttl", "method", "maddr",
                                                      "transport"};
  for (const auto known : kNames) {
    if (equal_ignoring_case(name, known)) return true;
  }
  return false;
}

bool params_agree(const Uri& a, const Uri& b) {
  ParamCursor cursor(a.params);
  std::size_t count = 0;
  while (const auto param = cursor.next()) {
    if (++count > kComparedMax) return false;
    const auto other = find_param(b.params, param->name);
    if (other ? !same_text(param->value, other->value, Case::Ignored)
              : must_be_in_both(param->name)) {
      return false;
    }
  }
  return true;
}

// Takes the next name=value of a headers part. False at its end.
bool take_header(std::string_view& rest, std::string_view& header) {
  if (rest.empty()) return false;
  const std::size_t end = rest.find('&');
  header = rest.substr(0, end);
  rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
  return true;
}

// Each header of a is in b.
bool headers_within(const Uri& a, const Uri& b) {
  std::string_view rest = a.headers.empty() ? a.headers : a.headers.substr(1);
  std::string_view header;
  for (std::size_t count = 0; take_header(rest, header); ++count) {
    if (count >= kComparedMax) return false;
    std::string_view others = b.headers.empty() ? b.headers : b.headers.substr(1);
    std::string_view other;
    bool found = false;
    while (!found && take_header(others, other)) {
      const std::size_t name = header.find('=');
      const std::size_t other_name = other.find('=');
      found = same_text(header.substr(0, name), other.substr(0, other_name), Case::Ignored) &&
              (name == header.npos) == (other_name == other.npos) &&
              (name == header.npos ||
               same_text(header.substr(name), other.substr(other_name), Case::Sensitive));
    }
    if (!found) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string_view> Uri::param(std::string_view name) const {
  const auto found = find_param(params, name);
  if (!found) return std::nullopt;
  return found->value;
}

std::expected<Uri, UriError> parse_uri(std::string_view text) {
  std::expected<Uri, UriError> out;
  if (const auto error = read_uri(text, *out)) return std::unexpected(*error);
  return out;
}

std::optional<UriError> read_uri(std::string_view text, Uri& uri) {
  if (text.empty()) return UriError::Empty;
  if (text.size() > kUriBytesMax) return UriError::TooLong;
  uri.text = text;
  if (text.starts_with("sip:")) {
    uri.scheme = Scheme::Sip;
    uri.scheme_text = text.substr(0, 3);
    return read_sip_part(text.substr(4), uri);
  }
  std::size_t colon = 0;
  while (colon < text.size() && (ascii::is(text[colon], ascii::kAlpha | ascii::kDigit) ||
                                 (colon > 0 && ascii::contains("+-.", text[colon])))) {
    ++colon;
  }
  if (colon == 0 || colon == text.size() || text[colon] != ':' ||
      !ascii::is(text[0], ascii::kAlpha)) {
    return UriError::BadScheme;
  }
  uri.scheme_text = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 1);
  if (equal_ignoring_case(uri.scheme_text, "sip")) {
    uri.scheme = Scheme::Sip;
  } else if (equal_ignoring_case(uri.scheme_text, "sips")) {
    uri.scheme = Scheme::Sips;
  } else {
    if (equal_ignoring_case(uri.scheme_text, "tel")) uri.scheme = Scheme::Tel;
    if (!lexical::all(rest, lexical::kUri)) return UriError::BadUser;
    return std::nullopt;
  }
  return read_sip_part(rest, uri);
}

bool equivalent(const Uri& a, const Uri& b) {
  const bool sip = a.scheme == Scheme::Sip || a.scheme == Scheme::Sips;
  if (!sip || a.scheme != b.scheme) return a.text == b.text;
  return a.has_user == b.has_user && same_text(a.user, b.user, Case::Sensitive) &&
         same_text(password(a), password(b), Case::Sensitive) &&
         equal_ignoring_case(a.host, b.host) && a.port == b.port && params_agree(a, b) &&
         params_agree(b, a) && headers_within(a, b) && headers_within(b, a);
}

bool is_invalid_host(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  constexpr std::string_view kLabel = "invalid";
  if (host.size() < kLabel.size()) return false;
  const std::size_t begin = host.size() - kLabel.size();
  return equal_ignoring_case(host.substr(begin), kLabel) && (begin == 0 || host[begin - 1] == '.');
}

}  // namespace ringway::sip
