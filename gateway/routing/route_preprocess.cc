#include "gateway/routing/route_preprocess.h"

#include "gateway/nat/contact.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::Header;
using sip::HeaderName;
using sip::MessageView;

// Walks the Route values of a message, over all its Route headers.
class RouteWalk {
 public:
  explicit RouteWalk(const MessageView& request)
      : request_(request), header_(request.find(HeaderName::Route)) {
    if (header_) list_.emplace(request.text(header_->value));
  }

  struct Value {
    std::string_view text;
    const Header* header;
    bool first_in_header, last_in_header;
  };
  std::optional<Value> next() {
    while (header_) {
      const bool first = list_->rest() == request_.text(header_->value);
      if (const auto text = list_->next()) {
        return Value{*text, header_, first, list_->rest().empty()};
      }
      header_ = request_.next(header_);
      if (header_) list_.emplace(request_.text(header_->value));
    }
    return std::nullopt;
  }
  // What follows the last value in its header, after the comma.
  std::string_view rest() const { return list_->rest(); }

 private:
  const MessageView& request_;
  const Header* header_;
  std::optional<sip::ListCursor> list_;
};

enum class Owner : std::uint8_t { Foreign, Plain, Signed, Forged, Outdated };

struct Judged {
  Owner owner = Owner::Foreign;
  FlowToken token;
};

// Ours by our own signed user part, or a plain URI of ours as outbound proxies are configured.
Judged judge(const sip::Uri& uri, std::string_view call_id, const OwnUris& own, const tls::Mac& mac,
             std::uint64_t today) {
  if (!own.is_own(uri)) return {};
  if (!looks_like_flow_token(uri.user)) {
    if (looks_like_old_flow_token(uri.user)) return {Owner::Outdated, {}};
    return {uri.user.empty() ? Owner::Plain : Owner::Foreign, {}};
  }
  const auto token = read_flow_token(uri.user, mac, call_id);
  if (!token) return {Owner::Forged, {}};
  const bool dated = token->kind != FlowToken::Kind::Network;
  if (dated && is_stale(token->day, today)) return {Owner::Outdated, {}};
  return {Owner::Signed, *token};
}

bool is_record_route(const FlowToken& token) {
  return token.kind == FlowToken::Kind::Network || token.kind == FlowToken::Kind::Access;
}

bool is_from(const Source& source, const FlowToken& token, std::uint32_t epoch) {
  if (token.remote) return source.transport == Transport::Udp && source.remote == *token.remote;
  return token.epoch == static_cast<std::uint16_t>(epoch) && source.flow == token.flow;
}

// What the first signed value decides; the second of a pair adds its part.
void take_token(RoutePreprocess& route, const FlowToken& token, bool first, const Source& source,
                std::uint32_t epoch) {
  if (!is_record_route(token) && first && is_from(source, token, epoch)) {
    route.own_flow = true;
    return;
  }
  route.from_token = true;
  if (is_record_route(token)) {
    route.in_dialog = true;
    route.media |= token.media;
    if (token.leg != 0) route.leg = token.leg;
  }
  if (token.kind != FlowToken::Kind::Network) route.access = token;
  if (!first) return;
  if (token.kind == FlowToken::Kind::Network) {
    route.towards_access = true;  // written for the next hop's side: it comes from there
  } else if (token.kind == FlowToken::Kind::Access && token.paired) {
    route.towards_access = false;
    route.from_access_end = true;
  } else {
    route.towards_access = !is_from(source, token, epoch);
  }
}

// The two values of a pair are of one dialog and one pass.
bool fit_together(const FlowToken& first, const FlowToken& second) {
  return is_record_route(first) && is_record_route(second) && first.kind != second.kind &&
         second.paired && first.leg == second.leg;
}

// 16.4: the last Route value is the real Request-URI, and comes off.
void undo_strict_routing(const MessageView& request, RoutePreprocess& route) {
  std::optional<RouteWalk::Value> last;
  RouteWalk again(request);
  std::string_view last_uri;
  while (const auto value = again.next()) last = value;
  if (last) {
    const auto parsed = sip::parse_name_addr(last->text);
    if (parsed) last_uri = parsed->uri.text;
  }
  if (last_uri.empty()) {
    route.refused = true;
    return;
  }
  route.request_uri = last_uri;
  route.request_uri_changed = true;
  if (route.next_route.data() == last_uri.data()) route.next_route = {};
  if (route.removal_count < route.removals.size()) {
    const Header& in = *last->header;
    if (last->first_in_header) {
      route.removals[route.removal_count++] = {in.begin, in.end};
    } else {
      // From the end of the value before it to its own end.
      const std::string_view text = request.text();
      auto begin = static_cast<std::size_t>(last->text.data() - text.data());
      while (begin > in.value.offset && text[begin - 1] != ',') --begin;
      const auto comma = static_cast<std::uint16_t>(begin - 1);
      const auto end = static_cast<std::uint16_t>(in.value.offset + in.value.size);
      if (route.removal_count != 0 && route.removals[route.removal_count - 1].end > comma) {
        // Only ours stand before it: nothing is left of this header.
        route.removals[route.removal_count - 1] = {in.begin, in.end};
      } else {
        route.removals[route.removal_count++] = {comma, end};
      }
    }
  }
}

}  // namespace

RoutePreprocess preprocess_route(const MessageView& request, const sip::Essentials& essentials,
                                 const Source& source, const OwnUris& own, const tls::Mac& mac,
                                 std::uint32_t epoch, Writer& scratch, std::uint64_t today) {
  RoutePreprocess route;
  route.request_uri = request.request_uri();
  const std::string_view call_id = essentials.call_id;

  // A strict router puts our Record-Route value into the Request-URI (16.4): the real one is then
  // the last Route value. Known by our signature, never by our address alone.
  bool strict = false;
  FlowToken first;
  bool paired = false;
  bool second_seen = false;
  if (looks_like_flow_token(essentials.request_uri.user) &&
      essentials.request_uri.param("lr").has_value()) {
    const Judged judged = judge(essentials.request_uri, call_id, own, mac, today);
    if (judged.owner == Owner::Forged) {
      route.refused = true;
      return route;
    }
    if (judged.owner == Owner::Signed && is_record_route(judged.token)) {
      strict = true;
      first = judged.token;
      paired = first.paired;
      take_token(route, judged.token, true, source, epoch);
    }
  }

  RouteWalk walk(request);
  std::size_t signed_count = strict ? 1 : 0;
  const Header* header = nullptr;
  std::uint16_t removed_from = 0;
  while (const auto value = walk.next()) {
    const auto parsed = sip::parse_name_addr(value->text);
    if (!parsed) {
      route.refused = true;
      return route;
    }
    const bool may_be_ours = signed_count < 1 || (signed_count == 1 && paired && !second_seen);
    Judged judged;
    if (may_be_ours || own.is_own(parsed->uri)) {
      judged = judge(parsed->uri, call_id, own, mac, today);
    }
    if (judged.owner == Owner::Forged || judged.owner == Owner::Outdated) {
      route.refused = judged.owner == Owner::Forged;
      route.outdated = judged.owner == Owner::Outdated;
      return route;
    }
    const bool take = (judged.owner == Owner::Signed && may_be_ours) ||
                      (judged.owner == Owner::Plain && signed_count == 0);
    if (!take) {
      route.next_route = parsed->uri.text;
      route.next_is_strict = !parsed->uri.is_loose_route();
      route.more_routes = walk.next().has_value();
      break;
    }
    if (judged.owner == Owner::Signed) {
      if (signed_count == 1) {
        if (!fit_together(first, judged.token)) {
          route.refused = true;
          return route;
        }
        second_seen = true;
      }
      take_token(route, judged.token, signed_count == 0, source, epoch);
      if (signed_count == 0) {
        first = judged.token;
        paired = is_record_route(first) && first.paired;
      }
      ++signed_count;
    }
    if (value->header != header) {
      header = value->header;
      removed_from = header->value.offset;
    }
    if (route.removal_count == 0 || route.removals[route.removal_count - 1].begin < header->begin) {
      if (route.removal_count == route.removals.size()) {
        route.refused = true;  // more headers of ours than anybody has a reason to write
        return route;
      }
      route.removals[route.removal_count++] = {};
    }
    auto& range = route.removals[route.removal_count - 1];
    if (value->last_in_header) {
      range = {header->begin, header->end};
    } else {
      const auto rest = static_cast<std::uint16_t>(walk.rest().data() - request.text().data());
      range = {removed_from, rest};
    }
  }
  // A pair of ours that somebody took apart; or one outside a dialog (RFC 3261 12.2.1.1: whoever
  // has a Route set from Record-Route has a remote tag, too).
  if ((paired && !second_seen) || (route.in_dialog && essentials.to_tag.empty())) {
    route.refused = true;
    return route;
  }

  if (strict) {
    undo_strict_routing(request, route);
    return route;
  }

  // A Contact that we replaced for a registrar without Path (exact inverse).
  if (!route.from_token || route.towards_access) {
    if (auto alias = undo_contact_alias(essentials.request_uri, own, mac, scratch)) {
      if (alias->refused || alias->outdated) {
        route.refused = alias->refused;
        route.outdated = alias->outdated;
        return route;
      }
      route.request_uri = alias->uri;
      route.request_uri_changed = true;
      if (!route.access && is_from(source, alias->token, epoch)) {
        route.own_flow = true;
      } else if (!route.access) {
        route.access = alias->token;
        route.from_token = true;
        route.towards_access = true;
      }
    }
  }
  return route;
}

void RoutePreprocess::apply(const MessageView& request, sip::EditList& edits,
                            Writer& scratch) const {
  const sip::Slice start_uri = request.slice(request.request_uri());
  if (next_route.empty() || !next_is_strict) {
    for (std::size_t i = 0; i < removal_count; ++i) {
      edits.remove(removals[i].begin, removals[i].end);
    }
    if (request_uri_changed) edits.replace(start_uri, request_uri);
    return;
  }
  // 16.6 item 6: the strict router's value becomes the Request-URI, and the Request-URI the last
  // Route value. The Route set is written anew.
  edits.replace(start_uri, next_route);
  const std::size_t before = scratch.size();
  bool behind_strict = false;
  RouteWalk walk(request);
  while (const auto value = walk.next()) {
    const auto parsed = sip::parse_name_addr(value->text);
    if (!parsed || parsed->uri.text.data() == request_uri.data()) continue;
    if (behind_strict) scratch.text("Route: ").text(value->text).text("\r\n");
    behind_strict |= parsed->uri.text.data() == next_route.data();
  }
  scratch.text("Route: <").text(request_uri).text(">\r\n");
  const Header* first = request.find(HeaderName::Route);
  edits.insert(first->begin, scratch.written_text().substr(before));
  for (const Header* header = first; header; header = request.next(header)) edits.remove(*header);
}

}  // namespace ringway
