#include "protocol/sip/method.h"

namespace ringway::sip {
namespace {

// The one method that a token of this length and first character may be.
Method candidate(std::string_view token) {
  const char first = token.empty() ? '\0' : token[0];
  switch (token.size()) {
    case 3:
      return first == 'A' ? Method::Ack : Method::Bye;
    case 4:
      return Method::Info;
    case 5:
      return first == 'P' ? Method::Prack : Method::Refer;
    case 6:
      switch (first) {
        case 'I':
          return Method::Invite;
        case 'C':
          return Method::Cancel;
        case 'U':
          return Method::Update;
        default:
          return Method::Notify;
      }
    case 7:
      switch (first) {
        case 'O':
          return Method::Options;
        case 'M':
          return Method::Message;
        default:
          return Method::Publish;
      }
    case 8:
      return Method::Register;
    case 9:
      return Method::Subscribe;
    default:
      return Method::Other;
  }
}

}  // namespace

Method parse_method(std::string_view token) {
  const Method method = candidate(token);
  return method != Method::Other && to_text(method) == token ? method : Method::Other;
}

std::string_view to_text(Method method) {
  switch (method) {
    case Method::Invite:
      return "INVITE";
    case Method::Ack:
      return "ACK";
    case Method::Bye:
      return "BYE";
    case Method::Cancel:
      return "CANCEL";
    case Method::Register:
      return "REGISTER";
    case Method::Options:
      return "OPTIONS";
    case Method::Info:
      return "INFO";
    case Method::Prack:
      return "PRACK";
    case Method::Update:
      return "UPDATE";
    case Method::Subscribe:
      return "SUBSCRIBE";
    case Method::Notify:
      return "NOTIFY";
    case Method::Refer:
      return "REFER";
    case Method::Message:
      return "MESSAGE";
    case Method::Publish:
      return "PUBLISH";
    case Method::Other:
      return "OTHER";
  }
  return {};
}

}  // namespace ringway::sip
