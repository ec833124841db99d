#pragma once

#include <array>
#include <cstdint>

#include "gateway/core/services.h"
#include "gateway/routing/route_preprocess.h"

namespace ringway {

// What the Route set of the request in hand says (RFC 3261 16.4). It is read once for each request,
// since its tokens have signatures; a request that has parked in between is read again.
//
// The result of each function is good until another request is read.
class RouteReader {
 public:
  // core outlives this object.
  explicit RouteReader(const Services& core) : core_(core) {}

  // A request has come, of which nothing is read yet.
  void begin() { is_read_ = false; }
  // Of that request, before it has a context.
  const RoutePreprocess& read_once(const Source& source, const Incoming& in, Instant now);
  // That request has this context now.
  void belongs_to(SlotId context) { context_ = context; }

  // Of the request of context. May be changed before it goes on.
  RoutePreprocess& of(SlotId context, const Source& source, const Incoming& in, Instant now);
  // No context's any more.
  void forget() { context_ = {}; }

 private:
  void read(const Source& source, const Incoming& in, Instant now);

  const Services& core_;
  RoutePreprocess route_;
  bool is_read_ = false;
  SlotId context_;
  std::array<std::uint8_t, 4096> scratch_;
};

}  // namespace ringway
