#pragma once

#include <array>
#include <optional>

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/media_steps.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/replies.h"
#include "gateway/core/request_writer.h"
#include "gateway/core/responses.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"
#include "gateway/routing/route_preprocess.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// Requests on their way out, in the order of RFC 3261 16.3 to 16.6:
//
//   receive    match to transactions (17.2.3), validate (16.3), open the server transaction
//   route      Route information (16.4), targets (16.5); parks for a name or a user agent
//   media      descriptions through the media relay; parks for its answer
//   forward    the copy with its edits and the client transaction (16.6)
//
// Refusals of new requests are stateless: they cost a stranger's packet one packet and no memory.
class Requests {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    TransactionLayer& transactions;
    NextHopSet& next_hops;
    Registrations& registrations;
    Calls& calls;
    MediaSteps& media;
    Replies& replies;
    Router& router;
    Responses& responses;
    PeerCheck& peers;
    const HeaderRules& header_rules;
    AdmissionCheck& admission;
    FraudCheck& fraud;
  };
  explicit Requests(const Parts& parts);

  // One whose call lives on another shard goes there, unless it was handed over to this one.
  void receive(const Source& source, const Incoming& in, bool handed_over, Instant now,
               Outbox& outbox);
  // What a call that cannot go on wants to be sent: a BYE of ours, or the end of its INVITE.
  void release(Calls::Release release, Instant now, Outbox& outbox);
  // What a user agent that is back at target has not answered goes there.
  void send_again(SlotId context, const Target& target, Outbox& outbox);

  // The user agent that it waited for is back.
  void resume(SlotId context, Instant now, Outbox& outbox);
  // The answer to the lookup that it waits for.
  void resolved(SlotId context, const Resolution& resolution, Instant now, Outbox& outbox);
  // The relay's answer that it waits for.
  void offer_done(SlotId context, const Calls::MediaResult& result, Instant now, Outbox& outbox);
  // Sent once more: to the next target, or to the same one in another way.
  void retry(const Responses::Retry& retry, Instant now, Outbox& outbox);

  // New dialogs are refused with 503 from now on.
  void set_draining(bool draining) { draining_ = draining; }
  // So are requests that begin something, but emergency calls.
  void set_overloaded(bool overloaded) { overloaded_ = overloaded; }

 private:
  bool refuse_by_validation(const Source& source, const Peer& peer, const Incoming& in,
                            Outbox& outbox);
  bool is_within_budget(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  bool is_shed(const Source& source, const Incoming& in, Outbox& outbox);
  void read_route(const Source& source, const Incoming& in, Instant now);
  // Nothing where it was refused, and answered.
  std::optional<Right> admit(const Source& source, const Peer& peer, const Incoming& in,
                             Instant now, Outbox& outbox);
  bool comes_back(const Incoming& in, std::uint32_t loop_hash) const;
  std::uint32_t loop_hash(const Incoming& in) const;
  void limit_answers(SlotId server, const Source& source, const Incoming& in, Instant now);
  void receive_ack(const Source& source, const Peer& peer, const Incoming& in, Instant now,
                   Outbox& outbox);
  SlotId invite_of(const Source& source, const Incoming& cancel);
  void receive_cancel(SlotId server, SlotId invite, const Source& source, const Incoming& in,
                      Instant now, Outbox& outbox);
  void route(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  std::optional<ShardIndex> owner_by_token(const Source& source, const Incoming& in, Instant now);
  std::optional<ShardIndex> owner_by_call_id(const Source& source, const Incoming& in,
                                             Instant now);
  // True: it is on its way to its call's shard.
  bool hand_over(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  void leave_next_pass_alone(const Incoming& in);
  bool begins_call(const ResponseContext& context) const;
  bool read_own(const ResponseContext& context, sip::Essentials& essentials);
  void follow(SlotId id, const Incoming& in, const Router::Decision& decision, Instant now,
              Outbox& outbox);
  void offer_and_forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  void refuse_media(SlotId id, MediaSteps::Next why, Instant now, Outbox& outbox);
  void await_name(SlotId id, const Router::Decision& decision, Instant now, Outbox& outbox);
  void await_user_agent(SlotId id, const Router::Decision& decision);
  void forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  void forward_ack(SlotId id, RequestWriter::Job job, Instant now, Outbox& outbox);
  void start_client(SlotId id, SlotId client, BufferRef message, const Target& target, Instant now,
                    Outbox& outbox);
  bool make_compact(BufferRef& message);
  bool is_to_ourselves(const Target& target) const;
  void fit_datagram(Target& target, BufferRef& message, Instant now);
  bool switch_to_tcp(Target& target, BufferRef& message, Instant now);
  bool read_again(const ResponseContext& context, sip::Essentials& essentials);

  Services& core_;
  ContextTable& contexts_;
  TransactionLayer& transactions_;
  NextHopSet& next_hops_;
  Registrations& registrations_;
  Calls& calls_;
  MediaSteps& media_;
  Replies& replies_;
  Router& router_;
  Responses& responses_;
  PeerCheck& peers_;
  AdmissionCheck& admission_;
  FraudCheck& fraud_;
  RequestWriter writer_;
  bool draining_ = false, overloaded_ = false;
  sip::MessageView stored_;  // a request that had to wait

  // What was read of the Route set of the request in hand, so that its signatures are verified
  // once. routed_for_ is empty where it has parked in between, and before it has a context;
  // until then is_routed_ says that it was read.
  RoutePreprocess routed_;
  bool is_routed_ = false;
  SlotId routed_for_;
  std::array<std::uint8_t, 4096> route_scratch_;
};

}  // namespace ringway
