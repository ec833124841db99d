#pragma once

#include <cstddef>
#include <cstdint>

// Bounds of one SIP message. Each is above the largest value that a valid message of RFC 4475
// needs, and each has a defined refusal (the status in its comment; responses are dropped).

namespace ringway::sip {

inline constexpr std::size_t kMessageBytesMax = 65'535;    // 513; offsets are 16 bits wide
inline constexpr std::size_t kHeadBytesMax = 16'384;       // 513: start line and header section
inline constexpr std::size_t kBodyBytesMax = 49'151;       // 513
inline constexpr std::size_t kHeaderLineBytesMax = 8'192;  // 400: one header, unfolded
inline constexpr std::size_t kHeaderCountMax = 128;        // 513
inline constexpr std::size_t kHeaderNameBytesMax = 128;    // 400
inline constexpr std::size_t kStartLineBytesMax = 2'048;   // 414
inline constexpr std::size_t kUriBytesMax = 1'024;         // 414
inline constexpr std::size_t kMethodBytesMax = 64;         // 501
inline constexpr std::size_t kTokenBytesMax = 512;         // 400: Call-ID, tag, branch
inline constexpr std::size_t kViaCountMax = 70;            // 513
inline constexpr std::size_t kRouteCountMax = 32;          // 400
inline constexpr std::size_t kContactCountMax = 16;        // 400
inline constexpr std::uint32_t kCSeqMax = 0x7fff'ffff;     // 400 (RFC 3261 8.1.1.5)
inline constexpr std::uint32_t kMaxForwardsMax = 255;      // 400 (RFC 3261 20.22)

}  // namespace ringway::sip
