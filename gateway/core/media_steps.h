#pragma once

#include <optional>
#include <string_view>

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/negotiation.h"
#include "gateway/core/services.h"
#include "gateway/media/profile_memory.h"
#include "gateway/media/relay_set.h"

namespace ringway {

// Offer and answer through the media relay (RFC 3264). A call whose two sides speak different media
// has one session at the relay for each pass through the gateway. The request or response parks
// while the relay answers; the shard goes on.
class MediaSteps {
 public:
  // All outlive this object.
  MediaSteps(Services& core, ContextTable& contexts, Calls& calls, RelaySet& relays)
      : core_(core),
        contexts_(contexts),
        calls_(calls),
        relays_(relays),
        negotiation_(calls) {}

  enum class Next : std::uint8_t {
    Forward,
    Wait,           // offer_done() follows
    NoRelay,        // 503: none can be had
    NotAcceptable,  // 488: nothing can be made of the description
    Encoded,        // 415: nobody but the ends can read it, and a relay would have to
    Late,           // 481: the call is over, and its description would wake a session for nobody
    Glare,          // 491: both sides offer at one time (RFC 3261 14.2, RFC 3311 5.2)
    Busy,           // 500: one side offers again before it has its answer (the same)
  };

  // The callee has refused an INVITE with 415, 488 or 606: another profile may be what it speaks.
  // False: none is left to be tried, or the configuration names one. True: prepare() follows, with
  // the same target.
  [[nodiscard]] bool try_other_profile(ResponseContext& context, Instant now, Outbox& outbox);
  // The callee has answered 482. True: it took the INVITE with the other profile for a copy of the
  // one that it has refused (RFC 3261 8.2.2.2). The next call asks it with that profile first.
  [[nodiscard]] bool took_retry_for_copy(const ResponseContext& context, Instant now,
                                         Outbox& outbox);
  // What a destination speaks, found out by another shard.
  void announced(const Output::Announcement& news, Instant now);

  // The targets of a request are chosen.
  Next prepare(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  // The relay's answer to prepare(): Forward with context.body, or what to refuse request with.
  Next offer_done(ResponseContext& context, const sip::MessageView& request,
                  const Calls::MediaResult& result);

  // A response above 100 and below 300 in that dialog: what its description is.
  sdp::Action response_passes(ResponseContext& context, SlotId dialog,
                              const sip::MessageView& response);
  // The relay has to see the description of such a response before it goes on.
  bool needs_relay(const ResponseContext& context, sdp::Action action) const;
  // It goes on without the relay: with which body, where not with its own; empty: with none.
  std::optional<std::string_view> body_without_relay(const ResponseContext& context,
                                                     sdp::Action action,
                                                     const sip::MessageView& response, Instant now,
                                                     Outbox& outbox);
  // That body has been used.
  void let_go() { body_.reset(); }
  // The request has a final response of 300 or above, or comes to an end without any.
  void request_failed(ResponseContext& context, Instant now, Outbox& outbox);
  // Its call is over: nobody can make anything of its description any more.
  bool comes_late(const ResponseContext& context, const sip::MessageView& response) const;
  // The first parked response's description goes to the relay. False: it cannot.
  [[nodiscard]] bool send_response(SlotId id, Instant now, Outbox& outbox);
  // The relay's answer to send_response(): the body of response to forward; empty: there is none.
  BufferRef answer_done(const ResponseContext& context, const ParkedResponse& parked,
                        const Calls::MediaResult& result, Instant now, Outbox& outbox);
  // The body of response with what the sender of the request heard last and still goes by; empty:
  // nothing was agreed.
  BufferRef last_answer(const ResponseContext& context, const sip::MessageView& response);
  BufferRef last_answer(const ResponseContext& context, const BufferRef& response);

 private:
  MediaProfile profile_of(const Target& target) const;
  std::uint64_t destination_of(const Target& target, std::string_view request_uri) const;
  MediaLeg leg_towards(const Target& target, MediaLeg source, std::uint64_t destination,
                       Instant now) const;
  [[nodiscard]] bool begin(ResponseContext& context, const Incoming& in,
                           std::string_view description, Instant now, Outbox& outbox);
  void learn_profile(std::uint64_t destination, std::optional<MediaLeg> speaks, Instant now,
                     Outbox& outbox);
  Next pass_request(SlotId id, const Incoming& in, std::string_view description, Instant now,
                    Outbox& outbox);
  Next acknowledge(ResponseContext& context, const sip::MessageView& ack);
  bool repeat_ack(ResponseContext& context, const Incoming& in);
  Next tell_relay(SlotId id, std::string_view description, Instant now, Outbox& outbox);
  BufferRef copy_for_relay(std::string_view description);
  BufferRef body_for(const Call& call, Party to, bool answers, const sip::MessageView& message,
                     std::string_view description);

  Services& core_;
  ContextTable& contexts_;
  Calls& calls_;
  RelaySet& relays_;
  Negotiation negotiation_;
  ProfileMemory profiles_;
  bool no_relay_logged_ = false;
  sip::MessageView response_;
  BufferRef body_;  // of body_without_relay(), until let_go()
  std::array<std::uint8_t, 65'536> description_scratch_, body_scratch_;
};

}  // namespace ringway
