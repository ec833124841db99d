#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/admission/fraud_rules.h"
#include "gateway/admission/source_lists.h"
#include "gateway/base/log.h"
#include "gateway/base/outbox.h"
#include "gateway/config/config.h"
#include "gateway/filter/filter.h"
#include "gateway/routing/next_hops.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/static_pages.h"
#include "gateway/transport/tls_settings.h"

// Everything that threads can say to each other. Messages are moved through bounded queues with
// one writer and one reader each; a full queue is a counted loss, never a wait.

namespace ringway {

// Control thread to shard. Snapshots replace what the shard had.
struct PublishNextHops {
  std::shared_ptr<const NextHopSnapshot> next_hops;
};
// A reloaded configuration with all that was built from it, taken over between two turns. Places in
// its lists never move (gateway/config/reload_plan.h).
struct PublishConfig {
  std::shared_ptr<const Config> config;
  std::uint64_t generation = 0;
  std::shared_ptr<const TlsSettings> tls;     // null: no TLS anywhere
  std::shared_ptr<const FilterRules> filter;  // null: none
  std::shared_ptr<const StaticPages> pages;   // null: none
  std::shared_ptr<const SourceLists> lists;   // null: none
  std::shared_ptr<const FraudRules> fraud;    // null: none
  std::vector<NewListener> listeners;         // that have come; their sockets are this shard's
};
struct PublishLists {
  std::shared_ptr<const SourceLists> lists;
  std::shared_ptr<const FraudRules> fraud;
};
struct PublishService {  // false: new dialogs are refused, those that run go on
  bool in_service = true;
};
struct PublishFilter {
  std::shared_ptr<const FilterRules> rules;
};
struct PublishTls {
  std::shared_ptr<const TlsSettings> tls;
};
struct PublishPages {
  std::shared_ptr<const StaticPages> pages;  // null: none
};
struct PublishLogLevel {
  LogLevel level = LogLevel::Info;
};
struct Resolved {  // answers ResolveName
  Ticket ticket = 0;
  Resolution resolution;
};
// A question about one of a shard's tables, or a command to what is in it. Every shard answers with
// one Report under the same request.
struct Query {
  enum class Topic : std::uint8_t { Calls, UserAgents, Flows, Bans, NextHops, Relays };
  enum class Verb : std::uint8_t { List, End, Add, Remove, Hold, Release, Drain, Probe };
  std::uint64_t request = 0;
  Topic topic = Topic::Calls;
  Verb verb = Verb::List;
  std::string name;       // of what is meant: a Call-ID, AOR, flow, prefix; empty: all (List only)
  std::uint32_t max = 0;  // rows at most
  std::int64_t seconds = 0;  // Add: how long it lasts
};
struct AskAlive {  // answered by Alive, at the end of the turn at the latest
  std::uint64_t round = 0;
};
struct Drain {};  // no new dialogs; answered by Drained once all flows are closed
struct Stop {};   // the thread ends, whatever is open

using ToShard =
    std::variant<std::monostate, PublishConfig, PublishService, PublishNextHops, PublishFilter,
                 PublishTls, PublishPages, PublishLists, PublishLogLevel, Resolved, Query,
                 AskAlive, Drain, Stop>;

// Shard to control thread.
struct ResolveName {  // RFC 3263, as far as the URI decides; answered by Resolved
  Ticket ticket = 0;
  Transport transport = Transport::Udp;  // meaningful if transport_given
  bool transport_given = false;
  bool secure = false;     // sips
  std::uint16_t port = 0;  // 0: none in the URI
  std::uint8_t name_size = 0;
  std::array<char, 255> name_text{};
  std::string_view name() const { return {name_text.data(), name_size}; }
};
// One line of a table, for people and for JSON. Keys are literals in snake case; the same key means
// the same on all shards.
using ReportValue = std::variant<std::string, std::int64_t, double, bool>;
using ReportRow = std::vector<std::pair<std::string_view, ReportValue>>;
struct Report {
  std::uint64_t request = 0;
  std::vector<ReportRow> rows;  // List
  std::uint32_t done = 0;       // commands: on how many entries it was carried out
  bool known = true;            // false: this program has no such topic or verb
};
struct NextHopsTaken {};  // one PublishNextHops is in force
struct Alive {
  std::uint64_t round = 0;
};
struct Drained {};
struct ShardFailed {  // the thread has ended by itself
  std::string text;
};

using FromShard =
    std::variant<std::monostate, ResolveName, Report, NextHopsTaken, Alive, Drained, ShardFailed>;

// Shard to shard. Bytes travel as a view into a buffer of the sender's pool, which its mailbox
// holds until the receiver has dealt with the message: a BufferRef never leaves its thread.
struct HandOver {  // a received message that belongs to the other shard's core
  Source source;
  Bytes bytes;
};
struct SendOnFlow {  // bytes for a flow that the other shard owns
  FlowId flow;
  Ticket ticket = 0;
  ShardIndex origin = 0;  // who is told by SendFailed
  Bytes bytes;
};
struct CloseRemoteFlow {
  FlowId flow;
  std::uint16_t websocket_code = 0;
};
struct SendFailed {
  Ticket ticket = 0;
  TransportFailure failure = TransportFailure::None;
};

using BetweenShards = std::variant<std::monostate, HandOver, SendOnFlow, CloseRemoteFlow,
                                   SendFailed, Output::Announcement>;

}  // namespace ringway
