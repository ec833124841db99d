#pragma once

#include <cstdint>

namespace ringway::tunnel {

// Which operations on streams belong to whom: the highest bits of a slot. None: a connection of the
// tunnel.
inline constexpr std::uint32_t kTargetTag = 0x40'0000, kAdminTag = 0x80'0000;

// Slots of accepting sockets.
inline constexpr std::uint32_t kTunnelListener = 0, kAdminListener = 1;

}  // namespace ringway::tunnel
