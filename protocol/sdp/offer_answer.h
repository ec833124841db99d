#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

// Which description of a dialog is an offer and which an answer (RFC 3264, RFC 6337), as somebody
// between the two ends sees them pass. What is outstanding decides, never the method alone.
//
//       offer in                answer in
//    1  INVITE                  2xx to INVITE                 RFC 3261 13.2.1, 14
//    2  2xx to INVITE           ACK                           RFC 3261 13.2.1
//    3  INVITE                  reliable 1xx                  RFC 3262 5
//    4  reliable 1xx            PRACK                         RFC 3262 5
//    5  PRACK                   2xx to PRACK                  RFC 3262 5
//    6  UPDATE                  2xx to UPDATE                 RFC 3311 5
//
//                  offer                       answer
//      ┌────────┐ ─────────▶ ┌─────────────┐ ─────────▶ agreed pair is this one ──▶ back to Idle
//      │  Idle  │            │ Outstanding │
//      └────────┘ ◀───────── └─────────────┘ ⟲ preview: an answer in an unreliable 1xx
//                  refused, or never answered: agreed pair stays the one before
//
// The machine holds no descriptions. Its owner keeps three pairs of texts at most: agreed, offered,
// previewed; what it has to do with them is the Action.

namespace ringway::sdp {

// The two ends of a dialog, named by the INVITE that created it.
enum class End : std::uint8_t { Caller, Callee };
constexpr End other(End end) {
  return end == End::Caller ? End::Callee : End::Caller;
}

// What carries a description, or could have carried one.
enum class Carrier : std::uint8_t {
  Invite,
  Provisional,          // 101 to 199 to INVITE, without RSeq
  ReliableProvisional,  // with Require: 100rel and RSeq (RFC 3262)
  InviteSuccess,        // 2xx
  Ack,
  Prack,
  PrackSuccess,
  Update,
  UpdateSuccess,
};

struct Passage {
  End from = End::Caller;  // who sent this message; a response's `from` is the one who answers
  Carrier carrier = Carrier::Invite;
  std::uint32_t cseq = 0;  // of the request, or of the request that is answered
  bool described = false;  // has a session description
};

enum class Action : std::uint8_t {
  // No description, nothing changes. Pass it on.
  None,
  // Tell the relay an offer by passage.from.
  Offer,
  // Tell the relay an answer by passage.from. The pair is agreed now.
  Answer,
  // An answer that may still be another: tell the relay, but the agreed pair stays (RFC
  // 3261 13.2.1).
  Preview,
  // Without a description of its own this message makes the last preview the answer.
  Settle,
  // A description that the receiver ignores, because the exchange it belonged to is over or stands
  // (RFC 6337 3.1.1: the same answer again in the 2xx; a retransmitted 2xx or ACK). Send what the
  // relay made of the earlier one; do not ask it again.
  Repeat,
  // A description at a place where none may be. Pass the message on without it.
  Misplaced,
  // Do not pass this request on; it was not counted. Answer 491 (RFC 3261 14.2, RFC 3311 5.2).
  Glare,
  // The same, because its sender's own offer or INVITE is outstanding. Answer 500 with a random
  // Retry-After of 0 to 10 seconds.
  Busy,
  // The outstanding offer is void. Tell the relay the agreed pair again, if agreed() (RFC 3261
  // 14.1); if not, there is no session. Pass the message on.
  Return,
};
std::string_view to_text(Action action);

// One for each dialog. A value: the machine that has seen only the INVITE is copied for each new To
// tag (RFC 3261 12.1, forks), and each copy goes its own way. Bounded, no allocation; any sequence
// of calls is allowed, because strangers choose it.
class OfferAnswer {
 public:
  // A request, a 1xx or a 2xx on its way through. Retransmissions that a transaction absorbs need
  // not come here; those of 2xx and ACK may.
  [[nodiscard]] Action pass(const Passage& passage);

  // The request (Invite, Prack or Update) with this cseq that `by` sent has a final response from
  // 300 to 699, or none in time. None or Return. What was answered reliably within a refused INVITE
  // stands (RFC 6141 3.2).
  [[nodiscard]] Action refused(End by, Carrier request, std::uint32_t cseq);

  // There was at least one offer with its answer.
  bool agreed() const { return agreed_; }
  // Who made the offer that has no answer yet.
  std::optional<End> outstanding() const {
    return offer_.open ? std::optional(offer_.by) : std::nullopt;
  }
  // That offer has an answer in an unreliable 1xx.
  bool previewed() const { return offer_.open && offer_.previewed; }

 private:
  struct Offer {
    End by = End::Caller;
    Carrier carrier = Carrier::Invite;
    std::uint32_t cseq = 0;  // of carrier's transaction
    bool open = false;
    bool previewed = false;
  };
  // The last INVITE of one end.
  struct Invite {
    std::uint32_t cseq = 0;
    bool seen = false;
    bool pending = false;    // no final response yet
    bool exchanged = false;  // an offer was made in it, by either end
  };

  Action pass_invite(const Passage& passage);
  Action pass_update(const Passage& passage);
  Action pass_prack(const Passage& passage);
  Action pass_invite_response(const Passage& passage);
  Action pass_ack(const Passage& passage);
  Action pass_other_success(const Passage& passage, Carrier request);

  Action open(const Passage& passage);
  Action close();
  Action void_offer();
  bool is_offer_of(Carrier carrier, End by, std::uint32_t cseq) const;
  // The end that has an offer outstanding, or owes one as the answerer of an INVITE without.
  std::optional<End> bound() const;
  Invite& invite_of(End end) { return invites_[static_cast<std::size_t>(end)]; }
  const Invite& invite_of(End end) const { return invites_[static_cast<std::size_t>(end)]; }

  Offer offer_;
  std::array<Invite, 2> invites_;
  bool agreed_ = false;
};

}  // namespace ringway::sdp
