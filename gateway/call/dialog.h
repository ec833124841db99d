#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/slot_table.h"
#include "gateway/call/party.h"
#include "protocol/base/time.h"
#include "protocol/sdp/offer_answer.h"
#include "protocol/sip/method.h"
#include "protocol/sip/status.h"

namespace ringway {

// A dialog as it passes us (RFC 3261 12): known by the Call-ID of its call and both tags.
//
//                 1xx with a To tag            2xx
//    (nothing) ----------------------> Early ------> Confirmed
//        |              2xx              |               |
//        +-------------------------------|-----> Confirmed
//                                        |               |
//                 refused, or another    |               |  BYE answered, 481 or 408
//                 dialog was taken       |               |
//                                        v               v
//                                      Ended <-----------+
//
// An early dialog whose BYE was answered ends as well (RFC 3261 15). Nothing leaves Ended.
enum class DialogState : std::uint8_t { Early, Confirmed, Ended };

enum class DialogEvent : std::uint8_t {
  Provisional,  // another 1xx with this tag
  Success,      // a 2xx to its INVITE
  Refused,      // a final response of 300 or above to its INVITE, or 64*T1 after another's 2xx
  ByeAnswered,  // the final response to a BYE in it
  Gone,         // 481 or 408 to another request in it (RFC 3261 12.2.1.2)
};
DialogState step(DialogState state, DialogEvent event);

// What a final response says of the dialog that its request was sent in. None: it goes on.
// RFC 3261 12.2.1.2, 15.1.1; RFC 5057 5.1: a subscription that is gone takes no session with it.
enum class DialogVerdict : std::uint8_t { None, ByeAnswered, Gone };
DialogVerdict judge_final(sip::Method method, sip::Status status);

struct Dialog {
  DialogState state = DialogState::Early;
  std::array<bool, 2> released{};  // a BYE of ours went towards that side; by Party
  SlotId next;            // of the same call
  BufferRef callee;       // the To value as the callee wrote it, with its tag
  std::uint16_t tag_at = 0, tag_size = 0;  // in callee; tag_at + tag_size <= callee.size()
  // The highest CSeq that each side has used in this dialog, one of ours in its name included; 0:
  // none yet. Indexed by Party.
  std::array<std::uint32_t, 2> cseq{};
  // Where a request towards each side goes: its Contact and Record-Routes, as it named them
  // (RFC 3261 12.1). Empty until it did. Indexed by Party.
  std::array<BufferRef, 2> remote_target;  // a URI
  // That URI is its own word, or it has answered there. A URI that only the other side has written
  // is no proof of anything. Indexed by Party.
  std::array<bool, 2> target_proven{};
  std::array<BufferRef, 2> route_set;      // whole Route lines
  Instant session_ends = kNever;           // RFC 4028
  sdp::OfferAnswer offer_answer;  // where the call's descriptions pass a relay

  std::string_view callee_value() const {
    return callee ? as_text(callee.bytes()) : std::string_view{};
  }
  std::string_view callee_tag() const { return callee_value().substr(tag_at, tag_size); }

  // A CSeq above all that from has used, for a request of ours in its name (RFC 3261 12.2.1.1).
  std::uint32_t next_cseq(Party from) { return ++cseq[index_of(from)]; }
};

}  // namespace ringway
