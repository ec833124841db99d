#pragma once

#include <cstdint>

#include "protocol/transaction/machine.h"

namespace ringway::transaction {

// The non-INVITE server transaction: RFC 3261 17.2.2 (figure 8) with RFC 4320. The user sends no
// provisional responses: only 100 is allowed, and that one is the machine's own (RFC 4320 4.1).
class NonInviteServer {
 public:
  enum class State : std::uint8_t { Trying, Proceeding, Completed, Terminated };

  enum class Event : std::uint8_t {
    RequestReceived,  // the request again
    Final,            // the user sends a 200-699 response, which is never 408 (RFC 4320 4.2)
    Abandoned,        // the user will not answer: where 408 would be due nothing is sent
    RetransmitTimer,  // the late 100
    LifetimeTimer,    // timer J
    TransportError,   // a response could not be sent
  };

  State state() const { return state_; }

  // Hands the request up and sets the deadline of the late 100. Once, before anything else.
  Actions start(const Timers& timers, Reliability reliability);

  Actions receive(Event event, const Timers& timers, Reliability reliability);

 private:
  Actions receive_final(const Timers& timers, Reliability reliability);

  State state_ = State::Trying;
};

}  // namespace ringway::transaction
