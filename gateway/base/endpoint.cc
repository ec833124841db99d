#include "gateway/base/endpoint.h"

#include <cstring>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool parse_v4(std::string_view text, std::uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == text.npos || dot > 3) return false;
    const auto value = ascii::parse_number(text.substr(0, dot), 255);
    if (!value) return false;
    out[i] = static_cast<std::uint8_t>(*value);
    text.remove_prefix(i < 3 ? dot + 1 : dot);
  }
  return text.empty();
}

std::optional<std::uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (!ascii::is(c, ascii::kHex)) return std::nullopt;
    const char lower = ascii::to_lower(c);
    value = value * 16 + static_cast<unsigned>(lower <= '9' ? lower - '0' : lower - 'a' + 10);
  }
  return static_cast<std::uint16_t>(value);
}

// The 16-bit groups of one side of "::"; the last may be an IPv4 address of two groups.
std::optional<std::size_t> parse_groups(std::string_view text, std::uint8_t* out,
                                        std::size_t groups_max) {
  std::size_t count = 0;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (colon == text.npos && part.find('.') != part.npos) {
      if (count + 2 > groups_max || !parse_v4(part, out + 2 * count)) return std::nullopt;
      return count + 2;
    }
    const auto group = parse_group(part);
    if (!group || count == groups_max) return std::nullopt;
    out[2 * count] = static_cast<std::uint8_t>(*group >> 8);
    out[2 * count + 1] = static_cast<std::uint8_t>(*group);
    ++count;
    if (colon == text.npos) break;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt;  // a colon at the end
  }
  return count;
}

bool parse_v6(std::string_view text, std::uint8_t* out) {
  std::uint8_t head[16]{}, tail[16]{};
  const std::size_t gap = text.find("::");
  if (gap == text.npos) {
    const auto count = parse_groups(text, out, 8);
    return count && *count == 8;
  }
  // RFC 4291 2.2: an embedded IPv4 address stands at the end only.
  if (text.substr(0, gap).find('.') != text.npos) return false;
  std::string_view after = text.substr(gap + 2);
  // RFC 5118 4.10: the grammar of RFC 3261 produced ":::" in front of an embedded IPv4 address.
  if (after.starts_with(':') && after.find('.') != after.npos) after.remove_prefix(1);
  const auto head_count = parse_groups(text.substr(0, gap), head, 7);
  const auto tail_count = parse_groups(after, tail, 7);
  if (!head_count || !tail_count || *head_count + *tail_count > 7) return false;
  std::memset(out, 0, 16);
  std::memcpy(out, head, 2 * *head_count);
  std::memcpy(out + 16 - 2 * *tail_count, tail, 2 * *tail_count);
  return true;
}

}  // namespace

bool Address::is_any() const {
  for (const std::uint8_t byte : octets()) {
    if (byte != 0) return false;
  }
  return true;
}

bool Address::is_loopback() const {
  if (family == Family::V4) return bytes[0] == 127;
  for (std::size_t i = 0; i < 15; ++i) {
    if (bytes[i] != 0) return false;
  }
  return bytes[15] == 1;
}

bool Address::is_multicast() const {
  if (family == Family::V6) return bytes[0] == 0xff;
  return bytes[0] >= 224 && (bytes[0] < 240 || bytes[0] == 255);
}

std::optional<Address> parse_address(std::string_view text) {
  Address address;
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
    if (text.find(':') == text.npos) return std::nullopt;
  }
  if (text.find(':') == text.npos) {
    if (!parse_v4(text, address.bytes.data())) return std::nullopt;
    return address;
  }
  if (!parse_v6(text, address.bytes.data())) return std::nullopt;
  address.family = Family::V6;
  if (std::memcmp(address.bytes.data(), kMappedPrefix.data(), kMappedPrefix.size()) == 0) {
    Address mapped;
    std::memcpy(mapped.bytes.data(), address.bytes.data() + 12, 4);
    return mapped;
  }
  return address;
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  if (host.find(':') != host.npos && host.front() != '[') return std::nullopt;
  const auto address = parse_address(host);
  const auto port = ascii::parse_number(text.substr(colon + 1), 65535);
  if (!address || !port) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

void write_address(const Address& address, AddressForm form, Writer& out) {
  const auto& bytes = address.bytes;
  if (address.family == Family::V4) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (i != 0) out.character('.');
      out.number(bytes[i]);
    }
    return;
  }
  // RFC 5952: the longest run of at least two zero groups becomes "::".
  std::size_t best = 8, best_size = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t run = 0;
    while (i + run < 8 && bytes[2 * (i + run)] == 0 && bytes[2 * (i + run) + 1] == 0) ++run;
    if (run > best_size) best = i, best_size = run;
  }
  if (form == AddressForm::Bracketed) out.character('[');
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out.text("::");
      i += best_size - 1;
      continue;
    }
    if (i != 0 && i != best + best_size) out.character(':');
    out.hex(static_cast<std::uint64_t>((bytes[2 * i] << 8) | bytes[2 * i + 1]));
  }
  if (form == AddressForm::Bracketed) out.character(']');
}

void write_endpoint(const Endpoint& endpoint, Writer& out) {
  write_address(endpoint.address, AddressForm::Bracketed, out);
  out.character(':').number(endpoint.port);
}

}  // namespace ringway
