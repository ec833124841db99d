#pragma once

#include <cstdint>
#include <optional>

#include "protocol/base/bytes.h"

// RTP (RFC 3550 5.1), telephone events (RFC 4733 2.3) and G.711, as far as a plain phone needs
// them.

namespace ringway::lab {

inline constexpr std::size_t kRtpHeaderSize = 12;

struct RtpPacket {
  std::uint8_t payload_type = 0;  // 0..127
  bool marker = false;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
  Bytes payload;  // borrows from the datagram
};

// One datagram. nullopt if it is not RTP version 2 or if its CSRC list, extension or padding claim
// more octets than there are.
[[nodiscard]] std::optional<RtpPacket> parse_rtp(Bytes datagram);

// Writes header and payload without CSRC, extension and padding. Returns the size, 0 if it does not
// fit.
[[nodiscard]] std::size_t write_rtp(const RtpPacket& packet, MutableBytes out);

struct TelephoneEvent {
  std::uint8_t event = 0;
  bool end = false;
  std::uint8_t volume = 0;     // -dBm0, 0..63
  std::uint16_t duration = 0;  // timestamp units
};
[[nodiscard]] std::optional<TelephoneEvent> parse_telephone_event(Bytes payload);

// The key that events 0 to 15 stand for, '?' for all others.
char digit_of_event(std::uint8_t event);

// G.711, linear 16 bit.
std::uint8_t encode_pcmu(std::int16_t sample);
std::int16_t decode_pcmu(std::uint8_t code);
std::uint8_t encode_pcma(std::int16_t sample);
std::int16_t decode_pcma(std::uint8_t code);

}  // namespace ringway::lab
