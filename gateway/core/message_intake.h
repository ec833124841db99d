#pragma once

#include "gateway/admission/source_gate.h"
#include "gateway/base/outbox.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/filter_check.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/registrations.h"
#include "gateway/core/replies.h"
#include "gateway/core/requests.h"
#include "gateway/core/responses.h"
#include "gateway/core/services.h"
#include "gateway/core/stun_server.h"
#include "gateway/core/tarpit.h"
#include "protocol/sip/message.h"

namespace ringway {

// The way of a message from its bytes to Requests or Responses, from cheap to dear:
//
//   gate       its source is banned
//   STUN       it is a keepalive and no SIP (RFC 5626 4.4.2)
//   tarpit     its stream is held
//   filter     its bytes are a scanner's
//   parser     it is no SIP (RFC 3261 7)
//   validation what every message has to have (RFC 3261 8.1.1, 16.3 item 1) is missing or wrong
//
// What fails is refused where it may be answered, else dropped, counted, and its stream closed.
class MessageIntake {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    SourceGate& gate;
    Registrations& registrations;
    AdmissionCheck& admission;
    PeerCheck& peers;
    StunServer& stun;
    Replies& replies;
    Tarpit& tarpit;
    FilterCheck& filter;
    Requests& requests;
    Responses& responses;
  };
  explicit MessageIntake(const Parts& parts);

  // bytes: one whole message, borrowed for the call. False: it was dropped, refused unread, or was
  // STUN.
  [[nodiscard]] bool lets_in(const Source& source, Bytes bytes, Instant now, Outbox& outbox);
  // A message that was let in, here or (handed_over) by another shard, which knows that its call or
  // transaction lives here.
  void read(const Source& source, Bytes bytes, bool handed_over, Instant now, Outbox& outbox);

 private:
  bool passes_gate(const Source& source, Instant now, Outbox& outbox);
  bool is_held(const Source& source);
  void receive_request(const Source& source, bool handed_over, Instant now, Outbox& outbox);
  void receive_response(const Source& source, Instant now, Outbox& outbox);
  void refuse_unreadable(const Source& source, DropReason reason, Outbox& outbox);

  Services& core_;
  SourceGate& gate_;
  Registrations& registrations_;
  AdmissionCheck& admission_;
  PeerCheck& peers_;
  StunServer& stun_;
  Replies& replies_;
  Tarpit& tarpit_;
  FilterCheck& filter_;
  Requests& requests_;
  Responses& responses_;
  sip::MessageView view_;  // of the message in hand
};

}  // namespace ringway
