#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/core/context_table.h"
#include "gateway/core/registrations.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"
#include "gateway/nat/flow_token.h"
#include "gateway/peers/header_rules.h"
#include "gateway/routing/route_preprocess.h"
#include "protocol/sip/edit.h"

namespace ringway {

// The copy of a request that is forwarded, with the edits of RFC 3261 16.6.
class RequestWriter {
 public:
  // All outlive this object.
  RequestWriter(Services& core, Registrations& registrations, const Router& router,
                const HeaderRules& rules)
      : core_(core), registrations_(registrations), router_(router), rules_(rules) {}

  // What is known of the request to be written; borrowed for the call.
  struct Job {
    ResponseContext& context;  // REGISTER: learns who registers; else only read
    const Incoming& in;
    const RoutePreprocess& route;
    const Target& target;
    std::string_view branch;  // of our Via
    Side from = Side::Access;
    bool more_targets = false;  // another branch may be opened while this one is open
    Instant now{};
  };
  // Empty: no buffer, or it is larger than a message may be.
  BufferRef write(const Job& job);

 private:
  void add_via(const Job& job);
  void add_record_route(const Job& job);
  void add_registration(const Job& job);
  void add_path(const Job& job);
  void set_max_forwards(const Job& job);
  std::uint32_t take_breadth(const Job& job);
  void set_max_breadth(const Job& job, std::uint32_t share);
  void set_source_in_via(const Job& job);
  void set_contact_alias(const Job& job);
  void set_body(const Job& job, std::string_view body);
  FlowToken token_of_source(const Job& job) const;
  bool wants_alias(const Job& job) const;

  Services& core_;
  Registrations& registrations_;
  const Router& router_;
  const HeaderRules& rules_;
  sip::EditList edits_;
  Writer text_{MutableBytes{}};    // edited text, in scratch_
  std::size_t inserted_from_ = 0;  // our own header lines begin there in text_
  std::array<std::uint8_t, 12'288> scratch_;
};

}  // namespace ringway
