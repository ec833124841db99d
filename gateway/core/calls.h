#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/call/call_record.h"
#include "gateway/call/call_table.h"
#include "gateway/core/call_info.h"
#include "gateway/core/registrations.h"
#include "gateway/core/response_context.h"
#include "gateway/core/services.h"
#include "gateway/media/relay_set.h"
#include "gateway/routing/route_preprocess.h"
#include "protocol/sip/dtmf_info.h"

namespace ringway {

// The calls of one shard as the core sees them: what its requests and responses mean for them, the
// commands to their media relay, and what has to be sent when one ends. What must be sent waits in
// next_release(), what a relay answered in next_media().
class Calls {
 public:
  // All outlive this object.
  Calls(Services& core, Flows& flows, Registrations& registrations, RelaySet& relays);

  Call* get(SlotId id) { return table_.get(id); }
  // The one with that Call-ID and leg, a tombstone too.
  SlotId find(std::string_view call_id, CallLeg leg) const { return table_.find(call_id, leg); }
  Dialog* dialog(SlotId id) { return table_.dialog(id); }
  std::uint32_t places() const { return table_.size(); }  // with those that are over
  std::uint32_t dialogs() const { return table_.dialogs(); }
  // For /calls: at most max of them.
  std::vector<CallInfo> list(std::size_t max, Instant now) const;

  // --- The INVITE that makes it ------------------------------------------------------------------

  // pass: what tells this pass of the Call-ID from others. False: no place for it.
  [[nodiscard]] bool open(SlotId id, ResponseContext& context, const Incoming& in,
                          std::uint64_t pass, bool from_network, Instant now);
  // Where it goes is known, or has changed.
  void set_callee(ResponseContext& context);
  // A 1xx or a 2xx to it. The dialog that it names; empty: none, or there is no room for it.
  SlotId progress(ResponseContext& context, const Incoming& response, Instant now);
  // The caller gets status, which by gave, and the INVITE is over.
  void refused(ResponseContext& context, sip::Status status, CallEnder by, CallEndReason reason,
               Instant now, Outbox& outbox);

  // --- In a dialog -------------------------------------------------------------------------------

  // Which call and dialog a request belongs to. One that nobody remembers is taken up.
  void note_request(ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
                    Instant now);
  // A final response to such a request goes to its sender; response is nullptr where it is ours.
  void note_answer(ResponseContext& context, const sip::MessageView* response, sip::Status status,
                   Instant now, Outbox& outbox);
  // Where the call's newest messages say that a side is, in place of what a token says.
  void correct_target(const ResponseContext& context, Target& target) const;
  // A 2xx of a dialog that had one already is a repetition.
  bool is_repeated_success(const ResponseContext& context, const Incoming& response) const;

  // --- Ends --------------------------------------------------------------------------------------

  struct Release {
    enum class Kind : std::uint8_t {
      Bye,     // message goes to target, and on to whoever it names
      Cancel,  // the INVITE of context is called off: its caller is gone
      Refuse,  // that INVITE is refused with 480: the callee is gone
    };
    Kind kind = Kind::Bye;
    SlotId context;
    BufferRef message;
    BufferRef far_end;      // where the other side is, if that is proven
    Target target;          // of the access side; unset: where the request says
    bool to_access = false;
  };
  std::optional<Release> next_release();
  // The deadline of a call.
  void deadline(SlotId id, Instant now, Outbox& outbox);
  // Those sides of an answered call get a BYE each; it ends.
  enum class Sides : std::uint8_t { None, Caller, Callee, Both };
  void release(SlotId id, Sides sides, CallEndReason reason, Instant now, Outbox& outbox);
  // BYE to both sides, or CANCEL and 487 where nobody has answered.
  void end_now(SlotId id, CallEndReason reason, Instant now, Outbox& outbox);
  void end(SlotId id, CallEnder by, CallEndReason reason, Instant now, Outbox& outbox);
  // Calls that were watched (Call::watch) and are over.
  std::optional<SlotId> next_unwatched();
  // Every call that is not over.
  std::vector<SlotId> all() const;

  // --- Who goes and who comes --------------------------------------------------------------------

  void agent_away(const UserAgent& agent, Instant now);
  void agent_here(const UserAgent& agent, Instant now);
  // left: its connection had ended, or a phone on UDP registered no more.
  void agent_gone(const UserAgent& agent, bool left, Instant now);
  void flow_ended(FlowId flow, Instant now) { table_.owner_away(flow.value(), now); }

  // --- Media -------------------------------------------------------------------------------------

  // A call may have a session at a relay; of those whose caller has not registered only a few at
  // one time. Asked for each of its INVITEs.
  [[nodiscard]] bool take_guest_place(Call& call, const Source& source);
  // Descriptions of this call pass a relay from now on, as each side speaks. False: no relay can be
  // had.
  [[nodiscard]] bool use_media(Call& call, MediaLeg caller, MediaLeg callee, Instant now);
  // Party describes itself in an offer: what it speaks, if nothing has said so before.
  void learn_media_leg(Call& call, Party party, std::string_view description);
  // Digits of this call go to its next hop as telephone-event, if its relay can.
  bool has_digits_played(const Call& call) const;
  // The relay plays a digit of from's to the other side; what became of it comes back for context
  // (RelayCommand::PlayDtmf). False: it cannot be asked.
  [[nodiscard]] bool play_digit(const Call& call, Party from, const sip::DtmfInfo& digit,
                                SlotId context, Instant now, Outbox& outbox);
  // What was only a preview is the answer (RFC 3261 13.2.1).
  void settle(const ResponseContext& context);
  // The offer of this request came to nothing: back to what was agreed (RFC 3261 14.1).
  void offer_void(const ResponseContext& context, Instant now, Outbox& outbox);
  // What a relay made of a description that somebody waits for.
  struct MediaResult {
    SlotId context;
    MediaCommand command = MediaCommand::Offer;
    bool ok = false;
    BufferRef description;
    bool refused = false;  // by the relay, which could not read the description
  };
  std::optional<MediaResult> next_media();
  // Sends what the call's media session wants to be sent.
  void drive_media(SlotId id, Instant now, Outbox& outbox);
  void relay_completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox);
  // A call of this shard uses that session at that relay, or is about to delete it.
  bool has_media(const MediaId& id, std::uint8_t relay) const;
  RelayOwner media_owner() const { return owner_of_node(core_.node); }  // of those begun here

 private:
  void set_caller(SlotId id, const ResponseContext& context, const Incoming& in,
                  bool from_network);
  void take_up(ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
               Party from, Instant now);
  void release_lost(SlotId id, Party lost, Instant now, Outbox& outbox);
  void add_byes(Call& call, Party towards, std::string_view text);
  void give_up_waiting(Call& call);
  void after_end(SlotId id, Instant now, Outbox& outbox);
  void follow_session_as_asked(const ResponseContext& context, SlotId dialog,
                               const sip::MessageView& response, Instant now);
  std::size_t own_routes(const sip::MessageView& request) const;
  std::size_t routes_beyond(const sip::MessageView& response, CallLeg leg) const;
  std::uint64_t contact_of(std::uint64_t user_agent);
  Account account_of(std::uint64_t user_agent);
  void tell(SlotId id, const MediaTotals& totals);
  std::string_view next_hop_name(const Call& call) const;  // empty: none
  std::string_view relay_name(const Call& call) const;     // empty: no media
  void look_for_events(Call& call, std::string_view written);
  void finish_step(SlotId id, bool ok, BufferRef description, std::string_view reason);
  bool move_media(SlotId id, bool delete_there, Instant now, Outbox& outbox);
  RelayRequest relay_request(const Call& call, const MediaSession::Step& step) const;
  RelayOwner owner_of_node(std::uint8_t node) const;

  Services& core_;
  Flows& flows_;
  Registrations& registrations_;
  RelaySet& relays_;
  CallTable table_;
  GuestMedia guests_;
  const std::uint32_t gateways_;  // all that share our key
  sip::MessageView request_;  // the request of a context
  std::vector<std::string> relay_names_;
  std::vector<Release> releases_;
  std::vector<MediaResult> media_;
  std::vector<SlotId> unwatched_;
  std::size_t next_release_ = 0, next_media_ = 0;
};

}  // namespace ringway
