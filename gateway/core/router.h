#pragma once

#include <cstdint>
#include <string_view>

#include "gateway/core/context_table.h"
#include "gateway/core/flows.h"
#include "gateway/core/registrations.h"
#include "gateway/core/services.h"
#include "gateway/peers/targets.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/routing/route_preprocess.h"

namespace ringway {

// Where a request goes (RFC 3261 16.4 to 16.6, RFC 5626 5.3): down the flow that one of our tokens
// names, along the Route set, or to the next hop of its domain. Decides and sends nothing.
class Router {
 public:
  // All outlive this object.
  Router(Services& core, Flows& flows, Registrations& registrations, NextHopSet& next_hops,
         const PeerTable& peers, const Targets& places)
      : core_(core),
        flows_(flows),
        registrations_(registrations),
        next_hops_(next_hops),
        peers_(peers),
        places_(places) {}

  struct Decision {
    enum class Kind : std::uint8_t {
      Targets,         // targets()
      Refuse,          // status and extra
      AwaitName,       // name, port, transport and secure are to be looked up
      AwaitUserAgent,  // it may come back until then
    };
    Kind kind = Kind::Refuse;
    sip::Status status = 500;
    std::string_view extra;  // whole header lines of the refusal
    std::uint64_t user_agent = 0;
    Instant until{};
    std::string_view name;  // into the message, or into what restored its Request-URI
    std::uint16_t port = 0;
    Transport transport = Transport::Udp;
    bool transport_given = false;
    bool secure = false;
    std::uint16_t next_hop = NextHopSet::kNone;  // on whose behalf
  };
  // route: what preprocess_route() made of it.
  Decision route(const ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
                 Instant now);
  // After AwaitName.
  Decision resolved(const ResponseContext& context, const Incoming& in,
                    const Resolution& resolution, std::string_view name, Instant now);
  // Of the last decision that was Targets; until the next one.
  const TargetList& targets() const { return list_; }

  // Where a dialog goes on, as its tokens remember it: a hash of host, port and transport of that
  // URI; 0: a next hop or a member that is open to the access side, which needs no proof.
  std::uint32_t far_end_hash(std::string_view uri, Instant now) const;
  // The same of a message that makes a dialog: where the other end has to send, which is its first
  // Record-Route value, of a response the last one in front of ours, else its Contact.
  std::uint32_t far_end_of(const sip::MessageView& message, Instant now) const;

 private:
  // Who may be reached.
  enum class Reach : std::uint8_t {
    Open,    // next hops and members that are open to the access side, and those of the call's own
    Listed,  // all next hops and members
    FarEnd,  // the far end of a dialog, too
  };
  Decision to_access(const ResponseContext& context, const RoutePreprocess& route, Instant now);
  Decision to_contact(const ResponseContext& context, SlotId agent, Instant now);
  Decision to_uri(std::string_view uri_text, Reach reach, std::uint16_t next_hop, Instant now);
  Decision to_self(const sip::Uri& uri);
  Decision to_next_hop(std::string_view domain, Side from, bool explicit_only, Instant now);
  Decision to_open_hop(Side from, const RoutePreprocess& route, const sip::Uri* uri, Instant now);
  Decision from_next_hop(const ResponseContext& context, const RoutePreprocess& route,
                         const sip::Uri* uri, Instant now);
  Decision in_dialog(const ResponseContext& context, const RoutePreprocess& route,
                     const sip::Uri* uri, Instant now);
  bool is_closed(Reach reach, std::uint16_t found, std::uint16_t next_hop) const;
  bool needs_no_proof(std::uint16_t next_hop) const;
  bool is_named(const ResponseContext& context, const RoutePreprocess& route,
                std::string_view target, bool made_here, Instant now) const;
  Decision step(const ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
                Instant now);
  Decision only_secure(const Incoming& in, Decision decision);
  Decision forbidden();
  enum class FlowLookup : std::uint8_t { Found, Wait, Dead };
  FlowLookup find_flow(const FlowToken& token, bool in_dialog, Instant now, Target& target);
  bool is_live(FlowId flow, std::uint64_t user_agent);
  enum class Added : std::uint8_t { Some, None, Forbidden };
  Added add_targets(const Resolution& resolution, std::string_view host, Reach reach,
                    std::uint16_t next_hop, Instant now);

  Services& core_;
  Flows& flows_;
  Registrations& registrations_;
  NextHopSet& next_hops_;
  const PeerTable& peers_;
  const Targets& places_;
  TargetList list_;
};

}  // namespace ringway
