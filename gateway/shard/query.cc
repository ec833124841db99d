#include "gateway/shard/shard_thread.h"

namespace ringway {
namespace {

using Topic = Query::Topic;
using Verb = Query::Verb;

double seconds(Duration duration) {
  return static_cast<double>(duration / 1ms) / 1e3;
}

ReportRow row_of(const CallInfo& call) {
  return {{"call_id", std::string(call.call_id)},
          {"from", std::string(call.from)},
          {"to", std::string(call.to)},
          {"state", std::string(call.state)},
          {"transport", std::string(to_text(call.transport))},
          {"next_hop", std::string(call.next_hop)},
          {"dialogs", static_cast<std::int64_t>(call.dialogs)},
          {"media", call.media},
          {"relay", std::string(call.relay)},
          // As text: a number of 64 bits loses its last digits in most readers of JSON.
          {"flow", call.flow ? std::to_string(call.flow.value()) : std::string()},
          {"away", call.away},
          {"resumed", call.resumed},
          {"age_seconds", seconds(call.age)}};
}

}  // namespace

// Tables are read between two turns. A topic or verb that nobody answers here is said to be
// unknown, so that a person sees it instead of an empty list.
Report ShardThread::report(const Query& query) {
  Report report;
  report.request = query.request;
  switch (query.topic) {
    case Topic::Calls:
      if (query.verb != Verb::List) break;
      for (const CallInfo& call : parts_->core.calls(query.max, now())) {
        if (query.name.empty() || query.name == call.call_id) report.rows.push_back(row_of(call));
      }
      return report;
    case Topic::UserAgents:
    case Topic::Flows:
    case Topic::Bans:
    case Topic::NextHops:
    case Topic::Relays:
      break;
  }
  report.known = false;
  return report;
}

}  // namespace ringway
