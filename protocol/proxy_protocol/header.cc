#include "protocol/proxy_protocol/header.h"

#include <algorithm>
#include <string_view>

#include "protocol/base/ascii.h"
#include "protocol/base/cursor.h"

namespace ringway::proxy_protocol {
namespace {

using namespace std::string_view_literals;

using Result = std::expected<std::optional<Header>, Error>;

constexpr std::string_view kPrefix1 = "PROXY ";
constexpr std::size_t kLineBytesMax1 = 107;  // with CR LF
constexpr std::string_view kSignature2 = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kFixedBytes2 = 16;

// As much as is there agrees.
bool may_begin_with(std::string_view text, std::string_view prefix) {
  const std::size_t size = std::min(text.size(), prefix.size());
  return text.substr(0, size) == prefix.substr(0, size);
}

// Decimal without leading zeros.
std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t max) {
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return ascii::parse_number(text, max);
}

// Writes four bytes.
bool parse_ipv4(std::string_view text, MutableBytes out) {
  Cursor cursor(text);
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != 0 && !cursor.skip_char('.')) return false;
    const auto number = parse_decimal(cursor.take_while(ascii::kDigit), 255);
    if (!number) return false;
    out[i] = static_cast<std::uint8_t>(*number);
  }
  return cursor.at_end();
}

std::optional<std::uint16_t> take_group(Cursor& cursor) {
  const std::string_view digits = cursor.take_while(ascii::kHex);
  if (digits.empty() || digits.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (const char c : digits) {
    const char lower = ascii::to_lower(c);
    const int digit = ascii::is_digit(lower) ? lower - '0' : lower - 'a' + 10;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return static_cast<std::uint16_t>(value);
}

// RFC 4291 2.2, an IPv4 tail included. Writes sixteen bytes.
bool parse_ipv6(std::string_view text, MutableBytes out) {
  std::array<std::uint8_t, 16> bytes{};
  std::size_t size = 0;
  std::optional<std::size_t> gap;  // where "::" stands
  Cursor cursor(text);
  if (cursor.skip_text("::")) gap = 0;
  while (!cursor.at_end()) {
    const std::string_view rest = cursor.rest();
    if (rest.find(':') == rest.npos && rest.find('.') != rest.npos) {
      if (size > 12 || !parse_ipv4(rest, MutableBytes{bytes}.subspan(size))) return false;
      size += 4;
      break;
    }
    const std::optional<std::uint16_t> group = take_group(cursor);
    if (!group || size == bytes.size()) return false;
    write_u16(MutableBytes{bytes}.subspan(size), *group);
    size += 2;
    if (cursor.at_end()) break;
    if (!cursor.skip_char(':')) return false;
    if (cursor.skip_char(':')) {
      if (gap) return false;
      gap = size;
    } else if (cursor.at_end()) {
      return false;
    }
  }
  if (gap ? size == bytes.size() : size != bytes.size()) return false;
  std::fill(out.begin(), out.begin() + 16, std::uint8_t{0});
  const std::size_t head = gap.value_or(size);
  std::copy_n(bytes.begin(), head, out.begin());
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(head),
            bytes.begin() + static_cast<std::ptrdiff_t>(size),
            out.begin() + static_cast<std::ptrdiff_t>(16 - (size - head)));
  return true;
}

bool take_ip(Cursor& cursor, Family family, Address& address) {
  const std::string_view text = cursor.take_until(" ");
  const bool parsed =
      family == Family::Ipv4 ? parse_ipv4(text, address.bytes) : parse_ipv6(text, address.bytes);
  return parsed && cursor.skip_char(' ');
}

bool parse_port(std::string_view text, Address& address) {
  const std::optional<std::uint32_t> port = parse_decimal(text, 65'535);
  if (!port) return false;
  address.port = static_cast<std::uint16_t>(*port);
  return true;
}

Result parse_version1(std::string_view text) {
  const std::string_view window = text.substr(0, kLineBytesMax1);
  const std::size_t end = window.find('\n');
  if (end == window.npos) {
    if (window.size() == kLineBytesMax1) return std::unexpected(Error::TooLong);
    return std::nullopt;
  }
  if (window[end - 1] != '\r') return std::unexpected(Error::Malformed);

  Header header;
  header.size = end + 1;
  Cursor cursor(window.substr(kPrefix1.size(), end - 1 - kPrefix1.size()));
  const std::string_view protocol = cursor.take_until(" ");
  if (protocol == "UNKNOWN") return header;  // whatever else the line says is to be ignored
  if (protocol != "TCP4" && protocol != "TCP6") return std::unexpected(Error::Malformed);
  header.family = protocol == "TCP4" ? Family::Ipv4 : Family::Ipv6;
  header.transport = Transport::Stream;
  if (!cursor.skip_char(' ') || !take_ip(cursor, header.family, header.source) ||
      !take_ip(cursor, header.family, header.destination) ||
      !parse_port(cursor.take_until(" "), header.source) || !cursor.skip_char(' ') ||
      !parse_port(cursor.rest(), header.destination)) {
    return std::unexpected(Error::Malformed);
  }
  return header;
}

// Source and destination addresses, then both ports.
void read_addresses(Bytes bytes, std::size_t ip_size, Header& header) {
  std::copy_n(bytes.begin(), ip_size, header.source.bytes.begin());
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(ip_size), ip_size,
              header.destination.bytes.begin());
  header.source.port = read_u16(bytes.subspan(2 * ip_size));
  header.destination.port = read_u16(bytes.subspan(2 * ip_size + 2));
}

Result parse_version2(Bytes bytes) {
  if (bytes.size() < kFixedBytes2) return std::nullopt;
  const std::uint8_t version_command = bytes[12];
  const std::uint8_t family = bytes[13] >> 4;
  const std::uint8_t transport = bytes[13] & 0x0f;
  const std::size_t payload_size = read_u16(bytes.subspan(14));
  if (version_command != 0x20 && version_command != 0x21) return std::unexpected(Error::Malformed);
  if (family > 3 || transport > 2) return std::unexpected(Error::Malformed);
  Header header;
  header.size = kFixedBytes2 + payload_size;
  if (header.size > kHeaderBytesMax) return std::unexpected(Error::TooLong);
  if (bytes.size() < header.size) return std::nullopt;

  const bool local = version_command == 0x20;
  if (local || (family != 1 && family != 2) || transport == 0) return header;
  const std::size_t ip_size = family == 1 ? 4 : 16;
  if (payload_size < 2 * ip_size + 4) return std::unexpected(Error::Malformed);
  header.family = family == 1 ? Family::Ipv4 : Family::Ipv6;
  header.transport = transport == 1 ? Transport::Stream : Transport::Datagram;
  read_addresses(bytes.subspan(kFixedBytes2), ip_size, header);
  return header;
}

}  // namespace

std::expected<std::optional<Header>, Error> parse_header(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  if (may_begin_with(text, kPrefix1)) {
    if (text.size() < kPrefix1.size()) return std::nullopt;
    return parse_version1(text);
  }
  if (may_begin_with(text, kSignature2)) return parse_version2(bytes);
  return std::unexpected(Error::NotProxy);
}

}  // namespace ringway::proxy_protocol
