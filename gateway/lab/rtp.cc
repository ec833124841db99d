#include "gateway/lab/rtp.h"

#include <algorithm>
#include <bit>

namespace ringway::lab {

std::optional<RtpPacket> parse_rtp(Bytes datagram) {
  if (datagram.size() < kRtpHeaderSize || datagram[0] >> 6 != 2) return std::nullopt;
  RtpPacket packet;
  packet.payload_type = datagram[1] & 0x7f;
  packet.marker = (datagram[1] & 0x80) != 0;
  packet.sequence = read_u16(datagram.subspan(2));
  packet.timestamp = read_u32(datagram.subspan(4));
  packet.ssrc = read_u32(datagram.subspan(8));

  Bytes rest = datagram.subspan(kRtpHeaderSize);
  const std::size_t csrc_size = (datagram[0] & 0x0fu) * std::size_t{4};
  if (rest.size() < csrc_size) return std::nullopt;
  rest = rest.subspan(csrc_size);
  if ((datagram[0] & 0x10) != 0) {
    if (rest.size() < 4) return std::nullopt;
    const std::size_t extension_size = 4 + std::size_t{4} * read_u16(rest.subspan(2));
    if (rest.size() < extension_size) return std::nullopt;
    rest = rest.subspan(extension_size);
  }
  if ((datagram[0] & 0x20) != 0) {
    if (rest.empty() || rest.back() == 0 || rest.back() > rest.size()) return std::nullopt;
    rest = rest.first(rest.size() - rest.back());
  }
  packet.payload = rest;
  return packet;
}

std::size_t write_rtp(const RtpPacket& packet, MutableBytes out) {
  const std::size_t size = kRtpHeaderSize + packet.payload.size();
  if (out.size() < size) return 0;
  out[0] = 0x80;
  out[1] = static_cast<std::uint8_t>((packet.marker ? 0x80 : 0) | (packet.payload_type & 0x7f));
  write_u16(out.subspan(2), packet.sequence);
  write_u32(out.subspan(4), packet.timestamp);
  write_u32(out.subspan(8), packet.ssrc);
  std::copy(packet.payload.begin(), packet.payload.end(), out.begin() + kRtpHeaderSize);
  return size;
}

std::optional<TelephoneEvent> parse_telephone_event(Bytes payload) {
  if (payload.size() < 4) return std::nullopt;
  TelephoneEvent event;
  event.event = payload[0];
  event.end = (payload[1] & 0x80) != 0;
  event.volume = payload[1] & 0x3f;
  event.duration = read_u16(payload.subspan(2));
  return event;
}

char digit_of_event(std::uint8_t event) {
  constexpr std::string_view kKeys = "0123456789*#ABCD";
  return event < kKeys.size() ? kKeys[event] : '?';
}

// ITU-T G.711 mu-law: sign, segment and four bits of mantissa of the magnitude plus 132, inverted.
std::uint8_t encode_pcmu(std::int16_t sample) {
  constexpr int kBias = 0x84;
  constexpr int kClip = 32635;
  const int sign = sample < 0 ? 0x80 : 0;
  const int magnitude = std::min(sample < 0 ? -int{sample} : int{sample}, kClip) + kBias;
  const int segment = static_cast<int>(std::bit_width(static_cast<unsigned>(magnitude))) - 8;
  const int mantissa = (magnitude >> (segment + 3)) & 0x0f;
  return static_cast<std::uint8_t>(~(sign | (segment << 4) | mantissa));
}

std::int16_t decode_pcmu(std::uint8_t code) {
  const int bits = static_cast<std::uint8_t>(~code);
  const int magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return static_cast<std::int16_t>((bits & 0x80) != 0 ? -magnitude : magnitude);
}

// A-law: 13 bit magnitude, even bits inverted; the sign bit is set for positive values.
std::uint8_t encode_pcma(std::int16_t sample) {
  const int sign = sample >= 0 ? 0x80 : 0;
  const int magnitude = (sample >= 0 ? int{sample} : -int{sample} - 1) >> 4;  // 0..2047
  const int width = static_cast<int>(std::bit_width(static_cast<unsigned>(magnitude)));
  const int segment = std::max(width - 4, 0);
  const int mantissa = segment <= 1 ? magnitude & 0x0f : (magnitude >> (segment - 1)) & 0x0f;
  return static_cast<std::uint8_t>((sign | (segment << 4) | mantissa) ^ 0x55);
}

std::int16_t decode_pcma(std::uint8_t code) {
  const int bits = code ^ 0x55;
  const int segment = (bits >> 4) & 7;
  int magnitude = ((bits & 0x0f) << 4) + 8;
  if (segment >= 1) magnitude = (magnitude + 0x100) << (segment - 1);
  return static_cast<std::int16_t>((bits & 0x80) != 0 ? magnitude : -magnitude);
}

}  // namespace ringway::lab
