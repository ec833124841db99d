#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/slot_table.h"
#include "gateway/tunnel/cookie.h"
#include "protocol/base/time.h"

namespace ringway::tunnel {

// A request that went into the tunnel and waits for its answer.
struct Pending {
  SlotId source;              // who asked
  std::uint16_t link = 0;     // the connection that it went down
  std::uint32_t message = 0;  // which message of that
  Encoding encoding = Encoding::Text;
  bool answered = false;  // another copy of it was answered since
  Instant since{};

  // The cookie as the controller wrote it and as it was sent.
  void set_cookies(std::string_view own, std::string_view sent);
  std::string_view own() const { return own_; }
  std::string_view sent() const { return {sent_.data(), sent_size_}; }

 private:
  std::string own_;  // at most kCookieBytesMax; those of SIP servers need no memory of their own
  std::array<char, kSentCookieBytesMax> sent_;
  std::uint8_t sent_size_ = 0;
};

// All requests that wait, each copy of a retransmitted one by itself: every datagram has one
// answer. Found by source and sent cookie; the oldest of several is answered first.
//
// Bound: capacity; add() then refuses.
class PendingTable {
 public:
  // capacity: 1..65,536.
  PendingTable(std::uint32_t capacity, const HashKey& key);

  // False if the table is full.
  bool add(const Pending& pending);
  // Takes the oldest out and marks the other copies as answered. False: nobody waits for it.
  bool take(SlotId source, std::string_view sent, Pending& out);

  // All copies count as answered from now on.
  void mark_answered(SlotId source, std::string_view sent);

  // The oldest of all; nullptr if there is none.
  const Pending* oldest() const;
  Pending take_oldest();
  // Takes out all that satisfy condition, oldest first, and calls work(pending) for each.
  template <typename Condition, typename Work>
  void take_if(Condition&& condition, Work&& work) {
    for (std::uint32_t slot = first_; slot != kNone;) {
      Node& node = *nodes_.at(slot);
      const std::uint32_t next = node.newer;
      if (condition(node.pending)) {
        const Pending pending = node.pending;
        remove(slot);
        work(pending);
      }
      slot = next;
    }
  }

  std::uint32_t size() const { return nodes_.size(); }

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  struct Node {
    Pending pending;
    std::uint32_t bucket = 0;
    std::uint32_t chain = kNone;                 // the next older one in its bucket
    std::uint32_t older = kNone, newer = kNone;  // of all
  };

  std::uint32_t bucket_of(SlotId source, std::string_view sent) const;
  void remove(std::uint32_t slot);

  SlotTable<Node> nodes_;
  std::vector<std::uint32_t> buckets_;  // the newest of each
  HashKey key_;
  std::uint32_t first_ = kNone, last_ = kNone;  // oldest and newest
};

}  // namespace ringway::tunnel
