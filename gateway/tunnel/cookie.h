#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/writer.h"

// The cookie of rtpengine's control protocol. A message is `cookie SP body`; the body is bencode,
// JSON or text, and nothing here reads it.
//
// rtpengine keeps its replies by the cookie alone, whoever asked. So each controller's cookies get
// a prefix of their own on the way in, which comes off on the way back. The same cookie of the same
// controller always becomes the same one, after a restart too (start.h, cookie_key()), so that
// rtpengine still knows a retransmission.
//
// A prefix has 48 bits. Two controllers would have to share one, which among 1,000 sockets happens
// once in 500 million times, and use the same cookie within the minute that rtpengine remembers.
//
// A cookie is printable and ends at the first space. What begins otherwise is no control message
// and is carried as it is.
namespace ringway::tunnel {

inline constexpr std::size_t kCookieBytesMax = 4096;
inline constexpr std::size_t kShortCookieBytesMax = 128;  // a longer one goes out as its hash
inline constexpr std::size_t kPrefixBytes = 9;            // eight characters and a dot

using CookiePrefix = std::array<char, kPrefixBytes>;

// source: what tells this controller from all others.
CookiePrefix make_prefix(const HashKey& key, Bytes source);

enum class Encoding : std::uint8_t { Bencode, Json, Text };

struct Message {
  std::string_view cookie;             // 1..kCookieBytesMax printable characters
  std::string_view rest;               // from the space on; one character at least
  Encoding encoding = Encoding::Text;  // by the first byte behind the space
};
// nullopt: there is no cookie of at most cookie_bytes_max. Borrows.
std::optional<Message> split_message(Bytes message, std::size_t cookie_bytes_max = kCookieBytesMax);
// The longest cookie under which a message goes out, and its answer comes back.
inline constexpr std::size_t kSentCookieBytesMax = kShortCookieBytesMax + kPrefixBytes;

// The message under a cookie that no other controller has: the prefix, and behind it the cookie, or
// of one above kShortCookieBytesMax its hash. Where that would not fit into bytes_max any more, the
// cookie is not prefixed but replaced by one of the same size.
// Returns the cookie that went out, a part of out; empty if out has no space.
std::string_view write_with_prefix(const Message& message, const CookiePrefix& prefix,
                                   const HashKey& key, std::size_t bytes_max, Writer& out);

// An error reply in the controller's own encoding. reason: without quotes and backslashes.
void write_error(std::string_view cookie, Encoding encoding, std::string_view reason, Writer& out);
// Room for any error reply whose reason is at most 200 bytes.
inline constexpr std::size_t kErrorBytesMax = kCookieBytesMax + 300;

}  // namespace ringway::tunnel
