#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/asker_recovery.h"
#include "gateway/core/flow_recovery.h"
#include "gateway/core/probes.h"
#include "gateway/core/responses.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Messages that could not be sent (RFC 3261 17.1.4, 18.4; RFC 6026 7.1). A response goes out once
// more over another connection where that may be; a request does too, or goes down the newer flow
// of its user agent, else its client transaction has failed.
class TransportErrors {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    TransactionLayer& transactions;
    Probes& probes;
    FlowRecovery& recovery;
    AskerRecovery& askers;
    Responses& responses;
  };
  explicit TransportErrors(const Parts& parts);

  // ticket: of ServerSend or ClientSend; others are nobody's.
  void send_failed(Ticket ticket, TransportFailure failure, Instant now, Outbox& outbox);

 private:
  void request_lost(SlotId client, TransportFailure failure, Instant now, Outbox& outbox);

  Services& core_;
  TransactionLayer& transactions_;
  Probes& probes_;
  FlowRecovery& recovery_;
  AskerRecovery& askers_;
  Responses& responses_;
};

}  // namespace ringway
