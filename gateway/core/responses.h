#pragma once

#include <optional>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/media_steps.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/probes.h"
#include "gateway/core/registrations.h"
#include "gateway/core/replies.h"
#include "gateway/core/response_writer.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Responses on their way back (RFC 3261 16.7), and the end of what waits for them: to their client
// transaction by the branch alone, to the context, and on to the server transaction. What needs a
// request to be sent again waits in next_retry().
class Responses {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    NextHopSet& next_hops;
    Registrations& registrations;
    Calls& calls;
    MediaSteps& media;
    Probes& probes;
    Replies& replies;
    const Router& router;
    const HeaderRules& header_rules;
    AdmissionCheck& admission;
    FraudCheck& fraud;
  };
  explicit Responses(const Parts& parts);

  void receive(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  // A client transaction timed out, lost its transport or is over.
  void client_outcome(SlotId client, const TransactionLayer::Outcome& outcome, sip::Status status,
                      Instant now, Outbox& outbox);
  // The relay's answer for a response that waits for it.
  void answer_done(SlotId context, const Calls::MediaResult& result, Instant now, Outbox& outbox);
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
  // The next hop asked last says nothing, and another one may be asked.
  void next_hop_silent(SlotId context, Instant now);
  // Timer C (RFC 3261 16.8).
  void timer_c(SlotId context, Instant now, Outbox& outbox);

  // The context is refused with status, where nobody has answered yet, and ends.
  void fail(SlotId context, sip::Status status, std::string_view extra, Instant now,
            Outbox& outbox);
  // The asker called it off, or is gone (RFC 3261 16.10). request: the CANCEL, whose Reason goes on
  // (RFC 3326 2), or nullptr.
  void cancel(SlotId context, const sip::MessageView* request, Instant now, Outbox& outbox);
  void cancel_branches(SlotId context, Instant now, Outbox& outbox);
  void end(SlotId context, Instant now, Outbox& outbox);

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
  bool is_from_target(const Source& source, const Target& target) const;
  void send_ack(SlotId client, const Incoming& in, Outbox& outbox);
  void take(SlotId id, std::uint8_t branch, const Incoming& in, Instant now, Outbox& outbox);
  void repeat(SlotId id, const Incoming& in, sdp::Action action, Instant now, Outbox& outbox);
  void park(SlotId id, const Incoming& in, sdp::Action action, Instant now, Outbox& outbox);
  void next_parked(SlotId id, Instant now, Outbox& outbox);
  void branch_ended(SlotId id, std::uint8_t branch, sip::Status status, const Incoming* in,
                    Instant now, Outbox& outbox);
  void perform(SlotId id, std::uint8_t branch, ResponseContext::Decision decision, Instant now,
               Outbox& outbox);
  void send_best(SlotId id, Instant now, Outbox& outbox);
  void forward(SlotId id, const sip::MessageView& response, std::optional<std::string_view> body,
               Instant now, Outbox& outbox);
  void give_held(SlotId id, Instant now, Outbox& outbox);
  bool hold_refusal(SlotId id, sip::Status status, std::string_view extra, Instant now,
                    Outbox& outbox);
  void forward_stored(SlotId id, const BufferRef& message, std::optional<std::string_view> body,
                      Instant now, Outbox& outbox);
  void succeed_too_late(SlotId id, const sip::MessageView& response, Instant now, Outbox& outbox);
  void answer_without_media(SlotId id, Instant now, Outbox& outbox);
  void cancel_client(SlotId client, std::string_view reason, Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  NextHopSet& next_hops_;
  Registrations& registrations_;
  Calls& calls_;
  MediaSteps& media_;
  Probes& probes_;
  Replies& replies_;
  AdmissionCheck& admission_;
  FraudCheck& fraud_;
  ResponseWriter writer_;
  sip::MessageView stored_;   // a response that had to wait
  sip::MessageView request_;  // the request of a context
  std::vector<Retry> retries_;
  std::size_t next_retry_ = 0;
};

}  // namespace ringway
