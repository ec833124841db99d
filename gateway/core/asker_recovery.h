#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/context_table.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Responses to a request whose sender's flow has ended: they follow a user agent to its newer flow,
// and a SIP server to a new connection (RFC 3261 18.2.2).
class AskerRecovery {
 public:
  // All outlive this object.
  AskerRecovery(Services& core, ContextTable& contexts, TransactionLayer& transactions,
                BranchResults& results, ResponseSender& sender)
      : core_(core),
        contexts_(contexts),
        transactions_(transactions),
        results_(results),
        sender_(sender) {}

  // The sender of the request is back at source, where its responses go from now on.
  void follow_asker(SlotId context, const Source& source, Instant now, Outbox& outbox);
  // It will not come back.
  void asker_gone(SlotId context, Instant now, Outbox& outbox);
  // The connection of a SIP server's request has ended: what it has not heard goes to it over a
  // new one.
  void reconnect_asker(SlotId context, Outbox& outbox);
  // A response of this server transaction did not get through. It goes out once more over a new
  // connection, where the request came from a SIP server by a stream.
  void response_lost(SlotId server, Outbox& outbox);

 private:
  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  BranchResults& results_;
  ResponseSender& sender_;
  sip::MessageView message_;
};

}  // namespace ringway
