#pragma once

#include "gateway/base/buffer_pool.h"
#include "gateway/base/target.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"

namespace ringway {

// RFC 3261 18.1.1: a request above 1,300 bytes leaves UDP, unless compact names bring it below.
class RequestSize {
 public:
  static constexpr std::size_t kDatagramMax = 1'300;  // bytes

  // Both outlive this object.
  RequestSize(Services& core, NextHopSet& next_hops) : core_(core), next_hops_(next_hops) {}

  // message goes to target: both may change. Where neither way is open it leaves as it is.
  void fit(Target& target, BufferRef& message, Instant now) {
    if (target.transport != Transport::Udp || target.to_access || message.size() <= kDatagramMax ||
        is_to_ourselves(target)) {
      return;
    }
    if (!make_compact(message)) switch_to_tcp(target, message, now);
  }

 private:
  bool is_to_ourselves(const Target& target) const;
  bool make_compact(BufferRef& message);
  void switch_to_tcp(Target& target, BufferRef& message, Instant now);

  Services& core_;
  NextHopSet& next_hops_;
};

}  // namespace ringway
