#include "gateway/core/route_reader.h"

#include <utility>

namespace ringway {

void RouteReader::read(const Source& source, const Incoming& in, Instant now) {
  Writer text{MutableBytes(scratch_)};
  route_ = preprocess_route(in.view, in.essentials, source, core_.own, core_.mac, core_.epoch, text,
                            core_.today(now));
  is_read_ = true;
}

const RoutePreprocess& RouteReader::read_once(const Source& source, const Incoming& in,
                                              Instant now) {
  if (!is_read_) read(source, in, now);
  return route_;
}

RoutePreprocess& RouteReader::of(SlotId context, const Source& source, const Incoming& in,
                                 Instant now) {
  if (std::exchange(context_, context) != context) read(source, in, now);
  return route_;
}

}  // namespace ringway
