#include "gateway/core/filter_check.h"

#include <map>
#include <string>
#include <utility>

#include "protocol/sip/parse.h"
#include "protocol/sip/validate.h"

namespace ringway {

FilterCheck::FilterCheck(Services& core, NextHopSet& next_hops, AdmissionCheck& admission,
                         Replies& replies, Tarpit& tarpit)
    : core_(core),
      next_hops_(next_hops),
      admission_(admission),
      replies_(replies),
      tarpit_(tarpit),
      exempt_(parse_prefixes(core.config.filter_exempt)) {}

void FilterCheck::publish(std::shared_ptr<const FilterRules> rules) {
  auto& hits = core_.counters.filter_rule_hits;
  std::map<std::string, std::uint64_t> known;
  for (std::size_t i = 0; rules_ && i < rules_->rules().size(); ++i) {
    known[rules_->rules()[i].name] += hits[i].value();
  }
  for (Counter& one : hits) one.set(0);
  for (std::size_t i = 0; rules && i < rules->rules().size(); ++i) {
    hits[i].set(std::exchange(known[rules->rules()[i].name], 0));
  }
  rules_ = std::move(rules);
}

void FilterCheck::config_changed() {
  exempt_ = parse_prefixes(core_.config.filter_exempt);
}

bool FilterCheck::passes(const Source& source, Bytes bytes, Instant now, Outbox& outbox) {
  const ListenerInfo& listener = core_.listeners[source.listener];
  if (!rules_ || listener.config.side != Side::Access) return true;
  for (const Prefix& prefix : exempt_) {
    if (prefix.contains(source.remote.address)) return true;
  }
  const auto verdict = rules_->judge(bytes, source.remote.address, listener.local.address);
  if (!verdict.matched() || next_hops_.is_next_hop(source.remote)) return true;
  const auto& rule = rules_->rules()[static_cast<std::size_t>(verdict.rule)];
  core_.counters.filter_rule_hits[static_cast<std::size_t>(verdict.rule)].add();
  const bool dropped = verdict.action >= FilterRules::Action::Reject;
  const EndpointText remote(source.remote);
  core_.log.info(
      dropped ? "scanner_dropped" : "scanner_suspected",
      {{"rule", rule.name}, {"source", remote.text()}, {"transport", to_text(source.transport)}});
  if (verdict.points != 0) admission_.scanner(source, verdict.points);
  if (!dropped) {
    core_.counters.filter_logged.add();
    return true;
  }
  core_.counters.filter_drops.add();
  carry_out(verdict, source, bytes, now, outbox);
  return false;
}

void FilterCheck::carry_out(const FilterRules::Verdict& verdict, const Source& source, Bytes bytes,
                            Instant now, Outbox& outbox) {
  switch (verdict.action) {
    case FilterRules::Action::Log:
    case FilterRules::Action::Score:
      return;
    case FilterRules::Action::Reject: {
      // What cannot be answered is dropped.
      sip::Essentials essentials;
      if (sip::parse_message(bytes, framing_of(source.transport), view_) && view_.is_request() &&
          sip::validate_request(view_, essentials).answerable) {
        return replies_.refuse(view_, source, verdict.code, {}, {}, outbox);
      }
      break;
    }
    case FilterRules::Action::Tarpit:
      if (tarpit_.hold(source.flow, now)) return core_.drop(DropReason::Filter);
      break;
    case FilterRules::Action::Ban:
      admission_.scanner(source, 0);
      break;
    case FilterRules::Action::Drop:
      break;
  }
  core_.drop(DropReason::Filter);
  if (source.flow) outbox.close_flow(source.flow, 1008);
}

}  // namespace ringway
