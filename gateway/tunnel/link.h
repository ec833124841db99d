#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>
#include <vector>

#include "gateway/base/fifo.h"
#include "gateway/tunnel/frame.h"
#include "gateway/tunnel/numbers.h"
#include "protocol/base/bytes.h"
#include "protocol/base/time.h"

namespace ringway::tunnel {

// Why a connection has to be closed.
enum class LinkError : std::uint8_t {
  BadFrame,     // what came is no frame
  NoTunnelEnd,  // the first frame is no Hello of our version
  OtherKind,    // the two ends are configured for different kinds
  BadFragment,  // a part of a message that never began, or began twice
  TooMuch,      // a message, or all unfinished ones together, above the bounds
  Silent,       // nothing came, though a Ping is out
  NoGreeting,   // no Hello in time
};
// What to tell a person.
std::string_view text_of(LinkError error);

struct LinkSettings {
  Carries carries = Carries::Control;
  std::uint32_t message_bytes_max = kMessageBytesMax;
  std::uint32_t queue_bytes_max = 8 << 20;  // of messages that wait to be sent
  Duration silence = 1s;                    // a far end that owes an answer for so long is gone
  Duration greeting = 3s;  // from the connection to the far end's Hello, TLS included
};

// Who hears of what a link received.
class LinkOwner {
 public:
  virtual void on_greeted(std::uint16_t link) = 0;
  // bytes: one whole message, as it was put in; borrowed for the call.
  virtual void on_message(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                          Bytes bytes) = 0;
  virtual void on_refused(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                          Refusal refusal) = 0;
  virtual void on_target(std::uint16_t link, bool serves) = 0;
  virtual void on_forget(std::uint16_t link, std::uint32_t stream) = 0;

 protected:
  ~LinkOwner() = default;
};

// One connection of the tunnel, without a socket: bytes in, messages out, and the other way.
//
//               opened()              Hello came
//   Closed  ----------------> Greeting ------------> Up
//     ^                          |                   |
//     +--------------------------+-------------------+
//        closed(); an error of received() or expire()
//
// Messages of several streams are sent piece by piece in turn. What fits into one frame and finds
// the queue empty goes straight into the output.
// Bounds: queue_bytes_max to send; kPartialsMax unfinished messages of kPartialBytesMax together.
class Link {
 public:
  static constexpr std::size_t kOutputMax = 64 * 1024;
  static constexpr std::size_t kPartialsMax = 256;
  static constexpr std::size_t kPartialBytesMax = 8 << 20;
  static constexpr Duration kPingEvery = 1s;      // when nothing else is said
  static constexpr Duration kProbeEvery = 200ms;  // when something is

  Link(std::uint16_t index, const LinkSettings& settings, LinkOwner& owner, Numbers& numbers);

  enum class State : std::uint8_t { Closed, Greeting, Up };
  State state() const { return state_; }
  bool up() const { return state_ == State::Up; }

  // The stream exists: a Hello is ready to be sent.
  void opened(Instant now);
  void closed();

  // Calls the owner for each frame that is complete. bytes may end anywhere. The owner may call
  // send() meanwhile, not closed().
  [[nodiscard]] std::expected<void, LinkError> received(Bytes bytes, Instant now);

  enum class Sent : std::uint8_t { Yes, QueueFull, TooLong, Down };
  // TooLong: longer than the far end takes.
  Sent send(std::uint32_t stream, Bytes message, Instant now);
  // The number of the message sent last.
  std::uint32_t last_message() const { return last_message_; }
  // The longest message that the far end takes.
  std::size_t message_bytes_max() const { return far_message_bytes_max_; }
  // Asks whether the far end is there, at once or kProbeEvery after it was asked last.
  void probe(Instant now);
  void send_refused(std::uint32_t stream, std::uint32_t message, Refusal refusal);
  void send_target(bool serves);
  void send_forget(std::uint32_t stream);

  // What is to be sent now, at most about kOutputMax bytes; the caller takes all of it.
  bool has_output() const { return !output_.empty() || !queue_.empty(); }
  void take_output(std::vector<std::uint8_t>& out);

  Instant next_deadline() const { return deadline_; }
  // Sends a Ping or finds the far end silent.
  [[nodiscard]] std::expected<void, LinkError> expire(Instant now);

  std::size_t queued_bytes() const { return queued_bytes_; }

 private:
  struct Queued {
    std::uint32_t stream = 0, message = 0;
    std::size_t sent = 0;  // sent < bytes.size() while it waits
    std::vector<std::uint8_t> bytes;
  };
  struct Partial {
    std::uint32_t stream = 0, message = 0;
    std::vector<std::uint8_t> bytes;
  };

  std::expected<void, LinkError> dispatch(const FrameHead& head, Bytes payload, Instant now);
  std::expected<void, LinkError> greeted(Bytes payload);
  std::expected<void, LinkError> data(const FrameHead& head, Bytes payload);
  void write(FrameHead head, Bytes payload);
  void write_control(FrameHead head, Bytes payload);
  void write_piece(Queued& queued);
  void ping(Instant now);
  void arm();

  const std::uint16_t index_;
  const LinkSettings settings_;
  LinkOwner& owner_;
  Numbers& numbers_;
  State state_ = State::Closed;
  std::uint32_t far_message_bytes_max_ = 0;
  std::uint32_t last_message_ = 0;

  std::vector<std::uint8_t> input_;  // a frame that is not complete; below head + payload
  std::vector<Partial> partials_;    // size() <= kPartialsMax
  std::size_t partial_bytes_ = 0;    // partial_bytes_ <= kPartialBytesMax
  std::vector<std::uint8_t> output_;
  Fifo<Queued> queue_;
  std::size_t queued_bytes_ = 0;  // not yet sent; queued_bytes_ <= queue_bytes_max

  Instant opened_at_{}, heard_at_{}, pinged_at_{};
  bool ping_out_ = false;
  bool probe_due_ = false;  // asked for before its time
  Instant deadline_ = kNever;
};

}  // namespace ringway::tunnel
