#pragma once

#include <cstdint>
#include <string>

#include "gateway/base/endpoint.h"

namespace ringway {

// "kamailio (pid 4711)": the program that holds a local port, as far as /proc tells this user;
// empty if it does not. For error texts at start.
std::string find_port_owner(std::uint16_t port, bool is_udp);

// True if a socket of this process has that local port, as far as /proc tells.
bool is_own_port(std::uint16_t port, bool is_udp);

// True if an interface of this host has the address, or nobody can say.
bool host_has(const Address& address);

}  // namespace ringway
