#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/core/call_info.h"
#include "gateway/core/context_table.h"
#include "gateway/core/flows.h"
#include "gateway/core/services.h"
#include "gateway/nat/binding_table.h"
#include "gateway/routing/next_hop_set.h"

namespace ringway {

// Who is where: what a 2xx to REGISTER teaches (RFC 3261 10.3, RFC 5626), and what happens when a
// user agent's flow ends and it comes back on another. Every shard keeps the whole table; the shard
// that learns announces. What others have to do about a change waits in next_change().
class Registrations {
 public:
  // All outlive this object.
  Registrations(Services& core, Flows& flows, ContextTable& contexts, const NextHopSet& next_hops);

  struct Change {
    enum class Kind : std::uint8_t {
      Here,  // reachable, at another place or as another page than before: what waits goes on
      Away,  // its flow has ended; it may come back within the grace
      Gone,  // deregistered, expired, or away for longer than the grace; release() it when done
    };
    Kind kind = Kind::Here;
    SlotId agent;
    bool left = false;  // Gone: it cannot be reached any more, so its calls end too
    FlowId old_flow;    // Here: where it was before
  };
  std::optional<Change> next_change();

  UserAgent* get(SlotId agent) { return agents_.get(agent); }
  SlotId find(std::uint64_t user_agent) const { return agents_.find(user_agent); }
  // The one that a next hop of that group knows by that Contact.
  SlotId find_contact(std::string_view uri, std::uint16_t group) const {
    return agents_.find_contact(keyed_by(agents_.hash_text(uri), group));
  }
  // The user agent that speaks from there: over a flow the one with that From, else any of it.
  const UserAgent* agent_at(const Source& source, std::string_view from);
  // True if its address-of-record is that one ("sip:bob@example.org"), whichever next hop has
  // granted it.
  bool is_aor(const Account& account, std::string_view aor) const;
  // True if a binding was granted to a user agent that speaks from there.
  bool is_registered(const Source& source);
  // For /agents: at most max of those that this shard has learnt.
  std::vector<AgentInfo> list(std::size_t max, Instant now) const;
  // Forgets those of that AOR ("bob@example.org") that this shard has learnt; how many.
  std::uint32_t forget(std::string_view aor, Outbox& outbox);
  void release(SlotId agent);
  std::uint32_t size() const { return agents_.size(); }

  // The user agent that a REGISTER to that next hop is about: that of the first Contact that it
  // does not take back; 0: it names none.
  std::uint64_t registering(const sip::MessageView& request, std::uint16_t next_hop) const;
  // The one registered over the flow of source: the one with that From, else any; 0: none.
  std::uint64_t user_agent_of(const Source& source, std::string_view from);
  // Its Contact at that next hop points at us. Where a next hop may know Path or not, both are
  // sent until it shows that it does; a user agent keeps what it began with.
  bool uses_alias(std::uint16_t next_hop, std::uint64_t user_agent);

  // The 2xx to the REGISTER of context. request: as it was received.
  void learn(const ResponseContext& context, const sip::MessageView& request,
             const sip::MessageView& response, Instant now, Outbox& outbox);
  // From another shard.
  void announced(const Output::Announcement& news, Instant now);
  // A flow of this shard has ended: its user agents are away.
  void flow_ended(FlowState& state, FlowId flow, Instant now, Outbox& outbox);
  // The deadline of a user agent.
  void expired(SlotId agent);
  // A reload may have brought some; places do not move.
  void next_hops_changed() { path_seen_.resize(core_.config.next_hops.size(), false); }

  // The request waits for its return. Empty table: it waits for its own deadline alone.
  void wait(std::uint64_t user_agent, SlotId context, Instant until);
  void stop_waiting(const ResponseContext& context, SlotId id);
  // All that wait for it, linked by next_waiting; nobody waits then.
  SlotId take_waiting(SlotId agent);
  // The sender of the request is that user agent, which is away: its responses wait for it.
  void ask(std::uint64_t user_agent, SlotId context);
  void stop_asking(const ResponseContext& context, SlotId id);
  SlotId take_asking(SlotId agent);

 private:
  using Announcement = Output::Announcement;

  struct Contact;  // one Contact value of a REGISTER

  // 0 stays 0; else the group of next hops that it belongs to is mixed in.
  static std::uint64_t keyed_by(std::uint64_t hash, std::uint16_t group) {
    return hash == 0 ? 0 : hash ^ std::uint64_t{group} * 0x9e37'79b9'7f4a'7c15;
  }
  std::uint64_t aor_hash(std::string_view name_addr) const;
  std::uint64_t source_hash(const Source& source) const;
  std::uint64_t user_agent_of(std::uint64_t aor, const Contact& contact) const;
  std::uint32_t granted_seconds(const Contact& contact, const sip::MessageView& response) const;
  bool is_older(const UserAgent& agent, const Announcement& news) const;
  void take_back(std::uint64_t user_agent, std::uint64_t contact, const Announcement& news,
                 Outbox& outbox);
  void take_back_all(const Announcement& news, Outbox& outbox);
  void grant(Announcement news, std::uint16_t next_hop, std::string_view to, Instant now,
             Outbox& outbox);
  void set_name(std::uint64_t user_agent, std::string_view to);
  std::uint64_t credentials_hash(const sip::MessageView& request, std::uint16_t group) const;
  void here(const Announcement& news, Instant now);
  void away(SlotId agent, Instant now);
  void gone(SlotId agent, bool left);
  void announce(const Announcement& news, Outbox& outbox);
  void link_to_flow(SlotId agent);
  void unlink_from_flow(SlotId agent);

  Services& core_;
  Flows& flows_;
  ContextTable& contexts_;
  const NextHopSet& next_hops_;
  BindingTable agents_;
  std::vector<bool> path_seen_;  // by next hop: its 2xx to REGISTER echoed our Path
  std::vector<Change> changes_;
  std::size_t next_change_ = 0;
};

}  // namespace ringway
