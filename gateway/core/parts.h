#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "gateway/base/reserved_array.h"
#include "gateway/core/call_table.h"
#include "gateway/core/proxy_core.h"
#include "gateway/core/response_context.h"
#include "gateway/media/relay_set.h"
#include "gateway/nat/binding_table.h"
#include "gateway/nat/own_uris.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/routing/route_preprocess.h"
#include "gateway/transaction/layer.h"
#include "protocol/sip/edit.h"
#include "protocol/sip/message.h"
#include "protocol/sip/validate.h"

namespace ringway {

// The signalling half of a connection.
struct FlowState {
  std::uint32_t generation;
  bool live;
  bool opened_by_us;
  Transport transport;
  ListenerIndex listener;
  Endpoint remote;
  std::uint32_t first_agent;  // slot + 1: user agents registered over it
  SlotId first_context;       // requests that came over it and are not answered yet
  SlotId first_call;          // calls of a user agent that never registered
};

// A message with what was read of it; valid during one turn.
struct Incoming {
  const sip::MessageView& view;
  const sip::Essentials& essentials;
};

// All state and all steps of the signalling core. The steps stand in the order of a message's way:
//
//   request.cc           match, policies, server transaction, context
//   route_request.cc     where it goes: flow, Route set, next hop; parks for DNS or a return
//   media_steps.cc       descriptions through the media relay; parks for its answer
//   forward_request.cc   the edits of RFC 3261 16.6 and the client transaction
//   response.cc          client transaction, best response (16.7)
//   forward_response.cc  the edits of 16.7 and the server transaction
//   registration.cc      what a 2xx to REGISTER teaches; user agents that leave and return
//   calls.cc             dialogs that must be ended when a browser is gone
//   probe.cc             OPTIONS to next hops
struct ProxyCore::Parts {
  explicit Parts(Environment environment);

  // request.cc
  void receive_request(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  void receive_ack(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  void receive_cancel(SlotId invite, SlotId cancel, Instant now, Outbox& outbox);
  bool answer_by_policy(SlotId server, const Source& source, const Incoming& in, Instant now,
                        Outbox& outbox);
  bool comes_back(const Incoming& in, std::uint32_t loop_hash) const;
  std::uint32_t loop_hash(const Incoming& in) const;
  // Builds a response of our own for the request of a context or transaction and sends it.
  void respond_to(SlotId server, const sip::MessageView& request, const Source& source,
                  sip::Status status, std::string_view extra, Instant now, Outbox& outbox,
                  std::string_view reason = {});
  void respond_statelessly(const sip::MessageView& request, const Source& source,
                           sip::Status status, std::string_view reason, std::string_view extra,
                           Outbox& outbox);
  void send_trying(SlotId server, const sip::MessageView& request, const Source& source,
                   Outbox& outbox);
  std::string_view top_via_with_source(const sip::MessageView& request, const Source& source,
                                       Writer& out) const;
  std::string_view top_via_with_source(const sip::Via& via, const Source& source,
                                       Writer& out) const;

  // route_request.cc
  void route(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  void route_to_access(SlotId id, const Incoming& in, const RoutePreprocess& route, Instant now,
                       Outbox& outbox);
  void route_to_uri(SlotId id, const Incoming& in, std::string_view uri, Instant now,
                    Outbox& outbox);
  void route_to_self(SlotId id, const Incoming& in, const sip::Uri& uri, Instant now,
                     Outbox& outbox);
  void route_by_next_hop(SlotId id, const Incoming& in, std::string_view domain, bool explicit_only,
                         Instant now, Outbox& outbox);
  enum class FlowLookup : std::uint8_t { Found, Wait, Dead };
  FlowLookup find_flow(const FlowToken& token, bool in_dialog, Instant now, Target& target);
  bool is_live(FlowId flow, std::uint64_t user_agent);
  bool targets_from_resolution(const Resolution& resolution, std::string_view host, Instant now,
                               TargetList& list);
  void start_targets(SlotId id, const Incoming& in, TargetList& list, Instant now, Outbox& outbox);
  bool is_from_network(const Source& source) const;
  void resume(SlotId id, Instant now, Outbox& outbox);  // parses again and goes on
  void park_for_return(SlotId id, std::uint64_t user_agent, Instant until, Outbox& outbox);

  // media_steps.cc
  void prepare_media(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  void relay_completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox);
  void offer_done(SlotId id, const RelaySet::Completion& completion, Instant now, Outbox& outbox);
  void answer_done(SlotId id, const RelaySet::Completion& completion, Instant now, Outbox& outbox);
  bool response_needs_relay(const ResponseContext& context, const sip::MessageView& response) const;
  void send_response_to_relay(SlotId id, Instant now, Outbox& outbox);
  void answer_without_media(SlotId id, Instant now, Outbox& outbox);
  void delete_media(Call& call, Instant now, Outbox& outbox);
  BufferRef body_for(MediaLeg leg, std::string_view sdp);

  // forward_request.cc
  void try_next_target(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  void forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  bool forward_ack(const Source& source, const Incoming& in, Instant now, Outbox& outbox,
                   SlotId context_id);
  // Writes the request for target. via_branch: text of our branch.
  BufferRef write_request(ResponseContext& context, const Incoming& in,
                          const RoutePreprocess& route, const Target& target,
                          std::string_view via_branch);
  void write_record_route(ResponseContext& context, const Incoming& in, const Target& target,
                          Writer& out);
  void write_path(ResponseContext& context, const Incoming& in, const Target& target, Writer& out);
  bool switch_to_tcp(Target& target, BufferRef& message, Instant now);
  void fail_locally(SlotId id, sip::Status status, std::string_view extra, Instant now,
                    Outbox& outbox);

  // response.cc
  void receive_response(const Source& source, Bytes bytes, const Incoming& in, Instant now,
                        Outbox& outbox);
  void own_response(SlotId client, const Incoming& in, Instant now, Outbox& outbox);
  void take_response(SlotId id, std::uint8_t branch, const Incoming& in, Instant now,
                     Outbox& outbox);
  void branch_ended(SlotId id, std::uint8_t branch, sip::Status status, const Incoming* in,
                    Instant now, Outbox& outbox);
  bool try_another(SlotId id, std::uint8_t branch, sip::Status status, Instant now, Outbox& outbox);
  void send_best(SlotId id, Instant now, Outbox& outbox);
  void cancel_branches(SlotId id, Instant now, Outbox& outbox);
  void cancel_client(SlotId client, Instant now, Outbox& outbox);
  void client_outcome(SlotId client, const TransactionLayer::Outcome& outcome, sip::Status status,
                      Instant now, Outbox& outbox);
  void end_context(SlotId id, Instant now, Outbox& outbox);

  // forward_response.cc
  void forward_response(SlotId id, const sip::MessageView& response, std::string_view new_body,
                        bool body_changed, Instant now, Outbox& outbox);
  void forward_stored(SlotId id, BufferRef message, std::string_view new_body, bool body_changed,
                      Instant now, Outbox& outbox);

  // registration.cc
  std::uint64_t registering_agent(const sip::MessageView& request, std::uint64_t& contact_hash,
                                  std::uint64_t& aor_hash) const;
  void learn_binding(SlotId id, const sip::MessageView& response, Instant now, Outbox& outbox);
  std::uint64_t user_agent_of(const Source& source, std::string_view from_uri) const;
  void agent_here(const Output::Announcement& announcement, Instant now, Outbox& outbox);
  void agent_away(SlotId agent, Instant now);
  void agent_gone(SlotId agent, Instant now, Outbox& outbox);
  void agent_timer(SlotId agent, Instant now, Outbox& outbox);
  void link_agent_to_flow(SlotId agent);
  void unlink_agent_from_flow(SlotId agent);
  void deliver_waiting(UserAgent& agent, Instant now, Outbox& outbox);
  void announce(Output::Announcement announcement, Outbox& outbox);
  std::uint64_t aor_hash_of(std::string_view uri_text) const;

  // calls.cc
  // False if there is no room for it.
  bool open_call(SlotId id, const Incoming& in);
  void call_progress(ResponseContext& context, const sip::MessageView& response,
                     const sip::Essentials& essentials, Instant now);
  void end_call(SlotId call, bool delete_relay, Instant now, Outbox& outbox);
  void release_call(SlotId call, Instant now, Outbox& outbox);
  void release_calls_of(UserAgent& agent, Instant now, Outbox& outbox);
  void own_call(SlotId call);
  void disown_call(SlotId call);
  SlotId* owner_head(Call& call);
  void flow_gone(FlowId flow, Instant now);
  void start_grace(SlotId call, Instant now);
  BufferRef write_bye_template(const Call& call, const ResponseContext& context,
                               const sip::MessageView& response);

  // probe.cc
  void start_probes(Instant now, Outbox& outbox);
  void send_probe(std::uint16_t next_hop, Instant now, Outbox& outbox);
  void probe_answered(std::uint64_t own_value, const Target& target, sip::Status status,
                      Instant now);

  // Contexts.
  SlotId open_context(const Source& source, const Incoming& in);
  void link_context_to_flow(SlotId id);
  void unlink_context_from_flow(SlotId id);
  void arm(SlotId id, ContextTimer timer, Instant deadline);
  void disarm(ResponseContext& context);
  void context_deadline(SlotId id, Instant now, Outbox& outbox);
  FlowState* flow_state(FlowId flow);
  void drop(DropReason reason) { counters.drops[static_cast<std::size_t>(reason)].add(); }
  // Memory for text that lives until the turn's message is written; reset for each message.
  Writer fresh_scratch() { return Writer(MutableBytes(scratch)); }
  const ListenConfig& listener(ListenerIndex index) const { return listeners[index].config; }
  MediaLeg leg_of(Transport transport) const {
    return is_websocket(transport) ? MediaLeg::Browser : MediaLeg::Plain;
  }

  const Config& config;
  ShardIndex shard;
  std::vector<ListenerInfo> listeners;
  tls::Mac mac;
  std::uint32_t epoch;
  BufferPool& buffers;
  Counters& counters;
  Log& log;
  Random random;
  HashKey hash_key;  // the same on all shards and after a restart
  TimerWheel wheel;
  OwnUris own;
  NextHopSet next_hops;
  TransactionLayer transactions;
  SlotTable<ResponseContext> contexts;
  SlotTable<TargetList> target_lists;
  BindingTable agents;
  CallTable calls;
  SlotId unowned_calls;  // whose flow is another shard's, and whose user agent is not registered
  RelaySet relays;
  ReservedArray<FlowState> flows;
  std::shared_ptr<const FilterRules> filter;
  struct Prefix {
    Address address;
    std::uint8_t bits;
  };
  std::vector<Prefix> filter_exempt;
  bool is_exempt(const Address& source) const;
  bool draining = false;
  bool no_media_logged = false;
  std::vector<TimerWheel::Handle> probe_timers;  // by next hop
  std::vector<bool> path_seen;                   // by next hop: its 2xx to REGISTER echoed our Path

  // What route() read of the Route set of the request in hand, so that forward() need not verify
  // its signatures again. routed_for is empty outside route().
  RoutePreprocess routed;
  SlotId routed_for;

  sip::MessageView view, other_view;  // of the message in hand, and of a stored one beside it
  sip::EditList edits;
  std::array<std::uint8_t, 16'384> scratch;
  std::array<std::uint8_t, 65'536> body_scratch;
};

}  // namespace ringway
