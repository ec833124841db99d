#include "protocol/transaction/non_invite_server.h"

namespace ringway::transaction {

using Kind = Action::Kind;

Actions NonInviteServer::start(const Timers& timers, Reliability) {
  return Actions{}.add(Kind::ArmRetransmit, late_trying(timers)).add(Kind::ToUser);
}

Actions NonInviteServer::receive(Event event, const Timers& timers, Reliability reliability) {
  Actions actions;
  switch (state_) {
    case State::Trying:
      switch (event) {
        case Event::Final:
          return receive_final(timers, reliability);
        case Event::RetransmitTimer:
          state_ = State::Proceeding;
          return actions.add(Kind::Send100);
        case Event::Abandoned:
          state_ = State::Terminated;
          return actions.add(Kind::Terminate);
        case Event::TransportError:
          return actions.add(Kind::TransportError);
        case Event::RequestReceived:  // 17.2.2: discarded, there is nothing to repeat
        case Event::LifetimeTimer:
          return actions;
      }
      break;

    case State::Proceeding:
      switch (event) {
        case Event::RequestReceived:  // the 100 again
          return actions.add(Kind::Send);
        case Event::Final:
          return receive_final(timers, reliability);
        case Event::Abandoned:
          state_ = State::Terminated;
          return actions.add(Kind::Terminate);
        case Event::TransportError:
          return actions.add(Kind::TransportError);
        case Event::RetransmitTimer:
        case Event::LifetimeTimer:
          return actions;
      }
      break;

    case State::Completed:
      switch (event) {
        case Event::RequestReceived:
          return actions.add(Kind::Send);
        case Event::LifetimeTimer:  // J
          state_ = State::Terminated;
          return actions.add(Kind::Terminate);
        // RFC 6026 7.1: the user is told, the state stays, and a repeated request gets the
        // response once more.
        case Event::TransportError:
          return actions.add(Kind::TransportError);
        case Event::Final:
        case Event::Abandoned:
        case Event::RetransmitTimer:
          return actions;
      }
      break;

    case State::Terminated:
      break;
  }
  return actions;
}

Actions NonInviteServer::receive_final(const Timers& timers, Reliability reliability) {
  Actions actions;
  actions.add(Kind::Send);
  if (reliability == Reliability::Reliable) {  // J is zero
    state_ = State::Terminated;
    return actions.add(Kind::Terminate);
  }
  if (state_ == State::Trying) actions.add(Kind::DisarmRetransmit);
  state_ = State::Completed;
  return actions.add(Kind::ArmLifetime, timer_j(timers, reliability));
}

}  // namespace ringway::transaction
