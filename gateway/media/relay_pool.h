#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/config/config.h"

namespace ringway {

// How one media relay is. Each shard judges for itself.
//
//              connected()               a request was not answered
//    Down ---------------------> Up ------------------------------> Silent
//     ^                          ^ |                                  |
//     |  lost()                  | | refused()        an answer, to   |
//     +--- from each of them     | v                  a ping too      |
//                              Paused                                 |
//                                ^ |  after kPause                    |
//                                | +--> Up <--------------------------+
//
// Paused: it said that it has no room (load limit, no ports). It is not dead: calls that are there
// stay, new ones go elsewhere.
enum class RelayState : std::uint8_t { Down, Up, Paused, Silent };
std::string_view to_text(RelayState state);

// Which of the configured relays takes a new media session.
class RelayPool {
 public:
  static constexpr std::size_t kRelaysMax = 32;
  static constexpr Duration kPause = 5s;
  using Mask = std::uint32_t;  // one bit for each relay
  static constexpr Mask bit(std::uint8_t relay) { return Mask{1} << relay; }

  // config: its relays keep their places, their weight and drain may change.
  RelayPool(const Config& config, Counters& counters, Log& log, Random& random);

  std::size_t size() const { return size_; }
  RelayState state(std::uint8_t relay, Instant now) const;
  // It would take a new session, as far as we know.
  bool is_usable(std::uint8_t relay, Instant now) const;
  bool has_usable(Mask without, Instant now) const;

  // By weight among those that are up and not in without; then those with weight 0; then those that
  // are paused. At the first attempt (without is 0) also one that is down or silent: it may be
  // back in time. Never one that is drained. nullopt: none is left.
  std::optional<std::uint8_t> choose(Mask without, Instant now);

  // Held: no new session is begun there; those that are there stay.
  void set_held(std::uint8_t relay, bool held) {
    held_ = held ? held_ | bit(relay) : held_ & ~bit(relay);
  }

  void connected(std::uint8_t relay);
  void lost(std::uint8_t relay);
  void answered(std::uint8_t relay);
  void not_answered(std::uint8_t relay);
  void refused(std::uint8_t relay, std::string_view reason, Instant now);

 private:
  struct Relay {
    bool connected = false;
    bool silent = false;
    Instant paused_until{};
  };
  bool takes_no_more(std::uint8_t relay) const {
    return config_.media.relays[relay].drain || (held_ & bit(relay)) != 0;
  }
  void publish(std::uint8_t relay);
  std::string_view name(std::uint8_t relay, class Writer& out) const;

  const Config& config_;
  Counters& counters_;
  Log& log_;
  Random& random_;
  std::size_t size_;  // size_ <= kRelaysMax
  Mask held_ = 0;
  std::array<Relay, kRelaysMax> relays_{};
};

}  // namespace ringway
