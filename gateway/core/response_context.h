#pragma once

#include <array>
#include <cstdint>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/outbox.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/target.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/media/relay_protocol.h"
#include "protocol/sip/method.h"
#include "protocol/sip/status.h"

namespace ringway {

// One client transaction of a context.
struct ClientBranch {
  SlotId client;                 // empty once it has ended
  sip::Status final_status = 0;  // 0: none yet
  bool cancelled = false;        // a CANCEL was sent or waits for a provisional response
  BufferRef challenge;           // its 401 or 407, to be merged (RFC 3261 16.7 item 7)
};

// What the deadline of a context is for.
enum class ContextTimer : std::uint8_t {
  None,
  FirstAnswer,  // the next hop is silent and there is another one to try
  TimerC,       // RFC 3261 16.6 item 11
  Return,       // the user agent may come back until then
  Name,         // a lookup
};

// A response that waits for the media relay before it can be forwarded.
struct ParkedResponse {
  BufferRef message;
  sip::Status status = 0;
  std::uint8_t branch = 0;
};

// One server transaction and the client transactions made for it (RFC 3261 16.7), or a request of
// our own (no server transaction). It parks while somebody outside the shard has to answer.
struct ResponseContext {
  enum class State : std::uint8_t {
    Routing,
    AwaitName,       // DNS
    AwaitUserAgent,  // its flow is gone; delivered when it returns
    AwaitOffer,      // the media relay has the request's description
    Proceeding,      // forwarded
  };
  static constexpr std::size_t kBranchesMax = 8;

  SlotId server;
  Source source;
  BufferRef request;  // as received
  sip::Method method = sip::Method::Other;
  State state = State::Routing;
  bool own = false;      // made by us: nobody to answer
  bool initial = false;  // no To tag
  bool cancelled = false;
  bool answered = false;       // a final response was forwarded
  bool has_sdp = false;        // the request carries a description
  bool media = false;          // descriptions pass the relay
  bool call_new = false;       // call was made by this request: ends with its failure
  bool grace_used = false;     // has waited for the user agent once
  bool session_timer = false;  // the request asked for one and its sender supports it
  std::uint8_t relay = 0;
  std::uint32_t leg = 0;
  std::uint32_t loop_hash = 0;
  std::uint64_t user_agent = 0;  // REGISTER: who registers; else who is waited for
  MediaLeg source_leg = MediaLeg::Plain, target_leg = MediaLeg::Plain;
  BufferRef body;  // the request's description as the relay wrote it
  SlotId call;

  Target target;        // the one tried now
  SlotId more_targets;  // in the core's table of target lists
  std::uint8_t next_target = 0;
  std::uint8_t branch_count = 0;
  std::array<ClientBranch, kBranchesMax> branches;
  std::uint8_t branches_open = 0;

  sip::Status best_status = 0;
  BufferRef best;  // the best final response so far
  std::uint8_t best_branch = 0;
  std::array<ParkedResponse, 2> parked;  // [0] is at the relay, [1] waits behind it

  ContextTimer timer_for = ContextTimer::None;
  TimerWheel::Handle timer = 0;
  SlotId next_waiting;  // others that wait for the same user agent
  SlotId next_of_flow, previous_of_flow;
  BufferRef name;  // AwaitName: what is looked up
};

}  // namespace ringway
