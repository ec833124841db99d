#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/media_steps.h"
#include "gateway/core/probes.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/response_steps.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Responses as they come in (RFC 3261 16.7), to their client transaction by the branch alone, and
// from there to the context:
//
//   Responses ---> ResponseSteps ------------------> ResponseSender    1xx above 100, 2xx
//       |      its description through the relay       ^
//       '--------> BranchResults ----------------------'               refusals, silence, CANCEL
//                      |      the best response
//                      '---> BranchCancels, next_retry()
class Responses {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    NextHopSet& next_hops;
    Calls& calls;
    MediaSteps& media;
    Probes& probes;
    BranchCancels& cancels;
    BranchResults& results;
    ResponseSteps& steps;
    ResponseSender& sender;
  };
  explicit Responses(const Parts& parts);

  void receive(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  // A client transaction timed out, lost its transport or is over.
  void client_outcome(SlotId client, const TransactionLayer::Outcome& outcome, sip::Status status,
                      Instant now, Outbox& outbox);

 private:
  void hand_over(const Source& source, const Incoming& in, ShardIndex shard, Outbox& outbox);
  bool is_from_target(const Source& source, const Target& target) const;
  void send_ack(SlotId client, const Incoming& in, Outbox& outbox);
  void take(SlotId id, std::uint8_t branch, const Incoming& in, Instant now, Outbox& outbox);
  void take_trying(SlotId id, std::uint8_t branch, Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  NextHopSet& next_hops_;
  Calls& calls_;
  MediaSteps& media_;
  Probes& probes_;
  BranchCancels& cancels_;
  BranchResults& results_;
  ResponseSteps& steps_;
  ResponseSender& sender_;
  sip::MessageView invite_;  // of a client transaction
};

}  // namespace ringway
