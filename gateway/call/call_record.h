#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/base/log.h"
#include "gateway/call/call.h"

namespace ringway {

// What the media relay counted for one side of a call: packets and bytes that came from it.
struct MediaTotals {
  bool known = false;
  std::array<std::uint64_t, 2> packets{}, bytes{};  // indexed by Party
};

// What a call's media turned out to be.
enum class MediaVerdict : std::uint8_t { NoRelay, Unknown, BothWays, OneWay, Silent };
MediaVerdict judge_media(const Call& call, const MediaTotals& totals);
std::string_view to_text(MediaVerdict verdict);

// Names that the log says instead of numbers. Each may be empty.
struct CallNames {
  std::string_view next_hop, relay;
};

// Writes the event call_ended, once for each call: the fields are the same for every call, numbers
// are 0 and texts empty where nothing is known. Precondition: the call is in CallState::Ended.
void write_call_ended(Call& call, const CallNames& names, const MediaTotals& totals, Log& log);

}  // namespace ringway
