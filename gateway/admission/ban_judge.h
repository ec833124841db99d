#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "gateway/admission/ban_table.h"
#include "gateway/admission/evidence.h"
#include "protocol/base/time.h"

namespace ringway {

// Weighs the evidence of all shards and says who is to be banned. The control thread's.
//
// Sums of a source grow by the weight of what it did and fall with time, to nothing within
// Settings::within. What came in datagrams has a sum of its own, which bans datagrams only; one
// datagram alone is never enough. A source that has shown a success lately is known: evidence by
// datagrams does not count against it, since anybody may have sent them, and its connections have
// ten times as much to spend, in all and in time, since many may share its address.
//
// A success forgives what was before it only where it is the source's first, or that of a user who
// has shown none there lately: an office of many phones begins from nothing again and again, who
// has one account of his own and guesses those of others does not. What a user was refused for just
// before is always forgiven, since a nonce that is too old is refused like a wrong password.
class BanJudge {
 public:
  struct Settings {
    std::uint32_t failures = 10;  // of one source, within
    Duration within = 600s;
  };
  // And as many users. When all places are taken, a source that nothing but datagrams speaks
  // against makes room: whoever forges senders fills the table with them.
  static constexpr std::size_t kSourcesMax = 65'536;
  static constexpr Duration kKnownFor = 3600s;        // after a success
  // Challenges, or streams that carry no SIP, that weigh as one failure.
  static constexpr std::uint32_t kChallengesEach = 10;
  static constexpr std::uint32_t kKnownFactor = 10;

  explicit BanJudge(const Settings& settings) : settings_(settings) {}
  void set(const Settings& settings) { settings_ = settings; }

  struct Decision {
    SourceKey source;
    BanScope scope = BanScope::Datagrams;
    BanCause cause = BanCause::Failures;
  };
  // What follows from one more piece of evidence. After a ban its source begins from nothing.
  std::optional<Decision> observe(const Evidence& evidence, Instant now);
  // An administrator has let it in again.
  void forget(SourceKey source) { sources_.erase(source.value); }

  std::size_t sources() const { return sources_.size(); }
  std::uint64_t overlooked() const { return overlooked_; }  // evidence without a place

 private:
  struct Sum {
    std::uint32_t weight = 0;
    Instant at{};
  };
  // How many users of a source are remembered whose successes forgive nothing more.
  static constexpr std::size_t kUsersOfSource = 4;
  struct Seen {
    Sum datagrams, streams;
    Instant known_until{};
    // Marks of users, the newest first: of those, and of whose refusals stand in streams.
    std::array<std::uint32_t, kUsersOfSource> users{}, refused{};
  };

  std::uint32_t limit() const { return settings_.failures * kChallengesEach; }
  std::uint32_t weight_of(const Evidence& evidence, Instant now);
  std::uint32_t add(Sum& sum, std::uint32_t weight, std::uint32_t factor, Instant now) const;
  void succeeded(Seen& seen, std::uint64_t user, Instant now) const;
  bool make_room(bool for_stream, Instant now);
  bool is_spent(const Sum& sum, Instant now) const { return sum.at + settings_.within <= now; }
  Seen* place_of(const Evidence& evidence, Instant now);
  bool user_is_guessed(std::uint64_t user, Instant now);

  Settings settings_;
  std::unordered_map<std::uint64_t, Seen> sources_;  // sources_.size() <= kSourcesMax
  std::unordered_map<std::uint64_t, Sum> users_;     // users_.size() <= kSourcesMax
  Instant swept_at_{};
  std::size_t hand_ = 0;  // bucket of sources_ from which the next one that has to go is looked for
  std::uint64_t overlooked_ = 0;
};

}  // namespace ringway
