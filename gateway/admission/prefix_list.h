#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/prefix.h"

namespace ringway {

// A list of prefixes as somebody publishes it, read from the text of a file.
//
// Either one entry a line ("192.0.2.1", "198.51.100.0/24", "2001:db8::/32"), with empty lines, and
// comments from '#' or ';' to the end of the line. Or JSON, whole or one value a line: entries are
// the strings that stand in a list, or in an object in a list, and are addresses or prefixes. That
// is what APIBAN, AbuseIPDB, CrowdSec and Spamhaus answer. A byte order mark in front is passed
// over, bits behind a prefix are ignored.
//
// A server's error, saved where the list should be, is no list. So these are mistakes: nothing in
// the text, JSON that is cut off or has no address in it (but APIBAN's "no new bans" says that
// there is none), an object with "error" or "errors", a list of addresses with something else among
// them, and what would keep everybody out.
struct LoadedPrefixes {
  std::vector<Prefix> prefixes;
  std::size_t wrong_line = 0;  // the first that cannot be read, from 1; 0: all were
  std::string mistake;         // what is wrong there, a sentence; empty: nothing
  bool is_empty = false;       // the mistake is that there is nothing: a list yet to be fetched
  std::string doubt;           // it was taken, but may not be what was meant; a sentence, or empty
};
// At most kPrefixesMax; what comes behind is a mistake.
inline constexpr std::size_t kPrefixesMax = 1'000'000;
LoadedPrefixes parse_prefix_list(std::string_view text);

// An address or a prefix of at least one bit; bits behind the prefix become zero.
std::optional<Prefix> parse_list_entry(std::string_view text);

// A piece of a list for a sentence about it: quoted, cut at 60 bytes, "?" for what is not printable
// ASCII.
std::string quoted_entry(std::string_view text);

}  // namespace ringway
