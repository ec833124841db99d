#pragma once

#include <cstdint>

#include "protocol/transaction/machine.h"

namespace ringway::transaction {

// The INVITE client transaction: RFC 3261 17.1.1 (figure 5), with the Accepted state and timer M
// of RFC 6026 7.2. Timer C belongs to the transaction user (16.7), and so do the ACK of a 2xx and
// CANCEL, which is a non-INVITE transaction of its own.
class InviteClient {
 public:
  enum class State : std::uint8_t { Calling, Proceeding, Completed, Accepted, Terminated };

  enum class Event : std::uint8_t {
    Provisional,      // a 1xx response
    Final2xx,         // a 2xx response
    FinalOther,       // a 300-699 response
    RetransmitTimer,  // timer A
    LifetimeTimer,    // timers B, D and M
    TransportError,   // INVITE or ACK could not be sent, or its flow is gone for good
  };

  State state() const { return state_; }

  // Sends the INVITE and starts timers A and B. Once, before anything else.
  Actions start(const Timers& timers, Reliability reliability);

  Actions receive(Event event, const Timers& timers, Reliability reliability);

 private:
  Actions receive_response(Event event, const Timers& timers, Reliability reliability);

  State state_ = State::Calling;
  std::uint8_t doublings_ = 0;  // of timer A
};

}  // namespace ringway::transaction
