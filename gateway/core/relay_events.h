#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/relay_watch.h"
#include "gateway/core/request_steps.h"
#include "gateway/core/response_steps.h"
#include "gateway/media/relay_set.h"

namespace ringway {

// What comes from media relays, to whoever waits for it: answers about a call's session to Calls
// and from there to the request or response that has parked for them, all others to RelayWatch.
class RelayEvents {
 public:
  struct Parts {  // all outlive this object
    RelaySet& relays;
    RelayWatch& watch;
    ContextTable& contexts;
    Calls& calls;
    RequestSteps& requests;
    ResponseSteps& responses;
  };
  explicit RelayEvents(const Parts& parts);

  // One whole ng message. False: nobody waits for it.
  bool receive(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox);
  // The deadline of a relay request.
  void expired(std::uint64_t payload, Instant now, Outbox& outbox);
  void connected(std::uint8_t relay, Instant now, Outbox& outbox);
  void lost(std::uint8_t relay, Instant now);
  // A call's media session has what a context parks for.
  void media_done(const Calls::MediaResult& result, Instant now, Outbox& outbox);

 private:
  void completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox);

  RelaySet& relays_;
  RelayWatch& watch_;
  ContextTable& contexts_;
  Calls& calls_;
  RequestSteps& requests_;
  ResponseSteps& responses_;
};

}  // namespace ringway
