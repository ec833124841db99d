#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/nat/account.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"

namespace ringway {

// One user agent as its REGISTERs showed it. A user agent is an AOR with an instance (or, without
// one, with its Contact); a socket is only where it is right now.
struct UserAgent {
  static constexpr std::size_t kNameMax = 62;
  std::uint64_t hash = 0;  // user_agent_hash()
  // Keyed by the group of next hops that granted it; 0: not known.
  std::uint64_t aor_hash = 0, contact_hash = 0;
  std::uint64_t source_hash = 0;  // UDP: of listener and address
  // The REGISTER that it was learnt from: an older one that is answered later changes nothing.
  std::uint64_t call_id_hash = 0;
  std::uint32_t cseq = 0;
  std::uint16_t group = 0;  // of the next hop that granted it
  // Whose credentials the next hop has taken, as a hash; 0: none.
  std::uint64_t credentials_hash = 0;
  Account account() const {
    return {aor_hash, credentials_hash != 0 ? credentials_hash : aor_hash};
  }
  // For people: the beginning of its AOR; only on the shard that learnt it. Empty: elsewhere.
  std::uint8_t name_size = 0;
  std::array<char, kNameMax> name_text;
  std::string_view name() const { return {name_text.data(), name_size}; }
  Source source;            // newest flow, or UDP address
  bool away = false;        // its flow ended; it may come back until the grace is over
  bool alias = false;       // registered with a Contact that points at us
  Instant away_since{};
  Instant expires{};
  TimerWheel::Handle timer = 0;  // end of the grace, or of the binding
  std::uint32_t next_in_bucket = 0, next_by_contact = 0, next_by_aor = 0,
                next_by_source = 0;                       // slot + 1
  std::uint32_t next_of_flow = 0, previous_of_flow = 0;   // slot + 1; on the flow's own shard
  SlotId first_waiting;  // requests to it that wait for its return, on this shard
  SlotId first_asking;   // its own requests, whose responses wait for its return
};

// Which user agent is where: AOR and instance to newest flow. Every shard has the whole table;
// changes are announced, so that a lookup never leaves the shard.
class BindingTable {
 public:
  BindingTable(std::uint32_t capacity, const HashKey& key, Counters& counters);
  BindingTable(const BindingTable&) = delete;
  BindingTable& operator=(const BindingTable&) = delete;

  SlotId find(std::uint64_t hash) const;
  SlotId find_contact(std::uint64_t contact_hash) const;
  // Any one that is registered from that UDP address.
  SlotId find_source(std::uint64_t source_hash) const;
  SlotId next_of_source(SlotId id) const;
  // The first one of that AOR, and the next one after it.
  SlotId first_of_aor(std::uint64_t aor_hash) const;
  SlotId next_of_aor(SlotId id) const;
  UserAgent* get(SlotId id) { return table_.find(id); }

  // The entry of that user agent, new if need be; empty if the table is full.
  SlotId take(std::uint64_t hash);
  void set_contact(SlotId id, std::uint64_t contact_hash);
  void set_aor(SlotId id, std::uint64_t aor_hash);
  void set_source(SlotId id, std::uint64_t source_hash);  // 0: none
  // Precondition: its timer is cancelled, nothing hangs on it.
  void release(SlotId id);

  std::uint64_t hash_text(std::string_view text) const { return keyed_hash(key_, text); }
  SlotId id_at(std::uint32_t slot) const { return table_.id_at(slot); }
  // nullptr: nobody is in that slot. Slots that were ever used are 0 .. used_slots()-1.
  const UserAgent* at(std::uint32_t slot) const { return table_.at(slot); }
  std::uint32_t used_slots() const { return table_.used_slots(); }
  std::uint32_t size() const { return table_.size(); }

 private:
  // Entries with one hash in common, linked through themselves.
  struct Chain {
    std::uint64_t UserAgent::*hash;
    std::uint32_t UserAgent::*next;
  };
  using Buckets = ReservedArray<std::uint32_t>;  // slot + 1; 0: none
  static constexpr Chain kByContact{&UserAgent::contact_hash, &UserAgent::next_by_contact};
  static constexpr Chain kByAor{&UserAgent::aor_hash, &UserAgent::next_by_aor};
  static constexpr Chain kBySource{&UserAgent::source_hash, &UserAgent::next_by_source};

  SlotId find_from(Chain chain, std::uint32_t place, std::uint64_t hash) const;
  SlotId first(const Buckets& buckets, Chain chain, std::uint64_t hash) const;
  void set(Buckets& buckets, Chain chain, SlotId id, std::uint64_t hash);

  SlotTable<UserAgent> table_;
  HashKey key_;
  Counters& counters_;
  Buckets buckets_, contact_buckets_, aor_buckets_, source_buckets_;
};

}  // namespace ringway
