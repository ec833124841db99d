#include "gateway/call/call_record.h"

#include <array>

#include "gateway/base/endpoint.h"
#include "protocol/base/writer.h"

namespace ringway {
namespace {

std::int64_t whole_seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

}  // namespace

MediaVerdict judge_media(const Call& call, const MediaTotals& totals) {
  if (!call.media.used) return MediaVerdict::NoRelay;
  if (!totals.known || call.answer_ms == 0) return MediaVerdict::Unknown;
  const bool from_caller = totals.packets[0] != 0, from_callee = totals.packets[1] != 0;
  if (from_caller && from_callee) return MediaVerdict::BothWays;
  return from_caller || from_callee ? MediaVerdict::OneWay : MediaVerdict::Silent;
}

std::string_view to_text(MediaVerdict verdict) {
  switch (verdict) {
    case MediaVerdict::NoRelay:
      return "no relay";
    case MediaVerdict::Unknown:
      return "unknown";
    case MediaVerdict::BothWays:
      return "both ways";
    case MediaVerdict::OneWay:
      return "one way: no packets from one side";
    case MediaVerdict::Silent:
      return "silent: no packets from either side";
  }
  return "";
}

void write_call_ended(Call& call, const CallNames& names, const MediaTotals& totals, Log& log) {
  if (call.told) return;
  call.told = true;
  const Target& caller = call.party(Party::Caller).target;
  const EndpointText source(caller.remote);
  const bool answered = call.answer_ms != 0 || call.adopted;
  log.account(
      "call_ended",
      {{"call_id", call.call_id()},
       {"from", call.from()},
       {"to", call.to()},
       {"source", source.text()},
       {"transport", to_text(caller.transport)},
       {"next_hop", names.next_hop},
       {"status", call.status},
       {"status_by", to_text(call.status_by)},
       {"first_response_ms", call.first_provisional_ms},
       {"answer_ms", call.answer_ms},
       {"seconds", answered ? whole_seconds(call.ended_at - call.answered_at) : 0},
       {"ended_by", to_text(call.ended_by)},
       {"reason", to_text(call.reason)},
       {"relay", names.relay},
       {"codec", call.codec.view()},
       {"media", to_text(judge_media(call, totals))},
       {"packets_from_caller", totals.packets[0]},
       {"bytes_from_caller", totals.bytes[0]},
       {"packets_from_callee", totals.packets[1]},
       {"bytes_from_callee", totals.bytes[1]},
       {"resumed", call.adopted ? "yes" : "no"}});
}

}  // namespace ringway
