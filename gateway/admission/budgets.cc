#include "gateway/admission/budgets.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ringway {
namespace {

constexpr std::uint8_t kCountMax = 250;
constexpr std::uint64_t kDatagrams = 0x9e37'79b9'7f4a'7c15;  // tells their keys from streams'

void count_up(std::uint8_t& count) {
  if (count < kCountMax) ++count;
}
void count_down(std::uint8_t& count) {
  if (count != 0) --count;
}

}  // namespace

Budgets::Budgets(const BudgetsConfig& settings, const HashKey& key)
    : settings_(settings), key_(key), flows_(key), sources_(key), users_(key) {}

Budgets::Place& Budgets::place_of(Table& table, std::uint64_t key, Instant now) {
  return table.place_of(key, now, [now](const Place& place) {
    return std::pair(place.proven_until > now, place.used);
  });
}

// The key is secret: nobody can choose an address whose datagrams count as another's stream.
Budgets::Place& Budgets::source_of(const Asker& asker, bool by_stream, Instant now) {
  std::array<std::uint8_t, 8> octets;
  write_u64(octets, asker.source.value);
  const std::uint64_t name = keyed_hash(key_, Bytes(octets));
  return place_of(sources_, (by_stream ? name : name ^ kDatagrams) | 1, now);
}

Budgets::Place& Budgets::user_of(const Asker& asker, Instant now) {
  return place_of(users_, (asker.by_stream ? asker.user : asker.user ^ kDatagrams) | 1, now);
}

// Of that user from that source alone.
Budgets::Place& Budgets::guesses_of(const Asker& asker, Instant now) {
  std::array<std::uint8_t, 16> octets;
  write_u64(octets, asker.source.value);
  write_u64(MutableBytes(octets).subspan(8), asker.user);
  const std::uint64_t name = keyed_hash(key_, Bytes(octets));
  return place_of(users_, (asker.by_stream ? name : name ^ kDatagrams) | 1, now);
}

void Budgets::forgive(Place& place, Instant now) {
  const auto steps = (now - place.used) / kForgivenEvery;
  if (steps <= 0) return;
  place.used += steps * kForgivenEvery;
  for (std::uint8_t* count : {&place.waiting, &place.owed, &place.failures}) {
    *count = static_cast<std::uint8_t>(*count - std::min<std::int64_t>(*count, steps));
  }
}

Budgets::Verdict Budgets::ask(const Asker& asker, Instant now) {
  Place& flow = place_of(flows_, asker.flow, now);
  const bool guesses = asker.user != 0 && asker.has_credentials;
  if (guesses) {
    Place& place = guesses_of(asker, now);
    forgive(place, now);
    if (place.failures >= kGuessesOfUser) return Verdict::Wait;  // others of the flow go on
  }
  if (flow.proven_until > now || asker.is_registered) {
    return take_token(flow, {settings_.rate, settings_.burst}, now) ? Verdict::Pass : Verdict::Wait;
  }
  Place& source = source_of(asker, asker.by_stream, now);
  const bool source_is_known = source.proven_until > now;
  forgive(flow, now);
  if (flow.failures >= settings_.attempts) return Verdict::CutOff;
  if (guesses && !source_is_known) {
    Place& user = user_of(asker, now);
    forgive(user, now);
    if (user.failures >= kGuessesOfUser) return Verdict::CutOff;
  }
  if (asker.has_credentials && flow.owed != 0) {
    --flow.owed;  // it answers a challenge
  } else if (std::uint32_t{flow.waiting} + flow.owed + flow.failures >= settings_.attempts) {
    return Verdict::Wait;
  }
  const std::uint32_t factor = source_is_known ? kKnownSourceFactor : 1;
  if (!take_token(source, {settings_.source_rate * factor, settings_.source_burst * factor}, now)) {
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
      for (const bool by_stream : {true, false}) {
        source_of(asker, by_stream, now).proven_until = now + kProvenFor;
      }
      if (asker.user > kUnclearUser) {
        user_of(asker, now).failures = 0;
        guesses_of(asker, now).failures = 0;
      }
      return;
    }
    case End::Challenge:
      return count_up(flow.owed);
    case End::Failure:
      count_up(flow.failures);
      if (asker.user != 0 && asker.has_credentials) {
        for (Place* place : {&user_of(asker, now), &guesses_of(asker, now)}) {
          forgive(*place, now);
          count_up(place->failures);
        }
      }
      return;
    case End::Other:
      return;
  }
}

}  // namespace ringway
