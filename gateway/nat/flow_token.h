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
// Fields have the widths that are named; what does not fit is cut.
struct FlowToken {
  enum class Kind : std::uint8_t {
    Network,  // Record-Route towards the next hop's side; names nothing, proves it is ours
    Access,   // Record-Route that names the flow of the access side
    Path,     // Path of a registration
    Contact,  // alias in a Contact, for a registrar without Path
  };
  static constexpr std::uint16_t kNoNextHop = 0xffff;

  Kind kind = Kind::Network;
  bool paired = false;      // a second value of ours stands beside it (RFC 5658)
  bool media = false;       // SDP of this dialog passes a media relay; Network, Access
  bool outbound = false;    // the flow asked for RFC 5626; Path, Contact
  std::uint16_t leg = 0;    // tells two passes of one Call-ID apart; 0: no call record
  std::uint16_t epoch = 0;  // of the process that wrote it: its flow ids mean nothing later
  std::uint8_t node = 0;    // which of several gateways wrote it: 4 bits
  std::uint8_t shard =
      0;  // the shard that owns the call or the flow; that of flow, if there is one
  std::uint8_t relay = 0;                // entry of MediaConfig::relays: 4 bits
  std::uint8_t day = 0;                  // when it was written: 4 bits of days
  std::uint16_t next_hop = kNoNextHop;   // entry of Config::next_hops, 0..62, or kNoNextHop
  FlowId flow;                           // streams
  ListenerIndex listener = kNoListener;  // 8 bits; 255 reads as kNoListener
  std::optional<Endpoint> remote;        // UDP: where the user agent sent from
  std::uint64_t user_agent = 0;          // user_agent_hash(), 48 bits; 0: not registered
  // Access: what the side that the token names and the other one speak, 3 bits each.
  std::uint8_t access_profile = 0, network_profile = 0;
  std::uint32_t far_end = 0;  // keyed hash of where the dialog goes on, 26 bits; 0: not known
  friend bool operator==(const FlowToken&, const FlowToken&) = default;
};

inline constexpr unsigned kFarEndHashBits = 26;

// Longest token, as text.
inline constexpr std::size_t kFlowTokenTextMax = 67;

// Writes token, hidden, and signed together with its kind and scope (a dialog's Call-ID for
// Record-Route; the rest of the URI for a Contact alias; empty for Path), in the alphabet
// A-Z a-z 0-9 - _. Nothing of a user can be read from it.
void write_flow_token(const FlowToken& token, const tls::Mac& mac, std::string_view scope,
                      Writer& out);

// Ours: reads as a token of this form, whether or not the signature holds.
bool looks_like_flow_token(std::string_view text);
// Reads as a token of the form that was written until its layout was changed. It proves nothing any
// more: who brings it has to register or call again (430).
bool looks_like_old_flow_token(std::string_view text);

// nullopt: forged, changed, or signed for another scope. scope: the dialog's Call-ID for a
// Record-Route value, the rest of the URI for an alias; a Path token has none and ignores it.
std::optional<FlowToken> read_flow_token(std::string_view text, const tls::Mac& mac,
                                         std::string_view scope);

// True if a token that was written on day is too old on today, or from the future. Both are days of
// the same calendar, of which 4 bits count: a token lives 13 days.
bool is_stale(std::uint8_t day, std::uint64_t today);

// Keyed hash that names a user agent for all shards and over restarts. instance: value of
// +sip.instance with reg-id, or the Contact URI of a user agent without one. 48 bits, never 0.
std::uint64_t user_agent_hash(const tls::Mac& mac, std::string_view aor, std::string_view instance);

}  // namespace ringway
