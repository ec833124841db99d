#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "gateway/admission/call_caps.h"
#include "gateway/admission/fraud_rules.h"
#include "gateway/base/slot_table.h"
#include "gateway/core/called.h"
#include "gateway/core/calls.h"
#include "gateway/core/registrations.h"
#include "gateway/core/services.h"
#include "gateway/routing/route_preprocess.h"
#include "protocol/sip/name_addr.h"

namespace ringway {

// The rules of [[fraud]] for calls of the access side. The account is the one that the caller's
// user agent has registered, never what From says; a guest's is his source. In a dialog it is that
// of the call, over whatever flow the request comes and whether or not the binding still stands.
//
// What is judged is the Request-URI as it leaves: with our alias undone (RFC 3261 16.4) and a
// strict router's value in its place (16.6 item 6).
//
// A call under a rule is watched until it ends: each kSlice of it is paid for beforehand from the
// day's minutes of its account, and it ends where there are none left or its longest time is over.
class FraudCheck {
 public:
  static constexpr Duration kSlice = 10s;

  // All but caps outlive this object. caps: shared by all shards; nullptr: of this shard alone.
  FraudCheck(Services& core, Registrations& registrations, Calls& calls, CallCaps* caps);

  void publish(std::shared_ptr<const FraudRules> rules) { rules_ = std::move(rules); }

  // An INVITE of the access side has made context.call. route: what preprocess_route() made of it.
  // False: a rule forbids it.
  bool may_call(const ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
                Instant now);
  // An INVITE in a dialog. A server that knows the dialog goes by its tags; one that routes by the
  // Request-URI would begin another call.
  bool may_go_on(const ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
                 Instant now);
  // A REFER of the access side (RFC 3515): what it leads to is a call, too.
  bool may_refer(const Source& source, const Incoming& in, const RoutePreprocess& route,
                 Instant now);
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
  struct Asker {
    Source source;
    Account account;
    std::string_view from, call_id;
  };
  struct Asked {
    Asker by;
    std::string_view number;
    std::uint64_t account = 0;  // what it is counted by
    FraudRules::Match match;
  };

  Account account_at(const Source& source, std::string_view from);
  Account account_of_dialog(const Source& source, const Incoming& in,
                            const RoutePreprocess& route);
  // By the longest prefix of all that it may mean. called outlives what is returned.
  Asked asked(const Asker& by, const Called& called, Instant now);
  CallCaps::Time time_of(Instant now) const;
  std::uint64_t key_of(const Asked& asked) const;
  bool refuse(const Asked& asked, std::string_view what, std::string_view limit,
              std::uint32_t value);
  bool denies(const Asked& asked, std::string_view what);
  // A call that comes of it is another's: it counts with those that begin.
  bool may_lead_to(const Asked& asked, std::string_view what, Instant now);
  bool may_route(const Asker& by, const Incoming& in, Instant now);
  // value: of a header field, as address was read from it.
  bool may_name(const Asker& by, std::string_view value, const sip::NameAddr& address,
                std::string_view what, Instant now);
  bool refuse_unreadable(const Asker& by, std::string_view target);
  bool may_begin(Call& call, SlotId id, const Asked& asked, Instant now);
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
