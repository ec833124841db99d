#pragma once

#include <array>
#include <cstdint>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/outbox.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/target.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/call/party.h"
#include "gateway/media/media_leg.h"
#include "gateway/peers/peer.h"
#include "gateway/peers/rights.h"
#include "protocol/sdp/offer_answer.h"
#include "protocol/sip/method.h"
#include "protocol/sip/status.h"

namespace ringway {

// What the deadline of a context is for.
enum class ContextTimer : std::uint8_t {
  None,
  FirstAnswer,  // the next hop is silent and there is another one to try
  TimerC,       // RFC 3261 16.6 item 11
  Return,       // the user agent may come back until then
  Name,         // a lookup
  Relay,        // the media relay's answer
};

// One client transaction of a context.
struct ClientBranch {
  SlotId client;                 // empty once it has ended
  sip::Status final_status = 0;  // 0: none yet
  bool cancelled = false;        // a CANCEL was sent or waits for a provisional response
  BufferRef challenge;           // its 401 or 407, to be merged (RFC 3261 16.7 item 7)
};

// A response that waits for the media relay, or behind one that does.
struct ParkedResponse {
  BufferRef message;
  sip::Status status = 0;
  sdp::Action action = sdp::Action::None;  // what its description is
};

// One server transaction and the client transactions made for it (RFC 3261 16.7), or a request of
// our own, which has no server transaction. This class decides; RequestSteps, BranchResults and
// ResponseSender perform.
//
//              open
//               |             park
//               v  ------------------------->  AwaitName, AwaitUserAgent, AwaitOffer, AwaitDigit
//            Routing  <-------------------------------'          |
//               |             resume                             | forwarded
//               | forwarded                                      |
//               v                                                |
//          Proceeding  <-----------------------------------------'
//           |       |
//           |       | forwarded: another branch, when one is silent or has failed
//           |       '---> Proceeding
//           | answered: a final response went to the server transaction
//           v
//        Answered      2xx of an INVITE: until its client transactions have ended (RFC 6026 8.1)
//
// Whoever holds the table releases it: after a final response that is no 2xx to INVITE, after the
// last client transaction, or when it fails here.
class ResponseContext {
 public:
  enum class State : std::uint8_t {
    Routing,
    AwaitName,       // DNS
    AwaitUserAgent,  // its flow is gone; delivered when it returns
    AwaitOffer,      // the media relay has the request's description
    AwaitDigit,      // the media relay has its digit
    Proceeding,      // forwarded
    Answered,        // a final response was forwarded
  };
  static constexpr std::size_t kBranchesMax = 8;

  // What the caller has to do about a response or an end of a branch.
  enum class Decision : std::uint8_t {
    Nothing,
    Forward,         // at once (16.7 item 5)
    CancelBranch,    // it was called off before it had answered (RFC 3261 9.1)
    CancelBranches,  // all that have no final response
    TryAnother,      // the next target, if there is one; else as SendBest if no branch is open
    SendBest,        // every branch has ended (16.7 item 6)
    FailHere,        // nothing was forwarded: refuse it ourselves
  };

  State state() const { return state_; }
  bool is_answered() const { return state_ == State::Answered; }
  bool is_cancelled() const { return cancelled_; }
  bool is_waiting_for(State state) const { return state_ == state; }

  // The request waits for somebody outside the shard.
  void park(State waits_for);
  void resume() { state_ = State::Routing; }
  bool may_fork() const { return branch_count_ < kBranchesMax; }
  // Precondition: may_fork(). The index of the new branch.
  std::uint8_t forwarded(SlotId client);
  // A 1xx above 100 on a branch.
  Decision provisional(std::uint8_t branch) const;
  // May one more of them go on? A server may send them without end.
  static constexpr std::uint8_t kProvisionalsMax = 64;  // at once,
  static constexpr Duration kProvisionalEvery = 10s;    // and one more in each of these
  bool takes_provisional(Instant now);
  // A 2xx. The other branches are called off where it was the first (16.7 item 10).
  Decision success(std::uint8_t branch, sip::Status status);
  // A final response above 2xx, or (message empty) a time-out or a failure of the transport.
  Decision failed(std::uint8_t branch, sip::Status status, BufferRef message, bool challenge);
  // A failed branch that is tried once more in another way does not count.
  void discount(std::uint8_t branch, sip::Status status);
  void count_again(std::uint8_t branch);
  // The branch tried last says nothing: it cannot hold back the others' final response.
  void silent(std::uint8_t branch);
  void silence_ended(std::uint8_t branch);
  // The asker called it off, or is gone (RFC 3261 16.10).
  Decision cancel();
  // Precondition: a final response was given to the server transaction.
  void answer() { state_ = State::Answered; }
  // A branch is called off: its CANCEL was sent or waits for a provisional response.
  void call_off(std::uint8_t branch) { branches_[branch].cancelled = true; }
  void client_ended(std::uint8_t branch) { branches_[branch].client = {}; }

  std::uint8_t branch_count() const { return branch_count_; }
  bool has_open_branches() const { return open_ != 0; }
  const ClientBranch& branch(std::uint8_t index) const { return branches_[index]; }
  sip::Status best_status() const { return best_status_; }
  std::uint8_t best_branch() const { return best_branch_; }
  BufferRef take_best() { return std::move(best_); }
  bool has_best() const { return static_cast<bool>(best_); }
  // The response waits behind those that are parked. False: too many do.
  [[nodiscard]] bool park_response(ParkedResponse response);
  // Precondition: parked_count != 0.
  ParkedResponse take_parked();
  // No target is tried any more (16.7 item 5).
  void give_up_targets() { next_target = kNoMoreTargets; }

  SlotId server;
  Source source;
  BufferRef request;  // as received
  sip::Method method = sip::Method::Other;
  Right right = Right::Refuse;  // what its peer may do with it
  std::uint16_t peer_next_hop = Peer::kNoNextHop;
  bool own = false;            // made by us: nobody to answer
  bool initial = false;        // no To tag
  bool has_sdp = false;        // the request carries a description
  sdp::Action action = sdp::Action::None;  // what that is
  bool media = false;          // descriptions pass the relay
  bool late = false;           // its call is over
  bool exchanging = false;     // it was counted in its dialog's offers and answers, and is open
  std::uint32_t cseq = 0;      // while exchanging
  bool call_new = false;       // call was made by this request: ends with its failure
  bool grace_used = false;     // has waited for the user agent once
  bool session_timer = false;  // the request asked for one and its sender supports it
  bool awaits_return = false;  // went down a flow that has ended; sent again when that is back
  bool asker_away = false;     // its sender's flow has ended; it may be back on another
  CallLeg leg = 0;
  std::uint32_t loop_hash = 0;
  // What is left of the request's Max-Breadth for branches that are opened beside the open ones.
  std::uint32_t breadth_left = 0;
  std::uint64_t user_agent = 0;  // REGISTER: who registers; else who is waited for
  std::uint8_t relay = 0;       // of its media session
  std::array<MediaLeg, 2> media_legs{};  // what the sides of its call speak; by Party
  BufferRef body;               // the request's description as the relay wrote it
  SlotId call, dialog;          // empty: none is known
  BufferRef far_end;            // where its dialog's far end has said that it is now; may be empty
  Party from = Party::Caller;   // which side of the call sent the request
  ParkedResponse held;          // the final one, while its sender is away
  std::uint64_t asker = 0;      // the sender's user agent, where its flow has ended

  static constexpr std::uint8_t kNoMoreTargets = 255;
  Target target;        // the one tried now
  SlotId more_targets;  // in the core's table of target lists
  std::uint8_t next_target = 0;
  // In the order in which they came; the first one's description is at the relay.
  static constexpr std::size_t kParkedMax = 6;
  std::array<ParkedResponse, kParkedMax> parked;
  std::uint8_t parked_count = 0;  // parked_count <= kParkedMax

  ContextTimer timer_for = ContextTimer::None;
  TimerWheel::Handle timer = 0;
  SlotId next_waiting;  // others that wait for the same user agent
  SlotId next_of_flow, previous_of_flow;      // others that came over the same flow
  SlotId next_of_target, previous_of_target;  // others that went down the same flow
  FlowId sent_on;                             // that flow
  SlotId next_asking;       // others whose sender is the same user agent, which is away
  BufferRef name;           // AwaitName: what is looked up
  BufferRef cancel_reason;  // Reason lines of the CANCEL, for those that we send (RFC 3326)
  bool completed_elsewhere = false;  // another branch has answered: our CANCELs say so

 private:
  State state_ = State::Routing;
  bool cancelled_ = false;
  std::uint8_t branch_count_ = 0;
  std::uint8_t open_ = 0;  // branches without a final response; open_ <= branch_count_
  sip::Status best_status_ = 0;
  std::uint8_t best_branch_ = 0;
  std::uint8_t provisionals_left_ = kProvisionalsMax;
  Instant provisionals_since_{};  // provisionals_left_ was counted up to here
  BufferRef best_;  // the best final response so far
  std::array<ClientBranch, kBranchesMax> branches_;
};

}  // namespace ringway
