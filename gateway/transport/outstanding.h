#pragma once

#include <cstdint>

#include "gateway/base/outbox.h"
#include "gateway/base/slot_table.h"
#include "gateway/transport/stream.h"
#include "protocol/base/time.h"

namespace ringway {

// Requests that were given to connections that we opened and may still be answered on them: when
// such a connection ends, each of them has to go out again or fail (RFC 3261 17.1.4, 18.4). The
// transport sees no responses, so that a request stays here for the life of its transaction.
class Outstanding {
 public:
  // 64 * T1 with its default, and a little: the answer comes before or never.
  static constexpr Duration kLife = 33s;
  static constexpr std::uint32_t kMax = 131'072;

  Outstanding() : requests_(kMax) {}

  // False: the table is full, and the oldest of the connection was forgotten for it.
  bool add(Outbound& outbound, Ticket ticket, Instant now) {
    while (outbound.requests != 0 && at(outbound.first_request).since + kLife <= now) pop(outbound);
    bool had_room = true;
    SlotId id = requests_.take(Request{ticket, now, 0});
    if (!id) {
      had_room = false;
      if (outbound.requests == 0) return false;
      pop(outbound);
      id = requests_.take(Request{ticket, now, 0});
    }
    if (outbound.requests++ == 0) {
      outbound.first_request = id.slot;
    } else {
      at(outbound.last_request).next = id.slot;
    }
    outbound.last_request = id.slot;
    return had_room;
  }
  // Takes them all, the oldest first, and calls report(ticket) for those that may be answered yet.
  template <typename Report>
  void take_all(Outbound& outbound, Instant now, Report&& report) {
    while (outbound.requests != 0) {
      const Request& request = at(outbound.first_request);
      if (request.since + kLife > now) report(request.ticket);
      pop(outbound);
    }
  }
  std::uint32_t size() const { return requests_.size(); }

 private:
  struct Request {
    Ticket ticket;
    Instant since;
    std::uint32_t next;
  };
  Request& at(std::uint32_t slot) { return *requests_.at(slot); }
  void pop(Outbound& outbound) {
    const std::uint32_t slot = outbound.first_request;
    outbound.first_request = at(slot).next;
    --outbound.requests;
    requests_.release(requests_.id_at(slot));
  }

  SlotTable<Request> requests_;
};

}  // namespace ringway
