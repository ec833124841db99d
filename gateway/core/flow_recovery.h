#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/asker_recovery.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/flows.h"
#include "gateway/core/registrations.h"
#include "gateway/core/request_sender.h"
#include "gateway/core/request_steps.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// What becomes of requests and calls when a flow ends, and when its user agent comes back on
// another one (RFC 5626 4.5, flow recovery) or does not:
//
//                        its flow ends        back on another flow          does not come back
//   request to it        waits                goes down the newer flow      480
//   ... called off       its CANCEL waits     the CANCEL goes down it       487
//   request of it        its answer waits     its answer follows            an INVITE is called off
//   call                 goes on, with the grace as its deadline            BYE to the other side
//
// Registrations says who came and who went; this class tells everybody whom it concerns.
class FlowRecovery {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    Flows& flows;
    ContextTable& contexts;
    Registrations& registrations;
    Calls& calls;
    RequestSteps& steps;
    RequestSender& sender;
    BranchResults& results;
    AskerRecovery& askers;
    BranchCancels& cancels;
    ResponseSender& responses;
  };
  explicit FlowRecovery(const Parts& parts);

  // A flow of this shard has ended; the other shards are told. One that is not known is ignored.
  void flow_ended(FlowId id, Instant now, Outbox& outbox);
  // One of another shard has ended.
  void flow_ended_elsewhere(FlowId id, Instant now, Outbox& outbox);
  // A user agent is here, away or gone; one that is gone is released.
  void agent_changed(const Registrations::Change& change, Instant now, Outbox& outbox);
  // The flow of a client transaction could not carry its request. True: the request goes down a
  // newer flow of the same user agent, or waits for one. False: the transaction has failed.
  [[nodiscard]] bool survives(const ClientTransaction& client, Instant now, Outbox& outbox);

 private:
  void agent_here(const UserAgent& agent, const Registrations::Change& change, Instant now,
                  Outbox& outbox);
  void agent_gone(const UserAgent& agent, const Registrations::Change& change, Instant now,
                  Outbox& outbox);
  void send_again(SlotId id, const Target& target, Instant now, Outbox& outbox);
  void asker_back(const UserAgent& agent, Instant now, Outbox& outbox);
  void asker_lost_flow(SlotId id, ResponseContext& context, Side side, FlowId flow, Instant now,
                       Outbox& outbox);
  void wait_for_asker(SlotId id, ResponseContext& context, std::uint64_t agent, FlowId flow,
                      Instant now, Outbox& outbox);
  std::uint64_t asker_of(const ResponseContext& context);
  bool wait_for_return(ResponseContext& context, SlotId id, Instant now);

  Services& core_;
  Flows& flows_;
  ContextTable& contexts_;
  Registrations& registrations_;
  Calls& calls_;
  RequestSteps& steps_;
  RequestSender& sender_;
  BranchResults& results_;
  AskerRecovery& askers_;
  BranchCancels& cancels_;
  ResponseSender& responses_;
  sip::MessageView request_;  // of a context
};

}  // namespace ringway
