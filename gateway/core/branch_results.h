#pragma once

#include <optional>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// What comes of the branches of a context: another target is tried, the best response is chosen
// (RFC 3261 16.7 item 6), or what is under way is called off (16.8, 16.10). ResponseContext
// decides. A request that has to be sent again waits in next_retry().
class BranchResults {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    NextHopSet& next_hops;
    Calls& calls;
    BranchCancels& cancels;
    ResponseSender& sender;
  };
  explicit BranchResults(const Parts& parts);

  // A branch has its final response in, or (nullptr) failed with status and no message.
  void ended(SlotId context, std::uint8_t branch, sip::Status status, const Incoming* in,
             Instant now, Outbox& outbox);
  // It is tried once more at the same target: over UDP, or with another media profile.
  void try_again(SlotId context, std::uint8_t branch, bool other_profile);
  // The next hop asked last says nothing, and another one may be asked.
  void next_hop_silent(SlotId context, Instant now);
  // Timer C (RFC 3261 16.8).
  void timer_c(SlotId context, Instant now, Outbox& outbox);
  // The asker called it off, or is gone (RFC 3261 16.10). request: the CANCEL, whose Reason goes on
  // (RFC 3326 2), or nullptr.
  void cancel(SlotId context, const sip::MessageView* request, Instant now, Outbox& outbox);

  struct Retry {
    SlotId context;
    bool next_target = false;  // else the same one, over UDP
    std::uint8_t branch = 0;   // the one that ended, or is silent
    bool silent = false;
    bool other_profile = false;  // the same one, with another media profile
  };
  std::optional<Retry> next_retry();
  // No target was left, or the request cannot be read: the context goes on as if it had failed.
  void retry_failed(const Retry& retry, Instant now, Outbox& outbox);

 private:
  void perform(SlotId id, std::uint8_t branch, ResponseContext::Decision decision, Instant now,
               Outbox& outbox);
  void send_best(SlotId id, Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  NextHopSet& next_hops_;
  Calls& calls_;
  BranchCancels& cancels_;
  ResponseSender& sender_;
  std::vector<Retry> retries_;
  std::size_t next_retry_ = 0;
};

}  // namespace ringway
