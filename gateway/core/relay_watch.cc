#include "gateway/core/relay_watch.h"

#include <algorithm>

#include "gateway/base/subject.h"
#include "protocol/bencode/bencode.h"

namespace ringway {

void RelayWatch::connected(std::uint8_t relay, Instant now) {
  if (relay >= relays_.pool().size()) return;
  // Not all shards at the same moment.
  const auto jitter = Duration(
      static_cast<std::int64_t>(core_.random.below(static_cast<std::uint64_t>(kPing.count()))));
  Watched& watched = watched_[relay];  // what it was asked before stays asked
  watched.here = true;
  watched.ping_at = now + jitter;
  watched.sweep_at = now + kSweep / 2 + jitter;
  arm(now);
}

void RelayWatch::arm(Instant now) {
  Instant due = kNever;
  for (const Watched& watched : watched_) {
    if (watched.here) due = std::min({due, watched.ping_at, watched.sweep_at});
  }
  core_.wheel.cancel(timer_);
  if (due != kNever) {
    timer_ = core_.wheel.arm(std::max(due, now), subject_value(Subject::RelayWatch, {0, 1}));
  }
}

std::uint32_t RelayWatch::asking() const {
  std::uint32_t count = 0;
  for (const Watched& watched : watched_) {
    count += (watched.pinging ? 1u : 0u) + (watched.listing ? 1u : 0u);
  }
  return count;
}

void RelayWatch::expired(Instant now, Outbox& outbox) {
  timer_ = 0;
  for (std::uint8_t relay = 0; relay < relays_.pool().size(); ++relay) {
    Watched& watched = watched_[relay];
    if (!watched.here) continue;
    if (now >= watched.ping_at) {
      const bool silent = relays_.pool().state(relay, now) == RelayState::Silent;
      watched.ping_at = now + (silent ? kPingSilent : kPing);
      if (!watched.pinging) watched.pinging = relays_.send(relay, {}, {}, now, outbox);
    }
    if (now >= watched.sweep_at) {
      watched.sweep_at = now + kSweep;
      RelayRequest request;
      request.command = RelayCommand::List;
      request.limit = kListedMax;
      if (!watched.listing) watched.listing = relays_.send(relay, request, {}, now, outbox);
    }
  }
  arm(now);
}

void RelayWatch::probe(std::uint8_t relay, Instant now, Outbox& outbox) {
  Watched& watched = watched_[relay];
  if (!watched.pinging) watched.pinging = relays_.send(relay, {}, {}, now, outbox);
}

void RelayWatch::completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox) {
  Watched& watched = watched_[completion.relay];
  switch (completion.command) {
    case RelayCommand::Ping:
      watched.pinging = false;
      if (completion.answered || !watched.here) return;
      watched.ping_at = std::min(watched.ping_at, now + kPingSilent);
      return arm(now);
    case RelayCommand::List:
      watched.listing = false;
      if (completion.reply.result == RelayReply::Result::Ok) {
        sweep(completion.relay, completion.reply.whole, now, outbox);
      }
      return;
    case RelayCommand::Query:
      if (completion.owner.slot < suspects_.size() && suspects_[completion.owner.slot].name != 0) {
        judge(suspects_[completion.owner.slot], completion, now, outbox);
      }
      return;
    case RelayCommand::Offer:
    case RelayCommand::Answer:
    case RelayCommand::Delete:
    case RelayCommand::PlayDtmf:
      return;
  }
}

void RelayWatch::sweep(std::uint8_t relay, std::string_view list, Instant now, Outbox& outbox) {
  const auto reply = bencode::Dictionary::parse(list);
  auto ids = reply ? reply->find_list("calls") : std::nullopt;
  const RelayOwner own = calls_.media_owner();
  while (ids) {
    const auto value = ids->next();
    if (!value) break;
    const std::string_view text = value->string().value_or(std::string_view{});
    const auto id = parse_media_id(text);
    if (!id || id->owner.gateway != own.gateway) continue;
    // The first shard has those of shards that there were before a restart with fewer.
    const bool mine =
        id->owner.shard == own.shard || (own.shard == 0 && id->owner.shard >= core_.shard_count);
    if (!mine || calls_.has_media(*id, relay)) continue;
    Suspect* suspect = this->suspect(relay, text, now);
    if (!suspect) break;
    RelayRequest request;
    request.command = RelayCommand::Query;
    request.media_id = text;
    const auto place = static_cast<std::uint32_t>(suspect - suspects_.data());
    if (!relays_.send(relay, request, {place, 1}, now, outbox)) break;
  }
  for (Suspect& suspect : suspects_) {  // those that are gone, or calls' again
    if (suspect.name != 0 && suspect.relay == relay && suspect.seen_at != now) suspect = {};
  }
}

// The place of that session; a new one where it has none. nullptr: all are taken.
RelayWatch::Suspect* RelayWatch::suspect(std::uint8_t relay, std::string_view id, Instant now) {
  const std::uint64_t name = keyed_hash(core_.hash_key, id) | 1;
  Suspect* place = nullptr;
  for (Suspect& one : suspects_) {
    if (one.name == name && one.relay == relay) {
      one.seen_at = now;
      return &one;
    }
    if (one.name == 0 && !place) place = &one;
  }
  if (!place) return nullptr;
  *place = {name, 0, now, now, relay, false, core_.buffers.copy(as_bytes(id))};
  return place;
}

void RelayWatch::judge(Suspect& suspect, const RelaySet::Completion& completion, Instant now,
                       Outbox& outbox) {
  if (completion.reply.result != RelayReply::Result::Ok || !suspect.id) return;
  const auto reply = bencode::Dictionary::parse(completion.reply.whole);
  const auto totals = reply ? reply->find_dictionary("totals") : std::nullopt;
  const auto rtp = totals ? totals->find_dictionary("RTP") : std::nullopt;
  const auto packets =
      static_cast<std::uint64_t>(rtp ? rtp->find_integer("packets").value_or(0) : 0);
  if (!suspect.counted || packets != suspect.packets) {
    suspect.counted = true;
    suspect.packets = packets;
    suspect.since = now;
    return;
  }
  if (now - suspect.since < kSweep / 2) return;
  RelayRequest request;
  request.command = RelayCommand::Delete;
  request.media_id = as_text(suspect.id.bytes());
  if (!relays_.send(suspect.relay, request, {}, now, outbox)) return;
  core_.counters.media_orphans.add();
  core_.log.info("media_orphan_deleted", {{"media_id", request.media_id},
                                          {"meaning",
                                           "no call is for this session, and no RTP "
                                           "comes in it"}});
  suspect = {};
}

}  // namespace ringway
