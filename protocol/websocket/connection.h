#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "protocol/base/bytes.h"
#include "protocol/websocket/frame.h"

namespace ringway::websocket {

enum class Role : std::uint8_t { Server, Client };

inline constexpr std::uint32_t kMessageBytesMax = 65'535;
inline constexpr std::uint8_t kFragmentsMax = 64;

struct Event {
  enum class Kind : std::uint8_t {
    None,       // all input is used up
    Message,    // opcode is Text (payload is valid UTF-8) or Binary
    Ping,       // to be answered: write_control_frame(Opcode::Pong, payload, writer)
    Pong,       //
    Close,      // the peer closes, with code; to be answered with write_close(code, writer)
    Violation,  // the peer broke the protocol: write_close(code, writer), then close
  };

  Kind kind = Kind::None;
  Opcode opcode{};
  std::uint16_t code = 0;  // of Close (kNone if it had none) and Violation
  Bytes payload;           // of Message, Ping and Pong, and the reason of Close. Lent until the
                           // next call, and only while the input's memory is left alone
};

// The receiving half of an open WebSocket connection: plaintext in, events out (RFC 6455 5.4, 5.5,
// 7, 8.1). Sending needs no state beyond "a Close was sent", which is the owner's.
//
// A message that came in one frame and lies whole in the input is unmasked where it lies and lent
// from there. Only a message in pieces is copied, into a buffer that grows with what has arrived
// (not with what was announced) and is freed as soon as it is empty.
class Connection {
 public:
  explicit Connection(Role role = Role::Server, std::uint32_t message_bytes_max = kMessageBytesMax)
      : message_bytes_max_(message_bytes_max), role_(role) {}

  // The next event in input, whose used part is cut off its front. Call until None. Changes input's
  // bytes (unmasking). After Close or Violation all further input is thrown away.
  Event next(MutableBytes& input);

  // True between the first byte of a message or frame and its last: for the deadline of messages.
  bool in_message() const { return header_size_ != 0 || in_payload_ || fragments_ != 0; }
  // The memory that the message in pieces takes now.
  std::size_t buffered_bytes() const { return buffer_capacity_; }

 private:
  std::optional<Event> take_header(MutableBytes& input);
  std::optional<Event> take_payload(MutableBytes& input);
  Event violation(std::uint16_t code);
  std::optional<Event> check_frame(const FrameHeader& header);
  std::optional<Event> finish_frame(Bytes payload);
  Event finish_message(Opcode opcode, Bytes payload);
  Event finish_close(Bytes payload);
  void append(Bytes piece);
  void release_lent();

  bool is_whole_message() const { return is_control(opcode_) || (final_ && fragments_ == 1); }

  // buffer_ holds the message so far, then the control frame that interrupts it, if it came in
  // pieces. Invariant: message_size_ <= buffer_size_ <= buffer_capacity_.
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::uint32_t buffer_capacity_ = 0;
  std::uint32_t buffer_size_ = 0;
  std::uint32_t message_size_ = 0;  // bytes in buffer_ that a later fragment continues
  std::uint32_t frame_left_ = 0;    // bytes of this frame's payload that have not arrived
  std::uint32_t frame_size_ = 0;    // all bytes of this frame's payload
  std::uint32_t message_bytes_max_;

  std::array<std::uint8_t, kFrameHeaderBytesMax> header_{};  // of a header in pieces
  std::uint8_t header_size_ = 0;
  Mask mask_{};
  Opcode opcode_{};             // of this frame
  Opcode message_opcode_{};     // of the message in fragments
  std::uint8_t fragments_ = 0;  // frames of this message so far; zero between messages
  Role role_;
  bool final_ = false;  // of this frame
  bool in_payload_ = false;
  bool closed_ = false;
};

static_assert(sizeof(Connection) <= 64);

}  // namespace ringway::websocket
