#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace ringway {

// The control data by which the kernel cuts what a send holds into datagrams of one size, the last
// of which may be shorter (UDP_SEGMENT). In place, like the header, until the kernel has read it.
class SegmentControl {
 public:
  // size: bytes of each datagram, at least 1.
  void attach(msghdr& header, std::uint16_t size) {
    header.msg_control = bytes_.data();
    header.msg_controllen = bytes_.size();
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof size);
    std::memcpy(CMSG_DATA(control), &size, sizeof size);
  }

 private:
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> bytes_{};
};

}  // namespace ringway
