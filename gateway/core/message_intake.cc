#include "gateway/core/message_intake.h"

#include "protocol/sip/parse.h"
#include "protocol/sip/validate.h"
#include "protocol/stun/binding.h"

namespace ringway {

MessageIntake::MessageIntake(const Parts& parts)
    : core_(parts.core),
      gate_(parts.gate),
      registrations_(parts.registrations),
      admission_(parts.admission),
      peers_(parts.peers),
      stun_(parts.stun),
      replies_(parts.replies),
      tarpit_(parts.tarpit),
      filter_(parts.filter),
      requests_(parts.requests),
      responses_(parts.responses) {}

bool MessageIntake::lets_in(const Source& source, Bytes bytes, Instant now, Outbox& outbox) {
  if (source.transport == Transport::Udp && stun::is_stun(bytes)) {
    if (passes_gate(source, now, outbox)) stun_.receive(source, bytes, now, outbox);
    return false;
  }
  core_.counters.messages_in[static_cast<std::size_t>(source.transport)].add();
  return passes_gate(source, now, outbox) && !is_held(source) &&
         filter_.passes(source, bytes, now, outbox);
}

// Who is kept out gets nothing, and his connections end.
bool MessageIntake::passes_gate(const Source& source, Instant now, Outbox& outbox) {
  if (core_.listener(source.listener).side != Side::Access) return true;
  const bool by_datagram = source.transport == Transport::Udp;
  const auto answer = gate_.ask(source.remote.address,
                                by_datagram ? BanScope::Datagrams : BanScope::Everything, now);
  if (answer == SourceGate::Answer::Open) return true;
  // Somebody else at the address of a user agent has earned that.
  if (answer == SourceGate::Answer::Banned && registrations_.is_registered(source)) return true;
  const bool banned = answer == SourceGate::Answer::Banned;
  if (by_datagram) {
    (banned ? core_.counters.banned_datagrams : core_.counters.blocked_datagrams).add();
  } else {
    (banned ? core_.counters.banned_messages : core_.counters.blocked_messages).add();
  }
  core_.drop(DropReason::Banned);
  if (source.flow) outbox.close_flow(source.flow, 1008);
  return false;
}

// Whatever comes over a stream that is held is dropped.
bool MessageIntake::is_held(const Source& source) {
  if (!tarpit_.holds(source)) return false;
  core_.drop(DropReason::Filter);
  return true;
}

void MessageIntake::read(const Source& source, Bytes bytes, bool handed_over, Instant now,
                         Outbox& outbox) {
  if (!sip::parse_message(bytes, framing_of(source.transport), view_)) {
    core_.counters.parse_errors.add();
    return refuse_unreadable(source, DropReason::Unparsable, outbox);
  }
  if (view_.is_request()) {
    receive_request(source, handed_over, now, outbox);
  } else {
    receive_response(source, now, outbox);
  }
}

void MessageIntake::receive_request(const Source& source, bool handed_over, Instant now,
                                    Outbox& outbox) {
  sip::Essentials essentials;
  const sip::Verdict verdict = sip::validate_request(view_, essentials);
  if (verdict.ok()) {
    const Incoming in{view_, essentials};
    return requests_.receive(source, in, handed_over, now, outbox);
  }
  // A stranger on the network side hears nothing, whatever he writes.
  if (peers_.is_dropped(source, peers_.peer_of(source, now), view_, now)) return;
  core_.counters.bad_requests.add();
  core_.log.info("bad_request", {{"status", verdict.status},
                                 {"reason", verdict.reason},
                                 {"call_id", view_.value(sip::HeaderName::CallId)},
                                 {"flow", source.flow.value()}});
  if (!verdict.answerable) return refuse_unreadable(source, DropReason::Unanswerable, outbox);
  replies_.refuse(view_, source, verdict.status, verdict.reason, {}, outbox);
}

void MessageIntake::receive_response(const Source& source, Instant now, Outbox& outbox) {
  sip::Essentials essentials;
  if (!sip::validate_response(view_, essentials).ok()) {
    core_.counters.bad_responses.add();
    return core_.drop(DropReason::BadResponse);
  }
  responses_.receive(source, {view_, essentials}, now, outbox);
}

void MessageIntake::refuse_unreadable(const Source& source, DropReason reason, Outbox& outbox) {
  core_.drop(reason);
  if (reason == DropReason::Unparsable) admission_.unreadable(source);
  if (source.flow) outbox.close_flow(source.flow, 1007);
}

}  // namespace ringway
