#pragma once

#include <cstdint>

#include "protocol/transaction/machine.h"

namespace ringway::transaction {

// The non-INVITE client transaction: RFC 3261 17.1.2 (figure 6).
class NonInviteClient {
 public:
  enum class State : std::uint8_t { Trying, Proceeding, Completed, Terminated };

  enum class Event : std::uint8_t {
    Provisional,      // a 1xx response
    Final,            // a 200-699 response
    RetransmitTimer,  // timer E
    LifetimeTimer,    // timers F and K
    TransportError,   // the request could not be sent, or its flow is gone for good
  };

  State state() const { return state_; }

  // Sends the request and starts timers E and F. Once, before anything else.
  Actions start(const Timers& timers, Reliability reliability);

  Actions receive(Event event, const Timers& timers, Reliability reliability);

 private:
  Actions receive_final(const Timers& timers, Reliability reliability);

  State state_ = State::Trying;
  std::uint8_t doublings_ = 0;  // of timer E
};

}  // namespace ringway::transaction
