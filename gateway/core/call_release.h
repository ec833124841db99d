#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/request_sender.h"
#include "gateway/core/request_steps.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/services.h"

namespace ringway {

// The end of a call that cannot go on: a BYE of ours to each side that is told (RFC 3261 15), or
// the end of its INVITE.
class CallRelease {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    BranchCancels& cancels;
    BranchResults& results;
    ResponseSender& responses;
    RequestSteps& steps;
    RequestSender& sender;
  };
  explicit CallRelease(const Parts& parts);

  void perform(Calls::Release release, Instant now, Outbox& outbox);

 private:
  void end_invite(const Calls::Release& release, Instant now, Outbox& outbox);
  void send_bye(Calls::Release release, Instant now, Outbox& outbox);
  Source bye_source() const;

  Services& core_;
  ContextTable& contexts_;
  BranchCancels& cancels_;
  BranchResults& results_;
  ResponseSender& responses_;
  RequestSteps& steps_;
  RequestSender& sender_;
  sip::MessageView bye_;
};

}  // namespace ringway
