#include "tests/sim/flow.h"

#include <array>
#include <utility>

#include "protocol/base/writer.h"
#include "protocol/websocket/frame.h"

namespace ringway::sim {

Framing::Result Framing::next() {
  using Kind = sip::StreamFramer::Kind;
  if (websocket_) return next_websocket();
  for (;;) {
    if (pending_.empty()) return {};
    const auto frame = framer_.next(as_bytes(pending_));
    if (frame.kind == Kind::Incomplete) return {};
    if (frame.kind == Kind::Broken) return {Result::Kind::Broken, std::exchange(pending_, {})};
    const std::string front = pending_.substr(0, frame.size);
    pending_.erase(0, frame.size);
    if (frame.kind == Kind::Message) return {Result::Kind::Message, front};
    if (frame.kind == Kind::Ping) return {Result::Kind::Answer, "\r\n"};
  }
}

Framing::Result Framing::next_websocket() {
  using Kind = websocket::Event::Kind;
  for (;;) {
    if (pending_.empty()) return {};
    MutableBytes input{reinterpret_cast<std::uint8_t*>(pending_.data()), pending_.size()};
    const auto event = connection_.next(input);
    Result result;
    switch (event.kind) {
      case Kind::None:
        pending_.clear();
        return {};
      case Kind::Message:
        if (as_text(event.payload) == "\r\n\r\n") {
          result = {Result::Kind::Answer, wrap("\r\n", {})};
        } else if (as_text(event.payload) != "\r\n" && !event.payload.empty()) {
          result = {Result::Kind::Message, std::string(as_text(event.payload))};
        }
        break;
      case Kind::Ping:
        result = {Result::Kind::Answer,
                  frame(websocket::Opcode::Pong, as_text(event.payload), {1, 2, 3, 4})};
        break;
      case Kind::Pong:
        break;
      case Kind::Close:
        result.kind = Result::Kind::Close;
        break;
      case Kind::Violation:
        result.kind = Result::Kind::Broken;
        break;
    }
    pending_.erase(0, pending_.size() - input.size());
    if (result.kind != Result::Kind::None) return result;
  }
}

std::string Framing::frame(websocket::Opcode opcode, std::string_view payload,
                           const websocket::Mask& mask) const {
  std::array<std::uint8_t, websocket::kFrameHeaderBytesMax> memory;
  Writer header(memory);
  std::string masked(payload);
  if (role_ == websocket::Role::Client) {
    websocket::write_masked_frame_header(opcode, payload.size(), mask, header);
    websocket::apply_mask({reinterpret_cast<std::uint8_t*>(masked.data()), masked.size()}, mask, 0);
  } else {
    websocket::write_frame_header(opcode, payload.size(), header);
  }
  return std::string(header.written_text()) + masked;
}

std::string Framing::wrap(std::string_view message, const websocket::Mask& mask) const {
  return websocket_ ? frame(websocket::Opcode::Text, message, mask) : std::string(message);
}

std::string Framing::close(std::uint16_t code, const websocket::Mask& mask) const {
  if (!websocket_) return {};
  const char payload[] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return frame(websocket::Opcode::Close, {payload, 2}, mask);
}

}  // namespace ringway::sim
