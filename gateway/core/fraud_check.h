#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "gateway/admission/call_caps.h"
#include "gateway/admission/called_number.h"
#include "gateway/admission/fraud_rules.h"
#include "gateway/base/slot_table.h"
#include "gateway/core/calls.h"
#include "gateway/core/registrations.h"
#include "gateway/core/services.h"

namespace ringway {

// The rules of [[fraud]] for calls of the access side. The account is the AOR that the caller's
// user agent has registered, never what From says; a guest's is his source.
//
// A call under a rule is watched until it ends: each kSlice of it is paid for beforehand from the
// day's minutes of its account, and it ends where there are none left or its longest time is over.
class FraudCheck {
 public:
  static constexpr Duration kSlice = 10s;

  // All but caps outlive this object. caps: shared by all shards; nullptr: of this shard alone.
  FraudCheck(Services& core, Registrations& registrations, Calls& calls, CallCaps* caps);

  void publish(std::shared_ptr<const FraudRules> rules) { rules_ = std::move(rules); }

  // An INVITE of the access side has made context.call. False: a rule forbids it.
  bool may_call(const ResponseContext& context, const Incoming& in, Instant now);
  // A REFER of the access side (RFC 3515): what it leads to is a call, too.
  bool may_refer(const Source& source, const Incoming& in, Instant now);
  // A 3xx of the user agent at target: each of its Contacts is a call of its account.
  bool may_redirect(const Target& target, const sip::MessageView& response, Instant now);

  // The deadline of a watched call.
  void due(SlotId watched, Instant now, Outbox& outbox);
  // A watched call is over.
  void ended(SlotId watched, Instant now);

 private:
  struct Watched {
    SlotId call;
    std::uint64_t key = 0;
    CallCaps::Limits limits;
    Duration longest{};
    Instant paid_until{};  // not answered yet: Instant{}
  };
  // A number as it stands, and with its phone-context.
  struct Called {
    explicit Called(const sip::Uri& uri);
    CalledNumber number, global;
  };
  struct Asked {
    std::string_view call_id, from, number;
    Source source;
    std::uint64_t account = 0;
    FraudRules::Match match;
  };

  // By the longer prefix of the two. called outlives what is returned.
  Asked asked(const Source& source, std::string_view from, const Called& called, Instant now);
  CallCaps::Time time_of(Instant now) const;
  std::uint64_t key_of(const Asked& asked) const;
  bool refuse(const Asked& asked, std::string_view what, std::string_view limit,
              std::uint32_t value);
  bool denies(const Asked& asked, std::string_view what);
  void end(Watched& watched, std::string_view limit, std::uint32_t value, Instant now,
           Outbox& outbox);

  Services& core_;
  Registrations& registrations_;
  Calls& calls_;
  std::unique_ptr<CallCaps> own_caps_;
  CallCaps& caps_;
  std::shared_ptr<const FraudRules> rules_;
  SlotTable<Watched> watched_;
};

}  // namespace ringway
