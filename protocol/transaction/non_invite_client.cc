#include "protocol/transaction/non_invite_client.h"

namespace ringway::transaction {

using Kind = Action::Kind;

Actions NonInviteClient::start(const Timers& timers, Reliability reliability) {
  Actions actions;
  actions.add(Kind::Send);
  if (reliability == Reliability::Unreliable) {
    actions.add(Kind::ArmRetransmit, timer_e(timers, 0));
  }
  return actions.add(Kind::ArmLifetime, timer_f(timers));
}

Actions NonInviteClient::receive(Event event, const Timers& timers, Reliability reliability) {
  Actions actions;
  switch (state_) {
    case State::Trying:
    case State::Proceeding:
      switch (event) {
        case Event::Provisional:  // timer E runs on
          state_ = State::Proceeding;
          return actions.add(Kind::ToUser);
        case Event::Final:
          return receive_final(timers, reliability);
        case Event::RetransmitTimer:  // E
          if (reliability == Reliability::Reliable) return actions;
          actions.add(Kind::Send);
          if (state_ == State::Proceeding) return actions.add(Kind::ArmRetransmit, timers.t2);
          if (doublings_ < kDoublingsMax) ++doublings_;
          return actions.add(Kind::ArmRetransmit, timer_e(timers, doublings_));
        case Event::LifetimeTimer:  // F
          state_ = State::Terminated;
          return actions.add(Kind::Timeout).add(Kind::Terminate);
        case Event::TransportError:
          state_ = State::Terminated;
          return actions.add(Kind::TransportError).add(Kind::Terminate);
      }
      break;

    case State::Completed:
      switch (event) {
        case Event::LifetimeTimer:  // K
          state_ = State::Terminated;
          return actions.add(Kind::Terminate);
        case Event::Provisional:
        case Event::Final:
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

Actions NonInviteClient::receive_final(const Timers& timers, Reliability reliability) {
  Actions actions;
  if (reliability == Reliability::Reliable) {  // K is zero
    state_ = State::Terminated;
    return actions.add(Kind::ToUser).add(Kind::Terminate);
  }
  state_ = State::Completed;
  return actions.add(Kind::DisarmRetransmit)
      .add(Kind::ArmLifetime, timer_k(timers, reliability))
      .add(Kind::ToUser);
}

}  // namespace ringway::transaction
