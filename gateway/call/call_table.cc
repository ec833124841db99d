#include "gateway/call/call_table.h"

#include <algorithm>
#include <bit>

#include "gateway/base/check.h"
#include "gateway/base/subject.h"
#include "gateway/call/dialog_text.h"
#include "protocol/base/writer.h"

// Places, names and owners. What messages do to a call stands in call_progress.cc.

namespace ringway {
namespace {

using sip::HeaderName;

std::uint32_t offset_in(std::string_view whole, std::string_view part) {
  return static_cast<std::uint32_t>(part.data() - whole.data());
}

}  // namespace

CallTable::CallTable(std::uint32_t capacity, const CallTimes& times, const HashKey& key,
                     TimerWheel& wheel, BufferPool& buffers, Counters& counters)
    : times_(times),
      key_(key),
      wheel_(wheel),
      buffers_(buffers),
      counters_(counters),
      calls_(capacity),
      dialogs_(std::max(2 * capacity, kDialogsMax)),
      buckets_(std::bit_ceil(capacity)),
      owner_buckets_(std::bit_ceil(2 * capacity)) {}

std::uint64_t CallTable::key_of(std::string_view call_id, CallLeg leg) const {
  return keyed_hash(key_, call_id) ^ (std::uint64_t{pass_of(leg)} * 0x9e3779b97f4a7c15);
}

SlotId CallTable::find(std::string_view call_id, CallLeg leg) const {
  if (leg == 0) return {};
  const std::uint64_t key = key_of(call_id, leg);
  std::uint32_t place = buckets_[key & (buckets_.size() - 1)];
  while (place != 0) {
    const Call* call = calls_.at(place - 1);
    if (call->key == key && pass_of(call->leg) == pass_of(leg) && call->call_id() == call_id) {
      return calls_.id_at(place - 1);
    }
    place = call->next_in_bucket;
  }
  return {};
}

SlotId CallTable::take(std::string_view call_id, CallLeg leg, std::string_view from,
                       std::string_view to, std::string_view caller_tag, Instant now) {
  constexpr std::size_t kNamesMax = 8'192;
  const std::size_t size = call_id.size() + from.size() + to.size() + caller_tag.size();
  if (size > kNamesMax) return {};
  if (calls_.size() == calls_.capacity() && oldest_tombstone_ != 0) {
    counters_.call_tombstones_cut_short.add();
    release(calls_.id_at(oldest_tombstone_ - 1));
  }
  BufferRef names = buffers_.take(size);
  const SlotId id = names ? calls_.take() : SlotId{};
  if (!id) {
    counters_.calls_refused.add();
    return {};
  }
  Writer out(names.space());
  out.text(call_id).text(from).text(to).text(caller_tag);
  names.set_size(out.size());
  Call& call = *calls_.find(id);
  call.key = key_of(call_id, leg);
  call.leg = leg;
  call.names = std::move(names);
  call.call_id_size = static_cast<std::uint16_t>(call_id.size());
  call.from_size = static_cast<std::uint16_t>(from.size());
  call.to_size = static_cast<std::uint16_t>(to.size());
  call.tag_size = static_cast<std::uint16_t>(caller_tag.size());
  call.tag_at = static_cast<std::uint16_t>(size - caller_tag.size());
  call.since = now;
  std::uint32_t& head = buckets_[call.key & (buckets_.size() - 1)];
  call.next_in_bucket = head;
  head = id.slot + 1;
  count();
  return id;
}

void CallTable::release(SlotId id) {
  Call& call = *calls_.find(id);
  DCHECK(call.state == CallState::Ended);
  wheel_.cancel(call.timer);
  end_dialogs(call);
  unlink_owner(id, Party::Caller);
  unlink_owner(id, Party::Callee);
  unlink_tombstone(id);
  std::uint32_t* link = &buckets_[call.key & (buckets_.size() - 1)];
  while (*link != id.slot + 1) link = &calls_.at(*link - 1)->next_in_bucket;
  *link = call.next_in_bucket;
  calls_.release(id);
  count();
}

void CallTable::link_tombstone(SlotId id) {
  Call& call = *calls_.find(id);
  call.previous_tombstone = newest_tombstone_;
  call.next_tombstone = 0;
  if (newest_tombstone_ != 0) calls_.at(newest_tombstone_ - 1)->next_tombstone = id.slot + 1;
  newest_tombstone_ = id.slot + 1;
  if (oldest_tombstone_ == 0) oldest_tombstone_ = id.slot + 1;
  ++tombstones_;
}

void CallTable::unlink_tombstone(SlotId id) {
  Call& call = *calls_.find(id);
  std::uint32_t& before =
      call.previous_tombstone != 0 ? calls_.at(call.previous_tombstone - 1)->next_tombstone
                                   : oldest_tombstone_;
  std::uint32_t& behind = call.next_tombstone != 0
                              ? calls_.at(call.next_tombstone - 1)->previous_tombstone
                              : newest_tombstone_;
  before = call.next_tombstone;
  behind = call.previous_tombstone;
  --tombstones_;
}

// --- Owners ------------------------------------------------------------------------------------

CallParty& CallTable::party_at(std::uint32_t place) {
  return calls_.at((place - 1) / 2)->parties[(place - 1) % 2];
}

void CallTable::link_owner(SlotId id, Party which, std::uint64_t owner) {
  unlink_owner(id, which);
  if (owner == 0) return;
  CallParty& party = calls_.find(id)->party(which);
  const std::uint32_t place = 2 * id.slot + static_cast<std::uint32_t>(index_of(which)) + 1;
  std::uint32_t& head = owner_buckets_[owner * 0x9e3779b97f4a7c15 >> 32 &
                                       (owner_buckets_.size() - 1)];
  party.owner = owner;
  party.previous_of_owner = 0;
  party.next_of_owner = head;
  if (head != 0) party_at(head).previous_of_owner = place;
  head = place;
}

void CallTable::unlink_owner(SlotId id, Party which) {
  CallParty& party = calls_.find(id)->party(which);
  if (party.owner == 0) return;
  if (party.next_of_owner != 0) {
    party_at(party.next_of_owner).previous_of_owner = party.previous_of_owner;
  }
  if (party.previous_of_owner != 0) {
    party_at(party.previous_of_owner).next_of_owner = party.next_of_owner;
  } else {
    owner_buckets_[party.owner * 0x9e3779b97f4a7c15 >> 32 & (owner_buckets_.size() - 1)] =
        party.next_of_owner;
  }
  party.owner = 0;
  party.next_of_owner = party.previous_of_owner = 0;
}

// act(id, which) may change and re-arm the call, and give the party another owner.
template <typename Act>
void CallTable::for_each_owned(std::uint64_t owner, Act&& act) {
  if (owner == 0) return;
  std::uint32_t place =
      owner_buckets_[owner * 0x9e3779b97f4a7c15 >> 32 & (owner_buckets_.size() - 1)];
  while (place != 0) {
    const CallParty& party = party_at(place);
    const std::uint32_t next = party.next_of_owner;
    const std::uint32_t slot = (place - 1) / 2;
    if (party.owner == owner && calls_.at(slot)->is_live()) {
      act(calls_.id_at(slot), (place - 1) % 2 == 0 ? Party::Caller : Party::Callee);
    }
    place = next;
  }
}

void CallTable::set_party(SlotId id, Party which, const Target& target, std::uint64_t owner,
                          std::uint64_t contact) {
  CallParty& party = calls_.find(id)->party(which);
  party.target = target;
  party.contact = contact;
  if (party.owner != owner) link_owner(id, which, owner);
}

void CallTable::owner_away(std::uint64_t owner, Instant now) {
  for_each_owned(owner, [&](SlotId id, Party which) { party_away(id, which, now); });
}

void CallTable::party_away(SlotId id, Party which, Instant now) {
  CallParty& party = calls_.find(id)->party(which);
  if (party.away) return;
  party.away = true;
  party.away_until = now + times_.grace;
  rearm(id);
}

void CallTable::owner_back(std::uint64_t owner, const Target& target, std::uint64_t contact,
                           Instant now) {
  for_each_owned(owner, [&](SlotId id, Party which) {
    CallParty& party = calls_.find(id)->party(which);
    const bool other_contact = party.contact != 0 && contact != 0 && party.contact != contact;
    if (other_contact && is_websocket(target.transport)) {
      party.replaced = true;
      return party_away(id, which, now);
    }
    const std::uint16_t next_hop = party.target.next_hop;
    party.target = target;
    party.target.next_hop = next_hop;
    party.contact = contact != 0 ? contact : party.contact;
    party.away = party.replaced = false;
    party.away_until = kNever;
    rearm(id);
  });
}

void CallTable::heard_on(SlotId id, Party which, FlowId flow) {
  Call* call = calls_.find(id);
  if (call && flow && flow == call->party(which).target.flow) call->party(which).heard_on = flow;
}

void CallTable::owner_gone(std::uint64_t owner, Instant now) {
  for_each_owned(owner, [&](SlotId id, Party which) {
    CallParty& party = calls_.find(id)->party(which);
    party.away = true;
    party.away_until = std::min(party.away_until, now);
    rearm(id);
  });
}

void CallTable::rename_owner(std::uint64_t from, std::uint64_t to) {
  for_each_owned(from, [&](SlotId id, Party which) { link_owner(id, which, to); });
}

// --- Dialogs -----------------------------------------------------------------------------------

// The oldest dialog that nobody has answered, or that is over. False: there is none.
bool CallTable::drop_unanswered(Call& call) {
  SlotId* oldest = nullptr;
  for (SlotId* at = &call.first_dialog; Dialog* dialog = dialogs_.find(*at); at = &dialog->next) {
    if (dialog->state != DialogState::Confirmed) oldest = at;
  }
  if (!oldest) return false;
  const SlotId id = *oldest;
  *oldest = dialogs_.find(id)->next;
  dialogs_.release(id);
  return true;
}

SlotId CallTable::make_dialog(Call& call, std::string_view callee_value,
                              std::string_view callee_tag) {
  std::uint32_t count = 0;
  for (SlotId id = call.first_dialog; const Dialog* dialog = dialogs_.find(id); id = dialog->next) {
    ++count;
  }
  if (count == kDialogsMax && !drop_unanswered(call)) return {};
  BufferRef value = buffers_.copy(as_bytes(callee_value));
  const SlotId id = value ? dialogs_.take() : SlotId{};
  if (!id) return {};
  Dialog& dialog = *dialogs_.find(id);
  dialog.callee = std::move(value);
  dialog.tag_at = static_cast<std::uint16_t>(offset_in(callee_value, callee_tag));
  dialog.tag_size = static_cast<std::uint16_t>(callee_tag.size());
  dialog.cseq[index_of(Party::Caller)] = call.invite_cseq;
  dialog.remote_target[index_of(Party::Caller)] = call.caller_target;
  dialog.target_proven[index_of(Party::Caller)] = static_cast<bool>(call.caller_target);
  dialog.route_set[index_of(Party::Caller)] = call.caller_routes;
  dialog.offer_answer = call.offer_answer;
  dialog.next = call.first_dialog;
  call.first_dialog = id;
  return id;
}

SlotId CallTable::find_dialog(SlotId id, std::string_view caller_tag,
                              std::string_view callee_tag) const {
  const Call* call = calls_.find(id);
  if (!call || call->caller_tag() != caller_tag) return {};
  for (SlotId at = call->first_dialog; const Dialog* dialog = dialogs_.find(at);
       at = dialog->next) {
    if (dialog->callee_tag() == callee_tag) return at;
  }
  return {};
}

SlotId CallTable::find_dialog(SlotId id, Party from, const sip::Essentials& essentials) const {
  return from == Party::Caller ? find_dialog(id, essentials.from_tag, essentials.to_tag)
                               : find_dialog(id, essentials.to_tag, essentials.from_tag);
}

std::uint32_t CallTable::confirmed_dialogs(SlotId id) const {
  std::uint32_t count = 0;
  const Call* call = calls_.find(id);
  for (SlotId at = call ? call->first_dialog : SlotId{}; const Dialog* dialog = dialogs_.find(at);
       at = dialog->next) {
    if (dialog->state == DialogState::Confirmed) ++count;
  }
  return count;
}

void CallTable::end_dialogs(Call& call) {
  SlotId id = std::exchange(call.first_dialog, {});
  while (const Dialog* dialog = dialogs_.find(id)) {
    const SlotId next = dialog->next;
    dialogs_.release(id);
    id = next;
  }
}

}  // namespace ringway
