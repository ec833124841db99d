#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/core/proxy_core.h"
#include "tests/sim/clock.h"
#include "tests/sim/message.h"
#include "tests/sim/trace.h"

namespace ringway::sim {

// Where a message comes from or goes to: an address, or a connection.
struct Channel {
  std::uint64_t connection = 0;  // of Wire::id(); 0: a datagram
  std::string address{};         // of a datagram
  std::string local{};           // of a datagram: the gateway's own

  std::string text() const { return connection ? std::to_string(connection) : address; }
};

// What has to be true of a gateway, whatever the network, the kernel and the agents do. Looks at
// what is on its way to the gateway and what comes from it, reads messages with the agents' parser,
// and keeps the first thing that was wrong. Datagrams are seen where they enter and leave the
// process, messages on connections where their far ends write and read them.
class Checks {
 public:
  Checks(const Clock& clock, Trace& trace) : clock_(clock), trace_(trace) {}

  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  void fail(std::string_view what, std::string_view text = {});

  // Limits are so low that finished transactions make room for others (and a repetition of what
  // they absorbed is a new request), and 503 is said without remembering it.
  bool may_forget = false;

  // Datagrams may find no space in the socket, and those that do pass them.
  bool may_reorder = false;

  // A new process: it knows nothing of what the one before was asked.
  void gateway_started();
  // That address may be sent to from now on: the configuration or a lookup names it.
  void allow(const Endpoint& endpoint) { named_.insert(to_string(endpoint)); }
  // Never, whoever names it.
  void forbid(const Endpoint& endpoint) { forbidden_.insert(to_string(endpoint)); }

  // One of its ends, or the network, has given it up.
  void connection_ended(std::uint64_t connection);
  // trusted: who sends it is of the network side. promised: it was in its socket before a reload
  // took the listener away.
  void received(const Channel& from, std::string_view text, bool trusted, bool promised = false);
  void sent(const Channel& to, std::string_view text);
  // A datagram or a connection goes there.
  void reached(const Endpoint& remote);

  // Called when nothing can happen any more but what the clock brings within seconds.
  void each_request_was_answered(const std::vector<const Counters*>& counters);
  void is_empty(ShardIndex shard, const ProxyCore::Occupancy& occupancy, const Counters& counters,
                std::size_t buffers_in_use);
  void gauges_are_sane(ShardIndex shard, const Counters& counters);

 private:
  struct Final {
    int status = 0;
    std::string to_tag;
  };
  struct Request {
    Instant since{}, answered{};
    std::set<std::string> sources;         // addresses it came from
    std::set<std::string> locals;          // and where to
    std::set<std::uint64_t> connections;   // on which it came
    std::map<std::string, Final> answers;  // the final response, by where it went
    bool invite = false;
    bool promised = false;
  };
  static std::string key_of(const Message& message);
  void name_addresses(const Message& message);
  void final_answer_is_the_only_one(Request& request, const Channel& to, const Message& response,
                                    std::string_view text);
  void response_goes_where_the_request_came_from(const Request& request, const Channel& to,
                                                 std::string_view text);

  const Clock& clock_;
  Trace& trace_;
  std::string failure_;
  std::set<std::string> named_, forbidden_;  // addresses that may be sent to, and that may not
  std::map<std::uint64_t, Instant> ended_;  // connections, since when
  std::map<std::string, Request> requests_;
};

}  // namespace ringway::sim
