#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/outbox.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/target.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/call/guest_media.h"
#include "gateway/call/media_session.h"
#include "gateway/call/party.h"
#include "gateway/media/relay_protocol.h"
#include "gateway/nat/account.h"
#include "protocol/base/time.h"
#include "protocol/sdp/codec_name.h"
#include "protocol/sdp/offer_answer.h"
#include "protocol/sip/status.h"

namespace ringway {

// A call from its INVITE to its tombstone.
//
//                 1xx              2xx                 last dialog over,
//    Calling ------------> Ringing -----> Answered --- session timer, grace, ------> Ended
//     |   ^ \                | |  2xx        ^         longest duration               ^
//     |   |  \---------------|-|-------------/                                        |
//     |   |                  | |                                                      |
//     |   | INVITE again     | | 401 or 407        10 s without an INVITE             |
//     |   +----------- Challenged -----------------------------------------------> (Ended)
//     |                      |                                                        |
//     +----------------------+---- refused, cancelled, no answer in time -------------+
//
// Ended is the tombstone: it stands for 64*T1, so that what comes late wakes nothing, and then the
// place is free.
enum class CallState : std::uint8_t { Calling, Ringing, Challenged, Answered, Ended };

// Who ended a call, and who gave the status that it ended with.
enum class CallEnder : std::uint8_t { Nobody, Caller, Callee, NextHop, Gateway };

// Why it ended. The words of to_text() stand in the log.
enum class CallEndReason : std::uint8_t {
  None,
  Bye,
  Cancelled,
  Refused,          // a final response of 300 or above
  Challenged,       // 401 or 407, and no INVITE with credentials
  NoAnswer,         // nobody gave a final response in time
  FlowLost,         // a user agent went away and did not come back within the grace
  Replaced,         // its page came back as another one
  Unregistered,     // its binding ran out
  SessionExpired,   // RFC 4028
  TooLong,          // the longest duration
  NoMedia,          // the media relay could not be had
  DialogGone,       // 481 or 408 in the dialog
  Drained,          // the gateway stops
  Command,          // a person has ended it
};
std::string_view to_text(CallState state);
std::string_view to_text(CallEnder ender);
std::string_view to_text(CallEndReason reason);

// One side of a call: how it is reached, and whether it is away.
struct CallParty {
  // Where the call's INVITE came from or went to; later requests use its listener, transport, next
  // hop and profile. For a user agent the newest flow or address.
  Target target;
  FlowId heard_on;            // over which it spoke last, of those that it registered over
  std::uint64_t contact = 0;  // keyed hash of the Contact that its user agent was registered with
  Account account;            // of its user agent
  bool away = false;          // its flow has ended
  bool replaced = false;      // its user agent is back with another Contact: this one is over
  Instant away_until = kNever;
  // Places in the index of owners (call slot * 2 + party + 1; 0: none).
  std::uint64_t owner = 0;  // what it is indexed by; 0: nothing
  std::uint32_t next_of_owner = 0, previous_of_owner = 0;
};

struct Call {
  std::uint64_t key = 0;  // of the Call-ID and the leg
  CallLeg leg = 0;
  std::uint32_t next_in_bucket = 0;  // slot + 1
  CallState state = CallState::Calling;
  bool adopted = false;  // taken up from a token, after a restart
  std::uint8_t media_node = 0;  // of the gateway that has begun its media session
  bool told = false;     // call_ended is written
  SlotId watch;          // of the core's fraud rules, until it ends
  bool counted = false;  // as a media session, in the gauge
  std::array<CallParty, 2> parties;  // indexed by Party
  BufferRef names;  // Call-ID, From value, To value without a tag
  std::uint16_t call_id_size = 0, from_size = 0, to_size = 0;
  std::uint16_t tag_at = 0, tag_size = 0;  // the caller's tag, in names
  std::uint32_t invite_cseq = 0;
  BufferRef caller_target, caller_routes;  // of the INVITE; shared with each dialog
  SlotId first_dialog;
  SlotId context;  // the request that sets it up, while it is not answered
  MediaSession media;
  sdp::OfferAnswer offer_answer;  // as its INVITE left it; each dialog goes on from there
  GuestMedia::Place guest;  // held while its caller is nobody's user agent and it is not answered
  // What each side speaks, for the life of the call; a guess until its first offer.
  // Indexed by Party.
  std::array<MediaLeg, 2> media_legs{};
  std::array<bool, 2> media_leg_known{};
  std::uint64_t destination = 0;     // of the callee, in the memory of profiles; 0: it has none
  bool other_profile_tried = false;  // the callee has refused the first one
  Instant events_until{};            // so long the relay plays the digits that it was given
  bool events_lost = false;          // the log says that digits are not heard (RFC 4733)
  std::uint32_t relays_tried = 0;    // for the offer in hand, one bit for each relay
  sdp::CodecName codec;              // agreed; empty before
  // For call_ended.
  Instant since{}, answered_at{}, ended_at{};
  std::uint32_t first_provisional_ms = 0, answer_ms = 0;  // 0: never
  sip::Status status = 0;                                 // final status of the INVITE
  CallEnder status_by = CallEnder::Nobody, ended_by = CallEnder::Nobody;
  CallEndReason reason = CallEndReason::None;

  Instant deadline_at = kNever;
  TimerWheel::Handle timer = 0;
  std::uint32_t next_tombstone = 0, previous_tombstone = 0;  // slot + 1, oldest first

  CallParty& party(Party which) { return parties[index_of(which)]; }
  const CallParty& party(Party which) const { return parties[index_of(which)]; }
  std::string_view text() const { return names ? as_text(names.bytes()) : std::string_view{}; }
  std::string_view call_id() const { return text().substr(0, call_id_size); }
  std::string_view from() const { return text().substr(call_id_size, from_size); }
  std::string_view to() const {
    return text().substr(std::size_t{call_id_size} + from_size, to_size);
  }
  std::string_view caller_tag() const { return text().substr(tag_at, tag_size); }
  bool is_live() const { return state != CallState::Ended; }
};

}  // namespace ringway
