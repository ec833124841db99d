#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringway {

// Walks the header section of a raw message, before any parse, and stops at the headers that
// filter rules look at. It takes what a parser might take: lines that end in LF alone, white space
// before the colon, compact names (RFC 3261 7.3.3), values folded over lines (RFC 3261 7.3.1).
class HeaderScan {
 public:
  enum class Name : std::uint8_t { UserAgent, Server, From, To, Contact, Via };
  static constexpr std::size_t kNames = 6;
  static constexpr std::size_t kValueMax = 1024;  // bytes of a value that are given back

  struct Header {
    Name name;
    std::string_view value;  // unfolded and trimmed; valid until the next call
  };

  // A set of names, a bit for each.
  using Names = std::uint8_t;
  static constexpr Names only(Name name) {
    return static_cast<Names>(1u << static_cast<unsigned>(name));
  }
  static constexpr Names kAll = (1u << kNames) - 1;

  // text: one whole message; it outlives the scan. wanted: where it stops.
  explicit HeaderScan(std::string_view text, Names wanted = kAll);
  // The first line, without its end.
  std::string_view start_line() const { return start_line_; }
  // The next header that is wanted; nullopt at the empty line or at the end.
  std::optional<Header> next();

 private:
  std::string_view take_line();
  bool begins_fold() const;  // the next line goes on with this one
  std::string_view unfold(std::string_view first);

  const char* at_;  // of what is left
  const char* end_;
  Names wanted_;
  std::string_view start_line_;
  std::array<char, kValueMax> unfolded_;  // written before it is read
};

// The name and URI of a From, To or Contact value (RFC 3261 20.10), as far as a scanner's ones go.
struct NameAddress {
  std::string_view name, uri;
};
NameAddress split_name_address(std::string_view value);

// value with its escapes read: '%' and two hexadecimal digits, or a backslash in front of any
// character. In memory, cut to what that holds.
std::string_view without_escapes(std::string_view value, char escape, std::span<char> memory);

// scheme:user@host of a URI, without what may follow.
std::string_view uri_without_port(std::string_view uri);

// The host of a Via value's sent-by; empty if there is none.
std::string_view via_host(std::string_view value);

}  // namespace ringway
