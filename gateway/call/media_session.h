#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/slot_table.h"
#include "gateway/call/party.h"

namespace ringway {

// What the media relay is asked for a call.
enum class MediaCommand : std::uint8_t { Offer, Answer, Delete };

// The media of one call at its relay: what was told, in which order, and what both sides last
// agreed on. Sans-IO: next() says what to send, completed() takes what came back.
//
//             offer()             answer's reply, or settle()
//    Idle ------------> Offered ------------------------------> Agreed --+
//     |                    |                                      ^  |   | offer()
//     |                    |  refused(): nothing was agreed       |  |   v
//     |                    +-----> Idle       refused(): restored |  | Offered
//     |                    |                  <-------------------+--+
//     ^                    |                                      |
//     +------- drop() -----+--------------------------------------+
//     +---- end() ---------+------------- end() ------------------+-----------> Ended
//
// One command is at the relay at a time, in the order in which they were asked for, so that no
// answer overtakes its offer. Delete goes last and once; after end() nothing else is sent, whatever
// comes late.
class MediaSession {
 public:
  enum class State : std::uint8_t { Idle, Offered, Agreed, Ended };
  static constexpr std::size_t kWaitingMax = 6;

  struct Step {
    MediaCommand command = MediaCommand::Delete;
    Party from = Party::Caller;  // whose description it is; its tag is relay_tag(from)
    bool restores = false;       // says again what was agreed before; nobody waits for it
    bool preview = false;        // an answer that may still be another (RFC 3261 13.2.1)
    SlotId owner;                // the request that waits for it; empty: nobody
    BufferRef description;
  };

  // False: too much waits already; the caller refuses or goes on without.
  [[nodiscard]] bool offer(Party from, BufferRef description, SlotId owner);
  // preview: the offer stays outstanding, until another answer, settle() or refused().
  [[nodiscard]] bool answer(Party from, BufferRef description, SlotId owner, bool preview = false);
  // The last preview is the answer, for nothing else came.
  void settle();
  // The offer that is outstanding was refused, or its request came to nothing: back to the last
  // agreed pair, at the relay too (RFC 3261 14.1, RFC 6337 3.4).
  void refused();
  // Nobody needs what the relay holds so far; the next offer begins anew.
  void drop();
  // The call is over: what waits is given up, Delete follows if the relay knows of the session.
  void end();
  // After end() or drop(), each once: a request that waited and will have no description from here.
  std::optional<SlotId> next_abandoned();

  // What to send now, or nullptr: nothing waits or the relay still has the one before.
  const Step* next() const;
  void sent() { at_relay_ = true; }
  // The one that was sent and has no reply; nullptr: there is none.
  const Step* current() const { return at_relay_ ? &steps_[0] : nullptr; }
  // It goes to another relay: next() gives it again.
  void send_again() { at_relay_ = false; }
  // The command that was sent has its reply: ok with the description that the relay wrote for the
  // other side (empty for Delete), or not. Gives the step back.
  Step completed(bool ok, BufferRef written);
  // Whoever waited is gone: its steps stay in order, for nobody.
  void forget_owner(SlotId owner);

  State state() const { return state_; }
  // The relay may hold something of this call.
  bool at_relay() const { return known_; }
  bool is_busy() const { return at_relay_ || count_ != 0; }
  bool has_offer_from(Party party) const { return state_ == State::Offered && offerer_ == party; }
  // The last description that was written for party by the relay and agreed; empty before. It is
  // what the party hears again where the relay says nothing (RFC 3264 8: no change).
  const BufferRef& last_for(Party party) const { return written_[index_of(party)]; }

  // What party has offered last, as it wrote it: the offer that is outstanding, else the agreed
  // one.
  const BufferRef& offered_by(Party party) const {
    return has_offer_from(party) ? proposed_[index_of(party)]
                                 : agreed_descriptions_[index_of(party)];
  }

  // Which of the configured relays; stays for the life of the call.
  std::uint8_t relay = 0;
  bool used = false;  // this call's descriptions pass the relay

  // After a restart: the relay has a session of ours that nobody remembers.
  void adopt() {
    known_ = true;
    state_ = State::Agreed;
  }

 private:
  bool push(Step step);
  void agree(Party answerer);

  State state_ = State::Idle;
  bool at_relay_ = false;  // steps_[0] was sent and has no reply
  bool known_ = false;
  bool agreed_ = false;  // agreed_descriptions_ holds a pair
  Party offerer_ = Party::Caller, agreed_offerer_ = Party::Caller;
  std::uint8_t count_ = 0;  // count_ <= kWaitingMax
  std::array<Step, kWaitingMax> steps_;
  // As the sides wrote them: the pair under negotiation and the one agreed. By Party.
  std::array<BufferRef, 2> proposed_, agreed_descriptions_;
  std::array<BufferRef, 2> proposed_written_, written_;
  std::uint8_t abandoned_count_ = 0;  // <= kWaitingMax
  std::array<SlotId, kWaitingMax> abandoned_;
};

}  // namespace ringway
