#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "protocol/base/bytes.h"

// What the two ends of a tunnel say to each other, on a stream that keeps its order (TLS or TCP).
namespace ringway::tunnel {

// The largest message that a tunnel carries. UDP ends at 65,507 bytes; Unix sockets go further.
inline constexpr std::size_t kMessageBytesMax = 256 * 1024;
inline constexpr std::size_t kDatagramBytesMax = 65'507;
// A frame with its head fits one TLS record. A longer message is cut into several frames, between
// which those of other messages may stand, so that nobody waits for the end of a long one.
inline constexpr std::size_t kFrameHeadBytes = 12;
inline constexpr std::size_t kFramePayloadMax = 16'000;
inline constexpr std::uint8_t kVersion = 1;

enum class FrameKind : std::uint8_t {
  Hello = 1,  // the first frame in each direction
  Data = 2,   // a message or a part of it
  Refused =
      3,       // that message of stream (0: all of them) did not reach the target; payload: Refusal
  Target = 4,  // relay end: 1, its target serves; 0, it does not
  Ping = 5,    // payload: eight bytes that come back
  Pong = 6,
  Forget = 7,  // controller end: stream is over
};

enum class Carries : std::uint8_t {
  Control = 1,    // rtpengine's control protocol: cookies are rewritten, errors are answered
  Datagrams = 2,  // anything: datagrams as they are
};

struct FrameHead {
  FrameKind kind = FrameKind::Data;
  bool first = false, last = false;  // Data: of the message's frames
  std::uint16_t payload_bytes = 0;   // <= kFramePayloadMax
  std::uint32_t stream = 0;          // a controller: one source of datagrams at the controller end
  std::uint32_t message = 0;         // which one of its direction; chosen by the sender; never 0
};

enum class Refusal : std::uint8_t {
  PortClosed = 1,
  TooLong,
  SocketFull,
  TooManyStreams,
  NotFramed,
  Ended,  // the target closed its connection before it answered
};

enum class FrameError : std::uint8_t { UnknownKind, UnknownFlags, TooLong };

// Precondition: out has at least kFrameHeadBytes.
void write_frame_head(const FrameHead& head, MutableBytes out);
// Precondition: bytes has at least kFrameHeadBytes. What follows is not looked at.
[[nodiscard]] std::expected<FrameHead, FrameError> read_frame_head(Bytes bytes);

struct Hello {
  std::uint8_t version = kVersion;
  Carries carries = Carries::Control;
  std::uint32_t message_bytes_max = kMessageBytesMax;  // that the sender takes
};
inline constexpr std::size_t kHelloBytes = 12;

// Precondition: out has at least kHelloBytes.
void write_hello(const Hello& hello, MutableBytes out);
// nullopt: this is no tunnel end, or of a version that is not ours.
[[nodiscard]] std::optional<Hello> read_hello(Bytes payload);

}  // namespace ringway::tunnel
