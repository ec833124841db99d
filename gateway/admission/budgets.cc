#include "gateway/admission/budgets.h"

#include <algorithm>
#include <array>

namespace ringway {
namespace {

constexpr std::uint8_t kCountMax = 250;

void count_up(std::uint8_t& count) {
  if (count < kCountMax) ++count;
}
void count_down(std::uint8_t& count) {
  if (count != 0) --count;
}

}  // namespace

Budgets::Budgets(const BudgetsConfig& settings, const HashKey& key)
    : settings_(settings), key_(key), flows_(kPlaces), sources_(kPlaces), users_(kPlaces) {}

Budgets::Place& Budgets::place_of(ReservedArray<Place>& table, std::uint64_t key, Instant now) {
  std::array<std::uint8_t, 8> octets;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(key >> (8 * i));
  }
  const std::size_t first = keyed_hash(key_, Bytes(octets)) % (kPlaces / kWays) * kWays;
  std::size_t oldest = first;
  const auto rank = [&](const Place& place) {
    return std::pair(place.proven_until > now, place.used);
  };
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (table[i].key == key) return table[i];
    if (table[i].key == 0) {
      oldest = i;
      break;
    }
    if (rank(table[i]) < rank(table[oldest])) oldest = i;
  }
  table[oldest] = {};
  table[oldest].key = key;
  table[oldest].used = now;
  table[oldest].tokens = ~std::uint32_t{0};  // full, whatever its size
  return table[oldest];
}

void Budgets::forgive(Place& place, Instant now) {
  const auto steps = (now - place.used) / kForgivenEvery;
  if (steps <= 0) return;
  place.used += steps * kForgivenEvery;
  for (std::uint8_t* count : {&place.waiting, &place.owed, &place.failures}) {
    *count = static_cast<std::uint8_t>(*count - std::min<std::int64_t>(*count, steps));
  }
}

// A bucket of burst tokens that rate tokens a second flow into; before: when it was last asked.
bool Budgets::take_token(Place& place, std::uint32_t rate, std::uint32_t burst, Instant before,
                         Instant now) {
  const std::uint64_t full = std::uint64_t{burst} * 1'000;
  const auto milliseconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>((now - before) / 1ms, 0));
  std::uint64_t tokens =
      std::min(full, place.tokens + std::min<std::uint64_t>(milliseconds, 1'000'000) * rate);
  const bool enough = tokens >= 1'000;
  if (enough) tokens -= 1'000;
  place.tokens = static_cast<std::uint32_t>(tokens);
  return enough;
}

Budgets::Verdict Budgets::ask(const Asker& asker, Instant now) {
  Place& flow = place_of(flows_, asker.flow, now);
  Place& source = place_of(sources_, asker.source.value, now);
  const bool source_is_known = source.proven_until > now;
  if (flow.proven_until > now || asker.is_registered) {
    const Instant before = std::exchange(flow.used, now);
    return take_token(flow, settings_.rate, settings_.burst, before, now) ? Verdict::Pass
                                                                         : Verdict::Wait;
  }
  forgive(flow, now);
  if (flow.failures >= settings_.attempts) return Verdict::CutOff;
  if (asker.user != 0 && asker.has_credentials && !source_is_known) {
    Place& user = place_of(users_, asker.user, now);
    forgive(user, now);
    if (user.failures >= kGuessesOfUser) return Verdict::CutOff;
  }
  if (asker.has_credentials && flow.owed != 0) {
    --flow.owed;  // it answers a challenge
  } else if (std::uint32_t{flow.waiting} + flow.owed + flow.failures >= settings_.attempts) {
    return Verdict::Wait;
  }
  const std::uint32_t factor = source_is_known ? kKnownSourceFactor : 1;
  const Instant before = std::exchange(source.used, now);
  if (!take_token(source, settings_.source_rate * factor, settings_.source_burst * factor, before,
                  now)) {
    return Verdict::Wait;
  }
  return Verdict::Pass;
}

void Budgets::began(const Asker& asker, Instant now) {
  Place& flow = place_of(flows_, asker.flow, now);
  if (flow.proven_until <= now && !asker.is_registered) count_up(flow.waiting);
}

void Budgets::ended(const Asker& asker, End end, Instant now) {
  count_down(place_of(flows_, asker.flow, now).waiting);
  refused(asker, end, now);
}

void Budgets::refused(const Asker& asker, End end, Instant now) {
  Place& flow = place_of(flows_, asker.flow, now);
  switch (end) {
    case End::Success: {
      flow.waiting = flow.owed = flow.failures = 0;
      flow.used = now;
      flow.proven_until = now + kProvenFor;
      place_of(sources_, asker.source.value, now).proven_until = now + kProvenFor;
      if (asker.user != 0) place_of(users_, asker.user, now).failures = 0;
      return;
    }
    case End::Challenge:
      return count_up(flow.owed);
    case End::Failure:
      count_up(flow.failures);
      if (asker.user != 0 && asker.has_credentials) {
        Place& user = place_of(users_, asker.user, now);
        forgive(user, now);
        count_up(user.failures);
      }
      return;
    case End::Other:
      return;
  }
}

}  // namespace ringway
