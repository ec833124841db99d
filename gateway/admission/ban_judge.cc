#include "gateway/admission/ban_judge.h"

#include <algorithm>

namespace ringway {
namespace {

constexpr std::uint32_t kDatagramsMin = 3;   // so many before a ban, whatever they carry
constexpr std::uint32_t kPointsMax = 100;    // of a score: as much as the limit
constexpr std::uint32_t kGuessedFactor = 3;
constexpr Duration kSweepEvery = 10s;

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

// The sum with weight added, after it has fallen for as long as it stood.
std::uint32_t BanJudge::add(Sum& sum, std::uint32_t weight, Instant now) const {
  const Duration stood = std::min(now - sum.at, settings_.within);
  const auto fallen = static_cast<std::uint32_t>(std::int64_t{limit()} * (stood / 1ms) /
                                                 (settings_.within / 1ms));
  sum.weight = std::min(sum.weight - std::min(sum.weight, fallen) + weight,
                        limit() * (kKnownFactor + 1));
  sum.at = now;
  return sum.weight;
}

BanJudge::Seen* BanJudge::place_of(SourceKey source, Instant now) {
  if (const auto found = sources_.find(source.value); found != sources_.end()) {
    return &found->second;
  }
  if (sources_.size() >= kSourcesMax && now - swept_at_ >= kSweepEvery) {
    swept_at_ = now;
    std::erase_if(sources_, [&](const auto& entry) {
      return is_spent(entry.second.datagrams, now) && is_spent(entry.second.streams, now) &&
             entry.second.known_until <= now;
    });
  }
  if (sources_.size() >= kSourcesMax) {
    ++overlooked_;
    return nullptr;
  }
  return &sources_[source.value];
}

// The passwords of one user are tried from many places: each of them gets less time.
bool BanJudge::user_is_guessed(std::uint64_t user, Instant now) {
  if (user == 0) return false;
  if (users_.size() >= kSourcesMax && !users_.contains(user)) {
    std::erase_if(users_, [&](const auto& entry) { return is_spent(entry.second, now); });
    if (users_.size() >= kSourcesMax) return false;
  }
  return add(users_[user], kChallengesEach, now) > kGuessedFactor * limit();
}

std::optional<BanJudge::Decision> BanJudge::observe(const Evidence& evidence, Instant now) {
  Seen* seen = place_of(evidence.source, now);
  if (!seen) return std::nullopt;
  const bool is_known = seen->known_until > now;
  if (evidence.kind == Evidence::Kind::Success) {
    *seen = Seen{{}, {}, now + kKnownFor};
    users_.erase(evidence.user);
    return std::nullopt;
  }
  if (!evidence.by_stream && is_known) return std::nullopt;
  std::uint32_t weight = weight_of(evidence, now);
  if (!evidence.by_stream) weight = std::min(weight, (limit() + kDatagramsMin - 1) / kDatagramsMin);
  const std::uint32_t sum = add(evidence.by_stream ? seen->streams : seen->datagrams, weight, now);
  if (sum < limit() * (is_known ? kKnownFactor : 1)) return std::nullopt;
  const Instant known_until = seen->known_until;
  *seen = Seen{{}, {}, known_until};
  return Decision{evidence.source,
                  evidence.by_stream ? BanScope::Everything : BanScope::Datagrams,
                  cause_of(evidence.kind)};
}

}  // namespace ringway
