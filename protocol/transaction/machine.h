#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/base/time.h"
#include "protocol/transaction/timers.h"

// What the four machines tell their owner. A machine holds no message, no clock and no deadline:
// the owner keeps at most two deadlines for each transaction and reports when they pass.
//
//   retransmit  timers A, E and G, and the late 100 of RFC 4320
//   lifetime    timers B, D, F, H, I, J, K, L and M
//
// A deadline that passes late, after the machine has left the state it was for, is ignored.

namespace ringway::transaction {

struct Action {
  enum class Kind : std::uint8_t {
    Send,              // the message that came with the event, else the last one sent (resend);
                       // the owner keeps the last one for this
    SendAck,           // build, or repeat, the ACK of a final non-2xx response (17.1.1.3)
    Send100,           // build and send 100 Trying; from now on it is the last message sent
    ToUser,            // hand the message of the event to the transaction user
    ArmRetransmit,     // set the retransmit deadline to now + delay, replacing the old one
    DisarmRetransmit,  // forget the retransmit deadline
    ArmLifetime,       // set the lifetime deadline to now + delay, replacing the old one
    DisarmLifetime,    // forget the lifetime deadline
    Timeout,           // tell the user: no answer (B, F) or no ACK (H)
    TransportError,    // tell the user: the message could not be sent
    Terminate,         // the transaction is over: forget both deadlines, free the slot. Always last
  };

  Kind kind{};
  Duration delay{};  // of ArmRetransmit and ArmLifetime, above zero; zero otherwise

  bool operator==(const Action&) const = default;
};

// What one event leads to, in the order in which it is to be done. A message that the user hands
// down (a response) counts only if the list has a Send: without one it is discarded.
class Actions {
 public:
  constexpr Actions() = default;

  constexpr Actions& add(Action::Kind kind, Duration delay = {}) {
    actions_[size_++] = Action{kind, delay};
    return *this;
  }

  constexpr const Action* begin() const { return actions_.data(); }
  constexpr const Action* end() const { return actions_.data() + size_; }
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr bool contains(Action::Kind kind) const {
    for (const Action& action : *this) {
      if (action.kind == kind) return true;
    }
    return false;
  }

 private:
  std::array<Action, 5> actions_;  // the longest list of any arrow has four
  std::uint8_t size_ = 0;
};

}  // namespace ringway::transaction
