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

// What has to be true of a gateway, whatever the network and the agents do. Looks at what goes into
// the core and what comes out of it, reads messages with the agents' parser, and keeps the first
// thing that was wrong.
class Checks {
 public:
  Checks(const Clock& clock, Trace& trace) : clock_(clock), trace_(trace) {}

  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  void fail(std::string_view what, std::string_view text = {});

  // Limits are so low that finished transactions make room for others (and a repetition of what
  // they absorbed is a new request), and 503 is said without remembering it.
  bool may_forget = false;

  // A new process: it knows nothing of what the one before was asked.
  void gateway_started();
  // That address may be sent to from now on: the configuration or a lookup names it.
  void allow(const Endpoint& endpoint) { named_.insert(to_string(endpoint)); }
  // Never, whoever names it.
  void forbid(const Endpoint& endpoint) { forbidden_.insert(to_string(endpoint)); }

  void flow_opened(FlowId flow);
  void flow_closed(FlowId flow);
  // trusted: it came in on the network side.
  void received(ShardIndex shard, const Source& source, std::string_view text, bool trusted);
  // A request that another shard answers.
  void handed_over(ShardIndex shard, std::string_view text);
  void sent(ShardIndex shard, const Output& output);

  // Called when nothing can happen any more but what the clock brings within seconds.
  void each_request_was_answered(const std::vector<const Counters*>& counters);
  void is_empty(ShardIndex shard, const ProxyCore::Occupancy& occupancy, const Counters& counters,
                std::size_t buffers_in_use);
  void gauges_are_sane(ShardIndex shard, const Counters& counters);

 private:
  struct Request {
    Instant since, answered;
    FlowId flow;  // empty: UDP
    std::set<std::string> sources;
    int status = 0;  // of the final response
    std::string to_tag;
    bool invite = false;
  };
  static std::string key_of(ShardIndex shard, const Message& message);
  void name_addresses(const Message& message);
  void final_answer_is_the_only_one(Request& request, const Message& response,
                                    std::string_view text);
  void response_goes_where_the_request_came_from(const Request& request, const Output& output,
                                                 std::string_view text);
  void address_is_known(const Output& output, std::string_view text);
  void flow_was_issued(const Output& output);

  const Clock& clock_;
  Trace& trace_;
  std::string failure_;
  std::set<std::string> named_, forbidden_;  // addresses that may be sent to, and that may not
  std::set<std::uint64_t> flows_, closed_;  // all that ever were, and those that ended
  std::map<std::string, Request> requests_;
};

}  // namespace ringway::sim
