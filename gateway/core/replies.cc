#include "gateway/core/replies.h"

#include <array>

#include "protocol/base/ascii.h"
#include "protocol/sip/build.h"
#include "protocol/sip/compact.h"
#include "protocol/sip/params.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

// The To tag of our own responses: the same for a repetition of the request (RFC 3261 8.2.7), and
// known again in the ACK.
std::string_view own_tag(const HashKey& key, const sip::MessageView& request, Writer& out) {
  const auto via = sip::parse_via(request.top_via());
  const std::uint64_t hash = keyed_hash(key, via ? via->branch : std::string_view{}) ^
                             (keyed_hash(key, request.value(HeaderName::CallId)) >> 1);
  const std::size_t before = out.size();
  out.text("rw").hex(hash, 16);
  return out.written_text().substr(before);
}

// Mostly one rport without a value has to go and the rest stays.
void copy_params_without_source(const sip::Via& via, Writer& out) {
  constexpr std::string_view kAsked = ";rport";
  const std::size_t asked = via.params.find(kAsked);
  const std::size_t behind = asked + kAsked.size();
  if (asked != via.params.npos && via.received.empty() && via.rport && via.rport->empty() &&
      (behind == via.params.size() || via.params[behind] == ';') &&
      via.params.find('"') == via.params.npos) {
    out.text(via.params.substr(0, asked)).text(via.params.substr(behind));
    return;
  }
  sip::ParamCursor params(via.params);
  while (const auto param = params.next()) {
    if (ascii::equal_ignoring_case(param->name, "received")) continue;  // only we know
    if (ascii::equal_ignoring_case(param->name, "rport")) continue;
    out.character(';').text(param->text);
  }
}

}  // namespace

Source Replies::reply_address(const Source& source, const sip::Via& via) const {
  Source reply = source;
  if (source.transport == Transport::Udp && !via.rport && !core_.config.force_rport) {
    reply.remote.port = via.port != 0 ? via.port : 5060;
  }
  return reply;
}

Source Replies::address_after_end(const Source& source, const sip::Via& via) {
  Source reply = source;
  reply.flow = {};
  reply.remote.port = via.port != 0 ? via.port : source.transport == Transport::Tls ? 5061 : 5060;
  return reply;
}

std::string_view Replies::via_with_source(const sip::Via& via, const Source& source, Writer& out) {
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer address(memory);
  write_address(source.remote.address, AddressForm::Bare, address);
  bool same = via.host == address.written_text();
  if (!same && via.host_is_ipv6) {  // which may be written in several ways
    const auto claimed = parse_address(via.host);
    same = claimed && *claimed == source.remote.address;
  }
  if (same && !via.rport && via.received.empty()) return via.text;
  const std::size_t before = out.size();
  out.text(via.text.substr(0, via.text.size() - via.params.size()));
  copy_params_without_source(via, out);
  if (!same || via.rport) out.text(";received=").text(address.written_text());
  if (via.rport) out.text(";rport=").number(source.remote.port);
  return out.overflowed() ? via.text : out.written_text().substr(before);
}

void Replies::set_overloaded(bool overloaded, Instant now) {
  overloaded_ = overloaded;
  judged_at_ms_ = static_cast<std::uint64_t>((now + core_.calendar).time_since_epoch() / 1ms);
}

// RFC 7339 4.1, 4.2: oc without a value, and the algorithms that it knows, of which "loss" is the
// one that everybody has.
bool Replies::asks_for_share(const sip::Via& via) {
  if (via.params.find("oc") == via.params.npos || !sip::find_param(via.params, "oc")) return false;
  const auto algorithms = sip::find_param(via.params, "oc-algo");
  return !algorithms || algorithms->text.find("loss") != std::string_view::npos;
}

// RFC 7339 4.1 to 4.4, 5.4.
std::string_view Replies::with_share(std::string_view via, Writer& out) const {
  const auto parsed = sip::parse_via(via);
  if (!parsed) return via;
  const std::size_t before = out.size();
  out.text(via.substr(0, via.size() - parsed->params.size()));
  sip::ParamCursor params(parsed->params);
  while (const auto param = params.next()) {
    if (ascii::equal_ignoring_case(param->name, "oc")) continue;
    if (ascii::starts_with_ignoring_case(param->name, "oc-")) continue;
    out.character(';').text(param->text);
  }
  const auto digit = [&](std::uint64_t unit) {
    out.character(static_cast<char>('0' + judged_at_ms_ / unit % 10));
  };
  out.text(";oc=").number(overloaded_ ? kShareKept : 0).text(";oc-algo=\"loss\";oc-validity=");
  out.number(overloaded_ ? static_cast<std::uint64_t>(kShareHolds / 1ms) : 0);
  out.text(";oc-seq=").number(judged_at_ms_ / 1'000).character('.');
  for (const std::uint64_t unit : {100, 10, 1}) digit(unit);
  return out.overflowed() ? via : out.written_text().substr(before);
}

bool Replies::is_for_own_response(const Incoming& ack) const {
  std::array<std::uint8_t, 32> memory;
  Writer tag(memory);
  return ack.essentials.to_tag == own_tag(core_.hash_key, ack.view, tag);
}

bool Replies::is_unverified(const Source& source) const {
  return source.transport == Transport::Udp &&
         core_.listener(source.listener).side == Side::Access &&
         !registrations_.is_registered(source);
}

// Empty, and counted: no buffer, or however it is written it is longer than a stranger's datagram.
BufferRef Replies::write(const sip::MessageView& request, const Source& source, sip::Status status,
                         std::string_view reason, std::string_view extra) {
  std::array<std::uint8_t, 2048> memory;
  Writer text(memory);
  sip::ResponseOptions options;
  options.reason = reason;
  options.extra = extra;
  if (status != 100) options.to_tag = own_tag(core_.hash_key, request, text);
  const auto via = sip::parse_via(request.top_via());
  options.top_via = via ? via_with_source(*via, source, text) : request.top_via();
  if (via && core_.config.overload.enabled && asks_for_share(*via) && !is_unverified(source)) {
    options.top_via = with_share(options.top_via, text);
  }
  BufferRef buffer =
      core_.buffers.take(request.headers_end() + options.top_via.size() + extra.size() + 256);
  Writer out(buffer ? buffer.space() : MutableBytes{});
  sip::write_response(request, status, options, out);
  if (!buffer || out.overflowed()) {
    core_.drop(DropReason::NoBuffer);
    return {};
  }
  buffer.set_size(out.size());
  // A CANCEL that is obeyed came with the INVITE of its sender: together they were longer.
  const bool has_invite = request.method() == Method::Cancel && sip::is_success(status);
  if (has_invite || out.size() <= request.text().size() || !is_unverified(source)) return buffer;
  return shorten(std::move(buffer), request, status, options);
}

// In the order of what is lost: nothing (compact names), the reason in words, the extra lines.
BufferRef Replies::shorten(BufferRef buffer, const sip::MessageView& request, sip::Status status,
                           sip::ResponseOptions options) {
  constexpr std::string_view kShortReason = "No";
  const std::size_t limit = request.text().size();
  BufferRef whole = core_.buffers.take(buffer.size());
  for (int step = 0; whole && step < 3; ++step) {
    if (step == 1 && status >= 300) options.reason = kShortReason;
    if (step == 2) options.extra = {};
    Writer out(whole.space());
    sip::write_response(request, status, options, out);
    Writer compact(buffer.space());
    if (!sip::write_compact(out.written_text(), compact) || compact.size() > limit) continue;
    buffer.set_size(compact.size());
    return buffer;
  }
  core_.drop(DropReason::Amplifying);
  return {};
}

void Replies::refuse(const sip::MessageView& request, const Source& source, sip::Status status,
                     std::string_view reason, std::string_view extra, Outbox& outbox) {
  if (request.method() == Method::Ack) return;
  BufferRef buffer = write(request, source, status, reason, extra);
  if (!buffer) return;
  core_.counters.responses_by_class[status / 100].add();
  const auto via = sip::parse_via(request.top_via());
  TransactionLayer::send_back(via ? reply_address(source, *via) : source, std::move(buffer), 0,
                              outbox);
}

void Replies::respond(SlotId server, const sip::MessageView& request, const Source& source,
                      sip::Status status, std::string_view extra, Instant now, Outbox& outbox) {
  BufferRef buffer = write(request, source, status, {}, extra);
  if (!buffer) return transactions_.forget(server);
  transactions_.respond(server, status, std::move(buffer), now, outbox);
}

void Replies::trying(SlotId server, const sip::MessageView& request, const Source& source,
                     Outbox& outbox) {
  if (BufferRef buffer = write(request, source, 100, {}, {})) {
    transactions_.send_100(server, std::move(buffer), outbox);
  }
}

}  // namespace ringway
