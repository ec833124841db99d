#include "gateway/core/admission_check.h"

#include "protocol/sip/credentials.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

bool is_failure(sip::Status status) {
  return sip::is_challenge(status) || status == 403 || status == 404;
}

bool has_credentials(const sip::MessageView& request) {
  return request.has(HeaderName::Authorization) || request.has(HeaderName::ProxyAuthorization);
}

bool shows_success(Method method, sip::Status status) {
  return sip::is_success(status) && (method == Method::Register || method == Method::Invite);
}

}  // namespace

bool AdmissionCheck::counts(const Source& source) const {
  return core_.listener(source.listener).side == Side::Access &&
         !gate_.is_allowed(source.remote.address);
}

// Where guests are welcome nobody has to show anything first.
bool AdmissionCheck::has_budget(const Source& source) const {
  return core_.config.budgets.enabled && counts(source) &&
         core_.listener(source.listener).admission == Admission::Registered;
}

std::uint64_t AdmissionCheck::flow_of(const Source& source) const {
  if (source.flow) return source.flow.value();
  const std::uint64_t address = keyed_hash(core_.hash_key, source.remote.address.octets());
  return (address + (std::uint64_t{source.remote.port} << 16) + source.listener) | 1;
}

// Whose credentials it shows, however To and From are written: those are what a password is tried
// for. Without any it is the To of a REGISTER (RFC 3261 10.2), else the From.
std::uint64_t AdmissionCheck::user_of(const sip::MessageView& request) const {
  const sip::DigestUser user = sip::digest_user(request);
  if (user.kind == sip::DigestUser::Kind::Unclear) return Budgets::kUnclearUser;
  if (user.kind == sip::DigestUser::Kind::One) {
    return keyed_hash(core_.hash_key, user.username) | 2;
  }
  const bool registers = request.method() == Method::Register;
  const auto address =
      sip::parse_name_addr(request.value(registers ? HeaderName::To : HeaderName::From));
  if (!address || address->uri.user.empty()) return 0;
  return (keyed_hash(core_.hash_key, address->uri.user) * 31 +
          keyed_hash(core_.hash_key, address->uri.host)) | 2;
}

Budgets::Asker AdmissionCheck::asker_of(const Source& source, const sip::MessageView& request) {
  Budgets::Asker asker{source_key(source.remote.address), flow_of(source), 0, false, false,
                       source.transport != Transport::Udp};
  asker.is_registered = registrations_.is_registered(source);
  asker.has_credentials = has_credentials(request);
  // Of a user agent only what it registers counts.
  const bool is_asked = !asker.is_registered || request.method() == Method::Register;
  if (is_asked && asker.has_credentials) asker.user = user_of(request);
  return asker;
}

Budgets::Verdict AdmissionCheck::ask(const Source& source, const Incoming& in, Instant now) {
  const Method method = in.view.method();
  if (!in.essentials.to_tag.empty() || method == Method::Ack || method == Method::Cancel ||
      !has_budget(source)) {
    return Budgets::Verdict::Pass;
  }
  const auto verdict = budgets_.ask(asker_of(source, in.view), now);
  if (verdict == Budgets::Verdict::Wait) core_.counters.budget_waits.add();
  if (verdict == Budgets::Verdict::CutOff) core_.counters.budget_cut_off.add();
  return verdict;
}

void AdmissionCheck::began(const ResponseContext& context, const Incoming& in, Instant now) {
  if (context.initial && has_budget(context.source)) {
    budgets_.began(asker_of(context.source, in.view), now);
  }
}

void AdmissionCheck::report(const Source& source, Evidence::Kind kind, std::uint8_t points,
                            std::uint64_t user) {
  // A proxy that does not say for whom it speaks has everybody behind it.
  const FlowState* flow = source.flow ? flows_.find_ended(source.flow) : nullptr;
  if (flow && flow->from_proxy) return;
  gate_.report({kind, source.transport != Transport::Udp, points,
                source_key(source.remote.address), user});
}

Budgets::End AdmissionCheck::failed(const Source& source, const sip::MessageView& request,
                                    sip::Status status) {
  const bool is_challenge = sip::is_challenge(status) && !has_credentials(request);
  if (request.method() != Method::Register && registrations_.is_registered(source)) {
    return Budgets::End::Other;
  }
  report(source, is_challenge ? Evidence::Kind::Challenge : Evidence::Kind::Failure, 0,
         is_challenge ? 0 : user_of(request));
  return is_challenge ? Budgets::End::Challenge : Budgets::End::Failure;
}

void AdmissionCheck::answered(const ResponseContext& context, sip::Status status, Instant now) {
  if (!context.initial || context.own || !counts(context.source)) return;
  Budgets::End end = Budgets::End::Other;
  Budgets::Asker asker{source_key(context.source.remote.address), flow_of(context.source), 0,
                       false, false, context.source.transport != Transport::Udp};
  if (shows_success(context.method, status)) {
    end = Budgets::End::Success;
    // Only a registrar says whose it is: a From may be anybody's.
    if (context.method == Method::Register &&
        sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
      asker = asker_of(context.source, request_);
    }
    report(context.source, Evidence::Kind::Success, 0,
           asker.user > Budgets::kUnclearUser ? asker.user : 0);
  } else if (is_failure(status) &&
             sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
    asker = asker_of(context.source, request_);
    end = failed(context.source, request_, status);
  }
  if (has_budget(context.source)) budgets_.ended(asker, end, now);
}

void AdmissionCheck::refused(const Source& source, const Incoming& in, sip::Status status,
                             Instant now) {
  if (!is_failure(status) || !counts(source)) return;
  const auto end = failed(source, in.view, status);
  if (has_budget(source)) budgets_.refused(asker_of(source, in.view), end, now);
}

bool AdmissionCheck::tells_too_much(const ResponseContext& context, sip::Status status) {
  if (!core_.config.answers.alike || !context.initial || context.own ||
      core_.listener(context.source.listener).side != Side::Access) {
    return false;
  }
  // 410 and 604: gone, does not exist anywhere; 480 and 484 are about users that do exist.
  const bool tells = status == 403 || status == 404 || status == 410 || status == 480 ||
                     status == 484 || status == 485 || status == 604;
  if (!tells || registrations_.is_registered(context.source)) return false;
  core_.counters.answers_made_alike.add();
  return true;
}

Instant AdmissionCheck::refuse_from(const Source& source, const Incoming& in, Instant now) const {
  const AnswersConfig& answers = core_.config.answers;
  if (!answers.alike || !in.essentials.to_tag.empty() ||
      core_.listener(source.listener).side != Side::Access ||
      registrations_.is_registered(source)) {
    return Instant{};
  }
  return now + answers.refuse_after;
}

void AdmissionCheck::scanner(const Source& source, std::uint16_t points) {
  if (!counts(source)) return;
  report(source, points == 0 ? Evidence::Kind::Signature : Evidence::Kind::Score,
         static_cast<std::uint8_t>(points), 0);
}

void AdmissionCheck::unreadable(const Source& source) {
  if (source.flow && counts(source)) {
    report(source, Evidence::Kind::Framing, 0, 0);
  }
}

}  // namespace ringway
