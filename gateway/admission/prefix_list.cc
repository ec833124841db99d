#include "gateway/admission/prefix_list.h"

#include <algorithm>

#include "gateway/admission/json_prefixes.h"
#include "gateway/admission/source_lists.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlanks = " \t\r\n\f\v";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

// Why a line is no entry.
std::string mistake_in(std::string_view entry, std::size_t line) {
  const std::size_t slash = entry.find('/');
  if (slash != entry.npos && entry.substr(slash) == "/0" && parse_address(entry.substr(0, slash))) {
    return quoted_entry(entry) + " means everybody";
  }
  if (line == 1 && entry.starts_with('<')) {
    return quoted_entry(entry) + " begins a web page, as servers answer when something failed";
  }
  return quoted_entry(entry) + " is no address or prefix; one a line, comments begin with #";
}

LoadedPrefixes parse_lines(std::string_view text) {
  LoadedPrefixes loaded;
  const bool has_last_end = text.ends_with('\n');
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view entry = trimmed(whole.substr(0, whole.find_first_of("#;")));
    if (entry.empty()) continue;
    const auto prefix = parse_list_entry(entry);
    if (prefix && loaded.prefixes.size() < kPrefixesMax) {
      loaded.prefixes.push_back(*prefix);
    } else if (loaded.wrong_line == 0) {
      loaded.wrong_line = line;
      loaded.mistake = prefix ? "there are more than " + std::to_string(kPrefixesMax) + " entries"
                              : mistake_in(entry, line);
    }
    if (text.empty() && !has_last_end && line > 1) {
      loaded.doubt = "the last line, " + quoted_entry(entry) +
                     ", does not end: if the file was cut off there, fetch it again";
    }
  }
  return loaded;
}

// Nobody would be left: each of these alone, or all of the list together.
std::string everybody_in(const std::vector<Prefix>& prefixes) {
  for (const Prefix& prefix : prefixes) {
    if (!is_too_wide(prefix)) continue;
    return "\"" + text_of(prefix.address) + "/" + std::to_string(prefix.bits) +
           "\" would keep out a large part of the world";
  }
  static const std::vector<Prefix> kUnused =
      parse_prefixes({"0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                      "192.168.0.0/16", "224.0.0.0/3"});
  std::vector<Prefix> all = prefixes;
  all.insert(all.end(), kUnused.begin(), kUnused.end());
  const PrefixSet set(all);
  if (set.covers({{Family::V4, {}}, 0})) return "together the entries are every IPv4 address";
  if (set.covers({{Family::V6, {0x20}}, 3})) return "together the entries are every IPv6 address";
  return {};
}

}  // namespace

std::string quoted_entry(std::string_view text) {
  constexpr std::size_t kShownMax = 60;
  std::string shown = "\"";
  for (const char c : text.substr(0, kShownMax)) {
    shown += c < ' ' || c > '~' ? '?' : c;
  }
  return shown + (text.size() > kShownMax ? "...\"" : "\"");
}

std::optional<Prefix> parse_list_entry(std::string_view text) {
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

LoadedPrefixes parse_prefix_list(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::string_view inner = trimmed(text);
  LoadedPrefixes loaded;
  if (inner.empty()) {
    loaded.is_empty = true;
    loaded.wrong_line = 1;
    loaded.mistake = "there is nothing in it; where nobody is to be kept out write a comment";
    return loaded;
  }
  loaded = is_json(inner) ? parse_json_prefixes(inner) : parse_lines(text);
  if (loaded.mistake.empty()) {
    loaded.mistake = everybody_in(loaded.prefixes);
    if (!loaded.mistake.empty()) loaded.wrong_line = 1;
  }
  return loaded;
}

}  // namespace ringway
