#pragma once

#include <optional>

#include "gateway/base/outbox.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/loop_check.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/replies.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/services.h"

namespace ringway {

// What a request that belongs to no transaction is asked before anything is kept of it: overload,
// budget, validation (RFC 3261 16.3), and what its peer may do with the tokens that it carries.
// Refusals are stateless: they cost a stranger's packet one packet and no memory.
class RequestChecks {
 public:
  // All outlive this object.
  RequestChecks(Services& core, PeerCheck& peers, AdmissionCheck& admission, RouteReader& routes,
                Replies& replies)
      : core_(core),
        peers_(peers),
        admission_(admission),
        routes_(routes),
        replies_(replies),
        loops_(core) {}

  // New dialogs are refused with 503 from now on.
  void set_draining(bool draining) { draining_ = draining; }
  // So are requests that begin something, but emergency calls.
  void set_overloaded(bool overloaded) { overloaded_ = overloaded; }

  // Its loop hash, for the branches that it leaves by. Nothing: it was refused or dropped.
  [[nodiscard]] std::optional<std::uint32_t> passes(const Source& source, const Peer& peer,
                                                    const Incoming& in, Instant now,
                                                    Outbox& outbox);
  // What it may do. Nothing: it was refused.
  [[nodiscard]] std::optional<Right> admit(const Source& source, const Peer& peer,
                                           const Incoming& in, Instant now, Outbox& outbox);

 private:
  // Emergency calls of strangers that overload does not refuse.
  static constexpr std::uint32_t kStrangersCallsASecond = 50;

  bool is_shed(const Source& source, const Peer& peer, const Incoming& in, Instant now,
               Outbox& outbox);
  bool may_call_for_help(Instant now);
  bool is_within_budget(const Source& source, const Incoming& in, Instant now, Outbox& outbox);
  bool is_refused(const Source& source, const Peer& peer, const Incoming& in, Outbox& outbox);

  Services& core_;
  PeerCheck& peers_;
  AdmissionCheck& admission_;
  RouteReader& routes_;
  Replies& replies_;
  LoopCheck loops_;
  bool draining_ = false, overloaded_ = false;
  Instant second_{};  // since when strangers_calls_left_ counts
  std::uint32_t strangers_calls_left_ = 0;
};

}  // namespace ringway
