#include "gateway/media/relay_set.h"

#include <algorithm>
#include <bit>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::uint8_t kSendsMax = 3;
constexpr std::size_t kOverheadBytes = 1'536;  // everything of a request but its description
constexpr std::size_t kDatagramBytesMax = 65'507;
// For a connection to come back where another relay could take the call.
constexpr Duration kReconnectWait = 250ms;

}  // namespace

RelaySet::RelaySet(const Config& config, ShardIndex shard, std::uint32_t epoch, TimerWheel& wheel,
                   BufferPool& buffers, Counters& counters, Log& log, Random& random)
    : config_(config),
      wheel_(wheel),
      buffers_(buffers),
      counters_(counters),
      pool_(config, counters, log, random),
      cookie_prefix_(epoch),
      shard_(shard),
      pending_(kPendingMax) {}

bool RelaySet::send(std::uint8_t relay, const RelayRequest& request, SlotId owner, Instant now,
                    Outbox& outbox) {
  if (relay >= pool_.size() || pending_of_[relay] == kPendingMaxOfRelay) return false;
  BufferRef message =
      buffers_.take(request.sdp.size() + request.call_id.size() + request.from_tag.size() +
                    request.to_tag.size() + request.media_id.size() + kOverheadBytes);
  const SlotId id = message ? pending_.take() : SlotId{};
  if (!id) return false;
  // The process's random number, the shard, slot and generation: never the same twice.
  std::array<std::uint8_t, 32> memory;
  Writer cookie(memory);
  cookie.hex(cookie_prefix_, 8).hex(shard_, 2).hex(id.packed(), 14);
  Writer out(message.space());
  write_relay_request(cookie.written_text(), request, out);
  if (out.overflowed() || (is_datagram(relay) && out.size() > kDatagramBytesMax)) {
    pending_.release(id);
    return false;
  }
  message.set_size(out.size());

  Pending& pending = *pending_.find(id);
  pending.owner = owner;
  pending.command = request.command;
  pending.relay = relay;
  pending.message = std::move(message);
  pending.since = now;
  pending.until = now + config_.media.request_timeout;
  ++pending_of_[relay];
  counters_.ng_requests[static_cast<std::size_t>(request.command)].add();
  counters_.ng_pending.set(pending_.size());
  if (up_[relay]) emit(pending, outbox);
  arm(id, pending, now);
  return true;
}

void RelaySet::arm(SlotId id, Pending& pending, Instant now) {
  wheel_.cancel(pending.timer);
  Instant due = pending.until;
  if (is_datagram(pending.relay) && pending.sends != 0 && pending.sends < kSendsMax) {
    due = std::min(due, now + config_.media.request_timeout / 5 * pending.sends);
  }
  pending.timer = wheel_.arm(due, subject_value(Subject::Relay, id));
}

void RelaySet::release(SlotId id, Pending& pending) {
  wheel_.cancel(pending.timer);
  --pending_of_[pending.relay];
  pending_.release(id);
  counters_.ng_pending.set(pending_.size());
}

void RelaySet::emit(Pending& pending, Outbox& outbox) {
  if (pending.sends == kSendsMax) return;
  if (pending.sends++ != 0) counters_.ng_resends.add();
  Output& output = outbox.add(Output::Kind::RelayRequest);
  output.relay = pending.relay;
  output.buffer = pending.message;
}

std::optional<RelaySet::Completion> RelaySet::receive(std::uint8_t relay, Bytes message,
                                                      Instant now) {
  const std::string_view text = as_text(message);
  const std::size_t space = text.find(' ');
  const std::string_view cookie = text.substr(0, space);
  // An unknown cookie is an event of the relay's own, or the answer to what has timed out.
  const auto prefix = ascii::parse_hex(cookie.substr(0, 8));
  const auto name = cookie.size() == 24 ? ascii::parse_hex(cookie.substr(10)) : std::nullopt;
  Pending* pending = nullptr;
  SlotId id;
  if (space != text.npos && prefix && name && *prefix == cookie_prefix_) {
    id = SlotId::unpack(*name);
    pending = pending_.find(id);
  }
  if (!pending || pending->relay != relay) {
    counters_.ng_unknown_cookies.add();
    return std::nullopt;
  }
  const auto reply = parse_relay_reply(text.substr(space + 1));
  Completion completion{pending->owner, pending->command, relay, true,
                        reply.value_or(RelayReply{})};
  pool_.answered(relay);
  if (completion.reply.is_refusal()) pool_.refused(relay, completion.reply.reason, now);
  const auto microseconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>((now - pending->since) / 1us, 0));
  counters_.ng_latency_microseconds.add(microseconds);
  const auto bucket = static_cast<std::size_t>(std::bit_width(microseconds / 16));
  counters_.ng_latency[std::min(bucket, counters_.ng_latency.size() - 1)].add();
  if (completion.reply.result == RelayReply::Result::Error) {
    counters_.ng_errors[static_cast<std::size_t>(pending->command)].add();
  }
  release(id, *pending);
  return completion;
}

std::optional<RelaySet::Completion> RelaySet::expire(std::uint64_t payload, Instant now,
                                                     Outbox& outbox) {
  const SlotId id = SlotId::unpack(payload);
  Pending* pending = pending_.find(id);
  if (!pending) return std::nullopt;
  pending->timer = 0;
  if (now < pending->until) {  // by UDP
    emit(*pending, outbox);
    arm(id, *pending, now);
    return std::nullopt;
  }
  const Completion completion{pending->owner, pending->command, pending->relay, false, {}};
  counters_.ng_timeouts.add();
  pool_.not_answered(pending->relay);
  release(id, *pending);
  return completion;
}

void RelaySet::connected(std::uint8_t relay, Outbox& outbox) {
  if (relay >= pool_.size()) return;
  up_[relay] = true;
  pool_.connected(relay);
  counters_.ng_reconnects.add();
  for (std::uint32_t slot = 0; slot < pending_.used_slots(); ++slot) {
    Pending* pending = pending_.at(slot);
    if (pending && pending->relay == relay) emit(*pending, outbox);
  }
}

void RelaySet::lost(std::uint8_t relay, Instant now) {
  if (relay >= pool_.size()) return;
  up_[relay] = false;
  pool_.lost(relay);
  if (!pool_.has_usable(RelayPool::bit(relay), now)) return;
  for (std::uint32_t slot = 0; slot < pending_.used_slots(); ++slot) {
    Pending* pending = pending_.at(slot);
    if (!pending || pending->relay != relay || pending->command != RelayCommand::Offer) continue;
    pending->until = std::min(pending->until, now + kReconnectWait);
    arm(pending_.id_at(slot), *pending, now);
  }
}

}  // namespace ringway
