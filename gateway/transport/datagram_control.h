#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include "gateway/base/endpoint.h"
#include "protocol/base/bytes.h"

namespace ringway {

// The control data of datagrams that are sent: how the kernel cuts what a send holds into datagrams
// of one size, the last of which may be shorter (UDP_SEGMENT), and from which address of this host
// they leave. In place, like the header, until the kernel has read it.
class DatagramControl {
 public:
  // size: bytes of each datagram; 0: all of it is one. from: of the socket's family, or IPv4 on an
  // IPv6 socket that takes both; without it the kernel chooses by the route.
  void attach(msghdr& header, std::uint16_t size, const std::optional<Address>& from = {}) {
    header.msg_control = bytes_.data();
    header.msg_controllen = 0;
    if (size != 0) add(header, SOL_UDP, UDP_SEGMENT, size);
    if (from && from->family == Family::V4) {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, from->bytes.data(), sizeof info.ipi_spec_dst);
      add(header, IPPROTO_IP, IP_PKTINFO, info);
    } else if (from) {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, from->bytes.data(), sizeof info.ipi6_addr);
      add(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }

 private:
  template <typename T>
  void add(msghdr& header, int level, int type, const T& value) {
    cmsghdr head{};
    head.cmsg_level = level;
    head.cmsg_type = type;
    head.cmsg_len = CMSG_LEN(sizeof value);
    std::uint8_t* const place = bytes_.data() + header.msg_controllen;
    std::memcpy(place, &head, sizeof head);
    std::memcpy(place + CMSG_LEN(0), &value, sizeof value);
    header.msg_controllen += CMSG_SPACE(sizeof value);
  }

  static constexpr std::size_t kSize =
      CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(in6_pktinfo));
  alignas(cmsghdr) std::array<std::uint8_t, kSize> bytes_{};
};

// Room for the control data that a socket asks for that is bound to all addresses.
inline constexpr std::size_t kReceivedControlMax = CMSG_SPACE(sizeof(in6_pktinfo));

// Which address of this host a datagram came to, of its control data as it was received
// (IP_PKTINFO, IPV6_PKTINFO; not aligned). nullopt: it does not say, or not one that an answer
// could leave from without more (multicast, link-local).
std::optional<Address> read_destination(Bytes control);

}  // namespace ringway
