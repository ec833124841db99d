#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "protocol/base/bytes.h"

// The PROXY protocol, versions 1 and 2: what a load balancer puts in front of a connection to say
// whose it is. Only for sources that the operator has listed: everyone can write one.

namespace ringway::proxy_protocol {

enum class Family : std::uint8_t {
  Unspecified,  // LOCAL, UNKNOWN or a Unix socket: the connection's own addresses count
  Ipv4,
  Ipv6,
};

enum class Transport : std::uint8_t { Unspecified, Stream, Datagram };

struct Address {
  std::array<std::uint8_t, 16> bytes{};  // network order; the first four for Ipv4
  std::uint16_t port = 0;

  bool operator==(const Address&) const = default;
};

struct Header {
  Family family = Family::Unspecified;
  Transport transport = Transport::Unspecified;
  Address source;        // the client; zeros if family is Unspecified
  Address destination;   // where the client connected to
  std::size_t size = 0;  // of the header: what follows is the client's
};

enum class Error : std::uint8_t {
  NotProxy,  // the bytes do not begin like either version
  Malformed,
  TooLong,  // version 1 above 107 bytes, version 2 above kHeaderBytesMax
};

// The longest header of version 2 that is believed, extensions (TLVs) included; those are skipped.
inline constexpr std::size_t kHeaderBytesMax = 4'096;

// Parses the header at the start of bytes; nullopt while more bytes are needed.
[[nodiscard]] std::expected<std::optional<Header>, Error> parse_header(Bytes bytes);

}  // namespace ringway::proxy_protocol
