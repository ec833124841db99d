#include "protocol/websocket/frame.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace ringway::websocket {
namespace {

constexpr std::uint8_t kFinalBit = 0x80;
constexpr std::uint8_t kReservedBits = 0x70;
constexpr std::uint8_t kMaskBit = 0x80;
constexpr std::uint8_t kSize16 = 126;  // the size follows in two bytes
constexpr std::uint8_t kSize64 = 127;  // in eight

bool is_known(std::uint8_t opcode) {
  return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

void write_header(Opcode opcode, std::uint64_t payload_size, std::uint8_t mask_bit,
                  Writer& writer) {
  std::array<std::uint8_t, 10> bytes;
  std::size_t size = 2;
  bytes[0] = static_cast<std::uint8_t>(kFinalBit | static_cast<std::uint8_t>(opcode));
  if (payload_size < kSize16) {
    bytes[1] = static_cast<std::uint8_t>(mask_bit | payload_size);
  } else if (payload_size <= std::numeric_limits<std::uint16_t>::max()) {
    bytes[1] = mask_bit | kSize16;
    write_u16(MutableBytes{bytes}.subspan(2), static_cast<std::uint16_t>(payload_size));
    size = 4;
  } else {
    bytes[1] = mask_bit | kSize64;
    write_u64(MutableBytes{bytes}.subspan(2), payload_size);
    size = 10;
  }
  writer.bytes(Bytes{bytes}.first(size));
}

}  // namespace

std::expected<std::optional<FrameHeader>, FrameError> parse_frame_header(Bytes bytes) {
  if (bytes.empty()) return std::nullopt;
  if ((bytes[0] & kReservedBits) != 0) return std::unexpected(FrameError::ReservedBits);
  const std::uint8_t opcode = bytes[0] & 0x0f;
  if (!is_known(opcode)) return std::unexpected(FrameError::UnknownOpcode);

  FrameHeader header;
  header.opcode = static_cast<Opcode>(opcode);
  header.final = (bytes[0] & kFinalBit) != 0;
  if (is_control(header.opcode) && !header.final) {
    return std::unexpected(FrameError::FragmentedControl);
  }
  if (bytes.size() < 2) return std::nullopt;

  header.masked = (bytes[1] & kMaskBit) != 0;
  header.payload_size = bytes[1] & 0x7f;
  if (is_control(header.opcode) && header.payload_size > kControlPayloadMax) {
    return std::unexpected(FrameError::LargeControl);
  }
  std::size_t size = 2;
  if (header.payload_size == kSize16) {
    if (bytes.size() < 4) return std::nullopt;
    header.payload_size = read_u16(bytes.subspan(2));
    if (header.payload_size < kSize16) return std::unexpected(FrameError::LengthForm);
    size = 4;
  } else if (header.payload_size == kSize64) {
    if (bytes.size() < 10) return std::nullopt;
    header.payload_size = read_u64(bytes.subspan(2));
    if (header.payload_size <= std::numeric_limits<std::uint16_t>::max() ||
        header.payload_size >> 63 != 0) {
      return std::unexpected(FrameError::LengthForm);
    }
    size = 10;
  }
  if (header.masked) {
    if (bytes.size() < size + header.mask.size()) return std::nullopt;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(size), header.mask.size(),
                header.mask.begin());
    size += header.mask.size();
  }
  header.size = static_cast<std::uint8_t>(size);
  return header;
}

void apply_mask(MutableBytes payload, const Mask& mask, std::size_t offset) {
  // Eight bytes are two whole turns of the mask, so each word takes the same one; the compiler
  // makes vectors of the loop.
  std::array<std::uint8_t, 8> turned;
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = mask[(offset + i) & 3];
  std::uint64_t mask_word;
  std::memcpy(&mask_word, turned.data(), sizeof mask_word);

  std::uint8_t* const data = payload.data();
  const std::size_t size = payload.size();
  const std::size_t words_size = size & ~std::size_t{7};
  for (std::size_t i = 0; i < words_size; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, data + i, sizeof word);
    word ^= mask_word;
    std::memcpy(data + i, &word, sizeof word);
  }
  for (std::size_t i = words_size; i < size; ++i) {
    data[i] = static_cast<std::uint8_t>(data[i] ^ turned[i & 7]);
  }
}

void write_frame_header(Opcode opcode, std::uint64_t payload_size, Writer& writer) {
  write_header(opcode, payload_size, 0, writer);
}

void write_masked_frame_header(Opcode opcode, std::uint64_t payload_size, const Mask& mask,
                               Writer& writer) {
  write_header(opcode, payload_size, kMaskBit, writer);
  writer.bytes(mask);
}

void write_control_frame(Opcode opcode, Bytes payload, Writer& writer) {
  write_frame_header(opcode, payload.size(), writer);
  writer.bytes(payload);
}

void write_close(std::uint16_t code, Writer& writer) {
  std::array<std::uint8_t, 2> payload;
  write_u16(payload, code);
  write_control_frame(Opcode::Close, code == close_code::kNone ? Bytes{} : Bytes{payload}, writer);
}

}  // namespace ringway::websocket
