#include "protocol/sip/header_name.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "protocol/base/ascii.h"

namespace ringway::sip {
namespace {

constexpr std::size_t kNameCount = static_cast<std::size_t>(HeaderName::Identity) + 1;

// In the order of the enum.
constexpr std::array<std::string_view, kNameCount> kNames = {
    "",
    "Via",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Route",
    "Record-Route",
    "Path",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Content-Disposition",
    "Supported",
    "Require",
    "Proxy-Require",
    "Unsupported",
    "Expires",
    "Allow",
    "Event",
    "User-Agent",
    "Server",
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Retry-After",
    "Date",
    "Min-SE",
    "Session-Expires",
    "Max-Breadth",
    "Flow-Timer",
    "RAck",
    "RSeq",
    "Warning",
    "Replaces",
    "Refer-To",
    "Feature-Caps",
    "Identity",
};

constexpr std::size_t kLongNameBytesMax = 24;  // rounded up to whole words

// A name as three words of lower-case letters. mask covers the name's bytes and has the case bit of
// each letter cleared, so that (a ^ word) & mask is zero exactly for the same name in any case.
struct Words {
  std::array<std::uint64_t, 3> text{};
  std::array<std::uint64_t, 3> mask{};
  std::size_t size = 0;
};

constexpr std::array<Words, kNameCount> kWords = [] {
  std::array<Words, kNameCount> table{};
  for (std::size_t i = 1; i < kNameCount; ++i) {
    table[i].size = kNames[i].size();
    for (std::size_t at = 0; at < kNames[i].size(); ++at) {
      const char c = ascii::to_lower(kNames[i][at]);
      const std::size_t shift = 8 * (at % 8);
      table[i].text[at / 8] |= std::uint64_t{static_cast<std::uint8_t>(c)} << shift;
      table[i].mask[at / 8] |= std::uint64_t{c == '-' ? 0xffU : 0xdfU} << shift;
    }
  }
  return table;
}();

constexpr std::size_t hash(std::size_t size, char first, char last, std::uint32_t seed) {
  const std::uint32_t key = static_cast<std::uint32_t>(size) |
                            (static_cast<std::uint32_t>(first | 0x20) & 0xff) << 8 |
                            (static_cast<std::uint32_t>(last | 0x20) & 0xff) << 16;
  return (key * seed) >> 24;
}

struct PerfectHash {
  std::uint32_t seed = 0;
  std::array<std::uint8_t, 256> slots{};
};

// Found by the compiler: the first odd multiplier for which no two names share a slot.
constexpr PerfectHash kHash = [] {
  PerfectHash found;
  for (found.seed = 0x9e3779b1;; found.seed += 0x61c88646 + 2) {
    found.slots.fill(0);
    bool perfect = true;
    for (std::size_t i = 1; i < kNameCount && perfect; ++i) {
      const std::size_t slot =
          hash(kNames[i].size(), kNames[i].front(), kNames[i].back(), found.seed);
      perfect = found.slots[slot] == 0;
      found.slots[slot] = static_cast<std::uint8_t>(i);
    }
    if (perfect) return found;
  }
}();

// RFC 3261 7.3.3 and 20; o RFC 6665, r RFC 3515, x RFC 4028, y RFC 4474.
constexpr HeaderName compact(char c) {
  switch (ascii::to_lower(c)) {
    case 'v':
      return HeaderName::Via;
    case 'f':
      return HeaderName::From;
    case 't':
      return HeaderName::To;
    case 'i':
      return HeaderName::CallId;
    case 'm':
      return HeaderName::Contact;
    case 'l':
      return HeaderName::ContentLength;
    case 'c':
      return HeaderName::ContentType;
    case 'e':
      return HeaderName::ContentEncoding;
    case 'k':
      return HeaderName::Supported;
    case 'o':
      return HeaderName::Event;
    case 'r':
      return HeaderName::ReferTo;
    case 'x':
      return HeaderName::SessionExpires;
    case 'y':
      return HeaderName::Identity;
    default:
      return HeaderName::Other;
  }
}

// The same, the other way round.
constexpr std::array<char, kNameCount> kCompactForms = [] {
  std::array<char, kNameCount> forms{};
  for (char c = 'a'; c <= 'z'; ++c) forms[static_cast<std::size_t>(compact(c))] = c;
  forms[static_cast<std::size_t>(HeaderName::Other)] = 0;
  return forms;
}();

// The bytes [offset, offset + 8) of name as a little-endian word, zero beyond its end.
std::uint64_t word_at(std::string_view name, std::size_t offset) {
  if (offset >= name.size()) return 0;
  std::uint64_t word = 0;
  const std::size_t left = name.size() - offset;
  if (left >= 8) {
    std::memcpy(&word, name.data() + offset, 8);
  } else if (name.size() >= 8) {
    std::memcpy(&word, name.data() + name.size() - 8, 8);
    word >>= 8 * (8 - left);
  } else if (left >= 4) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    std::memcpy(&low, name.data(), 4);
    std::memcpy(&high, name.data() + left - 4, 4);
    word = low | std::uint64_t{high} << (8 * (left - 4));
  } else {
    for (std::size_t i = 0; i < left; ++i) {
      word |= std::uint64_t{static_cast<std::uint8_t>(name[offset + i])} << (8 * i);
    }
  }
  return word;
}

static_assert(std::endian::native == std::endian::little, "word_at() reads words");

}  // namespace

HeaderName parse_header_name(std::string_view name) {
  if (name.size() < 2) return name.empty() ? HeaderName::Other : compact(name[0]);
  if (name.size() > kLongNameBytesMax) return HeaderName::Other;
  const std::uint8_t index = kHash.slots[hash(name.size(), name.front(), name.back(), kHash.seed)];
  const Words& words = kWords[index];
  if (words.size != name.size()) return HeaderName::Other;
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i * 8 < name.size(); ++i) {
    difference |= (word_at(name, i * 8) ^ words.text[i]) & words.mask[i];
  }
  return difference == 0 ? static_cast<HeaderName>(index) : HeaderName::Other;
}

HeaderName parse_header_name(std::string_view text, std::size_t begin, std::size_t size) {
  if (size < 2 || size > kLongNameBytesMax || text.size() - begin < kLongNameBytesMax) {
    return parse_header_name(text.substr(begin, size));
  }
  const std::uint8_t index =
      kHash.slots[hash(size, text[begin], text[begin + size - 1], kHash.seed)];
  const Words& words = kWords[index];
  // All three words whatever the size, whose mask is zero behind the name: the number of rounds of
  // a loop could not be predicted.
  std::uint64_t difference = words.size ^ size;
#pragma GCC unroll 3
  for (std::size_t i = 0; i < kLongNameBytesMax / 8; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + begin + i * 8, sizeof word);
    difference |= (word ^ words.text[i]) & words.mask[i];
  }
  // A branch, so that whoever waits for the name need not wait for the comparison.
  if (__builtin_expect_with_probability(difference != 0, 0, 1.0)) return HeaderName::Other;
  return static_cast<HeaderName>(index);
}

char compact_form(HeaderName name) {
  return kCompactForms[static_cast<std::size_t>(name)];
}

std::string_view to_text(HeaderName name) {
  return kNames[static_cast<std::size_t>(name)];
}

}  // namespace ringway::sip
