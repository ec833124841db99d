#pragma once

#include <cstdint>

#include "gateway/base/outbox.h"
#include "gateway/core/flows.h"
#include "gateway/core/services.h"

namespace ringway {

// Streams that a filter rule holds: nothing that comes over them gets an answer, and each is closed
// after kHeld.
class Tarpit {
 public:
  static constexpr Duration kHeld = 60s;
  static constexpr std::uint32_t kHeldMax = 1'000;

  // Both outlive this object.
  Tarpit(Services& core, Flows& flows) : core_(core), flows_(flows) {}

  bool holds(const Source& source);
  // False: it has ended, is no stream, or too many are held.
  [[nodiscard]] bool hold(FlowId id, Instant now);
  // Its deadline, armed by hold().
  void over(SlotId slot, Outbox& outbox);

 private:
  Services& core_;
  Flows& flows_;
  std::uint32_t held_ = 0;  // held_ <= kHeldMax
};

}  // namespace ringway
