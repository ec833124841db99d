#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gateway/base/prefix.h"

namespace ringway {

// A set of addresses made of prefixes. Immutable; a lookup is a binary search.
class PrefixSet {
 public:
  PrefixSet() = default;
  explicit PrefixSet(const std::vector<Prefix>& prefixes);

  bool contains(const Address& address) const;
  // Are all addresses of that prefix in it?
  bool covers(const Prefix& prefix) const;
  // Is any?
  bool touches(const Prefix& prefix) const;
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
  static bool is_next(const Number& last, const Number& first);

  std::vector<Range> ranges_;  // ascending; none touches the next
};

// Who is never kept out, and who always is. One published set, shared by all shards.
struct SourceLists {
  PrefixSet allow;
  PrefixSet block;
  std::vector<std::string> doubts;  // of the lists, for whoever configured them; each a sentence
};

}  // namespace ringway
