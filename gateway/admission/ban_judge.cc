#include "gateway/admission/ban_judge.h"

#include <algorithm>
#include <utility>

namespace ringway {
namespace {

constexpr std::uint32_t kDatagramsMin = 3;   // so many before a ban, whatever they carry
constexpr std::uint32_t kPointsMax = 100;    // of a score: as much as the limit
constexpr std::uint32_t kGuessedFactor = 3;
constexpr Duration kSweepEvery = 10s;
constexpr std::size_t kLookedAt = 16;     // entries, where one has to make room
constexpr std::size_t kBucketsMax = 256;  // that may be empty

std::uint32_t mark_of(std::uint64_t user) {
  return static_cast<std::uint32_t>(user ^ user >> 32) | 1;
}

BanCause cause_of(Evidence::Kind kind) {
  switch (kind) {
    case Evidence::Kind::Challenge:
      return BanCause::Challenges;
    case Evidence::Kind::Signature:
      return BanCause::Signature;
    case Evidence::Kind::Score:
      return BanCause::Score;
    case Evidence::Kind::Framing:
      return BanCause::Framing;
    case Evidence::Kind::Success:
    case Evidence::Kind::Failure:
      break;
  }
  return BanCause::Failures;
}

}  // namespace

std::uint32_t BanJudge::weight_of(const Evidence& evidence, Instant now) {
  switch (evidence.kind) {
    case Evidence::Kind::Success:
      return 0;
    case Evidence::Kind::Failure:
      return kChallengesEach * (user_is_guessed(evidence.user, now) ? kGuessedFactor : 1);
    case Evidence::Kind::Challenge:
    case Evidence::Kind::Framing:
      return 1;
    case Evidence::Kind::Signature:
      return limit();
    case Evidence::Kind::Score:
      return std::max<std::uint32_t>(1, limit() * evidence.points / kPointsMax);
  }
  return 0;
}

// The sum with weight added, after it has fallen for as long as it stood, factor times as fast and
// by whole failures: what is left of the time counts with the next.
std::uint32_t BanJudge::add(Sum& sum, std::uint32_t weight, std::uint32_t factor,
                            Instant now) const {
  const Duration each = settings_.within / (settings_.failures * factor);
  const std::int64_t forgiven = std::min(now - sum.at, settings_.within) / each;
  const std::uint32_t fallen = static_cast<std::uint32_t>(forgiven) * kChallengesEach;
  sum.weight -= std::min(sum.weight, fallen);
  sum.at = sum.weight == 0 ? now : sum.at + forgiven * each;
  sum.weight = std::min(sum.weight + weight, limit() * (kKnownFactor + 1));
  return sum.weight;
}

BanJudge::Seen* BanJudge::place_of(const Evidence& evidence, Instant now) {
  const std::uint64_t source = evidence.source.value;
  if (const auto found = sources_.find(source); found != sources_.end()) return &found->second;
  const bool weighty = evidence.by_stream || evidence.kind == Evidence::Kind::Success;
  if (sources_.size() >= kSourcesMax && !make_room(weighty, now)) {
    ++overlooked_;
    return nullptr;
  }
  return &sources_[source];
}

// What is over goes first. Else one of the next few: none that is known, and for a datagram none
// that a connection has spoken against; of the others the one that was heard of longest ago.
bool BanJudge::make_room(bool for_stream, Instant now) {
  if (now - swept_at_ >= kSweepEvery) {
    swept_at_ = now;
    const std::size_t before = sources_.size();
    std::erase_if(sources_, [&](const auto& entry) {
      return is_spent(entry.second.datagrams, now) && is_spent(entry.second.streams, now) &&
             entry.second.known_until <= now;
    });
    if (sources_.size() < before) return true;
  }
  std::optional<std::pair<bool, Instant>> worst;
  std::uint64_t goes = 0;
  std::size_t looked_at = 0;
  for (std::size_t step = 0; step < kBucketsMax && looked_at < kLookedAt; ++step) {
    hand_ = (hand_ + 1) % sources_.bucket_count();
    for (auto entry = sources_.begin(hand_); entry != sources_.end(hand_); ++entry, ++looked_at) {
      const auto& [source, seen] = *entry;
      const bool by_stream = seen.streams.weight != 0 && !is_spent(seen.streams, now);
      if (seen.known_until > now || (by_stream && !for_stream)) continue;
      const std::pair rank(by_stream, std::max(seen.datagrams.at, seen.streams.at));
      if (worst && *worst <= rank) continue;
      worst = rank;
      goes = source;
    }
  }
  if (worst) sources_.erase(goes);
  return worst.has_value();
}

void BanJudge::succeeded(Seen& seen, std::uint64_t user, Instant now) const {
  const std::uint32_t mark = mark_of(user);
  const auto known = std::ranges::find(seen.users, mark);
  const bool is_first = seen.known_until <= now;
  if (is_first || (user != 0 && known == seen.users.end())) {
    seen.streams = {};
  } else {
    add(seen.streams, 0, kKnownFactor, now);
    // It has answered a challenge.
    seen.streams.weight -= std::min(seen.streams.weight, std::uint32_t{1});
    for (std::uint32_t& refused : seen.refused) {
      if (user == 0 || refused != mark) continue;
      refused = 0;
      seen.streams.weight -= std::min(seen.streams.weight, kChallengesEach);
    }
  }
  if (is_first) seen.users = {};
  if (user != 0) {
    const auto end = known == seen.users.end() ? known - 1 : known;
    std::rotate(seen.users.begin(), end, end + 1);
    seen.users.front() = mark;
  }
  seen.datagrams = {};
  seen.known_until = now + kKnownFor;
}

// The passwords of one user are tried from many places: each of them gets less time.
bool BanJudge::user_is_guessed(std::uint64_t user, Instant now) {
  if (user == 0) return false;
  if (users_.size() >= kSourcesMax && !users_.contains(user)) {
    std::erase_if(users_, [&](const auto& entry) { return is_spent(entry.second, now); });
    if (users_.size() >= kSourcesMax) return false;
  }
  return add(users_[user], kChallengesEach, 1, now) > kGuessedFactor * limit();
}

std::optional<BanJudge::Decision> BanJudge::observe(const Evidence& evidence, Instant now) {
  Seen* seen = place_of(evidence, now);
  if (!seen) return std::nullopt;
  const bool is_known = seen->known_until > now;
  if (evidence.kind == Evidence::Kind::Success) {
    succeeded(*seen, evidence.user, now);
    users_.erase(evidence.user);
    return std::nullopt;
  }
  if (!evidence.by_stream && is_known) return std::nullopt;
  std::uint32_t weight = weight_of(evidence, now);
  if (!evidence.by_stream) weight = std::min(weight, (limit() + kDatagramsMin - 1) / kDatagramsMin);
  if (evidence.by_stream && evidence.kind == Evidence::Kind::Failure) {
    std::rotate(seen->refused.begin(), seen->refused.end() - 1, seen->refused.end());
    seen->refused.front() = evidence.user == 0 ? 0 : mark_of(evidence.user);
  }
  const std::uint32_t factor = is_known ? kKnownFactor : 1;
  const std::uint32_t sum =
      add(evidence.by_stream ? seen->streams : seen->datagrams, weight, factor, now);
  if (sum < limit() * factor) return std::nullopt;
  seen->datagrams = seen->streams = {};
  return Decision{evidence.source,
                  evidence.by_stream ? BanScope::Everything : BanScope::Datagrams,
                  cause_of(evidence.kind)};
}

}  // namespace ringway
