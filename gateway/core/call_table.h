#pragma once

#include <cstdint>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/timer_wheel.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"

namespace ringway {

// A dialog of a user agent whose flow may die, or one whose media passes a relay. Routing does not
// need it (tokens carry that); it is what the gateway must end when a browser is gone for good.
struct Call {
  enum class State : std::uint8_t { Trying, Ringing, Answered };
  std::uint64_t key = 0;  // hash of Call-ID and leg
  std::uint32_t leg = 0;
  std::uint32_t next_in_bucket = 0;
  State state = State::Trying;
  bool media = false;
  bool access_is_caller = false;
  bool late_offer = false;  // the description of the 2xx was an offer
  std::uint8_t relay = 0;
  std::uint64_t user_agent = 0;  // of the access side; 0: not registered
  FlowId flow;                   // of the access side
  BufferRef names;               // Call-ID, caller's tag, From URI, To URI
  std::uint16_t call_id_size = 0, tag_size = 0, from_size = 0, to_size = 0;
  BufferRef bye;                  // for release: Request-URI to Call-ID, without CSeq
  std::uint32_t access_cseq = 0;  // highest CSeq that the access side used
  SlotId context;                 // while it is not answered
  SlotId next_of_owner, previous_of_owner;
  bool owned_by_agent = false, owned_by_flow = false;
  Instant since{};
  TimerWheel::Handle timer = 0;

  std::string_view text() const { return names ? as_text(names.bytes()) : std::string_view{}; }
  std::string_view call_id() const { return text().substr(0, call_id_size); }
  std::string_view from_tag() const { return text().substr(call_id_size, tag_size); }
  std::string_view from() const {
    return text().substr(std::size_t{call_id_size} + tag_size, from_size);
  }
  std::string_view to() const {
    return text().substr(std::size_t{call_id_size} + tag_size + from_size, to_size);
  }
};

// Calls of one shard, found by Call-ID and leg.
class CallTable {
 public:
  CallTable(std::uint32_t capacity, const HashKey& key, Counters& counters);

  SlotId find(std::string_view call_id, std::uint32_t leg) const;
  Call* get(SlotId id) { return table_.find(id); }
  const Call* at(std::uint32_t slot) const { return table_.at(slot); }
  std::uint32_t used_slots() const { return table_.used_slots(); }
  // Empty if the table is full.
  SlotId take(std::string_view call_id, std::uint32_t leg);
  // Precondition: its timer is cancelled and it hangs on no owner.
  void release(SlotId id);
  std::uint32_t size() const { return table_.size(); }
  SlotId id_at(std::uint32_t slot) const { return table_.id_at(slot); }

 private:
  std::uint64_t key_of(std::string_view call_id, std::uint32_t leg) const;

  SlotTable<Call> table_;
  HashKey key_;
  Counters& counters_;
  ReservedArray<std::uint32_t> buckets_;  // slot + 1; 0: none
};

}  // namespace ringway
