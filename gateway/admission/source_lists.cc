#include "gateway/admission/source_lists.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::size_t kShownMax = 60;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && ascii::is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && (ascii::is_space(text.back()) || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// As parse_prefix(), but bits behind the prefix may be anything.
std::optional<Prefix> read_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  const std::uint8_t bits_max = address->family == Family::V4 ? 32 : 128;
  Prefix prefix{*address, bits_max};
  if (slash != text.npos) {
    const auto bits = ascii::parse_number(text.substr(slash + 1), bits_max);
    if (!bits || *bits == 0) return std::nullopt;
    prefix.bits = static_cast<std::uint8_t>(*bits);
  }
  for (std::size_t bit = prefix.bits; bit < 128; ++bit) {
    prefix.address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> (bit % 8)));
  }
  return prefix;
}

}  // namespace

PrefixSet::Number PrefixSet::number_of(const Address& address) {
  Number number;
  if (address.family == Family::V4) {
    number.low = 0xffff;
    for (std::size_t i = 0; i < 4; ++i) number.low = number.low << 8 | address.bytes[i];
    return number;
  }
  for (std::size_t i = 0; i < 8; ++i) {
    number.high = number.high << 8 | address.bytes[i];
    number.low = number.low << 8 | address.bytes[8 + i];
  }
  return number;
}

PrefixSet::Number PrefixSet::last_of(const Prefix& prefix) {
  Number last = number_of(prefix.address);
  const unsigned bits = prefix.bits + (prefix.address.family == Family::V4 ? 96u : 0u);
  if (bits < 64) last.high |= ~std::uint64_t{0} >> bits;
  if (bits <= 64) {
    last.low = ~std::uint64_t{0};
  } else if (bits < 128) {
    last.low |= ~std::uint64_t{0} >> (bits - 64);
  }
  return last;
}

PrefixSet::PrefixSet(const std::vector<Prefix>& prefixes) {
  ranges_.reserve(prefixes.size());
  for (const Prefix& prefix : prefixes) {
    ranges_.push_back({number_of(prefix.address), last_of(prefix)});
  }
  std::ranges::sort(ranges_, {}, &Range::first);
  std::size_t kept = 0;
  for (const Range& range : ranges_) {
    if (kept != 0 && range.first <= ranges_[kept - 1].last) {
      ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, range.last);
    } else {
      ranges_[kept++] = range;
    }
  }
  ranges_.resize(kept);
  ranges_.shrink_to_fit();
}

bool PrefixSet::contains(const Address& address) const {
  if (ranges_.empty()) return false;
  const Number number = number_of(address);
  const auto after = std::ranges::upper_bound(ranges_, number, {}, &Range::first);
  return after != ranges_.begin() && number <= std::prev(after)->last;
}

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

// "[2001:db8::1]" is an address, "[ "192.0.2.1" ]" is not.
bool is_json(std::string_view text) {
  if (text.starts_with('{')) return true;
  return text.starts_with('[') && without_blanks(text.substr(1)).find_first_of("\"{]") == 0;
}

// All strings that are addresses or prefixes, whatever they belong to.
LoadedPrefixes parse_json_list(std::string_view text) {
  LoadedPrefixes loaded;
  if (!text.ends_with('}') && !text.ends_with(']')) {
    loaded.wrong_line = 1;
    loaded.wrong_text = std::string(text.substr(0, kShownMax));
    return loaded;
  }
  for (std::size_t at = text.find('"'); at != text.npos; at = text.find('"', at + 1)) {
    const std::size_t end = std::min(text.find('"', at + 1), text.size());
    const auto prefix = read_prefix(text.substr(at + 1, end - at - 1));
    if (prefix && loaded.prefixes.size() < kPrefixesMax) loaded.prefixes.push_back(*prefix);
    at = std::min(end, text.size() - 1);
  }
  return loaded;
}

}  // namespace

LoadedPrefixes parse_prefix_list(std::string_view text) {
  LoadedPrefixes loaded;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (const std::string_view json = without_blanks(text); is_json(json)) {
    return parse_json_list(json);
  }
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view entry = trimmed(whole.substr(0, whole.find_first_of("#;")));
    if (entry.empty()) continue;
    const auto prefix = read_prefix(entry);
    if (prefix && loaded.prefixes.size() < kPrefixesMax) {
      loaded.prefixes.push_back(*prefix);
    } else if (loaded.wrong_line == 0) {
      loaded.wrong_line = line;
      loaded.wrong_text = std::string(entry.substr(0, kShownMax));
    }
  }
  return loaded;
}

}  // namespace ringway
