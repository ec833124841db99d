#pragma once

#include <cstdint>

#include "protocol/transaction/machine.h"

namespace ringway::transaction {

// The INVITE server transaction: RFC 3261 17.2.1 (figure 7) as RFC 6026 redraws it, with
// the Accepted state and timer L. A transport error never ends it (RFC 6026 7.1).
class InviteServer {
 public:
  enum class State : std::uint8_t { Proceeding, Completed, Confirmed, Accepted, Terminated };

  enum class Event : std::uint8_t {
    RequestReceived,  // the INVITE again
    AckReceived,      // an ACK with the branch of the INVITE; after a 2xx one that the user routes
    Provisional,      // the user sends a 1xx response
    Final2xx,         // the user sends a 2xx response
    FinalOther,       // the user sends a 300-699 response
    RetransmitTimer,  // timer G
    LifetimeTimer,    // timers H, I and L
    TransportError,   // a response could not be sent
  };

  State state() const { return state_; }

  // Sends the 100 and hands the INVITE up. Once, before anything else. The 100 is not held back
  // for the 200 ms that 17.2.1 allows: a proxy knows of no user that would answer by then.
  Actions start(const Timers& timers, Reliability reliability);

  Actions receive(Event event, const Timers& timers, Reliability reliability);

 private:
  Actions receive_proceeding(Event event, const Timers& timers, Reliability reliability);
  Actions receive_completed(Event event, const Timers& timers, Reliability reliability);
  Actions receive_accepted(Event event);

  State state_ = State::Proceeding;
  std::uint8_t doublings_ = 0;  // of timer G
};

}  // namespace ringway::transaction
