#pragma once

#include <expected>
#include <string>

#include "gateway/tunnel/settings.h"
#include "protocol/base/keyed_hash.h"
#include "tls/context.h"

// What happens once, before an end serves.
namespace ringway::tunnel {

// Makes DIRECTORY/controller and DIRECTORY/relay: each holds certificate.pem and key.pem of its
// end, and peer.pem, the certificate of the other one. Returns what to copy where, for a person.
// Errors: a sentence; what exists is never overwritten.
[[nodiscard]] std::expected<std::string, std::string> make_keys(const std::string& directory);

// TLS for both roles from such a folder: whoever holds the other end's key is let in, and nobody
// else.
[[nodiscard]] std::expected<tls::TlsContext, std::string> load_keys(const std::string& folder);

// What a controller end's cookies are hashed with: the same after a restart of the process, so that
// rtpengine still knows a retransmission, and no other controller end's. It comes from the kernel's
// boot (each host has another), the network namespace, the addresses that are listened on, and the
// private key where there is one; it is random where the boot cannot be read.
HashKey cookie_key(const Settings& settings);

// If this process is root it becomes user: with an empty one "ringway" if there is such an
// account, else "nobody". "root" stays.
[[nodiscard]] std::expected<void, std::string> become(const std::string& user);

}  // namespace ringway::tunnel
