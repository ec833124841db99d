#pragma once

#include <string_view>

#include "gateway/admission/budgets.h"
#include "gateway/admission/source_gate.h"
#include "gateway/core/flows.h"
#include "gateway/core/registrations.h"
#include "gateway/core/response_context.h"
#include "gateway/core/services.h"

namespace ringway {

// The one place where admission is asked about a request of the access side, and told what became
// of it. Requests inside dialogs never count, and of user agents that are registered only what they
// register.
class AdmissionCheck {
 public:
  // All outlive this object.
  AdmissionCheck(Services& core, SourceGate& gate, Flows& flows, Registrations& registrations)
      : core_(core),
        gate_(gate),
        flows_(flows),
        registrations_(registrations),
        budgets_(core.config.budgets, core.hash_key) {}

  // May it go on, as far as the budgets of its flow, user and source go? No transaction knows it.
  Budgets::Verdict ask(const Source& source, const Incoming& in, Instant now);
  // It goes on in context, and waits for its answer.
  void began(const ResponseContext& context, const Incoming& in, Instant now);
  // A final response was sent to the sender of context, once.
  void answered(const ResponseContext& context, sip::Status status, Instant now);
  // The same without a context.
  void refused(const Source& source, const Incoming& in, sip::Status status, Instant now);

  // True for a refusal by which a stranger could tell users that exist from others, where the
  // configuration wants none: a 403 of ours takes its place.
  bool tells_too_much(const ResponseContext& context, sip::Status status);

  // When the earliest refusal of a request of a stranger may leave, where the configuration wants
  // that nobody learns from the time; else Instant{}.
  Instant refuse_from(const Source& source, const Incoming& in, Instant now) const;

  // The filter found a signature. points: of a score; 0: it is enough by itself.
  void scanner(const Source& source, std::uint16_t points);
  // A stream carries no SIP.
  void unreadable(const Source& source);

 private:
  bool counts(const Source& source) const;
  bool has_budget(const Source& source) const;
  std::uint64_t flow_of(const Source& source) const;
  std::uint64_t user_of(const sip::MessageView& request) const;
  Budgets::Asker asker_of(const Source& source, const sip::MessageView& request);
  void report(const Source& source, Evidence::Kind kind, std::uint8_t points, std::uint64_t user);
  Budgets::End failed(const Source& source, const sip::MessageView& request, sip::Status status);

  Services& core_;
  SourceGate& gate_;
  Flows& flows_;
  Registrations& registrations_;
  Budgets budgets_;
  sip::MessageView request_;  // of a context
};

}  // namespace ringway
