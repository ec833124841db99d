#pragma once

#include <string_view>

#include "gateway/base/outbox.h"
#include "gateway/core/context_table.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// CANCELs to those who have been asked (RFC 3261 9.1, 16.10). One leaves only after a provisional
// response, and says why (RFC 3326).
class BranchCancels {
 public:
  // All outlive this object.
  BranchCancels(Services& core, ContextTable& contexts, TransactionLayer& transactions)
      : core_(core), contexts_(contexts), transactions_(transactions) {}

  // Every branch of the context that has no final response is called off.
  void cancel_all(SlotId context, Instant now, Outbox& outbox);
  void cancel(const ResponseContext& context, std::uint8_t branch, Instant now, Outbox& outbox);
  // Those who were called off over a flow that has ended, and are back at target: they may ring on.
  void cancel_again(SlotId context, const Target& target, Instant now, Outbox& outbox);
  // Of a client transaction whose context is gone.
  void cancel_client(SlotId client, std::string_view reason, Instant now, Outbox& outbox);

 private:
  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  sip::MessageView request_;  // of a client transaction
};

}  // namespace ringway
