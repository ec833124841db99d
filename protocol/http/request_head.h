#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

// The head of one HTTP/1.1 request (RFC 9112), for the WebSocket upgrade and for plain pages.
// Strict: what one server could read otherwise than another is refused.

namespace ringway::http {

inline constexpr std::size_t kHeadBytesMax = 8'192;  // request line, fields and the empty line
inline constexpr std::size_t kHeaderLinesMax = 64;

// Status codes that this product sends.
enum class Status : std::uint16_t {
  SwitchingProtocols = 101,
  Ok = 200,
  BadRequest = 400,
  Unauthorized = 401,
  Forbidden = 403,
  NotFound = 404,
  MethodNotAllowed = 405,
  RequestTimeout = 408,
  Conflict = 409,
  MisdirectedRequest = 421,
  UnprocessableContent = 422,
  UpgradeRequired = 426,
  TooManyRequests = 429,
  HeadTooLarge = 431,  // Request Header Fields Too Large
  ServiceUnavailable = 503,
  VersionNotSupported = 505,
};

struct Header {
  std::string_view name;   // a token, in the sender's case
  std::string_view value;  // trimmed; no control characters but HTAB
};

// Views into the text that was parsed: valid while that is alive and unchanged.
class RequestHead {
 public:
  std::string_view method() const { return method_; }
  std::string_view target() const { return target_; }  // not empty, visible ASCII
  std::string_view path() const { return target_.substr(0, target_.find('?')); }
  int minor_version() const { return minor_version_; }  // of HTTP/1: 0 or 1
  std::span<const Header> headers() const { return std::span{headers_}.first(header_count_); }
  std::size_t size() const { return size_; }  // bytes up to and including the empty line

  // How many header lines have this name; names ignore case.
  std::size_t count(std::string_view name) const;
  // The value of the first of them.
  std::optional<std::string_view> find(std::string_view name) const;
  // The element of the comma-separated lists of all lines of this name that equals token ignoring
  // case, as its sender wrote it.
  std::optional<std::string_view> find_in_list(std::string_view name, std::string_view token) const;

 private:
  friend class RequestHeadReader;

  std::string_view method_;
  std::string_view target_;
  std::array<Header, kHeaderLinesMax> headers_;
  std::size_t header_count_ = 0;
  std::size_t size_ = 0;
  int minor_version_ = 1;
};

// Reads one head from a stream that may bring it in any pieces. Remembers how far it has looked
// for the end, so that a head that arrives byte by byte is still read once.
class RequestHeadReader {
 public:
  // In:      text, all that has arrived so far, from the first byte of the request on; each call
  //          gets at least what the one before got.
  // Out:     the head, or nullopt while its end has not arrived.
  // Errors:  the status to answer with before closing: BadRequest, HeadTooLarge (more than
  //          kHeadBytesMax or kHeaderLinesMax), VersionNotSupported. A request with a body is a
  //          BadRequest: nothing here takes one.
  // Cost:    one pass, no allocation.
  [[nodiscard]] std::expected<std::optional<RequestHead>, Status> read(std::string_view text);

 private:
  std::size_t searched_ = 0;  // no empty line ends before this offset
};

}  // namespace ringway::http
