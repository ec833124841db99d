#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gateway/base/source_key.h"
#include "gateway/base/reserved_array.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"

namespace ringway {

// What of a source is kept out. What came in datagrams alone may have been sent by anybody in its
// name, so it never touches the source's connections.
enum class BanScope : std::uint8_t { Datagrams, Everything };

// Why: what was decisive.
enum class BanCause : std::uint8_t {
  Command,      // an administrator
  Failures,     // 401 with credentials, 403, 404
  Challenges,   // 401 again and again, never answered
  Signature,    // a filter rule with action "ban"
  Score,        // filter rules with action "score"
  Framing,      // streams that carry no SIP
};
std::string_view to_text(BanCause cause);
std::string_view to_text(BanScope scope);

// Who is banned until when: one table for all shards. One thread writes, any number reads at the
// same time, and no reader ever waits.
//
// A source has its set of kWays places, chosen by a keyed hash, so that nobody can choose whom he
// pushes out. Where all of them are taken, a ban that is over goes first, then the one that ends
// next. A place is written field by field: a reader may see a ban that begins or ends in this
// moment the one way or the other.
//
// Place, 32 bytes, times in seconds of Instant's clock, 0: never:
//   0  source  8      16  forget_at  4  (its level until then)
//   8  datagrams_until 4   20  since  4
//  12  streams_until 4     24  level 1, cause 1, 6 unused
class BanTable {
 public:
  // capacity: bans that are remembered, rounded up to a multiple of kWays; memory becomes resident
  // with its first use. key: secret. Throws NoAddressSpace.
  BanTable(std::uint32_t capacity, const HashKey& key);

  // Any thread. Cost: one load while the table is empty, else one line of memory or two.
  bool is_banned(SourceKey source, BanScope by, Instant now) const;

  // True for a ban in force or ended that an administrator has commanded.
  bool is_commanded(SourceKey source) const;

  struct Ban {
    SourceKey source;
    BanScope scope = BanScope::Everything;
    BanCause cause = BanCause::Command;
    std::uint8_t level = 0;  // how many times it was banned before, as far as remembered
    Instant since{}, until{};
  };
  // The writer's thread only, like all below.
  //
  // ban.until > now. level is remembered until kRememberedFor after the end. A ban in force is
  // replaced; its connections' end moves only where the new scope has them.
  void put(const Ban& ban, Instant now);
  // False: it is not banned. Its level is forgotten too.
  bool lift(SourceKey source, Instant now);
  // Bans in force, at most max. Cost: reads the whole table.
  std::vector<Ban> list(std::size_t max, Instant now) const;
  // The same a part at a time: bans in force at place from and behind it, at most max of them, from
  // at most kPagePlaces places. next: where the part behind begins; 0: there is none. A ban that is
  // in force all the while is in exactly one part.
  struct Page {
    std::vector<Ban> bans;
    std::size_t next = 0;
  };
  Page page(std::size_t from, std::size_t max, Instant now) const;
  std::optional<Ban> find(SourceKey source, Instant now) const;
  // The level of its next ban: 0 for one that is not remembered.
  std::uint8_t next_level(SourceKey source, Instant now) const;

  std::uint32_t remembered() const { return used_.load(std::memory_order_relaxed); }
  std::uint64_t cut_short() const { return cut_short_; }

  static constexpr Duration kRememberedFor = std::chrono::hours(24);
  static constexpr std::uint8_t kLevelMax = 15;
  static constexpr std::size_t kPagePlaces = 65'536;

 private:
  static constexpr std::size_t kWays = 8;
  struct Place {
    std::atomic<std::uint64_t> source;
    std::atomic<std::uint32_t> datagrams_until, streams_until, forget_at, since;
    std::atomic<std::uint8_t> level, cause;
    std::array<std::uint8_t, 6> unused;
  };
  static_assert(sizeof(Place) == 32 && std::atomic<std::uint64_t>::is_always_lock_free);

  std::size_t first_of(SourceKey source) const;
  const Place* find_place(SourceKey source) const;
  Place& place_for(SourceKey source, std::uint32_t now);
  void forget(Place& place);
  static std::optional<Ban> read(const Place& place, std::uint32_t now);

  HashKey key_;
  ReservedArray<Place> places_;
  std::size_t sets_;
  std::atomic<std::uint32_t> used_{0};
  std::uint64_t cut_short_ = 0;  // bans in force that had to make room
};

}  // namespace ringway
