#include "protocol/transaction/invite_client.h"

namespace ringway::transaction {

using Kind = Action::Kind;

Actions InviteClient::start(const Timers& timers, Reliability reliability) {
  Actions actions;
  actions.add(Kind::Send);
  if (reliability == Reliability::Unreliable) {
    actions.add(Kind::ArmRetransmit, timer_a(timers, 0));
  }
  return actions.add(Kind::ArmLifetime, timer_b(timers));
}

Actions InviteClient::receive(Event event, const Timers& timers, Reliability reliability) {
  Actions actions;
  switch (state_) {
    case State::Calling:
      switch (event) {
        case Event::RetransmitTimer:  // A
          if (reliability == Reliability::Reliable) return actions;
          if (doublings_ < kDoublingsMax) ++doublings_;
          return actions.add(Kind::Send).add(Kind::ArmRetransmit, timer_a(timers, doublings_));
        case Event::LifetimeTimer:  // B
          state_ = State::Terminated;
          return actions.add(Kind::Timeout).add(Kind::Terminate);
        case Event::TransportError:
          state_ = State::Terminated;
          return actions.add(Kind::TransportError).add(Kind::Terminate);
        case Event::Provisional:
        case Event::Final2xx:
        case Event::FinalOther:
          return receive_response(event, timers, reliability);
      }
      break;

    case State::Proceeding:
      switch (event) {
        case Event::Provisional:
        case Event::Final2xx:
        case Event::FinalOther:
          return receive_response(event, timers, reliability);
        // Nothing is being sent here; the owner says so only when no response can come any more.
        case Event::TransportError:
          state_ = State::Terminated;
          return actions.add(Kind::TransportError).add(Kind::Terminate);
        case Event::RetransmitTimer:
        case Event::LifetimeTimer:
          return actions;
      }
      break;

    case State::Completed:
      switch (event) {
        case Event::FinalOther:  // repeated: the ACK was lost
          return actions.add(Kind::SendAck);
        case Event::LifetimeTimer:  // D
          state_ = State::Terminated;
          return actions.add(Kind::Terminate);
        case Event::TransportError:  // of the ACK
          state_ = State::Terminated;
          return actions.add(Kind::TransportError).add(Kind::Terminate);
        case Event::Provisional:
        case Event::Final2xx:
        case Event::RetransmitTimer:
          return actions;
      }
      break;

    case State::Accepted:
      switch (event) {
        case Event::Final2xx:  // of another branch, or repeated: the user sends each ACK
          return actions.add(Kind::ToUser);
        case Event::LifetimeTimer:  // M
          state_ = State::Terminated;
          return actions.add(Kind::Terminate);
        case Event::Provisional:
        case Event::FinalOther:
        case Event::RetransmitTimer:
        case Event::TransportError:
          return actions;
      }
      break;

    case State::Terminated:
      break;
  }
  return actions;
}

// In Calling and Proceeding, which treat responses alike.
Actions InviteClient::receive_response(Event event, const Timers& timers, Reliability reliability) {
  Actions actions;
  if (event == Event::Provisional) {
    if (state_ == State::Calling) {
      actions.add(Kind::DisarmRetransmit).add(Kind::DisarmLifetime);
      state_ = State::Proceeding;
    }
    return actions.add(Kind::ToUser);
  }
  if (state_ == State::Calling) actions.add(Kind::DisarmRetransmit);
  if (event == Event::Final2xx) {
    state_ = State::Accepted;
    return actions.add(Kind::ArmLifetime, timer_m(timers)).add(Kind::ToUser);
  }
  actions.add(Kind::SendAck);
  if (reliability == Reliability::Reliable) {  // D is zero
    state_ = State::Terminated;
    return actions.add(Kind::ToUser).add(Kind::Terminate);
  }
  state_ = State::Completed;
  return actions.add(Kind::ArmLifetime, timer_d(timers, reliability)).add(Kind::ToUser);
}

}  // namespace ringway::transaction
