#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/sip/header_name.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/method.h"
#include "protocol/sip/status.h"

namespace ringway::sip {

// A part of one message, as 16-bit offsets, so that it survives a copy of the buffer.
struct Slice {
  std::uint16_t offset = 0;
  std::uint16_t size = 0;
  bool empty() const { return size == 0; }
};

// One header field line (with its folded continuation lines).
struct Header {
  HeaderName name;
  std::uint16_t begin;  // first byte of the name
  std::uint16_t end;    // one past the CRLF that ends it; begin < end
  Slice name_text;
  Slice value;  // without surrounding white space; folds are still inside
};

// What is wrong with a message that could still be indexed. The first one found wins.
enum class Defect : std::uint8_t {
  None,
  Version,           // 505: not SIP/2.0
  RequestUri,        // 400: empty, bracketed or with white space inside
  StartLineTooLong,  // 414
  MethodToken,       // 501: longer than kMethodBytesMax; 400 if not a token
  HeaderSyntax,      // 400: no colon, bad name, white space that is not allowed, too long a line
  TooManyHeaders,    // 513
  HeadTooLarge,      // 513
  BodyTooLarge,      // 513
  ContentLength,     // 400: not a number, negative, two values that differ, beyond the limit
  BodyTooShort,      // 400: fewer bytes than Content-Length on a datagram or frame
  StatusCode,        // status code out of 100..699 (responses: drop)
};

// An index over one message: start line, header lines and body as offsets into text(). Views
// returned by it live as long as the bytes behind text(). rebase() moves the index to a copy.
class MessageView {
 public:
  // The bytes of this message: start line to the last byte of the body, nothing after it.
  std::string_view text() const { return {base_, size_}; }
  std::string_view text(Slice slice) const { return {base_ + slice.offset, slice.size}; }
  Slice slice(std::string_view part) const {  // part lies inside text()
    return {static_cast<std::uint16_t>(part.data() - base_),
            static_cast<std::uint16_t>(part.size())};
  }

  bool is_request() const { return is_request_; }
  Defect defect() const { return defect_; }

  // Requests.
  Method method() const { return method_; }
  std::string_view method_text() const { return text(method_text_); }
  std::string_view request_uri() const { return text(request_uri_); }
  // Responses.
  Status status() const { return status_; }
  std::string_view reason() const { return text(reason_); }

  // The whole start line without its CRLF.
  std::string_view start_line() const { return text(start_line_); }
  // Offset of the first header's first byte.
  std::uint16_t headers_begin() const { return headers_begin_; }
  // Offset of the empty line that ends the header section.
  std::uint16_t headers_end() const { return headers_end_; }
  std::string_view body() const { return text().substr(body_begin_); }

  std::span<const Header> headers() const { return {headers_.data(), header_count_}; }

  // The first header of that name; nullptr if there is none. Cost: one lookup for the names in
  // the enum (Other is not looked up).
  const Header* find(HeaderName name) const {
    const std::uint8_t first = first_[static_cast<std::size_t>(name)];
    return first == 0 ? nullptr : &headers_[first - 1U];
  }
  // The next one of the same name after header; nullptr at the end.
  const Header* next(const Header* header) const;
  bool has(HeaderName name) const { return find(name) != nullptr; }
  std::uint16_t count(HeaderName name) const;
  // More than one header of that name (not for Other). Cost: one test.
  bool repeats(HeaderName name) const {
    return ((repeated_ >> static_cast<unsigned>(name)) & 1U) != 0;
  }
  // Value of the first header of that name; empty if there is none.
  std::string_view value(HeaderName name) const {
    const Header* header = find(name);
    return header ? text(header->value) : std::string_view{};
  }

  // The first value of the first Via header, comma list respected; empty if there is none.
  std::string_view top_via() const { return text(top_via_); }

  // The same index over a copy: copy holds the same bytes, at another address.
  void rebase(const char* copy) { base_ = copy; }

 private:
  friend class MessageParser;

  const char* base_ = nullptr;
  std::uint32_t size_ = 0;
  bool is_request_ = false;
  Defect defect_ = Defect::None;
  Method method_ = Method::Other;
  Status status_ = 0;
  Slice start_line_, method_text_, request_uri_, reason_, top_via_;
  std::uint16_t headers_begin_ = 0, headers_end_ = 0, body_begin_ = 0;
  std::uint16_t header_count_ = 0;
  std::uint64_t repeated_ = 0;  // one bit for each HeaderName
  static constexpr std::size_t kNameCount = static_cast<std::size_t>(HeaderName::Identity) + 1;
  static_assert(kNameCount <= 64);
  // 1 + index of the first header of each name; 0 if there is none.
  std::array<std::uint8_t, kNameCount> first_{};
  // Only the first header_count_ entries are ever written or read.
  std::array<Header, kHeaderCountMax> headers_;
};

}  // namespace ringway::sip
