#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/services.h"
#include "gateway/media/relay_set.h"

namespace ringway {

// Offer and answer through the media relay (RFC 3264). A call whose two sides speak different media
// has one session at the relay for each pass through the gateway. The request or response parks
// while the relay answers; the shard goes on.
class MediaSteps {
 public:
  // All outlive this object.
  MediaSteps(Services& core, ContextTable& contexts, Calls& calls, RelaySet& relays)
      : core_(core), contexts_(contexts), calls_(calls), relays_(relays) {}

  enum class Next : std::uint8_t { Forward, Wait, Refuse, Late };

  // The targets of a request are chosen. Wait: offer_done() follows. Refuse: 503. Late: 481, the
  // call is over and its description would wake a session that nobody ends.
  Next prepare(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  // The relay's answer to prepare(): Forward with context.body, or Refuse.
  Next offer_done(ResponseContext& context, const Calls::MediaResult& result);

  bool needs_relay(const ResponseContext& context, const sip::MessageView& response) const;
  // Its call is over: nobody can make anything of its description any more.
  bool comes_late(const ResponseContext& context, const sip::MessageView& response) const;
  // The first parked response's description goes to the relay. False: it cannot.
  [[nodiscard]] bool send_response(SlotId id, Instant now, Outbox& outbox);
  // The relay's answer to send_response(): the description to forward; empty: there is none.
  BufferRef answer_done(const ResponseContext& context, const Calls::MediaResult& result);
  // What the sender of the request heard last and still goes by; empty: nothing was agreed.
  BufferRef last_answer(const ResponseContext& context);

 private:
  void begin(ResponseContext& context, const Incoming& in);
  BufferRef body_for(MediaLeg leg, Bytes description);

  Services& core_;
  ContextTable& contexts_;
  Calls& calls_;
  RelaySet& relays_;
  bool no_relay_logged_ = false;
  sip::MessageView response_;
  std::array<std::uint8_t, 65'536> body_scratch_;
};

}  // namespace ringway
