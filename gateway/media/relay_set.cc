#include "gateway/media/relay_set.h"

#include <algorithm>
#include <bit>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::uint8_t kSendsMax = 3;
constexpr std::uint8_t kTimeoutsUntilAvoided = 2;
constexpr std::size_t kOverheadBytes = 1'536;  // everything of a request but its description

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 16) return std::nullopt;
  for (const char c : text) {
    if (!ascii::is(c, ascii::kHex)) return std::nullopt;
    const char lower = ascii::to_lower(c);
    value = value * 16 + static_cast<std::uint64_t>(lower <= '9' ? lower - '0' : lower - 'a' + 10);
  }
  return value;
}

}  // namespace

RelaySet::RelaySet(const Config& config, ShardIndex shard, std::uint32_t epoch, TimerWheel& wheel,
                   BufferPool& buffers, Counters& counters, Log& log, Random& random)
    : config_(config),
      wheel_(wheel),
      buffers_(buffers),
      counters_(counters),
      log_(log),
      random_(random),
      cookie_prefix_(epoch),
      shard_(shard),
      relay_count_(std::min(config.media.relays.size(), kRelaysMax)),
      pending_(kPendingMax) {}

std::uint8_t RelaySet::choose() {
  std::array<std::uint8_t, kRelaysMax> candidates;
  for (const bool strict : {true, false}) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < relay_count_; ++i) {
      const Relay& relay = relays_[i];
      if (count < candidates.size() &&
          (!strict || (relay.up && relay.timeouts < kTimeoutsUntilAvoided))) {
        candidates[count++] = static_cast<std::uint8_t>(i);
      }
    }
    if (count != 0) return candidates[random_.below(count)];
  }
  return 0;
}

bool RelaySet::send(std::uint8_t relay, const RelayRequest& request, SlotId owner, Instant now,
                    Outbox& outbox) {
  BufferRef message =
      buffers_.take(request.sdp.size() + request.call_id.size() + request.from_tag.size() +
                    request.to_tag.size() + kOverheadBytes);
  const SlotId id = message ? pending_.take() : SlotId{};
  if (!id) return false;
  // The process's random number, the shard, slot and generation: never the same twice.
  std::array<std::uint8_t, 32> memory;
  Writer cookie(memory);
  cookie.hex(cookie_prefix_, 8).hex(shard_, 2).hex(id.packed(), 14);
  Writer out(message.space());
  write_relay_request(cookie.written_text(), request, out);
  if (out.overflowed()) {
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
  pending.timer =
      wheel_.arm(now + config_.media.request_timeout, subject_value(Subject::Relay, id));
  counters_.ng_requests[static_cast<std::size_t>(request.command)].add();
  counters_.ng_pending.set(pending_.size());
  if (relays_[relay].up) emit(pending, outbox);
  return true;
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
  const auto prefix = parse_hex(cookie.substr(0, 8));
  const auto name = cookie.size() == 24 ? parse_hex(cookie.substr(10)) : std::nullopt;
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
  Completion completion{pending->owner, pending->command, true, reply.value_or(RelayReply{})};
  relays_[relay].timeouts = 0;
  const auto microseconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>((now - pending->since) / 1us, 0));
  counters_.ng_latency_microseconds.add(microseconds);
  const auto bucket = static_cast<std::size_t>(std::bit_width(microseconds / 16));
  counters_.ng_latency[std::min(bucket, counters_.ng_latency.size() - 1)].add();
  if (completion.reply.result == RelayReply::Result::Error) {
    counters_.ng_errors[static_cast<std::size_t>(pending->command)].add();
  }
  wheel_.cancel(pending->timer);
  pending_.release(id);
  counters_.ng_pending.set(pending_.size());
  return completion;
}

std::optional<RelaySet::Completion> RelaySet::expire(std::uint64_t payload, Instant) {
  const SlotId id = SlotId::unpack(payload);
  Pending* pending = pending_.find(id);
  if (!pending) return std::nullopt;
  const Completion completion{pending->owner, pending->command, false, {}};
  counters_.ng_timeouts.add();
  Relay& relay = relays_[pending->relay];
  if (relay.timeouts < 255) ++relay.timeouts;
  log_.warning("media_relay_timeout", {{"relay", pending->relay},
                                       {"command", to_text(pending->command)},
                                       {"connected", relay.up ? "yes" : "no"}});
  pending_.release(id);
  counters_.ng_pending.set(pending_.size());
  return completion;
}

void RelaySet::connected(std::uint8_t relay, Outbox& outbox) {
  if (relay >= relay_count_) return;
  relays_[relay] = {true, 0};
  counters_.ng_reconnects.add();
  for (std::uint32_t slot = 0; slot < pending_.used_slots(); ++slot) {
    Pending* pending = pending_.at(slot);
    if (pending && pending->relay == relay) emit(*pending, outbox);
  }
}

void RelaySet::lost(std::uint8_t relay) {
  if (relay < relay_count_) relays_[relay].up = false;
}

}  // namespace ringway
