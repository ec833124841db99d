#include "gateway/core/fraud_check.h"

#include "gateway/base/source_key.h"
#include "gateway/base/subject.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;

std::uint32_t value_of(const FraudRules::Rule& rule, CallCaps::Outcome outcome) {
  if (outcome == CallCaps::Outcome::Calls) return rule.calls;
  if (outcome == CallCaps::Outcome::CallsAMinute) return rule.calls_a_minute;
  return rule.minutes_a_day;
}

CallCaps::Limits limits_of(const FraudRules::Rule& rule) {
  return {rule.calls, rule.calls_a_minute, rule.minutes_a_day * 60};
}

// The URI that becomes the Request-URI where the next router is a strict one (RFC 3261 16.6 item
// 6); empty where it is none.
std::string_view strict_uri(const RoutePreprocess& route) {
  return route.next_is_strict ? route.next_route : std::string_view{};
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

Account FraudCheck::account_at(const Source& source, std::string_view from) {
  const UserAgent* agent = registrations_.agent_at(source, from);
  return agent ? agent->account() : Account{};
}

Account FraudCheck::account_of_dialog(const Source& source, const Incoming& in,
                                      const RoutePreprocess& route) {
  if (route.in_dialog && route.leg != 0) {
    const Call* call = calls_.get(calls_.find(in.essentials.call_id, route.leg));
    const Account account = call ? call->party(access_party(route.leg)).account : Account{};
    if (account) return account;
  }
  if (route.access && route.access->user_agent != 0) {
    const UserAgent* agent = registrations_.get(registrations_.find(route.access->user_agent));
    if (agent && agent->aor_hash != 0) return agent->account();
  }
  return account_at(source, in.view.value(HeaderName::From));
}

FraudCheck::Asked FraudCheck::asked(const Asker& by, const Called& called, Instant now) {
  Asked asked;
  asked.by = by;
  asked.account = by.account.key;
  const Address& address = by.source.remote.address;
  if (!by.account) {  // who has one address of a /64 has all of them
    std::array<std::uint8_t, 8> octets;
    write_u64(octets, source_key(address).value);
    asked.account = keyed_hash(core_.hash_key, Bytes(octets));
  }
  const Duration utc = (now + core_.calendar).time_since_epoch();
  for (std::size_t i = 0; i < called.numbers.size(); ++i) {
    const std::string_view number = called.numbers[i].text();
    if (i == 0) asked.number = number;
    if (i != 0 && number.empty()) continue;
    const auto match = rules_->find(number, address, utc, [&](const std::string& aor) {
      return registrations_.is_aor(by.account, aor);
    });
    if (!match || (asked.match && match.prefix.size() <= asked.match.prefix.size())) continue;
    asked.match = match;
    asked.number = number;
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
  const EndpointText source(asked.by.source.remote);
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
       {"from", asked.by.from},
       {"source", source.text()},
       {"transport", to_text(asked.by.source.transport)},
       {"call_id", asked.by.call_id}});
  return false;
}

bool FraudCheck::denies(const Asked& asked, std::string_view what) {
  if (!asked.match || !rules_->rule(static_cast<std::size_t>(asked.match.rule)).deny) return false;
  refuse(asked, what, "deny", 0);
  return true;
}

bool FraudCheck::may_lead_to(const Asked& one, std::string_view what, Instant now) {
  if (!one.match) return true;
  if (denies(one, what)) return false;
  const FraudRules::Rule& rule = rules_->rule(static_cast<std::size_t>(one.match.rule));
  if (!rule.has_caps()) return true;
  const auto outcome = caps_.begin(key_of(one), limits_of(rule), time_of(now));
  if (outcome != CallCaps::Outcome::Counted) {
    return refuse(one, what, to_text(outcome), value_of(rule, outcome));
  }
  caps_.end(key_of(one));
  return true;
}

bool FraudCheck::may_call(const ResponseContext& context, const Incoming& in,
                          const RoutePreprocess& route, Instant now) {
  if (!rules_ || rules_->empty()) return true;
  Call* call = calls_.get(context.call);
  if (!call || core_.listener(context.source.listener).side != Side::Access) return true;
  const std::string_view from = in.view.value(HeaderName::From);
  const Asker by{context.source, account_at(context.source, from), from, in.essentials.call_id};
  // The strict router's comes first, the other one behind it: neither may be a forbidden one.
  if (const auto strict = sip::parse_uri(strict_uri(route))) {
    const Called called(*strict);
    if (!may_lead_to(asked(by, called, now), "call", now)) return false;
  }
  if (!may_route(by, in, now)) return false;
  const auto uri = sip::parse_uri(route.request_uri);
  const Called called(uri ? *uri : in.essentials.request_uri);
  const Asked one = asked(by, called, now);
  if (!one.match) return true;
  if (denies(one, "call")) return false;
  return may_begin(*call, context.call, one, now);
}

// A server whose own URI is the Request-URI takes the number from the Route (RFC 3261 16.4), a
// strict router passes it on as the Request-URI.
bool FraudCheck::may_route(const Asker& by, const Incoming& in, Instant now) {
  const bool names_server = in.essentials.request_uri.user.empty();
  for (const sip::Header* header = in.view.find(HeaderName::Route); header;
       header = in.view.next(header)) {
    sip::ListCursor values(in.view.text(header->value));
    while (const auto value = values.next()) {
      const auto route = sip::parse_name_addr(*value);
      if (!route || core_.own.is_own(route->uri)) continue;
      if (!names_server && route->uri.is_loose_route()) continue;
      const Called called(route->uri);
      const Asked one = asked(by, called, now);
      // A rule without prefixes judges the call by its Request-URI.
      if (!one.match.prefix.empty() && !may_lead_to(one, "call", now)) return false;
    }
  }
  return true;
}

// A target of a REFER or of a redirection. Without angle brackets what stands behind a semicolon is
// the header's (RFC 3261 20.10); some take it for the URI's all the same.
bool FraudCheck::may_name(const Asker& by, std::string_view value, const sip::NameAddr& address,
                          std::string_view what, Instant now) {
  const Called called(address.uri);
  if (!may_lead_to(asked(by, called, now), what, now)) return false;
  if (address.has_angles || address.params.empty()) return true;
  const auto whole = sip::parse_uri(value);
  if (!whole || whole->user == address.uri.user) return true;
  const Called with_parameters(*whole);
  return may_lead_to(asked(by, with_parameters, now), what, now);
}

// What cannot be read here, somebody else may read; a list of targets stands in the body (RFC
// 5368).
bool FraudCheck::refuse_unreadable(const Asker& by, std::string_view target) {
  core_.counters.fraud_refused.add();
  core_.log.warning("fraud_refused", {{"limit", "target cannot be read"},
                                      {"what", "refer"},
                                      {"target", target},
                                      {"from", by.from},
                                      {"call_id", by.call_id}});
  return false;
}

bool FraudCheck::may_begin(Call& call, SlotId id, const Asked& one, Instant now) {
  if (const Watched* watched = watched_.find(call.watch)) {
    if (watched->key == key_of(one)) return true;  // the same call again, with credentials
    ended(call.watch, now);
    call.watch = {};
  }
  const FraudRules::Rule& rule = rules_->rule(static_cast<std::size_t>(one.match.rule));
  if (!rule.has_caps() && rule.longest == Duration{}) return true;
  const CallCaps::Limits limits = limits_of(rule);
  const auto outcome = caps_.begin(key_of(one), limits, time_of(now));
  if (outcome != CallCaps::Outcome::Counted) {
    return refuse(one, "call", to_text(outcome), value_of(rule, outcome));
  }
  call.watch = watched_.take(Watched{id, key_of(one), limits, rule.longest, {}});
  if (!call.watch) {
    caps_.end(key_of(one));
    return refuse(one, "call", "no room to watch it", 0);
  }
  core_.wheel.arm(now + 1s, subject_value(Subject::Fraud, call.watch));
  return true;
}

bool FraudCheck::may_go_on(const ResponseContext& context, const Incoming& in,
                           const RoutePreprocess& route, Instant now) {
  if (!rules_ || rules_->empty() || context.own || context.method != sip::Method::Invite ||
      in.essentials.to_tag.empty() ||
      core_.listener(context.source.listener).side != Side::Access) {
    return true;
  }
  const auto uri = sip::parse_uri(route.next_is_strict ? route.next_route : route.request_uri);
  if (!uri) return true;
  // Where the other side of that dialog has said that it is.
  if (const Dialog* dialog = calls_.dialog(context.dialog)) {
    const BufferRef& target = dialog->remote_target[index_of(other(context.from))];
    const auto known = sip::parse_uri(target ? as_text(target.bytes()) : std::string_view{});
    if (known && known->user == uri->user) return true;
  }
  const Called called(*uri);
  const Asker by{context.source, account_of_dialog(context.source, in, route),
                 in.view.value(HeaderName::From), in.essentials.call_id};
  const Asked one = asked(by, called, now);
  if (!one.match) return true;
  const Call* call = calls_.get(context.call);
  const Watched* watched = call ? watched_.find(call->watch) : nullptr;
  if (watched && watched->key == key_of(one)) return !denies(one, "call");
  return may_lead_to(one, "call", now);
}

bool FraudCheck::may_refer(const Source& source, const Incoming& in, const RoutePreprocess& route,
                           Instant now) {
  if (!rules_ || rules_->empty() || core_.listener(source.listener).side != Side::Access) {
    return true;
  }
  const Asker by{source, account_of_dialog(source, in, route), in.view.value(HeaderName::From),
                 in.essentials.call_id};
  for (const sip::Header& header : in.view.headers()) {
    const std::string_view name = in.view.text(header.name_text);
    if (!ascii::equal_ignoring_case(name, "refer-to") && !ascii::equal_ignoring_case(name, "r")) {
      continue;
    }
    sip::ListCursor values(in.view.text(header.value));  // RFC 3515 2.1 has one; who knows
    while (const auto value = values.next()) {
      const auto target = sip::parse_name_addr(*value);
      if (!target || ascii::equal_ignoring_case(target->uri.scheme_text, "cid")) {
        return refuse_unreadable(by, *value);
      }
      if (!may_name(by, *value, *target, "refer", now)) return false;
    }
  }
  return true;
}

bool FraudCheck::may_redirect(const Target& target, const sip::MessageView& response,
                              Instant now) {
  if (!rules_ || rules_->empty() || response.status() / 100 != 3) return true;
  const Source source{target.transport, target.listener, target.remote, target.flow};
  const std::string_view to = response.value(HeaderName::To);
  const UserAgent* agent = registrations_.get(registrations_.find(target.user_agent));
  const Asker by{source, agent && agent->aor_hash != 0 ? agent->account() : account_at(source, to),
                 to, response.value(HeaderName::CallId)};
  for (const sip::Header* header = response.find(HeaderName::Contact); header;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto contact = sip::parse_name_addr(*value);
      if (!contact) continue;
      if (!may_name(by, *value, *contact, "redirect", now)) return false;
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
