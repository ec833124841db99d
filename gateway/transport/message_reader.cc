#include "gateway/transport/message_reader.h"

#include <algorithm>
#include <array>

#include "gateway/transport/bounds.h"
#include "protocol/websocket/frame.h"

namespace ringway {
namespace {

constexpr std::size_t kMessageMax = 65'536;

// What old phones and some libraries send so that NATs keep the way open.
bool is_keepalive_only(std::string_view text) {
  return text.size() <= sip::StreamFramer::kPaddingBytesMax &&
         text.find_first_not_of(std::string_view("\r\n \0", 4)) == text.npos;
}

}  // namespace

MessageReader::MessageReader(const StreamEnvironment& environment, StreamTable& table,
                             Sender& sender, Receiver& receiver)
    : counters_(environment.counters), table_(table), sender_(sender), receiver_(receiver) {}

std::optional<StreamEvent> MessageReader::next(Stream& stream, Instant now) {
  return stream.protocol == Stream::Protocol::WebSocket ? next_websocket(stream, now)
                                                        : next_sip(stream, now);
}

StreamEvent MessageReader::message_of(const Stream& stream, Bytes bytes) const {
  StreamEvent event;
  event.kind = StreamEvent::Kind::Message;
  event.source = {stream.transport, stream.listener, stream.remote, table_.flow_id(stream)};
  event.bytes = bytes;
  return event;
}

std::optional<StreamEvent> MessageReader::next_sip(Stream& stream, Instant now) {
  MutableBytes& plain = receiver_.plain();
  const Closing no_buffer{FlowEnd::Reset, TransportFailure::QueueFull, Closing::Manner::Abrupt};
  for (;;) {
    Bytes pending = plain;
    if (stream.partial) {
      if (!plain.empty() && !receiver_.append_partial(stream, plain, kMessageMax)) {
        if (stream.partial.size() - stream.partial_used < kMessageMax) {
          table_.close(stream, no_buffer, now);
        } else {
          stream.broken = true;
        }
        return std::nullopt;
      }
      pending = stream.partial.bytes().subspan(stream.partial_used);
    }
    if (pending.empty()) {
      stream.partial.reset();
      stream.partial_used = 0;
      return std::nullopt;
    }
    const auto frame = stream.framer.next(pending);
    // The memory stays as long as a message in it is lent: until the next call.
    if (stream.partial) {
      stream.partial_used += static_cast<std::uint32_t>(frame.size);
    } else {
      plain = plain.subspan(frame.size);
    }
    switch (frame.kind) {
      case sip::StreamFramer::Kind::Incomplete:
        if (plain.empty()) return std::nullopt;
        if (stream.partial || receiver_.append_partial(stream, plain, kMessageMax)) continue;
        table_.close(stream, no_buffer, now);
        return std::nullopt;
      case sip::StreamFramer::Kind::Message:
        return message_of(stream, pending.first(frame.size));
      case sip::StreamFramer::Kind::Ping:
        counters_.keepalives_answered.add();
        sender_.owe_keepalive(stream);
        continue;
      case sip::StreamFramer::Kind::Pong:
      case sip::StreamFramer::Kind::Padding:
        continue;
      case sip::StreamFramer::Kind::Broken:
        // If it can be parsed at all, the core answers 400 or 513; then the connection ends.
        stream.broken = true;
        return message_of(stream,
                          pending.first(std::min<std::size_t>(pending.size(), kMessageMax - 1)));
    }
  }
}

std::optional<StreamEvent> MessageReader::next_websocket(Stream& stream, Instant now) {
  using Kind = websocket::Event::Kind;
  for (;;) {
    const websocket::Event received = stream.websocket.next(receiver_.plain());
    switch (received.kind) {
      case Kind::None:
        receiver_.plain() = {};
        return std::nullopt;
      case Kind::Message: {
        const std::string_view text = as_text(received.payload);
        if (is_keepalive_only(text)) {  // RFC 7118 6, RFC 5626 3.5.1
          if (text.starts_with("\r\n\r\n")) {
            counters_.keepalives_answered.add();
            sender_.owe_keepalive(stream);
          }
          continue;
        }
        return message_of(stream, received.payload);
      }
      case Kind::Ping:
        if (!may_ping(stream, now)) {
          counters_.websocket_violations.add();
          close_websocket(stream, websocket::close_code::kPolicy, FlowEnd::ProtocolError, now);
          return std::nullopt;
        }
        sender_.owe_pong(stream, received.payload, now);
        continue;
      case Kind::Pong:
        continue;
      case Kind::Close:
        close_websocket(stream, received.code, FlowEnd::Closed, now);
        return std::nullopt;
      case Kind::Violation:
        counters_.websocket_violations.add();
        close_websocket(stream, received.code, FlowEnd::ProtocolError, now);
        return std::nullopt;
    }
  }
}

// A bucket that holds Stream::kPingBurst and gets one each Stream::kPingEvery.
bool MessageReader::may_ping(Stream& stream, Instant now) const {
  const auto earned = (now - stream.pings_since) / Stream::kPingEvery;
  if (earned > 0) {
    stream.pings_since += earned * Stream::kPingEvery;
    stream.pings_left = static_cast<std::uint8_t>(
        std::min<std::int64_t>(Stream::kPingBurst, stream.pings_left + earned));
  }
  if (stream.pings_left == 0) return false;
  --stream.pings_left;
  return true;
}

void MessageReader::ping(Stream& stream, Instant now) {
  stream.pinged_at = now;
  counters_.pings_sent.add();
  sender_.control_frame(stream, websocket::Opcode::Ping, {}, now);
  table_.schedule(stream);
}

void MessageReader::close_websocket(Stream& stream, std::uint16_t code, FlowEnd end, Instant now) {
  std::array<std::uint8_t, websocket::kControlPayloadMax + 2> memory;
  Writer writer(memory);
  websocket::write_close(code, writer);
  sender_.bytes(stream, writer.written(), now);
  table_.close(stream, {end, TransportFailure::Closed}, now);
}

}  // namespace ringway
