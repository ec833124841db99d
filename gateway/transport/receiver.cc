#include "gateway/transport/receiver.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "gateway/base/check.h"
#include "gateway/transport/tls_failure.h"

namespace ringway {
namespace {

using Stage = Stream::Stage;

constexpr std::uint32_t kReceiveCount = 256;
constexpr std::uint32_t kReceiveSize = 4'096;
constexpr std::uint32_t kReceiveStride = 4'096 + 64 * 3;
constexpr std::size_t kPlaintextSize = 32'768;
constexpr std::size_t kOutputSize = 16'384;

}  // namespace

Receiver::Receiver(const StreamEnvironment& environment, StreamTable& table, Sender& sender)
    : kernel_(environment.kernel),
      buffers_(environment.buffers),
      counters_(environment.counters),
      log_(environment.log),
      listeners_(environment.listeners),
      table_(table),
      sender_(sender),
      plaintext_(std::make_unique<std::uint8_t[]>(kPlaintextSize)),
      output_(std::make_unique<std::uint8_t[]>(kOutputSize)) {}

std::expected<void, std::string> Receiver::open() {
  return receive_buffers_.open(kernel_, {kGroup, kReceiveCount, kReceiveSize, kReceiveStride});
}

void Receiver::arm(Stream& stream) {
  stream.receive_armed = true;
  kernel_.receive(stream.fd, kGroup, receive_bytes_max_, {OperationKind::ReceiveStream, stream.id});
}

void Receiver::received(const Completion& completion, Instant now) {
  if (completion.has_buffer) receive_buffers_.taken();
  const auto give_back = [&] {
    if (completion.has_buffer) receive_buffers_.give_back(completion.buffer);
  };
  Stream* stream = table_.find(completion.operation.id);
  if (!stream) return give_back();
  if (!completion.more) stream->receive_armed = false;
  if (stream->stage == Stage::Ending) {
    give_back();
    return table_.finish_if_idle(*stream);
  }
  if (completion.result == -ENOBUFS) {
    counters_.receive_no_buffers.add();
    starved_.push_back(stream->id);
    return;
  }
  if (completion.result == -EINVAL && receive_bytes_max_ != 0) {
    receive_bytes_max_ = 0;  // kernels before 6.15 know no limit of a multishot receive
    return arm(*stream);
  }
  if (completion.result <= 0) {
    give_back();
    stream->peer_closed = true;
    if (completion.result == 0) return table_.close_later(*stream, {});
    return table_.close_later(*stream,
                              {completion.result == -ETIMEDOUT ? FlowEnd::TimedOut : FlowEnd::Reset,
                               TransportFailure::Reset, Closing::Manner::Abrupt});
  }
  if (!completion.more) {
    counters_.receive_rearms.add();
    arm(*stream);
  }
  stream->last_received = now;
  if (stream->pinged_at != Instant{}) {  // the next ping is due before its answer was
    stream->pinged_at = {};
    table_.schedule(*stream);
  }
  const auto size = static_cast<std::size_t>(completion.result);
  counters_.bytes_in[static_cast<std::size_t>(stream->transport)].add(size);
  if (!stream->is_usable()) return give_back();
  begin_intake(*stream, receive_buffers_.bytes(completion.buffer, size), {});
  intake_.buffer = completion.buffer;
}

void Receiver::begin_intake(Stream& stream, MutableBytes bytes, BufferRef held) {
  DCHECK(!intake_.stream);
  intake_.stream = stream.id;
  intake_.raw = bytes;
  intake_.plain = {};
  intake_.later = {};
  intake_.held = std::move(held);
  intake_.buffer = -1;
  intake_.tls = tls::TlsSession::State::Done;
}

void Receiver::continue_intake(MutableBytes bytes, BufferRef held) {
  DCHECK(intake_.later.empty());
  intake_.later = std::exchange(intake_.raw, bytes);
  intake_.held = std::move(held);
}

void Receiver::end_intake() {
  intake_.stream = {};
  intake_.held.reset();
  if (intake_.buffer >= 0) {
    receive_buffers_.give_back(static_cast<std::uint16_t>(intake_.buffer));
    intake_.buffer = -1;
  }
}

bool Receiver::refill(Stream& stream, Instant now) {
  if (is_secure(stream.transport)) return decrypt(stream, now);
  intake_.plain = intake_.raw;
  intake_.raw = {};
  return !intake_.plain.empty();
}

bool Receiver::decrypt(Stream& stream, Instant now) {
  using State = tls::TlsSession::State;
  for (;;) {
    if (intake_.tls == State::NeedInput) {
      if (intake_.later.empty()) return false;
      intake_.raw = std::exchange(intake_.later, {});
      intake_.held.reset();
    }
    if (intake_.tls == State::Closed) {
      stream.peer_closed = true;
      table_.close_later(stream, {});
      return false;
    }
    if (intake_.tls == State::Failed) {
      log_tls_failure(log_, listeners_, stream, "tls_session_failed");
      counters_.tls_sessions_failed.add();
      table_.close(stream, {FlowEnd::ProtocolError, TransportFailure::TlsFailed}, now);
      return false;
    }
    Bytes input = intake_.raw;
    Writer writer({output_.get(), kOutputSize});
    const auto progress = stream.tls.read(input, {plaintext_.get(), kPlaintextSize}, writer);
    intake_.raw = intake_.raw.last(input.size());
    intake_.tls = progress.state;
    sender_.ciphertext(stream, writer.written(), now);
    if (stream.is_closing()) return false;
    if (progress.size != 0) {
      intake_.plain = {plaintext_.get(), progress.size};
      return true;
    }
  }
}

bool Receiver::append_partial(Stream& stream, MutableBytes& input, std::size_t size_max) {
  const std::size_t old_size = stream.partial.size() - stream.partial_used;
  if (old_size >= size_max) return false;
  const std::size_t count = std::min(input.size(), size_max - old_size);
  const std::size_t size = old_size + count;
  if (!stream.partial || stream.partial.space().size() < size) {
    BufferRef larger = buffers_.take(size);
    if (!larger) return false;
    if (old_size != 0) {
      const Bytes old = stream.partial.bytes().subspan(stream.partial_used);
      std::memcpy(larger.space().data(), old.data(), old_size);
    }
    stream.partial = std::move(larger);
  } else if (stream.partial_used != 0 && old_size != 0) {
    std::memmove(stream.partial.space().data(), stream.partial.space().data() + stream.partial_used,
                 old_size);
  }
  stream.partial_used = 0;
  if (count != 0) std::memcpy(stream.partial.space().data() + old_size, input.data(), count);
  stream.partial.set_size(size);
  input = input.subspan(count);
  return true;
}

void Receiver::flush() {
  receive_buffers_.publish();
  // One for each buffer: arming without would fail at once, and again, without end.
  for (auto left = receive_buffers_.available(); left != 0 && !starved_.empty(); --left) {
    Stream* stream = table_.find(starved_.take_front());
    if (!stream || stream->receive_armed || stream->stage == Stage::Ending) continue;
    counters_.receive_rearms.add();
    arm(*stream);
  }
}

}  // namespace ringway
