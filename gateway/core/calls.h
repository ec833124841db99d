#pragma once

#include <string_view>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/core/call_info.h"
#include "gateway/core/call_table.h"
#include "gateway/core/registrations.h"
#include "gateway/core/services.h"
#include "gateway/media/relay_set.h"

namespace ringway {

// Calls of user agents whose connection may die. While it is away, requests of the far end wait; if
// it does not return, the far end is released by a BYE in the dialog's name, and the media session
// is deleted.
class Calls {
 public:
  // All outlive this object.
  Calls(Services& core, Flows& flows, Registrations& registrations, RelaySet& relays);

  Call* get(SlotId id) { return table_.get(id); }
  SlotId find(std::string_view call_id, std::uint32_t leg) const {
    return table_.find(call_id, leg);
  }
  std::uint32_t size() const { return table_.size(); }
  // For /calls: at most max of them.
  std::vector<CallInfo> list(std::size_t max, Instant now) const;

  // For an INVITE that starts a dialog: the same one again, with credentials, is the same pass of
  // the same call. False: no place.
  [[nodiscard]] bool open(SlotId id, ResponseContext& context, const Incoming& in);
  // A 1xx or a 2xx to that INVITE. request: as it was received.
  void progress(ResponseContext& context, const sip::MessageView& request,
                const sip::MessageView& response, Instant now);
  // Its INVITE was challenged, and will be repeated with credentials at once or not at all.
  void challenged(SlotId id, Instant now);
  void end(SlotId id, Instant now, Outbox& outbox);
  // The media session of a call that nobody here remembers, which a token names.
  void delete_media_of(std::string_view call_id, std::uint32_t leg, Instant now, Outbox& outbox);

  // What is left to do for a call whose user agent is gone.
  struct Release {
    SlotId context;  // it was not answered yet: its INVITE ends with 480
    BufferRef bye;   // it was: this request goes to the far end
  };
  Release release(SlotId id, Instant now, Outbox& outbox);
  // Every call that there is; for the end of a service drain.
  std::vector<SlotId> all() const;
  // The first call of that user agent; empty: none is left.
  SlotId first_of(SlotId agent) const { return registrations_.get(agent)->first_call; }
  // The user agent took its binding back: its calls go on over the flow that it still has.
  void keep_on_flow(SlotId agent);
  // It must not be found as a call of its owner again.
  void disown(SlotId id);

  // A flow of this shard, or of another, has ended: calls that only it could end get the grace.
  void flow_ended(const FlowState& state, Instant now);
  void remote_flow_ended(FlowId flow, Instant now);

 private:
  void own(SlotId id);
  SlotId* owner_head(Call& call);
  void start_grace(SlotId id, Instant now);
  void delete_media(Call& call, Instant now, Outbox& outbox);
  BufferRef write_names(const Incoming& in, Call& sizes);
  BufferRef write_bye(const Call& call);
  BufferRef write_bye_template(const Call& call, const sip::MessageView& request,
                               const sip::MessageView& response);

  Services& core_;
  Flows& flows_;
  Registrations& registrations_;
  RelaySet& relays_;
  CallTable table_;
  SlotId unowned_;  // whose flow is another shard's, and whose user agent is not registered
};

}  // namespace ringway
