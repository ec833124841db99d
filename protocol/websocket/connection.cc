#include "protocol/websocket/connection.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/utf8.h"

namespace ringway::websocket {
namespace {

constexpr std::size_t kBufferBytesMin = 512;

// RFC 6455 7.4 and the codes registered since; the others must not be on the wire.
bool is_close_code(std::uint16_t code) {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

}  // namespace

Event Connection::next(MutableBytes& input) {
  release_lent();
  while (!closed_) {
    const std::optional<Event> event = in_payload_ ? take_payload(input) : take_header(input);
    if (event) return *event;
  }
  input = {};
  return {};
}

// Nullopt once a header is complete; otherwise what next() returns.
std::optional<Event> Connection::take_header(MutableBytes& input) {
  if (input.empty()) return Event{};
  Bytes bytes = input;
  if (header_size_ != 0) {
    const std::size_t taken = std::min(header_.size() - header_size_, input.size());
    std::copy_n(input.begin(), taken, header_.begin() + header_size_);
    bytes = Bytes{header_}.first(header_size_ + taken);
  }
  const auto header = parse_frame_header(bytes);
  if (!header) return violation(close_code::kProtocolError);
  if (!*header) {  // bytes is shorter than any header, so that it fits and is all of input
    if (header_size_ == 0) std::copy(bytes.begin(), bytes.end(), header_.begin());
    header_size_ = static_cast<std::uint8_t>(bytes.size());
    input = {};
    return Event{};
  }
  input = input.subspan((*header)->size - std::size_t{header_size_});
  header_size_ = 0;
  return check_frame(**header);
}

// Nullopt if the frame may come here; then its payload is expected.
std::optional<Event> Connection::check_frame(const FrameHeader& header) {
  if (header.masked != (role_ == Role::Server)) return violation(close_code::kProtocolError);
  if (!is_control(header.opcode)) {
    const bool continues = header.opcode == Opcode::Continuation;
    if (continues != (fragments_ != 0)) return violation(close_code::kProtocolError);
    if (fragments_ == kFragmentsMax) return violation(close_code::kPolicy);
    if (header.payload_size > message_bytes_max_ - message_size_) {
      return violation(close_code::kTooBig);
    }
    if (!continues) message_opcode_ = header.opcode;
    ++fragments_;
  }
  opcode_ = header.opcode;
  final_ = header.final;
  mask_ = header.mask;
  frame_size_ = static_cast<std::uint32_t>(header.payload_size);
  frame_left_ = frame_size_;
  in_payload_ = true;
  return std::nullopt;
}

std::optional<Event> Connection::take_payload(MutableBytes& input) {
  const bool untouched = frame_left_ == frame_size_;
  const MutableBytes piece = input.first(std::min<std::size_t>(frame_left_, input.size()));
  input = input.subspan(piece.size());
  if (untouched && piece.size() == frame_size_ && is_whole_message()) {
    apply_mask(piece, mask_, 0);
    return finish_frame(piece);
  }
  append(piece);
  frame_left_ -= static_cast<std::uint32_t>(piece.size());
  if (frame_left_ != 0) return Event{};
  const std::size_t start = is_control(opcode_) ? message_size_ : 0;
  return finish_frame(Bytes{buffer_.get(), buffer_size_}.subspan(start));
}

// Copies and unmasks. The buffer grows with what has arrived, by doubling, so that an announced
// size costs its sender the bytes.
void Connection::append(Bytes piece) {
  if (piece.empty()) return;
  const std::size_t needed = buffer_size_ + piece.size();
  if (needed > buffer_capacity_) {
    const std::size_t known_end = std::size_t{message_size_} + frame_size_;
    const std::size_t end =
        final_ ? known_end : std::size_t{message_bytes_max_} + kControlPayloadMax;
    const std::size_t wanted = std::max(std::size_t{buffer_capacity_} * 2, kBufferBytesMin);
    const std::size_t capacity = std::max(needed, std::min(wanted, end));
    auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
    if (buffer_size_ != 0) std::memcpy(larger.get(), buffer_.get(), buffer_size_);
    buffer_ = std::move(larger);
    buffer_capacity_ = static_cast<std::uint32_t>(capacity);
  }
  const MutableBytes copy{buffer_.get() + buffer_size_, piece.size()};
  std::memcpy(copy.data(), piece.data(), piece.size());
  apply_mask(copy, mask_, frame_size_ - frame_left_);
  buffer_size_ = static_cast<std::uint32_t>(needed);
}

// Nullopt after a fragment that others will follow.
std::optional<Event> Connection::finish_frame(Bytes payload) {
  in_payload_ = false;
  switch (opcode_) {
    case Opcode::Continuation:
    case Opcode::Text:
    case Opcode::Binary:
      if (!final_) {
        message_size_ = buffer_size_;
        return std::nullopt;
      }
      message_size_ = 0;
      fragments_ = 0;
      return finish_message(message_opcode_, payload);
    case Opcode::Close:
      return finish_close(payload);
    case Opcode::Ping:
      return Event{Event::Kind::Ping, opcode_, 0, payload};
    case Opcode::Pong:
      return Event{Event::Kind::Pong, opcode_, 0, payload};
  }
  return std::nullopt;
}

Event Connection::finish_message(Opcode opcode, Bytes payload) {
  if (opcode == Opcode::Text && !valid_utf8(payload)) return violation(close_code::kInvalidText);
  return {Event::Kind::Message, opcode, 0, payload};
}

// RFC 6455 5.5.1.
Event Connection::finish_close(Bytes payload) {
  if (payload.size() == 1) return violation(close_code::kProtocolError);
  std::uint16_t code = close_code::kNone;
  if (!payload.empty()) {
    code = read_u16(payload);
    if (!is_close_code(code)) return violation(close_code::kProtocolError);
    payload = payload.subspan(2);
    if (!valid_utf8(payload)) return violation(close_code::kInvalidText);
  }
  closed_ = true;
  message_size_ = 0;
  fragments_ = 0;
  return {Event::Kind::Close, Opcode::Close, code, payload};
}

Event Connection::violation(std::uint16_t code) {
  closed_ = true;
  in_payload_ = false;
  header_size_ = 0;
  fragments_ = 0;
  message_size_ = 0;
  release_lent();
  return {Event::Kind::Violation, Opcode::Close, code, {}};
}

// Drops what the last event lent: a message that came in pieces, or such a control frame behind
// the message that it interrupts.
void Connection::release_lent() {
  if (in_payload_) return;
  buffer_size_ = message_size_;
  if (buffer_size_ == 0) {
    buffer_.reset();
    buffer_capacity_ = 0;
  }
}

}  // namespace ringway::websocket
