#pragma once

#include <expected>
#include <string>

#include "gateway/config/config.h"

namespace ringway {

// What the process gives up once it has opened its sockets: done before the shards start, holds for
// all threads, and cannot be undone.
//
//   user       root becomes that user, with its groups and no others
//   privileges none is ever gained again (no_new_privs)
//   memory     not readable by others of that user, and in no core file
//   kernel     only the system calls that a running gateway makes (seccomp); others fail with EPERM
//
// Errors: what could not be given up, and what to do; then the process must not serve.
[[nodiscard]] std::expected<void, std::string> give_up_rights(const ProcessConfig& process);

}  // namespace ringway
