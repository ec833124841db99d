#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/config/config.h"
#include "gateway/routing/next_hops.h"

namespace ringway {

// One thing that must hold for the service to be whole, in words.
struct Condition {
  enum class State : std::uint8_t { Ok, Degraded, Failed };
  std::string_view name;  // "next_hops", a literal
  State state = State::Ok;
  std::string reason;      // a sentence, also if all is well
  bool for_calls = false;  // Failed: no call can succeed, so balancers should send none
};
std::string_view to_text(Condition::State state);

// When a certificate or a revocation list that is in use ends.
struct CertificateEnd {
  std::string file, subject;   // subject: empty for a list
  std::string used_by;         // "listener browsers", "next hop pbx"
  std::int64_t not_after = 0;  // seconds since 1970; of a list: its nextUpdate (RFC 5280 5.1.2.5)
  bool is_list = false;
};

// Which of them are to be logged: each once when it has 21 days left, 7, 1, and when it has ended.
class EndReminders {
 public:
  // Those that have come to the next of these since the last call; valid as long as ends is.
  std::vector<const CertificateEnd*> due(std::span<const CertificateEnd> ends,
                                         std::int64_t wall_seconds);

 private:
  struct Known {
    std::int64_t not_after = 0;
    std::size_t stage = 0;  // how many of the days have come
  };
  std::map<std::string, Known> known_;  // by file
};

// What conditions are judged by.
struct Facts {
  const Config& config;
  std::span<const Counters* const> shards;
  const std::vector<Resolution>& next_hops;  // by place in config.next_hops
  std::span<const CertificateEnd> certificates;
  std::int64_t wall_seconds = 0;  // since 1970
  // Of the network side, an address to listen at that is not on this machine; empty: all are here.
  // Without it next hops cannot be asked: it is with the other one of two machines.
  std::string absent_address{};
};

// All conditions, in a fixed order: next_hops, relays, certificates, tables, clock.
std::vector<Condition> judge(const Facts& facts);

// Remembers for how long conditions have failed. A failure counts for readiness only once it has
// lasted kLasting, so that a connection that comes back at once takes nobody out of a balancer.
class Readiness {
 public:
  static constexpr std::int64_t kLastingMs = 2'000;

  // now_ms: any steady clock.
  void update(std::vector<Condition> conditions, std::int64_t now_ms);
  const std::vector<Condition>& conditions() const { return conditions_; }
  bool is_ready() const { return ready_; }

 private:
  std::vector<Condition> conditions_;
  std::vector<std::int64_t> failed_since_;  // 0: does not fail
  bool ready_ = true;
};

}  // namespace ringway
