#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/call_owner.h"
#include "gateway/core/context_table.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/replies.h"
#include "gateway/core/request_checks.h"
#include "gateway/core/request_steps.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/services.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Requests as they come in, in the order of RFC 3261 16.2 and 16.3:
//
//   CallOwner       a call of another shard: it goes there whole
//   PeerCheck       a stranger on the network side: nothing
//   transactions    a repetition, or the ACK of a refusal, ends here (17.2.3)
//   RequestChecks   may it go on? (16.3)
//   receive         its server transaction and its context; an ACK of a 2xx has only the latter
//   RequestSteps    from there on (16.4 to 16.6)
//
// A CANCEL is answered here, and ends what it is about (16.10).
class Requests {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    PeerCheck& peers;
    AdmissionCheck& admission;
    FraudCheck& fraud;
    Replies& replies;
    RouteReader& routes;
    CallOwner& owner;
    RequestChecks& checks;
    RequestSteps& steps;
    BranchResults& results;
  };
  explicit Requests(const Parts& parts);

  // handed_over: by another shard, to which it is not given back, unless it looks for its INVITE
  // on each shard in turn (CallOwner).
  void receive(const Source& source, const Incoming& in, bool handed_over, Instant now,
               Outbox& outbox);

 private:
  void receive_new(const Source& source, const Peer& peer, const Incoming& in,
                   const transaction::TransactionKey& key, Instant now, Outbox& outbox);
  void open(SlotId server, const Source& source, const Peer& peer, const Incoming& in, Right right,
            std::uint32_t loop_hash, Instant now, Outbox& outbox);
  void limit_answers(SlotId server, const Source& source, const Incoming& in, Instant now);
  void receive_ack(const Source& source, const Peer& peer, const Incoming& in, Instant now,
                   Outbox& outbox);
  SlotId find_invite(const Incoming& cancel);
  SlotId invite_of(const Source& source, const Incoming& cancel);
  void receive_cancel(SlotId server, SlotId invite, const Source& source, const Incoming& in,
                      Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  PeerCheck& peers_;
  AdmissionCheck& admission_;
  FraudCheck& fraud_;
  Replies& replies_;
  RouteReader& routes_;
  CallOwner& owner_;
  RequestChecks& checks_;
  RequestSteps& steps_;
  BranchResults& results_;
};

}  // namespace ringway
