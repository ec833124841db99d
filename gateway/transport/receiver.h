#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "gateway/base/fifo.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/transport/sender.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// What streams receive: buffers from the kernel, decrypted piece by piece, and the memory of what
// is incomplete. It works on the bytes of one stream at a time, the intake.
class Receiver {
 public:
  Receiver(const StreamEnvironment& environment, StreamTable& table, Sender& sender);

  [[nodiscard]] std::expected<void, std::string> open();
  void arm(Stream& stream);
  // A completion of a receive: begins an intake, or the stream ends in a quiet moment.
  void received(const Completion& completion, Instant now);
  // End of the turn: buffers go back, receives without one are armed again.
  void flush();

  // Bytes that lie in held, to be worked on as if just received.
  void begin_intake(Stream& stream, MutableBytes bytes, BufferRef held);
  // Bytes of the same stream that came before what is left of the intake.
  void continue_intake(MutableBytes bytes, BufferRef held);
  // Whose bytes there are; an empty id: nobody's.
  SlotId intake() const { return intake_.stream; }
  void end_intake();
  // As received, and not decrypted yet. What is used is cut off.
  MutableBytes& raw() { return intake_.raw; }
  // For the protocol. What is used is cut off.
  MutableBytes& plain() { return intake_.plain; }
  // Decrypts the next plaintext. False: there is no more, or the stream was closed.
  bool refill(Stream& stream, Instant now);

  // Moves as much of input behind the stream's incomplete message as makes size_max bytes; false
  // if there is no space or no buffer.
  bool append_partial(Stream& stream, MutableBytes& input, std::size_t size_max);

 private:
  bool decrypt(Stream& stream, Instant now);

  static constexpr std::uint16_t kGroup = 2;
  static constexpr std::uint32_t kReceiveBytesMax = 16'384;  // in one go, per stream

  struct Intake {
    SlotId stream;
    MutableBytes raw, plain;
    MutableBytes later;                                         // raw after raw
    BufferRef held;                                             // raw lies here,
    std::int32_t buffer = -1;                                   // or in this receive buffer
    tls::TlsSession::State tls = tls::TlsSession::State::Done;  // what the last read said
  };

  Kernel& kernel_;
  BufferPool& buffers_;
  Counters& counters_;
  Log& log_;
  const ShardListeners& listeners_;
  StreamTable& table_;
  Sender& sender_;
  ReceiveBuffers receive_buffers_;
  std::uint32_t receive_bytes_max_ = kReceiveBytesMax;  // 0: the kernel knows no limit
  Fifo<SlotId> starved_;
  Intake intake_;
  std::unique_ptr<std::uint8_t[]> plaintext_;
  std::unique_ptr<std::uint8_t[]> output_;  // what TLS writes while it reads
};

}  // namespace ringway
