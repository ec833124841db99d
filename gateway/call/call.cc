#include "gateway/call/call.h"

namespace ringway {

std::string_view to_text(CallState state) {
  switch (state) {
    case CallState::Calling:
      return "trying";
    case CallState::Ringing:
      return "ringing";
    case CallState::Challenged:
      return "challenged";
    case CallState::Answered:
      return "answered";
    case CallState::Ended:
      return "ended";
  }
  return "";
}

std::string_view to_text(CallEnder ender) {
  switch (ender) {
    case CallEnder::Nobody:
      return "nobody";
    case CallEnder::Caller:
      return "caller";
    case CallEnder::Callee:
      return "callee";
    case CallEnder::NextHop:
      return "next hop";
    case CallEnder::Gateway:
      return "gateway";
  }
  return "";
}

std::string_view to_text(CallEndReason reason) {
  switch (reason) {
    case CallEndReason::None:
      return "";
    case CallEndReason::Bye:
      return "BYE";
    case CallEndReason::Cancelled:
      return "CANCEL";
    case CallEndReason::Refused:
      return "refused";
    case CallEndReason::Challenged:
      return "challenged, and not tried again";
    case CallEndReason::NoAnswer:
      return "no answer in time";
    case CallEndReason::FlowLost:
      return "connection lost, not back within the grace";
    case CallEndReason::Replaced:
      return "the page was loaded again";
    case CallEndReason::Unregistered:
      return "registration expired";
    case CallEndReason::SessionExpired:
      return "session timer ran out";
    case CallEndReason::TooLong:
      return "longest duration reached";
    case CallEndReason::NoMedia:
      return "no media relay";
    case CallEndReason::DialogGone:
      return "the other side does not know the dialog";
    case CallEndReason::Drained:
      return "the gateway stops";
    case CallEndReason::Command:
      return "ended by command";
  }
  return "";
}

}  // namespace ringway
