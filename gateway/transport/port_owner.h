#pragma once

#include <cstdint>
#include <string>

namespace ringway {

// "kamailio (pid 4711)": the program that holds a local port, as far as /proc tells this user;
// empty if it does not. For error texts at start.
std::string find_port_owner(std::uint16_t port, bool is_udp);

}  // namespace ringway
