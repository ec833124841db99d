#include "gateway/tunnel/link.h"

#include <algorithm>
#include <array>

namespace ringway::tunnel {

std::string_view text_of(LinkError error) {
  switch (error) {
    case LinkError::BadFrame:
      return "the far end sends what is no tunnel frame; is it another program?";
    case LinkError::NoTunnelEnd:
      return "the far end is no ringway tunnel, or one of another version";
    case LinkError::OtherKind:
      return "the far end is configured for another kind; use the same --kind at both ends";
    case LinkError::BadFragment:
      return "the far end sent a part of a message that never began";
    case LinkError::TooMuch:
      return "the far end sent more than a message may hold";
    case LinkError::Silent:
      return "the far end does not answer";
    case LinkError::NoGreeting:
      return "the far end accepted the connection and then said nothing";
  }
  return {};
}

Link::Link(std::uint16_t index, const LinkSettings& settings, LinkOwner& owner, Numbers& numbers)
    : index_(index), settings_(settings), owner_(owner), numbers_(numbers) {}

void Link::opened(Instant now) {
  closed();
  state_ = State::Greeting;
  opened_at_ = heard_at_ = now;
  Hello hello;
  hello.carries = settings_.carries;
  hello.message_bytes_max = settings_.message_bytes_max;
  std::array<std::uint8_t, kHelloBytes> payload;
  write_hello(hello, payload);
  write({.kind = FrameKind::Hello}, payload);
  arm();
}

void Link::closed() {
  state_ = State::Closed;
  input_.clear();
  partials_.clear();
  partial_bytes_ = 0;
  output_.clear();
  while (!queue_.empty()) queue_.take_front();
  queued_bytes_ = 0;
  ping_out_ = probe_due_ = false;
  deadline_ = kNever;
}

std::expected<void, LinkError> Link::received(Bytes bytes, Instant now) {
  numbers_.tunnel_bytes_in.add(bytes.size());
  heard_at_ = now;
  while (!bytes.empty()) {
    // Whole frames are read where they lie; only the rest of one is kept.
    const bool direct = input_.empty();
    if (!direct) {
      std::size_t wanted = kFrameHeadBytes;
      if (input_.size() >= kFrameHeadBytes) wanted += read_u16(Bytes(input_).subspan(2));
      const std::size_t taken = std::min(bytes.size(), wanted - input_.size());
      input_.insert(input_.end(), bytes.begin(), bytes.begin() + static_cast<long>(taken));
      bytes = bytes.subspan(taken);
      if (input_.size() < wanted) break;
    }
    const Bytes ready = direct ? bytes : Bytes(input_);
    if (ready.size() < kFrameHeadBytes) {
      input_.assign(ready.begin(), ready.end());
      break;
    }
    const auto head = read_frame_head(ready);
    if (!head) return std::unexpected(LinkError::BadFrame);
    const std::size_t size = kFrameHeadBytes + head->payload_bytes;
    if (ready.size() < size) {
      if (direct) input_.assign(ready.begin(), ready.end());
      if (direct) break;
      continue;
    }
    const auto done = dispatch(*head, ready.subspan(kFrameHeadBytes, head->payload_bytes), now);
    if (!done) return done;
    if (direct) {
      bytes = bytes.subspan(size);
    } else {
      input_.clear();
    }
  }
  return {};
}

std::expected<void, LinkError> Link::dispatch(const FrameHead& head, Bytes payload, Instant now) {
  numbers_.frames_in.add();
  if (state_ == State::Greeting) {
    if (head.kind != FrameKind::Hello) return std::unexpected(LinkError::NoTunnelEnd);
    return greeted(payload);
  }
  switch (head.kind) {
    case FrameKind::Hello:
      return std::unexpected(LinkError::BadFrame);
    case FrameKind::Data:
      return data(head, payload);
    case FrameKind::Refused:
      if (payload.size() != 1 || payload[0] < 1 ||
          payload[0] > static_cast<std::uint8_t>(Refusal::Ended)) {
        return std::unexpected(LinkError::BadFrame);
      }
      owner_.on_refused(index_, head.stream, head.message, static_cast<Refusal>(payload[0]));
      return {};
    case FrameKind::Target:
      if (payload.size() != 1) return std::unexpected(LinkError::BadFrame);
      owner_.on_target(index_, payload[0] != 0);
      return {};
    case FrameKind::Ping:
      if (payload.size() != 8) return std::unexpected(LinkError::BadFrame);
      write_control({.kind = FrameKind::Pong}, payload);
      return {};
    case FrameKind::Pong:
      if (ping_out_) {
        ping_out_ = false;
        const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - pinged_at_);
        numbers_.round_trip_us.set(static_cast<std::uint64_t>(passed.count()));
        arm();
      }
      return {};
    case FrameKind::Forget:
      owner_.on_forget(index_, head.stream);
      return {};
  }
  return std::unexpected(LinkError::BadFrame);
}

std::expected<void, LinkError> Link::greeted(Bytes payload) {
  const auto hello = read_hello(payload);
  if (!hello) return std::unexpected(LinkError::NoTunnelEnd);
  if (hello->carries != settings_.carries) return std::unexpected(LinkError::OtherKind);
  far_message_bytes_max_ = hello->message_bytes_max;
  state_ = State::Up;
  arm();
  owner_.on_greeted(index_);
  return {};
}

std::expected<void, LinkError> Link::data(const FrameHead& head, Bytes payload) {
  if (head.first && head.last) {
    owner_.on_message(index_, head.stream, head.message, payload);
    return {};
  }
  const auto found = std::find_if(partials_.begin(), partials_.end(), [&](const Partial& partial) {
    return partial.message == head.message && partial.stream == head.stream;
  });
  if (head.first != (found == partials_.end())) return std::unexpected(LinkError::BadFragment);
  const std::size_t before = head.first ? 0 : found->bytes.size();
  if (before + payload.size() > settings_.message_bytes_max ||
      partial_bytes_ + payload.size() > kPartialBytesMax ||
      (head.first && partials_.size() == kPartialsMax)) {
    return std::unexpected(LinkError::TooMuch);
  }
  partial_bytes_ += payload.size();
  if (head.first) {
    partials_.push_back({head.stream, head.message, {payload.begin(), payload.end()}});
    return {};
  }
  found->bytes.insert(found->bytes.end(), payload.begin(), payload.end());
  if (!head.last) return {};
  const Partial whole = std::move(*found);
  *found = std::move(partials_.back());
  partials_.pop_back();
  partial_bytes_ -= whole.bytes.size();
  owner_.on_message(index_, whole.stream, whole.message, whole.bytes);
  return {};
}

Link::Sent Link::send(std::uint32_t stream, Bytes message, Instant now) {
  if (state_ != State::Up) return Sent::Down;
  if (message.size() > far_message_bytes_max_) return Sent::TooLong;
  probe(now);
  if (++last_message_ == 0) last_message_ = 1;
  if (message.size() <= kFramePayloadMax && queue_.empty() &&
      output_.size() + message.size() + kFrameHeadBytes <= kOutputMax) {
    write({.first = true, .last = true, .stream = stream, .message = last_message_}, message);
    return Sent::Yes;
  }
  if (queued_bytes_ + message.size() > settings_.queue_bytes_max) return Sent::QueueFull;
  Queued& queued = queue_.emplace_back();
  queued.stream = stream;
  queued.message = last_message_;
  queued.bytes.assign(message.begin(), message.end());
  queued_bytes_ += message.size();
  return Sent::Yes;
}

void Link::probe(Instant now) {
  if (!up() || ping_out_) return;
  if (now - pinged_at_ >= kProbeEvery) return ping(now);
  probe_due_ = true;
  arm();
}

void Link::send_refused(std::uint32_t stream, std::uint32_t message, Refusal refusal) {
  const auto payload = static_cast<std::uint8_t>(refusal);
  write_control({.kind = FrameKind::Refused, .stream = stream, .message = message}, {&payload, 1});
}

void Link::send_target(bool serves) {
  const std::uint8_t payload = serves ? 1 : 0;
  write_control({.kind = FrameKind::Target}, {&payload, 1});
}

void Link::send_forget(std::uint32_t stream) {
  write_control({.kind = FrameKind::Forget, .stream = stream}, {});
}

// The message at the front sends one piece and goes to the back.
void Link::take_output(std::vector<std::uint8_t>& out) {
  while (!queue_.empty()) {
    Queued& front = queue_.front();
    const std::size_t piece = std::min(front.bytes.size() - front.sent, kFramePayloadMax);
    if (output_.size() + piece + kFrameHeadBytes > kOutputMax) break;
    write_piece(front);
    Queued rest = queue_.take_front();
    if (rest.sent < rest.bytes.size()) queue_.push_back(std::move(rest));
  }
  out.clear();
  std::swap(out, output_);
  numbers_.tunnel_bytes_out.add(out.size());
}

void Link::write_piece(Queued& queued) {
  const std::size_t piece = std::min(queued.bytes.size() - queued.sent, kFramePayloadMax);
  write({.first = queued.sent == 0,
         .last = queued.sent + piece == queued.bytes.size(),
         .stream = queued.stream,
         .message = queued.message},
        Bytes(queued.bytes).subspan(queued.sent, piece));
  queued.sent += piece;
  queued_bytes_ -= piece;
}

void Link::write(FrameHead head, Bytes payload) {
  head.payload_bytes = static_cast<std::uint16_t>(payload.size());
  const std::size_t start = output_.size();
  output_.resize(start + kFrameHeadBytes + payload.size());
  const MutableBytes frame = MutableBytes(output_).subspan(start);
  write_frame_head(head, frame);
  std::copy(payload.begin(), payload.end(), frame.begin() + kFrameHeadBytes);
  numbers_.frames_out.add();
}

// Who never reads what we answer does not make us keep it.
void Link::write_control(FrameHead head, Bytes payload) {
  if (up() && output_.size() < 2 * kOutputMax) write(head, payload);
}

void Link::ping(Instant now) {
  const std::array<std::uint8_t, 8> payload{};
  write({.kind = FrameKind::Ping}, payload);
  ping_out_ = true;
  probe_due_ = false;
  pinged_at_ = now;
  arm();
}

void Link::arm() {
  if (state_ == State::Greeting) {
    deadline_ = opened_at_ + settings_.greeting;
  } else if (ping_out_) {
    deadline_ = std::max(pinged_at_, heard_at_) + settings_.silence;
  } else if (probe_due_) {
    deadline_ = pinged_at_ + kProbeEvery;
  } else {
    deadline_ = std::max(pinged_at_, heard_at_) + kPingEvery;
  }
}

std::expected<void, LinkError> Link::expire(Instant now) {
  if (state_ == State::Closed) return {};
  arm();  // what was heard meanwhile has moved it
  if (now < deadline_) return {};
  if (state_ == State::Greeting) return std::unexpected(LinkError::NoGreeting);
  if (ping_out_) return std::unexpected(LinkError::Silent);
  ping(now);
  return {};
}

}  // namespace ringway::tunnel
