#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/services.h"
#include "gateway/media/relay_set.h"

namespace ringway {

// Offer and answer through the media relay (RFC 3264). A call whose two sides speak different media
// has one session at the relay for each pass through the gateway; its id is the Call-ID and the
// leg, which travels in our Record-Route tokens. The request or response parks while the relay
// answers; the shard goes on.
class MediaSteps {
 public:
  // All outlive this object.
  MediaSteps(Services& core, ContextTable& contexts, Calls& calls, RelaySet& relays)
      : core_(core), contexts_(contexts), calls_(calls), relays_(relays) {}

  enum class Next : std::uint8_t { Forward, Wait, Refuse };

  // The targets of a request are chosen. Wait: offer_done() follows. Refuse: 503.
  Next prepare(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  // The relay's answer to prepare(): Forward with context.body, or Refuse.
  Next offer_done(ResponseContext& context, const RelaySet::Completion& completion);

  bool needs_relay(const ResponseContext& context, const sip::MessageView& response) const;
  // parked[0] holds the response. False: it cannot be sent to the relay.
  [[nodiscard]] bool send_response(SlotId id, Instant now, Outbox& outbox);
  // The relay's answer to send_response(): the description to forward; empty: there is none.
  BufferRef answer_done(const ResponseContext& context, const RelaySet::Completion& completion);

 private:
  bool begin_call(SlotId id, ResponseContext& context, const Incoming& in);
  void set_interfaces(RelayRequest& request, bool from_access) const;
  BufferRef body_for(MediaLeg leg, std::string_view description);

  Services& core_;
  ContextTable& contexts_;
  Calls& calls_;
  RelaySet& relays_;
  bool no_relay_logged_ = false;
  sip::MessageView response_;
  std::array<std::uint8_t, 65'536> body_scratch_;
};

}  // namespace ringway
