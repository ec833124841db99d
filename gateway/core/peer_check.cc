#include "gateway/core/peer_check.h"

#include "protocol/sip/name_addr.h"

namespace ringway {

using sip::HeaderName;
using sip::Method;

// A load balancer or a monitor may dial a user (RFC 3261 11.2 has none, the field has "ping").
bool asks_about_us(const Incoming& in, const OwnUris& own, bool listed_monitor) {
  const sip::Uri& uri = in.essentials.request_uri;
  if (in.view.method() != Method::Options || !in.essentials.to_tag.empty() || !own.is_own(uri) ||
      (!uri.user.empty() && !listed_monitor) || uri.param("rwc").has_value()) {
    return false;
  }
  for (const sip::Header* header = in.view.find(HeaderName::Route); header;
       header = in.view.next(header)) {
    sip::ListCursor values(in.view.text(header->value));
    while (const auto value = values.next()) {
      const auto route = sip::parse_name_addr(*value);
      if (!route || !own.is_own(route->uri) || !route->uri.user.empty()) return false;
    }
  }
  return true;
}

Peer PeerCheck::peer_of(const Source& source, Instant now) {
  if (core_.listener(source.listener).side == Side::Access) {
    const bool registered = registrations_.is_registered(source);
    return {registered ? PeerKind::UserAgent : PeerKind::Stranger, Peer::kNoNextHop};
  }
  const FlowState* flow = flows_.find(source.flow);
  return peers_.peer_of(source, flow ? &flow->peer : &source.peer, false, now);
}

Source PeerCheck::with_peer(const Source& source) const {
  Source result = source;
  if (const FlowState* flow = flows_.find(source.flow)) result.peer = flow->peer;
  return result;
}

bool PeerCheck::is_dropped(const Source& source, const Peer& peer, const sip::MessageView& request,
                           Instant now) {
  const ListenConfig& listener = core_.listener(source.listener);
  for (const RequestClass request_class :
       {RequestClass::ToUs, RequestClass::Register, RequestClass::New, RequestClass::InDialog}) {
    if (ringway::right_of(peer.kind, listener.side, listener.admission, request_class) !=
        Right::Drop) {
      return false;
    }
  }
  core_.counters.strangers_dropped.add();
  core_.drop(DropReason::Stranger);
  log_stranger(source, request, now);
  return true;
}

// Each address once a minute: who is listed by mistake or not yet is found in the log, who floods
// does not fill it.
void PeerCheck::log_stranger(const Source& source, const sip::MessageView& request, Instant now) {
  const std::uint64_t hash = keyed_hash(core_.hash_key, source.remote.address.octets());
  Logged& place = logged_[hash % logged_.size()];
  const bool is_new = place.address != source.remote.address;
  if (now - place.at < (is_new ? Duration(100ms) : kLoggedAgainAfter) && place.at != Instant{}) {
    return;
  }
  place = {source.remote.address, now};
  std::array<std::uint8_t, 2 * kEndpointTextMax + 40> memory;
  Writer text(memory);
  write_endpoint(source.remote, text);
  const std::string_view remote = text.written_text();
  text.text("[[trusted]] prefixes = [\"");
  write_address(source.remote.address, AddressForm::Bare, text);
  text.text("\"]");
  core_.log.warning("stranger_dropped",
                    {{"source", remote},
                     {"listener", core_.listener(source.listener).name},
                     {"method", request.method_text()},
                     {"reason", "it is no next hop, no member of one, and not trusted"},
                     {"to_let_it_in", text.written_text().substr(remote.size())}});
}

Right PeerCheck::right_of(const Source& source, const Peer& peer, const Incoming& in,
                          const RoutePreprocess& route) const {
  const ListenConfig& listener = core_.listener(source.listener);
  const auto right = [&](RequestClass request) {
    return ringway::right_of(peer.kind, listener.side, listener.admission, request);
  };
  const bool is_register = in.view.method() == Method::Register;
  if (route.in_dialog) {
    // A REGISTER is of no dialog (RFC 3261 10.2), and no dialog's tokens say which next hop it may
    // go to.
    if (is_register) return Right::Refuse;
    // The network side's end of a pair is worth nothing on the access side: it would lead to the
    // user agent past the next hop.
    const bool on_access = listener.side == Side::Access;
    if (on_access && route.towards_access) return Right::Refuse;
    return right(RequestClass::InDialog);
  }
  if (route.from_token && flow_token_use(peer.kind, listener.side) != FlowTokenUse::AsTarget) {
    return Right::Refuse;
  }
  return right(is_register ? RequestClass::Register : RequestClass::New);
}

}  // namespace ringway
