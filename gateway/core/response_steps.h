#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/media_steps.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/services.h"

namespace ringway {

// A response that goes on, with its description through the media relay. It parks while the relay
// answers, and nothing overtakes it (RFC 3262 3, RFC 3264 4):
//
//   pass  ---- no relay needed, nothing parked --------------------------> ResponseSender
//     |                                                                      ^
//     '------- parks; the first one is at the relay ---> answer_done --------'
//                            ^                               |
//                            '------- the next one ----------'
class ResponseSteps {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    Calls& calls;
    MediaSteps& media;
    ResponseSender& sender;
  };
  explicit ResponseSteps(const Parts& parts);

  // A provisional response above 100, or a 2xx, of the context, in that dialog. repeated: its
  // sender has sent it before.
  void pass(SlotId context, SlotId dialog, bool repeated, const Incoming& in, Instant now,
            Outbox& outbox);
  // The relay's answer for the response that was parked first.
  void answer_done(SlotId context, const Calls::MediaResult& result, Instant now, Outbox& outbox);

 private:
  void repeat(SlotId id, const Incoming& in, sdp::Action action, Instant now, Outbox& outbox);
  void park(SlotId id, const Incoming& in, sdp::Action action, Instant now, Outbox& outbox);
  void next_parked(SlotId id, Instant now, Outbox& outbox);
  void succeed_too_late(SlotId id, const sip::MessageView& response, Instant now, Outbox& outbox);
  void answer_without_media(SlotId id, Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  Calls& calls_;
  MediaSteps& media_;
  ResponseSender& sender_;
  sip::MessageView stored_;  // a response that had to wait
};

}  // namespace ringway
