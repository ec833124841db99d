#include "gateway/call/dialog.h"

namespace ringway {

using sip::Method;
using sip::Status;

DialogState step(DialogState state, DialogEvent event) {
  switch (state) {
    case DialogState::Early:
      switch (event) {
        case DialogEvent::Provisional:
          return DialogState::Early;
        case DialogEvent::Success:
          return DialogState::Confirmed;
        case DialogEvent::Refused:
        case DialogEvent::ByeAnswered:
        case DialogEvent::Gone:
          return DialogState::Ended;
      }
      break;
    case DialogState::Confirmed:
      switch (event) {
        case DialogEvent::Provisional:  // overtaken on its way
        case DialogEvent::Success:      // a repetition
        case DialogEvent::Refused:      // of another branch
          return DialogState::Confirmed;
        case DialogEvent::ByeAnswered:
        case DialogEvent::Gone:
          return DialogState::Ended;
      }
      break;
    case DialogState::Ended:
      break;
  }
  return DialogState::Ended;
}

DialogVerdict judge_final(Method method, Status status) {
  if (status < 200) return DialogVerdict::None;
  const bool gone = status == 481 || status == 408;
  switch (method) {
    case Method::Bye:
      return status < 300 || gone ? DialogVerdict::ByeAnswered : DialogVerdict::None;
    case Method::Invite:
    case Method::Update:
      return gone ? DialogVerdict::Gone : DialogVerdict::None;
    case Method::Info:
      return status == 481 ? DialogVerdict::Gone : DialogVerdict::None;
    case Method::Ack:
    case Method::Cancel:
    case Method::Register:
    case Method::Options:
    case Method::Prack:
    case Method::Subscribe:
    case Method::Notify:
    case Method::Refer:
    case Method::Message:
    case Method::Publish:
    case Method::Other:
      return DialogVerdict::None;
  }
  return DialogVerdict::None;
}

}  // namespace ringway
