#include "protocol/transaction/invite_server.h"

namespace ringway::transaction {

using Kind = Action::Kind;

Actions InviteServer::start(const Timers&, Reliability) {
  return Actions{}.add(Kind::Send100).add(Kind::ToUser);
}

Actions InviteServer::receive(Event event, const Timers& timers, Reliability reliability) {
  switch (state_) {
    case State::Proceeding:
      return receive_proceeding(event, timers, reliability);
    case State::Completed:
      return receive_completed(event, timers, reliability);
    case State::Confirmed:  // absorbs everything until timer I
      if (event != Event::LifetimeTimer) return {};
      state_ = State::Terminated;
      return Actions{}.add(Kind::Terminate);
    case State::Accepted:
      return receive_accepted(event);
    case State::Terminated:
      break;
  }
  return {};
}

Actions InviteServer::receive_proceeding(Event event, const Timers& timers,
                                         Reliability reliability) {
  Actions actions;
  switch (event) {
    case Event::RequestReceived:  // the last provisional response again
    case Event::Provisional:
      return actions.add(Kind::Send);
    case Event::Final2xx:
      state_ = State::Accepted;
      return actions.add(Kind::Send).add(Kind::ArmLifetime, timer_l(timers));
    case Event::FinalOther:
      state_ = State::Completed;
      actions.add(Kind::Send);
      if (reliability == Reliability::Unreliable) {
        actions.add(Kind::ArmRetransmit, timer_g(timers, 0));
      }
      return actions.add(Kind::ArmLifetime, timer_h(timers));
    case Event::TransportError:
      return actions.add(Kind::TransportError);
    case Event::AckReceived:
    case Event::RetransmitTimer:
    case Event::LifetimeTimer:
      return actions;
  }
  return actions;
}

Actions InviteServer::receive_completed(Event event, const Timers& timers,
                                        Reliability reliability) {
  Actions actions;
  switch (event) {
    case Event::RequestReceived:
      return actions.add(Kind::Send);
    case Event::AckReceived:
      if (reliability == Reliability::Reliable) {  // I is zero
        state_ = State::Terminated;
        return actions.add(Kind::Terminate);
      }
      state_ = State::Confirmed;
      return actions.add(Kind::DisarmRetransmit)
          .add(Kind::ArmLifetime, timer_i(timers, reliability));
    case Event::RetransmitTimer:  // G
      if (reliability == Reliability::Reliable) return actions;
      if (doublings_ < kDoublingsMax) ++doublings_;
      return actions.add(Kind::Send).add(Kind::ArmRetransmit, timer_g(timers, doublings_));
    case Event::LifetimeTimer:  // H
      state_ = State::Terminated;
      return actions.add(Kind::Timeout).add(Kind::Terminate);
    case Event::TransportError:
      return actions.add(Kind::TransportError);
    case Event::Provisional:
    case Event::Final2xx:
    case Event::FinalOther:
      return actions;
  }
  return actions;
}

// RFC 6026 7.1.
Actions InviteServer::receive_accepted(Event event) {
  Actions actions;
  switch (event) {
    case Event::AckReceived:
      return actions.add(Kind::ToUser);
    case Event::Final2xx:  // of another branch, or repeated by the user agent server
      return actions.add(Kind::Send);
    case Event::LifetimeTimer:  // L
      state_ = State::Terminated;
      return actions.add(Kind::Terminate);
    case Event::TransportError:
      return actions.add(Kind::TransportError);
    case Event::RequestReceived:
    case Event::Provisional:
    case Event::FinalOther:
    case Event::RetransmitTimer:
      return actions;
  }
  return actions;
}

}  // namespace ringway::transaction
