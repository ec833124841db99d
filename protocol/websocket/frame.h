#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

// Frames on the wire (RFC 6455 5.2, 5.3).

namespace ringway::websocket {

enum class Opcode : std::uint8_t {
  Continuation = 0,
  Text = 1,
  Binary = 2,
  Close = 8,
  Ping = 9,
  Pong = 10,
};

constexpr bool is_control(Opcode opcode) {
  return static_cast<std::uint8_t>(opcode) >= 8;
}

// Close codes, RFC 6455 7.4.1. Others of 3000 to 4999 may come from the peer.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupportedData = 1003;
inline constexpr std::uint16_t kNone = 1005;  // never on the wire: the frame carried no code
inline constexpr std::uint16_t kInvalidText = 1007;
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;
inline constexpr std::uint16_t kTryAgainLater = 1013;
}  // namespace close_code

inline constexpr std::size_t kFrameHeaderBytesMax = 14;
inline constexpr std::size_t kControlPayloadMax = 125;

using Mask = std::array<std::uint8_t, 4>;

struct FrameHeader {
  std::uint64_t payload_size = 0;  // below 2^63
  Opcode opcode{};
  bool final = false;
  bool masked = false;
  std::uint8_t size = 0;  // of the header itself, 2..kFrameHeaderBytesMax
  Mask mask{};
};

enum class FrameError : std::uint8_t {
  ReservedBits,       // RSV1 to RSV3: no extension is ever negotiated
  UnknownOpcode,      //
  FragmentedControl,  // 5.5
  LargeControl,       // above kControlPayloadMax, 5.5
  LengthForm,         // not the shortest form, or its top bit is set
};

// Parses the frame header at the start of bytes. Nullopt while it is incomplete; what can be
// judged from its first two bytes is judged then.
[[nodiscard]] std::expected<std::optional<FrameHeader>, FrameError> parse_frame_header(Bytes bytes);

// Masks or unmasks in place. offset is the place of payload[0] within the whole payload.
void apply_mask(MutableBytes payload, const Mask& mask, std::size_t offset);

// The header of a whole (final) frame that a server sends, which is never masked (5.1).
void write_frame_header(Opcode opcode, std::uint64_t payload_size, Writer& writer);
// The same from a client: the payload that follows has to be masked with apply_mask.
void write_masked_frame_header(Opcode opcode, std::uint64_t payload_size, const Mask& mask,
                               Writer& writer);

// A whole control frame of a server. Precondition: payload.size() <= kControlPayloadMax.
void write_control_frame(Opcode opcode, Bytes payload, Writer& writer);
// A whole Close frame of a server; kNone gives one without a code, as the answer to such a one.
void write_close(std::uint16_t code, Writer& writer);

}  // namespace ringway::websocket
