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

// Reads the Route set of one request, value by value.
class RouteReader {
 public:
  RouteReader(const MessageView& request, const sip::Essentials& essentials, const Source& source,
              const OwnUris& own, const tls::Mac& mac, std::uint32_t epoch, std::uint64_t today)
      : request_(request),
        essentials_(essentials),
        source_(source),
        own_(own),
        mac_(mac),
        epoch_(epoch),
        today_(today),
        walk_(request) {
    route_.request_uri = request.request_uri();
  }

  RoutePreprocess read(Writer& scratch) {
    if (!read_request_uri() || !read_values() || !is_complete()) return route_;
    if (strict_) {
      undo_strict_routing(request_, route_);
    } else if (!route_.from_token || route_.towards_access) {
      undo_alias(scratch);
    }
    return route_;
  }

 private:
  bool refuse() {
    route_.refused = true;
    return false;
  }
  Judged judge_uri(const sip::Uri& uri) const {
    return judge(uri, essentials_.call_id, own_, mac_, today_);
  }

  // A strict router puts our Record-Route value into the Request-URI (16.4): the real one is then
  // the last Route value. Known by our signature, never by our address alone.
  bool read_request_uri() {
    const sip::Uri& uri = essentials_.request_uri;
    if (!looks_like_flow_token(uri.user) || !uri.param("lr").has_value()) return true;
    const Judged judged = judge_uri(uri);
    if (judged.owner == Owner::Forged) return refuse();
    if (judged.owner == Owner::Signed && is_record_route(judged.token)) {
      strict_ = true;
      take_signed(judged.token);
    }
    return true;
  }

  // Until the first value that is not ours, which names the next hop.
  bool read_values() {
    while (const auto value = walk_.next()) {
      const auto parsed = sip::parse_name_addr(value->text);
      if (!parsed) return refuse();
      const bool may_be_ours = signed_count_ < 1 || (signed_count_ == 1 && paired_);
      Judged judged;
      if (may_be_ours || own_.is_own(parsed->uri)) judged = judge_uri(parsed->uri);
      if (judged.owner == Owner::Forged || judged.owner == Owner::Outdated) {
        route_.refused = judged.owner == Owner::Forged;
        route_.outdated = judged.owner == Owner::Outdated;
        return false;
      }
      const bool is_signed = judged.owner == Owner::Signed && may_be_ours;
      if (!is_signed && (judged.owner != Owner::Plain || signed_count_ != 0)) {
        route_.next_route = parsed->uri.text;
        route_.next_is_strict = !parsed->uri.is_loose_route();
        route_.more_routes = walk_.next().has_value();
        return true;
      }
      if (is_signed && !take_signed(judged.token)) return refuse();
      if (!remove(*value)) return refuse();
    }
    return true;
  }

  // False: the second one belongs to another pair.
  bool take_signed(const FlowToken& token) {
    if (signed_count_ == 1 && !fit_together(first_, token)) return false;
    take_token(route_, token, signed_count_ == 0, source_, epoch_);
    if (signed_count_ == 0) {
      first_ = token;
      paired_ = is_record_route(token) && token.paired;
    }
    ++signed_count_;
    return true;
  }

  // False: more headers of ours than anybody has a reason to write.
  bool remove(const RouteWalk::Value& value) {
    if (value.header != header_) {
      header_ = value.header;
      removed_from_ = header_->value.offset;
    }
    const std::size_t count = route_.removal_count;
    if (count == 0 || route_.removals[count - 1].begin < header_->begin) {
      if (count == route_.removals.size()) return false;
      route_.removals[route_.removal_count++] = {};
    }
    auto& range = route_.removals[route_.removal_count - 1];
    if (value.last_in_header) {
      range = {header_->begin, header_->end};
    } else {
      const auto rest = static_cast<std::uint16_t>(walk_.rest().data() - request_.text().data());
      range = {removed_from_, rest};
    }
    return true;
  }

  // False for a pair of ours that somebody took apart, or one outside a dialog (RFC 3261 12.2.1.1:
  // whoever has a Route set from Record-Route has a remote tag, too).
  bool is_complete() {
    const bool torn = paired_ && signed_count_ < 2;
    return torn || (route_.in_dialog && essentials_.to_tag.empty()) ? refuse() : true;
  }

  // A Contact that we replaced for a registrar without Path (exact inverse).
  void undo_alias(Writer& scratch) {
    const auto alias = undo_contact_alias(essentials_.request_uri, own_, mac_, scratch);
    if (!alias) return;
    route_.refused = alias->refused;
    route_.outdated = alias->outdated;
    if (alias->refused || alias->outdated) return;
    route_.request_uri = alias->uri;
    route_.request_uri_changed = true;
    if (!route_.access && is_from(source_, alias->token, epoch_)) {
      route_.own_flow = true;
    } else if (!route_.access) {
      route_.access = alias->token;
      route_.from_token = true;
      route_.towards_access = true;
    }
  }

  const MessageView& request_;
  const sip::Essentials& essentials_;
  const Source& source_;
  const OwnUris& own_;
  const tls::Mac& mac_;
  std::uint32_t epoch_;
  std::uint64_t today_;
  RouteWalk walk_;
  RoutePreprocess route_;
  bool strict_ = false, paired_ = false;
  std::size_t signed_count_ = 0;  // values of ours with a token: 0, 1, or both of a pair
  FlowToken first_;
  const Header* header_ = nullptr;
  std::uint16_t removed_from_ = 0;
};

}  // namespace

RoutePreprocess preprocess_route(const MessageView& request, const sip::Essentials& essentials,
                                 const Source& source, const OwnUris& own, const tls::Mac& mac,
                                 std::uint32_t epoch, Writer& scratch, std::uint64_t today) {
  return RouteReader(request, essentials, source, own, mac, epoch, today).read(scratch);
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
