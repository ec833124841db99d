#include "gateway/core/request_checks.h"

#include <array>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

// What a server says of itself beside kAllow (RFC 3261 11.2).
constexpr std::string_view kAboutUs = "Accept: application/sdp\r\nSupported: path, outbound\r\n";

// urn:service:sos and its sub-services, urn:service:sos.fire (RFC 5031 4.2).
bool is_emergency(std::string_view uri) {
  constexpr std::string_view kService = "urn:service:sos";
  return ascii::equal_ignoring_case(uri.substr(0, kService.size()), kService) &&
         (uri.size() == kService.size() || uri[kService.size()] == '.');
}

bool opens_dialog(Method method) {
  return method == Method::Invite || method == Method::Subscribe;
}

}  // namespace

std::optional<std::uint32_t> RequestChecks::passes(const Source& source, const Peer& peer,
                                                   const Incoming& in, Instant now,
                                                   Outbox& outbox) {
  if (overloaded_ && is_shed(source, peer, in, now, outbox)) return {};
  if (!is_within_budget(source, in, now, outbox)) return {};
  if (is_refused(source, peer, in, outbox)) return {};
  const std::uint32_t hash = loops_.hash_of(in);
  if (!loops_.comes_back(in, hash)) return hash;
  core_.counters.loops_482.add();
  replies_.refuse(in.view, source, 482, {}, {}, outbox);
  return {};
}

// Under overload what begins something new goes first (RFC 6357): those that are refused come back
// at different times. An emergency call (RFC 5031) is not refused; of strangers, who may write that
// into a flood, so many a second.
bool RequestChecks::is_shed(const Source& source, const Peer& peer, const Incoming& in, Instant now,
                            Outbox& outbox) {
  const Method method = in.view.method();
  if (!in.essentials.to_tag.empty() || method == Method::Ack || method == Method::Cancel ||
      method == Method::Bye) {
    return false;
  }
  if (is_emergency(in.view.request_uri()) &&
      (peer.kind != PeerKind::Stranger || may_call_for_help(now))) {
    return false;
  }
  core_.counters.overload_refused.add();
  constexpr std::uint64_t kRetryMin = 4, kRetrySpread = 12;  // seconds
  std::array<std::uint8_t, 32> memory;
  Writer extra(memory);
  // Who is told by Via what share to keep back (RFC 7339) shall not keep back everything.
  if (!Replies::asks_for_share(in.essentials.via) || replies_.is_unverified(source)) {
    extra.text("Retry-After: ").number(kRetryMin + core_.random.below(kRetrySpread)).text("\r\n");
  }
  replies_.refuse(in.view, source, 503, {}, extra.written_text(), outbox);
  return true;
}

bool RequestChecks::may_call_for_help(Instant now) {
  if (now - second_ >= 1s) {
    second_ = now;
    strangers_calls_left_ = kStrangersCallsASecond;
  }
  if (strangers_calls_left_ == 0) return false;
  --strangers_calls_left_;
  return true;
}

// Over UDP what has to wait comes again by itself.
bool RequestChecks::is_within_budget(const Source& source, const Incoming& in, Instant now,
                                     Outbox& outbox) {
  const Budgets::Verdict verdict = admission_.ask(source, in, now);
  if (verdict == Budgets::Verdict::Pass) return true;
  if (source.flow && verdict == Budgets::Verdict::Wait) {
    replies_.refuse(in.view, source, 503, {}, "Retry-After: 2\r\n", outbox);
  } else {
    core_.drop(DropReason::Budget);
  }
  if (source.flow && verdict == Budgets::Verdict::CutOff) outbox.close_flow(source.flow, 1008);
  return false;
}

// RFC 3261 16.3 items 3 and 5, RFC 5393 5.3.3. True: it was answered.
bool RequestChecks::is_refused(const Source& source, const Peer& peer, const Incoming& in,
                               Outbox& outbox) {
  const auto& [view_in, essentials] = in;
  const auto refuse = [&](sip::Status status, std::string_view extra) {
    replies_.refuse(view_in, source, status, {}, extra, outbox);
    return true;
  };
  const bool listed = peer.kind == PeerKind::NextHop || peer.kind == PeerKind::Trusted;
  if (asks_about_us(in, core_.own, listed)) {
    std::array<std::uint8_t, 256> memory;
    Writer extra(memory);
    extra.text(kAllow).text(kAboutUs);
    return refuse(draining_ ? 503 : 200, extra.written_text());
  }
  if (view_in.method() == Method::Cancel) return false;  // it goes no further (RFC 3261 16.10)
  if (essentials.max_forwards && *essentials.max_forwards == 0) {
    core_.counters.max_forwards_483.add();
    return refuse(483, {});
  }
  if (const sip::Header* header = view_in.find(HeaderName::ProxyRequire)) {
    // We support no option that a proxy would have to know (RFC 3261 16.3 item 5).
    std::array<std::uint8_t, 1024> memory;
    Writer extra(memory);
    for (; header; header = view_in.next(header)) {
      extra.text("Unsupported: ").text(view_in.text(header->value)).text("\r\n");
    }
    return refuse(420, extra.overflowed() ? std::string_view{} : extra.written_text());
  }
  if (const sip::Header* header = view_in.find(HeaderName::MaxBreadth)) {
    const auto breadth = ascii::parse_number(view_in.text(header->value), 0xffff'ffff);
    if (breadth && *breadth == 0) return refuse(440, {});  // RFC 5393 5.3.3
  }
  if (draining_ && essentials.to_tag.empty() && opens_dialog(view_in.method())) {
    return refuse(503, "Retry-After: 5\r\n");
  }
  return false;
}

// The tokens of ours that it carries, and what its peer may do with it.
std::optional<Right> RequestChecks::admit(const Source& source, const Peer& peer,
                                          const Incoming& in, Instant now, Outbox& outbox) {
  const RoutePreprocess& route = routes_.read_once(source, in, now);
  const auto refuse = [&](sip::Status status, std::string_view event, Counter& counter) {
    counter.add();
    core_.log.info(event, {{"call_id", in.essentials.call_id},
                           {"method", in.view.method_text()},
                           {"listener", core_.listener(source.listener).name},
                           {"flow", source.flow.value()}});
    admission_.refused(source, in, status, now);
    replies_.refuse(in.view, source, status, {}, {}, outbox);
    return std::nullopt;
  };
  if (route.outdated) return refuse(430, "token_outdated", core_.counters.tokens_refused);
  if (route.refused) return refuse(403, "token_refused", core_.counters.tokens_refused);
  const Right right = peers_.right_of(source, peer, in, route);
  if (right == Right::Refuse || right == Right::Drop) {
    return refuse(403, "request_forbidden", core_.counters.requests_forbidden);
  }
  return right;
}

}  // namespace ringway
