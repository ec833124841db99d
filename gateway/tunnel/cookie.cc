#include "gateway/tunnel/cookie.h"

#include <algorithm>

#include "protocol/bencode/bencode.h"

namespace ringway::tunnel {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool is_printable(char c) {
  return c > ' ' && c < '\x7f';
}

// Six bits of the hash for each character.
void write_characters(std::uint64_t hash, std::size_t count, Writer& out) {
  for (std::size_t i = 0; i < count; ++i, hash >>= 6) out.character(kAlphabet[hash & 63]);
}
constexpr std::size_t kHashCharacters = 11;  // all of its 64 bits

}  // namespace

CookiePrefix make_prefix(const HashKey& key, Bytes source) {
  CookiePrefix prefix;
  std::uint64_t hash = keyed_hash(key, source);
  for (std::size_t i = 0; i + 1 < prefix.size(); ++i, hash >>= 6) prefix[i] = kAlphabet[hash & 63];
  prefix.back() = '.';
  return prefix;
}

std::optional<Message> split_message(Bytes message, std::size_t cookie_bytes_max) {
  const std::string_view text = as_text(message);
  const std::size_t space = text.substr(0, cookie_bytes_max + 1).find(' ');
  if (space == text.npos || space == 0) return std::nullopt;
  Message split;
  split.cookie = text.substr(0, space);
  if (!std::all_of(split.cookie.begin(), split.cookie.end(), is_printable)) return std::nullopt;
  split.rest = text.substr(space);
  const char first = split.rest.size() > 1 ? split.rest[1] : '\0';
  split.encoding = first == 'd'   ? Encoding::Bencode
                   : first == '{' ? Encoding::Json
                                  : Encoding::Text;
  return split;
}

std::string_view write_with_prefix(const Message& message, const CookiePrefix& prefix,
                                   const HashKey& key, std::size_t bytes_max, Writer& out) {
  const std::size_t start = out.size(), size = message.cookie.size() + message.rest.size();
  if (message.cookie.size() > kShortCookieBytesMax) {
    out.text({prefix.data(), prefix.size()});
    write_characters(keyed_hash(key, message.cookie), kHashCharacters, out);
  } else if (size + kPrefixBytes <= bytes_max) {
    out.text({prefix.data(), prefix.size()}).text(message.cookie);
  } else {
    // What a longer cookie has left stays as it is.
    const HashKey own{key[0] ^ keyed_hash(key, std::string_view(prefix.data(), prefix.size())),
                      key[1]};
    const std::size_t replaced = std::min<std::size_t>(message.cookie.size(), 10);
    write_characters(keyed_hash(own, message.cookie), replaced, out);
    out.text(message.cookie.substr(replaced));
  }
  const std::size_t end = out.size();
  out.text(message.rest);
  if (out.overflowed()) return {};
  return out.written_text().substr(start, end - start);
}

// What a controller takes for a refusal: `result` error in both encodings of rtpengine, and in the
// text of rtpproxy a line that begins with E and a number.
void write_error(std::string_view cookie, Encoding encoding, std::string_view reason, Writer& out) {
  out.text(cookie).character(' ');
  switch (encoding) {
    case Encoding::Bencode:
      bencode::Encoder(out)
          .begin_dictionary()
          .pair("result", "error")
          .pair("error-reason", reason)
          .end();
      return;
    case Encoding::Json:
      out.text(R"({"result":"error","error-reason":")").text(reason).text("\"}");
      return;
    case Encoding::Text:
      out.text("E99 ").text(reason).character('\n');
      return;
  }
}

}  // namespace ringway::tunnel
