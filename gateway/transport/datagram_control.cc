#include "gateway/transport/datagram_control.h"

#include <algorithm>

#include "gateway/transport/sockaddr.h"

namespace ringway {
namespace {

template <typename T>
std::optional<T> value_of(const cmsghdr& head, Bytes data) {
  if (head.cmsg_len < CMSG_LEN(sizeof(T)) || data.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, data.data(), sizeof value);
  return value;
}

std::optional<Address> usable(const SocketAddress& address) {
  const Address read = read_socket_address(address).address;
  if (read.is_any() || read.is_multicast()) return std::nullopt;
  const bool is_link_local =
      read.family == Family::V6 && IN6_IS_ADDR_LINKLOCAL(&address.v6.sin6_addr);
  if (is_link_local) return std::nullopt;
  return read;
}

// The address for answers; what arrived before the socket asked for it has only the other one.
std::optional<Address> destination_of(const in_pktinfo& info) {
  SocketAddress address{};
  address.v4.sin_family = AF_INET;
  address.v4.sin_addr = info.ipi_spec_dst.s_addr != 0 ? info.ipi_spec_dst : info.ipi_addr;
  return usable(address);
}

std::optional<Address> destination_of(const in6_pktinfo& info) {
  SocketAddress address{};
  address.v6.sin6_family = AF_INET6;
  address.v6.sin6_addr = info.ipi6_addr;
  return usable(address);
}

}  // namespace

std::optional<Address> read_destination(Bytes control) {
  while (control.size() >= sizeof(cmsghdr)) {
    cmsghdr head;
    std::memcpy(&head, control.data(), sizeof head);
    if (head.cmsg_len < CMSG_LEN(0) || head.cmsg_len > control.size()) return std::nullopt;
    const Bytes data = control.first(head.cmsg_len).subspan(CMSG_LEN(0));
    if (head.cmsg_level == IPPROTO_IP && head.cmsg_type == IP_PKTINFO) {
      if (const auto info = value_of<in_pktinfo>(head, data)) return destination_of(*info);
    }
    if (head.cmsg_level == IPPROTO_IPV6 && head.cmsg_type == IPV6_PKTINFO) {
      if (const auto info = value_of<in6_pktinfo>(head, data)) return destination_of(*info);
    }
    control = control.subspan(std::min<std::size_t>(CMSG_ALIGN(head.cmsg_len), control.size()));
  }
  return std::nullopt;
}

}  // namespace ringway
