#pragma once

#include <optional>
#include <string_view>

#include "gateway/base/outbox.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/media_steps.h"
#include "gateway/core/registrations.h"
#include "gateway/core/replies.h"
#include "gateway/core/response_writer.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// From a context to its server transaction (RFC 3261 16.7 items 3 to 9): a response of the far end,
// or one of ours. The final one ends the context, but a 2xx to INVITE, and one whose asker is away:
// that is held until the asker is back.
class ResponseSender {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    Registrations& registrations;
    Calls& calls;
    MediaSteps& media;
    Replies& replies;
    const Router& router;
    const HeaderRules& header_rules;
    AdmissionCheck& admission;
    FraudCheck& fraud;
    BranchCancels& cancels;
  };
  explicit ResponseSender(const Parts& parts);

  // body: in place of the response's own; nothing: as it is.
  void forward(SlotId context, const sip::MessageView& response,
               std::optional<std::string_view> body, Instant now, Outbox& outbox);
  // message: a response that was kept.
  void forward_stored(SlotId context, const BufferRef& message,
                      std::optional<std::string_view> body, Instant now, Outbox& outbox);
  // The context is refused with status, where nobody has answered yet, and ends. extra: whole
  // header lines.
  void fail(SlotId context, sip::Status status, std::string_view extra, Instant now,
            Outbox& outbox);
  // We answer it ourselves, with 200, and it ends.
  void accept(SlotId context, Instant now, Outbox& outbox) {
    fail(context, 200, {}, now, outbox);
  }
  // The asker is back, or gone for good: what is held goes to the server transaction.
  void give_held(SlotId context, Instant now, Outbox& outbox);
  // Nobody needs it any more; what is still under way for it is called off.
  void end(SlotId context, Instant now, Outbox& outbox);

 private:
  bool hold_refusal(SlotId id, sip::Status status, std::string_view extra, Instant now,
                    Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  Registrations& registrations_;
  Calls& calls_;
  MediaSteps& media_;
  Replies& replies_;
  AdmissionCheck& admission_;
  FraudCheck& fraud_;
  BranchCancels& cancels_;
  ResponseWriter writer_;
  sip::MessageView stored_;   // a response that had to wait
  sip::MessageView request_;  // the request of a context
};

}  // namespace ringway
