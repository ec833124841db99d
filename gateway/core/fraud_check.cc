#include "gateway/core/fraud_check.h"

#include "gateway/base/source_key.h"
#include "gateway/base/subject.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;

std::string_view text_of(CallCaps::Outcome outcome) {
  switch (outcome) {
    case CallCaps::Outcome::Counted:
      return {};
    case CallCaps::Outcome::Calls:
      return "calls";
    case CallCaps::Outcome::CallsAMinute:
      return "calls_a_minute";
    case CallCaps::Outcome::MinutesADay:
      return "minutes_a_day";
    case CallCaps::Outcome::NoRoom:
      return "no room to count it";
  }
  return {};
}

std::uint32_t value_of(const FraudRules::Rule& rule, CallCaps::Outcome outcome) {
  if (outcome == CallCaps::Outcome::Calls) return rule.calls;
  if (outcome == CallCaps::Outcome::CallsAMinute) return rule.calls_a_minute;
  return rule.minutes_a_day;
}

CallCaps::Limits limits_of(const FraudRules::Rule& rule) {
  return {rule.calls, rule.calls_a_minute, rule.minutes_a_day * 60};
}

// The user part, or the number of a tel: URI (RFC 3966).
std::string_view user_of(const sip::Uri& uri) {
  if (uri.scheme != sip::Scheme::Tel) return uri.user;
  return uri.text.substr(std::min(uri.text.find(':') + 1, uri.text.size()));
}

}  // namespace

FraudCheck::FraudCheck(Services& core, Registrations& registrations, Calls& calls, CallCaps* caps)
    : core_(core),
      registrations_(registrations),
      calls_(calls),
      own_caps_(caps ? nullptr : std::make_unique<CallCaps>()),
      caps_(caps ? *caps : *own_caps_),
      watched_(core.config.limits.dialogs) {}

CallCaps::Time FraudCheck::time_of(Instant now) const {
  const Duration utc = (now + core_.calendar).time_since_epoch();
  const auto minutes = utc / std::chrono::minutes(1);
  return {static_cast<std::uint32_t>(minutes), static_cast<std::uint32_t>(minutes / 1'440)};
}

FraudCheck::Called::Called(const sip::Uri& uri)
    : number(user_of(uri)), global(CalledNumber::with_context(user_of(uri))) {}

FraudCheck::Asked FraudCheck::asked(const Source& source, std::string_view from,
                                    const Called& called, Instant now) {
  Asked asked;
  asked.source = source;
  asked.from = from;
  asked.number = called.number.text();
  const UserAgent* agent = registrations_.agent_at(source, from);
  const std::uint64_t key = source_key(source.remote.address).value;
  asked.account =
      agent ? agent->aor_hash
            : keyed_hash(core_.hash_key, source.remote.address.octets()) ^ key;
  const Duration utc = (now + core_.calendar).time_since_epoch();
  const auto match_of = [&](std::string_view number) {
    return rules_->find(number, source.remote.address, utc, [&](const std::string& aor) {
      return agent && registrations_.is_aor(*agent, aor);
    });
  };
  asked.match = match_of(asked.number);
  if (const std::string_view global = called.global.text(); !global.empty()) {
    const auto match = match_of(global);
    if (match && (!asked.match || match.prefix.size() > asked.match.prefix.size())) {
      asked.match = match;
      asked.number = global;
    }
  }
  return asked;
}

std::uint64_t FraudCheck::key_of(const Asked& asked) const {
  const auto& rule = rules_->rule(static_cast<std::size_t>(asked.match.rule));
  return (asked.account ^ keyed_hash(core_.hash_key, rule.name) * 31) | 1;
}

bool FraudCheck::refuse(const Asked& asked, std::string_view what, std::string_view limit,
                        std::uint32_t value) {
  core_.counters.fraud_refused.add();
  const EndpointText source(asked.source.remote);
  std::array<std::uint8_t, 24> hash;
  Writer account(hash);
  account.hex(asked.account, 16);
  core_.log.warning(
      "fraud_refused",
      {{"rule", rules_->rule(static_cast<std::size_t>(asked.match.rule)).name},
       {"limit", limit},
       {"value", value},
       {"what", what},
       {"number", asked.number},
       {"prefix", asked.match.prefix},
       {"account", account.written_text()},
       {"from", asked.from},
       {"source", source.text()},
       {"transport", to_text(asked.source.transport)},
       {"call_id", asked.call_id}});
  return false;
}

bool FraudCheck::denies(const Asked& asked, std::string_view what) {
  if (!asked.match || !rules_->rule(static_cast<std::size_t>(asked.match.rule)).deny) return false;
  refuse(asked, what, "deny", 0);
  return true;
}

bool FraudCheck::may_call(const ResponseContext& context, const Incoming& in, Instant now) {
  if (!rules_ || rules_->empty()) return true;
  Call* call = calls_.get(context.call);
  if (!call || call->watch) return true;  // the same call again, with credentials
  if (core_.listener(context.source.listener).side != Side::Access) return true;
  const Called called(in.essentials.request_uri);
  Asked one = asked(context.source, in.view.value(HeaderName::From), called, now);
  one.call_id = in.essentials.call_id;
  if (!one.match) return true;
  if (denies(one, "call")) return false;
  const FraudRules::Rule& rule = rules_->rule(static_cast<std::size_t>(one.match.rule));
  if (!rule.has_caps() && rule.longest == Duration{}) return true;
  const CallCaps::Limits limits = limits_of(rule);
  const auto outcome = caps_.begin(key_of(one), limits, time_of(now));
  if (outcome != CallCaps::Outcome::Counted) {
    return refuse(one, "call", text_of(outcome), value_of(rule, outcome));
  }
  call->watch = watched_.take(Watched{context.call, key_of(one), limits, rule.longest, {}});
  if (!call->watch) {
    caps_.end(key_of(one));
    return refuse(one, "call", "no room to watch it", 0);
  }
  core_.wheel.arm(now + 1s, subject_value(Subject::Fraud, call->watch));
  return true;
}

bool FraudCheck::may_refer(const Source& source, const Incoming& in, Instant now) {
  if (!rules_ || rules_->empty() || in.view.method() != sip::Method::Refer ||
      core_.listener(source.listener).side != Side::Access) {
    return true;
  }
  for (const sip::Header& header : in.view.headers()) {
    const std::string_view name = in.view.text(header.name_text);
    if (!ascii::equal_ignoring_case(name, "refer-to") && !ascii::equal_ignoring_case(name, "r")) {
      continue;
    }
    const auto target = sip::parse_name_addr(in.view.text(header.value));
    if (!target) continue;
    const Called called(target->uri);
    Asked one = asked(source, in.view.value(HeaderName::From), called, now);
    one.call_id = in.essentials.call_id;
    if (!one.match) continue;
    if (denies(one, "refer")) return false;
    // The call that comes of it is another's: it counts with those that begin.
    const FraudRules::Rule& rule = rules_->rule(static_cast<std::size_t>(one.match.rule));
    const auto outcome = caps_.begin(key_of(one), limits_of(rule), time_of(now));
    if (outcome != CallCaps::Outcome::Counted) {
      return refuse(one, "refer", text_of(outcome), value_of(rule, outcome));
    }
    caps_.end(key_of(one));
  }
  return true;
}

bool FraudCheck::may_redirect(const Target& target, const sip::MessageView& response,
                              Instant now) {
  if (!rules_ || rules_->empty() || response.status() / 100 != 3) return true;
  const Source source{target.transport, target.listener, target.remote, target.flow};
  for (const sip::Header* header = response.find(HeaderName::Contact); header;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto contact = sip::parse_name_addr(*value);
      if (!contact) continue;
      const Called called(contact->uri);
      Asked one = asked(source, response.value(HeaderName::To), called, now);
      one.call_id = response.value(HeaderName::CallId);
      if (denies(one, "redirect")) return false;
    }
  }
  return true;
}

void FraudCheck::due(SlotId id, Instant now, Outbox& outbox) {
  Watched* watched = watched_.find(id);
  if (!watched) return;
  const Call* call = calls_.get(watched->call);
  if (!call || !call->is_live()) return ended(id, now);
  Instant next = now + 1s;
  if (call->state == CallState::Answered) {
    const Instant over =
        watched->longest == Duration{} ? kNever : call->answered_at + watched->longest;
    if (now >= over) {
      return end(*watched, "longest", static_cast<std::uint32_t>(watched->longest / 1s), now,
                 outbox);
    }
    if (watched->paid_until == Instant{}) watched->paid_until = call->answered_at;
    while (watched->paid_until <= now) {
      if (!caps_.use(watched->key, kSlice / 1s, watched->limits, time_of(now))) {
        return end(*watched, "minutes_a_day", watched->limits.seconds_a_day / 60, now, outbox);
      }
      watched->paid_until += kSlice;
    }
    next = std::min(watched->paid_until, over);
  }
  core_.wheel.arm(next, subject_value(Subject::Fraud, id));
}

void FraudCheck::end(Watched& watched, std::string_view limit, std::uint32_t value, Instant now,
                     Outbox& outbox) {
  core_.counters.fraud_ended.add();
  const SlotId id = watched.call;
  if (const Call* call = calls_.get(id)) {
    core_.log.warning("fraud_ended", {{"limit", limit},
                                      {"value", value},
                                      {"call_id", call->call_id()},
                                      {"from", call->from()},
                                      {"to", call->to()},
                                      {"seconds", (now - call->answered_at) / 1s}});
  }
  calls_.release(id, Calls::Sides::Both, CallEndReason::TooLong, now, outbox);
}

void FraudCheck::ended(SlotId id, Instant now) {
  Watched* watched = watched_.find(id);
  if (!watched) return;
  caps_.end(watched->key);
  if (watched->limits.seconds_a_day != 0 && watched->paid_until > now) {
    caps_.give_back(watched->key, static_cast<std::uint32_t>((watched->paid_until - now) / 1s),
                    time_of(now));
  }
  watched_.release(id);
}

}  // namespace ringway
