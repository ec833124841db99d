#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/probes.h"
#include "gateway/core/registrations.h"
#include "gateway/core/relay_events.h"
#include "gateway/core/relay_watch.h"
#include "gateway/core/replies.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/responses.h"
#include "gateway/core/services.h"
#include "gateway/core/tarpit.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Whose deadline has come: the subject of a timer's payload (gateway/base/subject.h) names the part
// that armed it.
class Deadlines {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    Registrations& registrations;
    Calls& calls;
    RelayWatch& relay_watch;
    RelayEvents& relay_events;
    Probes& probes;
    FraudCheck& fraud;
    Tarpit& tarpit;
    Replies& replies;
    Responses& responses;
    BranchResults& results;
    ResponseSender& sender;
  };
  explicit Deadlines(const Parts& parts);

  // payload: of a timer of the core's wheel, which has expired.
  void expired(std::uint64_t payload, Instant now, Outbox& outbox);

 private:
  void context_deadline(SlotId id, Instant now, Outbox& outbox);
  void server_deadline(std::uint64_t payload, Instant now, Outbox& outbox);
  void follow_phone(SlotId client);
  void client_deadline(std::uint64_t payload, Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  Registrations& registrations_;
  Calls& calls_;
  RelayWatch& relay_watch_;
  RelayEvents& relay_events_;
  Probes& probes_;
  FraudCheck& fraud_;
  Tarpit& tarpit_;
  Replies& replies_;
  Responses& responses_;
  BranchResults& results_;
  ResponseSender& sender_;
  sip::MessageView request_;  // of a context
};

}  // namespace ringway
