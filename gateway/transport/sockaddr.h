#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "gateway/base/endpoint.h"
#include "protocol/base/bytes.h"

namespace ringway {

// A socket address of either family, as the kernel wants it.
union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

inline socklen_t write_socket_address(const Endpoint& endpoint, SocketAddress& out) {
  std::memset(&out, 0, sizeof out);
  if (endpoint.family() == Family::V4) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(endpoint.port);
    std::memcpy(&out.v4.sin_addr, endpoint.address.bytes.data(), 4);
    return sizeof out.v4;
  }
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(endpoint.port);
  std::memcpy(&out.v6.sin6_addr, endpoint.address.bytes.data(), 16);
  return sizeof out.v6;
}

// Precondition: address is of one of the two families; others give 0.0.0.0:0.
inline Endpoint read_socket_address(const SocketAddress& address) {
  Endpoint endpoint;
  if (address.any.sa_family == AF_INET) {
    std::memcpy(endpoint.address.bytes.data(), &address.v4.sin_addr, 4);
    endpoint.port = ntohs(address.v4.sin_port);
  } else if (address.any.sa_family == AF_INET6) {
    endpoint.port = ntohs(address.v6.sin6_port);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&address.v6.sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr)) {
      std::memcpy(endpoint.address.bytes.data(), bytes + 12, 4);
    } else {
      endpoint.address.family = Family::V6;
      std::memcpy(endpoint.address.bytes.data(), bytes, 16);
    }
  }
  return endpoint;
}

inline int socket_family(Family family) {
  return family == Family::V4 ? AF_INET : AF_INET6;
}

}  // namespace ringway
