#include <algorithm>

#include "gateway/base/subject.h"
#include "gateway/call/call_table.h"
#include "gateway/call/dialog_text.h"
#include "gateway/call/session_timer.h"

// What messages and time do to a call: all its transitions, in the order of its life.

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;
using sip::Status;

std::uint32_t milliseconds(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 1, 0xffff'ffff));
}

// Above what user agents use, below 2^31 (RFC 3261 8.1.1.5).
constexpr std::uint32_t kUnknownCseq = 0x7fff'0000;

}  // namespace

CallTable::Opening CallTable::open(const sip::MessageView& invite,
                                   const sip::Essentials& essentials, CallLeg leg, Instant now) {
  if (const SlotId known = find(essentials.call_id, leg)) {
    Call& call = *calls_.find(known);
    // With credentials it is one call at the relay, so that the browser sees one DTLS handshake.
    if (call.state != CallState::Challenged) return {Opened::Taken, known};
    call.state = CallState::Calling;
    call.invite_cseq = std::max(call.invite_cseq, essentials.cseq.number);
    call.deadline_at = now + times_.setup;
    rearm(known);
    return {Opened::Again, known};
  }
  const SlotId id = take(essentials.call_id, leg, invite.value(HeaderName::From),
                         invite.value(HeaderName::To), essentials.from_tag, now);
  if (!id) return {};
  Call& call = *calls_.find(id);
  call.invite_cseq = essentials.cseq.number;
  call.caller_target = copy_remote_target(invite, buffers_);
  call.caller_routes = copy_caller_routes(invite, buffers_);
  call.deadline_at = now + times_.setup;
  rearm(id);
  return {Opened::New, id};
}

SlotId CallTable::invite_response(SlotId id, const sip::MessageView& response,
                                  const sip::Essentials& essentials, std::size_t routes_beyond,
                                  Instant now) {
  Call* call = calls_.find(id);
  const Status status = response.status();
  if (!call || !call->is_live() || status <= 100 || status >= 300) return {};
  const bool success = sip::is_success(status);
  call->deadline_at = now + times_.setup;
  if (call->first_provisional_ms == 0 && !success) {
    call->first_provisional_ms = milliseconds(now - call->since);
  }
  if (success && call->state != CallState::Answered) {
    call->state = CallState::Answered;
    call->answered_at = now;
    call->answer_ms = milliseconds(now - call->since);
    call->status = status;
    call->status_by = CallEnder::Callee;
    call->context = {};
    for (CallParty& party : call->parties) {
      if (party.away && party.away_until == kNever) party.away_until = now;
    }
  } else if (call->state == CallState::Calling) {
    call->state = CallState::Ringing;
  }
  SlotId at = find_dialog(id, essentials.from_tag, essentials.to_tag);
  if (!at && !essentials.to_tag.empty() && essentials.from_tag == call->caller_tag()) {
    at = make_dialog(*call, response.value(HeaderName::To), essentials.to_tag);
    if (!at) counters_.dialogs_refused.add();
  }
  if (Dialog* dialog = dialogs_.find(at)) {
    move(*dialog, success ? DialogEvent::Success : DialogEvent::Provisional);
    const std::size_t callee = index_of(Party::Callee);
    if (BufferRef target = copy_remote_target(response, buffers_)) {
      dialog->remote_target[callee] = std::move(target);
      dialog->target_proven[callee] = true;
    }
    if (!dialog->route_set[callee]) {
      dialog->route_set[callee] = copy_callee_routes(response, routes_beyond, buffers_);
    }
    if (success) dialog->session_ends = session_end(response, now);
  }
  rearm(id);
  return at;
}

void CallTable::invite_refused(SlotId id, Status status, CallEnder by, CallEndReason reason,
                               Instant now) {
  Call* call = calls_.find(id);
  if (!call || !call->is_live() || call->state == CallState::Answered) return;
  call->status = status;
  call->status_by = by;
  call->context = {};
  if (sip::is_challenge(status) && reason == CallEndReason::Refused) {
    end_dialogs(*call);
    call->state = CallState::Challenged;
    call->deadline_at = now + times_.challenged;
    return rearm(id);
  }
  end(id, by, reason, now);
}

// --- In a dialog -------------------------------------------------------------------------------

SlotId CallTable::adopt(const sip::MessageView& request, const sip::Essentials& essentials,
                        CallLeg leg, Party from, Instant now) {
  if (essentials.from_tag.empty() || essentials.to_tag.empty()) return {};
  const std::string_view from_value = request.value(HeaderName::From);
  const std::string_view to_value = request.value(HeaderName::To);
  const bool by_caller = from == Party::Caller;
  const SlotId id = take(essentials.call_id, leg, by_caller ? from_value : to_value,
                         by_caller ? to_value : from_value,
                         by_caller ? essentials.from_tag : essentials.to_tag, now);
  if (!id) return {};
  Call& call = *calls_.find(id);
  call.adopted = true;
  call.state = CallState::Answered;
  call.answered_at = now;
  const SlotId at = make_dialog(call, by_caller ? to_value : from_value,
                                by_caller ? essentials.to_tag : essentials.from_tag);
  if (!at) {
    call.told = true;
    end(id, CallEnder::Gateway, CallEndReason::None, now);
    release(id);
    return {};
  }
  Dialog& dialog = *dialogs_.find(at);
  dialog.state = DialogState::Confirmed;
  dialog.cseq[index_of(from)] = essentials.cseq.number;
  // What the other side has used nobody knows any more.
  dialog.cseq[index_of(other(from))] = kUnknownCseq;
  // Where it goes is where the far side is; its own Contact says where it is itself.
  dialog.remote_target[index_of(other(from))] = buffers_.copy(as_bytes(request.request_uri()));
  dialog.remote_target[index_of(from)] = copy_remote_target(request, buffers_);
  dialog.target_proven[index_of(from)] = static_cast<bool>(dialog.remote_target[index_of(from)]);
  rearm(id);
  return id;
}

void CallTable::far_side_answered(SlotId id, SlotId at, Party from,
                                  const sip::MessageView& request, std::size_t own_routes) {
  const std::size_t far = index_of(other(from));
  Dialog* dialog = dialogs_.find(at);
  if (!calls_.find(id) || !dialog || dialog->target_proven[far]) return;
  dialog->remote_target[far] = buffers_.copy(as_bytes(request.request_uri()));
  dialog->route_set[far] = copy_route_lines(request, own_routes, buffers_);
  dialog->target_proven[far] = static_cast<bool>(dialog->remote_target[far]);
}

void CallTable::set_session_end(SlotId id, SlotId at, Instant end) {
  Dialog* dialog = dialogs_.find(at);
  if (!calls_.find(id) || !dialog || dialog->state == DialogState::Ended) return;
  dialog->session_ends = end;
  rearm(id);
}

SlotId CallTable::request_passes(SlotId id, Party from, const sip::Essentials& essentials) {
  const SlotId at = find_dialog(id, from, essentials);
  Dialog* dialog = dialogs_.find(at);
  if (!dialog) return {};
  std::uint32_t& highest = dialog->cseq[index_of(from)];
  highest = std::max(highest, essentials.cseq.number);
  return at;
}

bool CallTable::request_answered(SlotId id, SlotId at, Party from, const sip::MessageView& request,
                                 const sip::MessageView& response, Instant now) {
  const Status status = response.status();
  if (!sip::is_success(status)) {
    return request_failed(id, at, from, request.method(), status, now);
  }
  Call* call = calls_.find(id);
  Dialog* dialog = dialogs_.find(at);
  if (!call || !call->is_live() || !dialog) return false;
  if (request.method() == Method::Bye) {
    return request_failed(id, at, from, Method::Bye, status, now);
  }
  if (request.method() != Method::Invite && request.method() != Method::Update) return false;
  // Target refresh, and the session begins anew (RFC 3261 12.2.1.2, RFC 4028 8.3).
  const auto refresh = [&](Party party, const sip::MessageView& message) {
    BufferRef target = copy_remote_target(message, buffers_);
    if (!target) return;
    dialog->remote_target[index_of(party)] = std::move(target);
    dialog->target_proven[index_of(party)] = true;
  };
  refresh(from, request);
  refresh(other(from), response);
  dialog->session_ends = session_end(response, now);
  rearm(id);
  return false;
}

bool CallTable::request_failed(SlotId id, SlotId at, Party from, Method method, Status status,
                               Instant now) {
  Call* call = calls_.find(id);
  Dialog* dialog = dialogs_.find(at);
  if (!call || !call->is_live() || !dialog) return false;
  const DialogVerdict verdict = judge_final(method, status);
  if (verdict == DialogVerdict::None) return false;
  move(*dialog, verdict == DialogVerdict::ByeAnswered ? DialogEvent::ByeAnswered
                                                      : DialogEvent::Gone);
  // While its INVITE has no final response, other forks may still answer (RFC 3261 15). Once it
  // has one, those that did not count no more (RFC 3261 13.2.2.4).
  if (call->state != CallState::Answered || confirmed_dialogs(id) != 0) {
    rearm(id);
    return false;
  }
  const bool bye = verdict == DialogVerdict::ByeAnswered;
  const CallEnder by = from == Party::Caller ? CallEnder::Caller : CallEnder::Callee;
  end(id, by, bye ? CallEndReason::Bye : CallEndReason::DialogGone, now);
  return true;
}

void CallTable::move(Dialog& dialog, DialogEvent event) {
  dialog.state = step(dialog.state, event);
  if (dialog.state == DialogState::Ended) dialog.session_ends = kNever;
}

// --- Time --------------------------------------------------------------------------------------

// The first of all that this call waits for.
void CallTable::rearm(SlotId id) {
  Call& call = *calls_.find(id);
  wheel_.cancel(call.timer);
  Instant first = kNever;
  switch (call.state) {
    case CallState::Calling:
    case CallState::Ringing:
    case CallState::Challenged:
      first = call.deadline_at;
      break;
    case CallState::Answered:
      first = call.answered_at + times_.longest;
      for (SlotId at = call.first_dialog; const Dialog* dialog = dialogs_.find(at);
           at = dialog->next) {
        first = std::min(first, dialog->session_ends);
      }
      break;
    case CallState::Ended:
      call.timer = wheel_.arm(call.ended_at + times_.tombstone,
                              subject_value(Subject::Call, id));
      return;
  }
  for (const CallParty& party : call.parties) first = std::min(first, party.away_until);
  call.timer = wheel_.arm(first, subject_value(Subject::Call, id));
}

CallTable::Due CallTable::due(SlotId id, Instant now) {
  Call* call = calls_.find(id);
  if (!call) return Due::Nothing;
  call->timer = 0;
  if (call->state == CallState::Ended) return Due::TombstoneOver;
  if (lost_party(id, now)) return Due::PartyLost;
  switch (call->state) {
    case CallState::Calling:
    case CallState::Ringing:
      if (now >= call->deadline_at) return Due::SetupOver;
      break;
    case CallState::Challenged:
      if (now >= call->deadline_at) return Due::ChallengeOver;
      break;
    case CallState::Answered: {
      if (now >= call->answered_at + times_.longest) return Due::TooLong;
      bool over = false;
      for (SlotId at = call->first_dialog; Dialog* dialog = dialogs_.find(at); at = dialog->next) {
        if (dialog->session_ends > now) continue;
        dialog->session_ends = kNever;
        dialog->state = DialogState::Ended;
        over = true;
      }
      if (over && confirmed_dialogs(id) == 0) return Due::SessionOver;
      break;
    }
    case CallState::Ended:
      break;
  }
  rearm(id);
  return Due::Nothing;
}

std::optional<Party> CallTable::lost_party(SlotId id, Instant now) const {
  const Call* call = calls_.find(id);
  if (!call || !call->is_live()) return std::nullopt;
  for (const Party party : {Party::Caller, Party::Callee}) {
    if (call->party(party).away_until <= now) return party;
  }
  return std::nullopt;
}

// --- The end -----------------------------------------------------------------------------------

void CallTable::wait_for_invite(SlotId id, Instant now) {
  Call& call = *calls_.find(id);
  for (CallParty& party : call.parties) party.away_until = kNever;
  call.deadline_at = now + times_.setup;
  rearm(id);
}

void CallTable::end(SlotId id, CallEnder by, CallEndReason reason, Instant now) {
  Call* call = calls_.find(id);
  if (!call || call->state == CallState::Ended) return;
  call->state = CallState::Ended;
  call->ended_by = by;
  call->reason = reason;
  call->ended_at = now;
  call->context = {};
  end_dialogs(*call);
  unlink_owner(id, Party::Caller);
  unlink_owner(id, Party::Callee);
  call->media.end();
  link_tombstone(id);
  rearm(id);
  count();
}

}  // namespace ringway
