#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/call/call.h"
#include "gateway/call/dialog.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"
#include "protocol/sip/message.h"
#include "protocol/sip/validate.h"

namespace ringway {

// How long the states of a call may last.
struct CallTimes {
  Duration setup = 230s;      // without a word of the callee: Timer C and what follows it
  Duration challenged = 10s;  // a client that was challenged answers within that time or not at all
  Duration grace = 12s;       // a user agent that is away may return
  Duration longest = std::chrono::hours(24);
  Duration tombstone = 32s;  // 64*T1: what was under way when it ended is late after that
};

// The calls of one shard: which call a message belongs to, what it does to it, and when it ends.
// Sans-IO: it sends nothing. Its timers carry Subject::Call and the call's id; due() says what
// has come.
//
// A call is found by its Call-ID and leg, tombstones included. Bounds: capacity calls (the oldest
// tombstone makes room; then open() refuses, counted), kDialogsMax dialogs in one call (the oldest
// that is not answered makes room), twice capacity in all.
class CallTable {
 public:
  static constexpr std::uint32_t kDialogsMax = 16;

  // All references outlive the table. capacity: 1..2^22.
  CallTable(std::uint32_t capacity, const CallTimes& times, const HashKey& key, TimerWheel& wheel,
            BufferPool& buffers, Counters& counters);
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  SlotId find(std::string_view call_id, CallLeg leg) const;
  Call* get(SlotId id) { return calls_.find(id); }
  const Call* get(SlotId id) const { return calls_.find(id); }
  Dialog* dialog(SlotId id) { return dialogs_.find(id); }

  // --- From INVITE to answer ---------------------------------------------------------------------

  enum class Opened : std::uint8_t {
    New,
    Again,  // the same call once more, with credentials mostly: it goes on
    Taken,  // another call or a tombstone stands under that leg: choose another one
    Full,   // no room, or no buffer
  };
  struct Opening {
    Opened outcome = Opened::Full;
    SlotId call;
  };
  // An INVITE without a To tag.
  Opening open(const sip::MessageView& invite, const sip::Essentials& essentials, CallLeg leg,
               Instant now);
  // How a side is reached, and by what it is found when its user agent or flow goes: owner is the
  // user agent's hash, else the flow's value, else 0. contact: hash of the Contact of its binding.
  void set_party(SlotId call, Party party, const Target& target, std::uint64_t owner,
                 std::uint64_t contact);
  // A response to the call's INVITE: dialogs, times, states. routes_beyond: how many Record-Route
  // values stand above ours. The dialog it belongs to; empty without a To tag or without room.
  SlotId invite_response(SlotId call, const sip::MessageView& response,
                         const sip::Essentials& essentials, std::size_t routes_beyond, Instant now);
  // The final response of 300 or above that the caller gets. by: who gave it.
  void invite_refused(SlotId call, sip::Status status, CallEnder by, CallEndReason reason,
                      Instant now);

  // --- In a dialog -------------------------------------------------------------------------------

  // A call that passes by and that nobody remembers: after a restart its tokens bring it back.
  // request: a request in its dialog, sent by from. Empty: no room, or no tags.
  SlotId adopt(const sip::MessageView& request, const sip::Essentials& essentials, CallLeg leg,
               Party from, Instant now);
  // The dialog of that call with these tags, whatever its state; empty if there is none.
  SlotId find_dialog(SlotId call, std::string_view caller_tag, std::string_view callee_tag) const;
  SlotId find_dialog(SlotId call, Party from, const sip::Essentials& essentials) const;
  // A request of from, on its way through us. Empty: its tags name no dialog of this call.
  SlotId request_passes(SlotId call, Party from, const sip::Essentials& essentials);
  // A response to a request of from in that dialog. request: as from sent it. True: the call is
  // over with it, and end() has been done.
  bool request_answered(SlotId call, SlotId dialog, Party from, const sip::MessageView& request,
                        const sip::MessageView& response, Instant now);
  // The same without a message: the request came to an end of ours.
  bool request_failed(SlotId call, SlotId dialog, Party from, sip::Method method,
                      sip::Status status, Instant now);
  // RFC 4028: that session ends then, unless it is refreshed.
  void set_session_end(SlotId call, SlotId dialog, Instant at);
  // The other side of from has answered request where it went: later requests may go there, too.
  // Only for a dialog that was taken up and whose other side has said nothing of itself yet.
  // own_routes: how many Route values of ours stand in front.
  void far_side_answered(SlotId call, SlotId dialog, Party from, const sip::MessageView& request,
                         std::size_t own_routes);
  // The number of its dialogs that are confirmed: once answered, it is over with the last of them.
  std::uint32_t confirmed_dialogs(SlotId call) const;

  // --- Who goes and who comes --------------------------------------------------------------------

  // What owner names is away: its calls end at the end of the grace, unless owner_back() comes.
  void owner_away(std::uint64_t owner, Instant now);
  // It is back at target, registered with that Contact. A page with another Contact is another
  // page, and the calls of the old one stay away; a phone's Contact may change with its port.
  void owner_back(std::uint64_t owner, const Target& target, std::uint64_t contact, Instant now);
  // It will not come back; its calls end with the next deadline.
  void owner_gone(std::uint64_t owner, Instant now);
  // It has no name any more but still a flow: its calls are found by that from now on.
  void rename_owner(std::uint64_t from, std::uint64_t to);
  // That side has sent or answered something over flow: where that is its newest one, its requests
  // follow to it, whatever their tokens say.
  void heard_on(SlotId call, Party party, FlowId flow);
  // One side of that call is away from now on.
  void party_away(SlotId call, Party party, Instant now);

  // --- The end -----------------------------------------------------------------------------------

  enum class Due : std::uint8_t {
    Nothing,
    SetupOver,       // the callee said nothing for too long
    ChallengeOver,   // no INVITE with credentials came
    PartyLost,       // lost_party() is gone for good
    SessionOver,     // RFC 4028 8.3: no BYE of ours
    TooLong,         // the longest duration
    TombstoneOver,   // release() it
  };
  // What the deadline of this call is about. It is not armed any more; Nothing arms it again.
  Due due(SlotId call, Instant now);
  // Which side a Due::PartyLost is about, at now.
  std::optional<Party> lost_party(SlotId call, Instant now) const;

  // Its INVITE is called off or refused: the call waits for what comes of that. Should a 2xx cross
  // it, the side that is away has been lost by then.
  void wait_for_invite(SlotId call, Instant now);
  // The call is over: its dialogs are forgotten, its media session ends, its tombstone stands from
  // now on. Done once; later calls change nothing.
  void end(SlotId call, CallEnder by, CallEndReason reason, Instant now);
  // The place is free. Precondition: the call is in Ended.
  void release(SlotId call);

  std::uint32_t live() const { return calls_.size() - tombstones_; }
  std::uint32_t size() const { return calls_.size(); }
  std::uint32_t dialogs() const { return dialogs_.size(); }
  // For walks over all: slots 0 .. used_slots()-1; at() is nullptr where none stands.
  std::uint32_t used_slots() const { return calls_.used_slots(); }
  const Call* at(std::uint32_t slot) const { return calls_.at(slot); }
  SlotId id_at(std::uint32_t slot) const { return calls_.id_at(slot); }

 private:
  std::uint64_t key_of(std::string_view call_id, CallLeg leg) const;
  SlotId take(std::string_view call_id, CallLeg leg, std::string_view from, std::string_view to,
              std::string_view caller_tag, Instant now);
  void link_tombstone(SlotId id);
  void unlink_tombstone(SlotId id);
  void link_owner(SlotId id, Party party, std::uint64_t owner);
  void unlink_owner(SlotId id, Party party);
  CallParty& party_at(std::uint32_t place);
  template <typename Act>
  void for_each_owned(std::uint64_t owner, Act&& act);
  bool drop_unanswered(Call& call);
  SlotId make_dialog(Call& call, std::string_view callee_value, std::string_view callee_tag);
  void move(Dialog& dialog, DialogEvent event);
  void end_dialogs(Call& call);
  void rearm(SlotId id);
  void count() { counters_.dialogs.set(live()); }

  CallTimes times_;
  HashKey key_;
  TimerWheel& wheel_;
  BufferPool& buffers_;
  Counters& counters_;
  SlotTable<Call> calls_;
  SlotTable<Dialog> dialogs_;
  ReservedArray<std::uint32_t> buckets_;        // by key; slot + 1; 0: none
  ReservedArray<std::uint32_t> owner_buckets_;  // by owner; 2 * slot + party + 1; 0: none
  std::uint32_t oldest_tombstone_ = 0, newest_tombstone_ = 0;  // slot + 1
  std::uint32_t tombstones_ = 0;                               // tombstones_ <= calls_.size()
};

}  // namespace ringway
