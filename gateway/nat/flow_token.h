#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/base/endpoint.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/outbox.h"
#include "protocol/base/writer.h"
#include "tls/mac.h"

namespace ringway {

// What we write into the user part of our own Record-Route, Path and Contact URIs, and trust when
// it comes back: which flow and which user agent a dialog or a binding belongs to (RFC 5626 5.2).
// All routing state of a dialog is in its tokens, so it outlives a restart with the same key.
struct FlowToken {
  enum class Kind : std::uint8_t {
    Network,  // Record-Route towards the next hop's side; names nothing, proves it is ours
    Access,   // Record-Route that names the flow of the access side
    Path,     // Path of a registration
    Contact,  // alias in a Contact, for a registrar without Path
  };
  Kind kind = Kind::Network;
  bool paired = false;      // a second value of ours stands beside it (RFC 5658)
  bool media = false;       // SDP of this dialog passes a media relay
  bool outbound = false;    // the flow asked for RFC 5626
  std::uint32_t leg = 0;    // tells two passes of one Call-ID apart; 0: no call record
  std::uint32_t epoch = 0;  // of the process that wrote it: its flow ids mean nothing later
  FlowId flow;              // streams
  ListenerIndex listener = kNoListener;
  std::optional<Endpoint> remote;  // UDP: where the user agent sent from
  std::uint64_t user_agent = 0;    // keyed hash of AOR and instance; 0: not registered
};

// Longest token, as text.
inline constexpr std::size_t kFlowTokenTextMax = 96;

// Writes token, signed together with scope (a dialog's Call-ID for Record-Route; the rest of the
// URI for a Contact alias; empty for Path), in the alphabet A-Z a-z 0-9 - _.
void write_flow_token(const FlowToken& token, const tls::Mac& mac, std::string_view scope,
                      Writer& out);

// Ours: reads as a token of this form, whether or not the signature holds.
bool looks_like_flow_token(std::string_view text);

// nullopt: forged, changed, or signed for another scope.
std::optional<FlowToken> read_flow_token(std::string_view text, const tls::Mac& mac,
                                         std::string_view scope);

// Keyed hash that names a user agent for all shards and over restarts. instance: value of
// +sip.instance with reg-id, or the Contact URI of a user agent without one.
std::uint64_t user_agent_hash(const tls::Mac& mac, std::string_view aor, std::string_view instance);

}  // namespace ringway
