#pragma once

#include <array>
#include <cstdint>

#include "protocol/base/bytes.h"

namespace ringway::tls {

// One-shot digests. MD5 and SHA-1 only where an RFC asks for them: digest authentication (RFC 3261
// 22, RFC 8760) and the WebSocket handshake (RFC 6455 4.2.2).
std::array<std::uint8_t, 16> md5(Bytes data);
std::array<std::uint8_t, 20> sha1(Bytes data);
std::array<std::uint8_t, 32> sha256(Bytes data);

}  // namespace ringway::tls
