#pragma once

#include <memory>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/base/prefix.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/replies.h"
#include "gateway/core/services.h"
#include "gateway/core/tarpit.h"
#include "gateway/filter/filter.h"
#include "gateway/routing/next_hop_set.h"

namespace ringway {

// The one place where the filter is asked about a message of the access side, and where its verdict
// is carried out.
class FilterCheck {
 public:
  // All outlive this object.
  FilterCheck(Services& core, NextHopSet& next_hops, AdmissionCheck& admission, Replies& replies,
              Tarpit& tarpit);

  // nullptr: no rules, every message passes.
  // What was counted for a rule stays with its name, whatever its place is now.
  void publish(std::shared_ptr<const FilterRules> rules);
  // The configuration may name other sources that are never asked about.
  void config_changed();

  // Looks at bytes, before anything is parsed or remembered. False: the message goes no further,
  // and its sender has got what the rule says.
  [[nodiscard]] bool passes(const Source& source, Bytes bytes, Instant now, Outbox& outbox);

 private:
  void carry_out(const FilterRules::Verdict& verdict, const Source& source, Bytes bytes,
                 Instant now, Outbox& outbox);

  Services& core_;
  NextHopSet& next_hops_;
  AdmissionCheck& admission_;
  Replies& replies_;
  Tarpit& tarpit_;
  std::shared_ptr<const FilterRules> rules_;
  std::vector<Prefix> exempt_;
  sip::MessageView view_;  // of a message that is refused with a response
};

}  // namespace ringway
