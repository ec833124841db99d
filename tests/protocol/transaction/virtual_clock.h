#pragma once

#include <string>
#include <vector>

#include "protocol/transaction/machine.h"

// Plays the owner of one machine: does what the action lists say, keeps the two deadlines and lets
// them pass in virtual time. What happened is a list of texts such as "0.5 Send".

namespace ringway::transaction {

inline std::string text_of(Action::Kind kind) {
  switch (kind) {
    case Action::Kind::Send:
      return "Send";
    case Action::Kind::SendAck:
      return "SendAck";
    case Action::Kind::Send100:
      return "Send100";
    case Action::Kind::ToUser:
      return "ToUser";
    case Action::Kind::ArmRetransmit:
      return "ArmRetransmit";
    case Action::Kind::DisarmRetransmit:
      return "DisarmRetransmit";
    case Action::Kind::ArmLifetime:
      return "ArmLifetime";
    case Action::Kind::DisarmLifetime:
      return "DisarmLifetime";
    case Action::Kind::Timeout:
      return "Timeout";
    case Action::Kind::TransportError:
      return "TransportError";
    case Action::Kind::Terminate:
      return "Terminate";
  }
  return "?";
}

// Seconds without trailing zeros.
inline std::string seconds(Duration duration) {
  std::string text = std::to_string(std::chrono::duration<double>(duration).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

inline std::string text_of(const Actions& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (!text.empty()) text += ", ";
    text += text_of(action.kind);
    if (action.delay != Duration::zero()) text.append("(").append(seconds(action.delay)) += ')';
  }
  return text;
}

template <class Machine>
class VirtualOwner {
 public:
  using Event = typename Machine::Event;

  explicit VirtualOwner(Reliability reliability, const Timers& timers = {})
      : timers_(timers), reliability_(reliability) {}

  // Each returns the action list as text, for example "Send, ArmRetransmit(0.5)".
  std::string start() { return apply(machine_.start(timers_, reliability_)); }
  std::string receive(Event event) { return apply(machine_.receive(event, timers_, reliability_)); }

  // Lets the time pass, and with it every deadline up to and including its end.
  void advance(Duration duration) {
    const Instant end = now_ + duration;
    while (true) {
      const bool retransmit_first = retransmit_ <= lifetime_;
      Instant& next = retransmit_first ? retransmit_ : lifetime_;
      if (next > end) break;
      now_ = next;
      next = kNever;
      receive(retransmit_first ? Event::RetransmitTimer : Event::LifetimeTimer);
    }
    now_ = end;
  }

  auto state() const { return machine_.state(); }
  bool has_deadline() const { return retransmit_ != kNever || lifetime_ != kNever; }
  // What the network and the user saw, with the time of each in seconds.
  const std::vector<std::string>& seen() const { return seen_; }

 private:
  std::string apply(const Actions& actions) {
    for (const Action& action : actions) {
      switch (action.kind) {
        case Action::Kind::ArmRetransmit:
          retransmit_ = now_ + action.delay;
          break;
        case Action::Kind::DisarmRetransmit:
          retransmit_ = kNever;
          break;
        case Action::Kind::ArmLifetime:
          lifetime_ = now_ + action.delay;
          break;
        case Action::Kind::DisarmLifetime:
          lifetime_ = kNever;
          break;
        case Action::Kind::Terminate:
          retransmit_ = kNever;
          lifetime_ = kNever;
          seen_.push_back(seconds(now_.time_since_epoch()) + " Terminate");
          break;
        case Action::Kind::Send:
        case Action::Kind::SendAck:
        case Action::Kind::Send100:
        case Action::Kind::ToUser:
        case Action::Kind::Timeout:
        case Action::Kind::TransportError:
          seen_.push_back(seconds(now_.time_since_epoch()) + " " + text_of(action.kind));
          break;
      }
    }
    return text_of(actions);
  }

  Machine machine_;
  Timers timers_;
  Reliability reliability_;
  Instant now_{};
  Instant retransmit_ = kNever;
  Instant lifetime_ = kNever;
  std::vector<std::string> seen_;
};

}  // namespace ringway::transaction
