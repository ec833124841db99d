#include "gateway/tunnel/frame.h"

#include <algorithm>
#include <string_view>

namespace ringway::tunnel {
namespace {

constexpr std::uint8_t kFirst = 1, kLast = 2;
constexpr std::string_view kMagic = "RWtn";

}  // namespace

//   0      1       2               4                8                12
//   +------+-------+---------------+----------------+----------------+---------
//   | kind | flags | payload bytes | stream         | message        | payload
//   +------+-------+---------------+----------------+----------------+---------
//            bit 0: first, bit 1: last               numbers in network order
void write_frame_head(const FrameHead& head, MutableBytes out) {
  out[0] = static_cast<std::uint8_t>(head.kind);
  out[1] = static_cast<std::uint8_t>((head.first ? kFirst : 0) | (head.last ? kLast : 0));
  write_u16(out.subspan(2), head.payload_bytes);
  write_u32(out.subspan(4), head.stream);
  write_u32(out.subspan(8), head.message);
}

std::expected<FrameHead, FrameError> read_frame_head(Bytes bytes) {
  if (bytes[0] < 1 || bytes[0] > static_cast<std::uint8_t>(FrameKind::Forget)) {
    return std::unexpected(FrameError::UnknownKind);
  }
  if ((bytes[1] & ~(kFirst | kLast)) != 0) return std::unexpected(FrameError::UnknownFlags);
  FrameHead head;
  head.kind = static_cast<FrameKind>(bytes[0]);
  head.first = (bytes[1] & kFirst) != 0;
  head.last = (bytes[1] & kLast) != 0;
  head.payload_bytes = read_u16(bytes.subspan(2));
  if (head.payload_bytes > kFramePayloadMax) return std::unexpected(FrameError::TooLong);
  head.stream = read_u32(bytes.subspan(4));
  head.message = read_u32(bytes.subspan(8));
  return head;
}

//   0      4         5         6          8                    12
//   +------+---------+---------+----------+--------------------+
//   | RWtn | version | carries | 0        | largest message    |
//   +------+---------+---------+----------+--------------------+
void write_hello(const Hello& hello, MutableBytes out) {
  std::copy_n(as_bytes(kMagic).begin(), kMagic.size(), out.begin());
  out[4] = hello.version;
  out[5] = static_cast<std::uint8_t>(hello.carries);
  write_u16(out.subspan(6), 0);
  write_u32(out.subspan(8), hello.message_bytes_max);
}

std::optional<Hello> read_hello(Bytes payload) {
  if (payload.size() < kHelloBytes || as_text(payload.first(4)) != kMagic) return std::nullopt;
  if (payload[4] != kVersion || payload[5] < 1 || payload[5] > 2) return std::nullopt;
  Hello hello;
  hello.carries = static_cast<Carries>(payload[5]);
  hello.message_bytes_max = std::min<std::uint32_t>(read_u32(payload.subspan(8)), kMessageBytesMax);
  return hello;
}

}  // namespace ringway::tunnel
