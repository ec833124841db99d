#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/base/outbox.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/transport.h"

namespace ringway {

// Who waits in a shard for which name. The control thread is asked once for each question, however
// many requests need the answer, and the one answer goes to all of them.
class NameWaits {
 public:
  static constexpr std::size_t kQuestionsMax = 256;

  // tickets_max: how many may wait at one time, all questions together.
  explicit NameWaits(std::uint32_t tickets_max);

  enum class Outcome : std::uint8_t {
    Ask,     // the first for this question: the control thread is to be asked
    Joined,  // it has been asked already
    Full,    // no place for the question or the ticket
  };
  struct Added {
    Outcome outcome = Outcome::Full;
    std::uint64_t question = 0;  // names it in ResolveName and Resolved
  };
  // output: of kind Resolve.
  Added add(const Output& output);

  // Calls take(Ticket) for everybody who waits for that question, in order, and forgets it.
  template <typename Take>
  void answer(std::uint64_t question, Take&& take) {
    Question& found = questions_[question % kQuestionsMax];
    if (!found.used || found.generation != question / kQuestionsMax) return;
    std::uint32_t at = found.first;
    found.used = false;
    while (at != 0) {
      Waiting& waiting = waiting_[at];
      const std::uint32_t next = waiting.next;
      const Ticket ticket = waiting.ticket;
      waiting = {0, free_};
      free_ = at;
      --count_;
      take(ticket);
      at = next;
    }
  }

  std::uint32_t waiting() const { return count_; }

 private:
  struct Question {
    bool used = false, transport_given = false, secure = false;
    Transport transport = Transport::Udp;
    std::uint16_t port = 0;
    std::uint8_t name_size = 0;
    std::array<char, 255> name{};
    std::uint64_t generation = 0;
    std::uint32_t first = 0, last = 0;  // places in waiting_; 0: none
  };
  struct Waiting {
    Ticket ticket;
    std::uint32_t next;  // in its question's list, or in that of free places
  };
  static bool is_same(const Question& question, const Output& output);

  std::array<Question, kQuestionsMax> questions_{};
  ReservedArray<Waiting> waiting_;  // place 0 is not used
  std::uint32_t free_ = 0, carved_ = 0;
  std::uint32_t count_ = 0;  // count_ < waiting_.size()
};

}  // namespace ringway
