#pragma once

#include <string>

#include "gateway/base/endpoint.h"
#include "gateway/config/config.h"
#include "gateway/transport/socket.h"

namespace ringway {

// Shared: others of this user may bind the same address that way, too (SO_REUSEPORT).
enum class Sharing { Alone, Shared };

// A socket of the listener's kind that is bound to endpoint, with its options; invalid with errno
// in error. It does not listen yet.
Socket bind_socket(const ListenConfig& listen, const Endpoint& endpoint, Sharing sharing,
                   int& error);
// The options of a listener's socket, for one that somebody else made.
void set_listening_options(int fd, bool is_udp, const Endpoint& endpoint);
// Why it cannot be bound: one sentence with the listener, its address and the cure.
std::string bind_failure_text(const ListenConfig& listen, const Endpoint& endpoint, int error);

// Where a socket is bound.
Endpoint local_of(int fd);

}  // namespace ringway
