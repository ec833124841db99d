#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/prefix.h"

namespace ringway {

// A set of addresses made of prefixes. Immutable; a lookup is a binary search.
class PrefixSet {
 public:
  PrefixSet() = default;
  explicit PrefixSet(const std::vector<Prefix>& prefixes);

  bool contains(const Address& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  // IPv4 as ::ffff:0:0/96 (RFC 4291 2.5.5.2), so that both families sort in one list.
  struct Number {
    std::uint64_t high = 0, low = 0;
    auto operator<=>(const Number&) const = default;
  };
  struct Range {
    Number first, last;  // last is in it
  };
  static Number number_of(const Address& address);
  static Number last_of(const Prefix& prefix);

  std::vector<Range> ranges_;  // ascending; none touches the next
};

// Who is never kept out, and who always is. One published set, shared by all shards.
struct SourceLists {
  PrefixSet allow;
  PrefixSet block;
};

// A list of prefixes as text: one a line ("192.0.2.1", "198.51.100.0/24", "2001:db8::/32"), empty
// lines, and comments from '#' or ';' to the end of the line. Or JSON, as APIBAN answers: of its
// strings those count that are such entries. A byte order mark in front is passed over.
struct LoadedPrefixes {
  std::vector<Prefix> prefixes;
  std::size_t wrong_line = 0;  // the first that cannot be read, from 1; 0: all were
  std::string wrong_text;      // its text, cut at 60 bytes
};
// At most kPrefixesMax; what comes behind counts as a line that cannot be read. Bits behind a
// prefix are ignored, "/0" is refused: it would be everybody.
inline constexpr std::size_t kPrefixesMax = 1'000'000;
LoadedPrefixes parse_prefix_list(std::string_view text);

}  // namespace ringway
