#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

namespace ringway {

enum class Family : std::uint8_t { V4, V6 };

// An IP address: 16 bytes in network order, the first four used for V4. An IPv4-mapped IPv6
// address is always stored as V4, so that both forms of one peer compare equal.
struct Address {
  Family family = Family::V4;
  std::array<std::uint8_t, 16> bytes{};

  Bytes octets() const { return Bytes(bytes).first(family == Family::V4 ? 4 : 16); }
  bool is_any() const;
  bool is_loopback() const;
  bool is_multicast() const;  // and the IPv4 broadcast address
  friend bool operator==(const Address&, const Address&) = default;
};

// An address and a port (host order).
struct Endpoint {
  Address address;
  std::uint16_t port = 0;
  Family family() const { return address.family; }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// A numeric address, IPv6 with or without brackets; no names, no scope ids.
std::optional<Address> parse_address(std::string_view text);
// "192.0.2.1:5060" or "[2001:db8::1]:5060".
std::optional<Endpoint> parse_endpoint(std::string_view text);

// bare: 2001:db8::1; in a URI or with a port it stands in brackets.
enum class AddressForm : std::uint8_t { Bare, Bracketed };
void write_address(const Address& address, AddressForm form, Writer& out);
void write_endpoint(const Endpoint& endpoint, Writer& out);

// Room for any endpoint as text.
inline constexpr std::size_t kEndpointTextMax = 54;

// An endpoint as text in memory of its own: for a line of the log, without an allocation.
class EndpointText {
 public:
  explicit EndpointText(const Endpoint& endpoint) {
    Writer out(memory_);
    write_endpoint(endpoint, out);
    size_ = out.size();
  }
  std::string_view text() const { return as_text(Bytes(memory_).first(size_)); }

 private:
  std::array<std::uint8_t, kEndpointTextMax> memory_;
  std::size_t size_ = 0;
};
inline std::string text_of(const Address& address, AddressForm form = AddressForm::Bare) {
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer out(memory);
  write_address(address, form, out);
  return std::string(out.written_text());
}
inline std::string text_of(const Endpoint& endpoint) {
  return std::string(EndpointText(endpoint).text());
}

}  // namespace ringway
