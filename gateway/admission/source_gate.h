#pragma once

#include <memory>

#include "gateway/admission/bans.h"
#include "gateway/admission/source_lists.h"
#include "gateway/base/counters.h"

namespace ringway {

// The door of one shard: may this address speak at all? It is asked before anything is read.
class SourceGate {
 public:
  // Open to everybody, and tells nobody.
  SourceGate() = default;
  // Both outlive the gate.
  SourceGate(Bans& bans, ShardIndex shard, Counters& counters)
      : bans_(&bans), counters_(&counters), shard_(shard) {}

  // null: none.
  void publish(std::shared_ptr<const SourceLists> lists) { lists_ = std::move(lists); }
  // false: no bans; block-lists still hold.
  void set_enabled(bool enabled) { enabled_ = enabled; }

  // Banned: for what somebody at that address did. Blocked: because an administrator wants it.
  enum class Answer : std::uint8_t { Open, Banned, Blocked };
  // The allow-list comes first. by: what the address speaks by.
  Answer ask(const Address& address, BanScope by, Instant now) const {
    if (lists_ && lists_->allow.contains(address)) return Answer::Open;
    if (lists_ && lists_->block.contains(address)) return Answer::Blocked;
    if (!enabled_ || !bans_) return Answer::Open;
    const SourceKey source = source_key(address);
    if (!bans_->table().is_banned(source, by, now)) return Answer::Open;
    return bans_->table().is_commanded(source) ? Answer::Blocked : Answer::Banned;
  }
  bool is_allowed(const Address& address) const {
    return lists_ && lists_->allow.contains(address);
  }

  // Tells the judge. Lost, and counted, if it cannot keep up.
  void report(const Evidence& evidence) {
    if (!bans_ || !enabled_) return;
    counters_->evidence_reported.add();
    if (!bans_->report(shard_, evidence)) counters_->evidence_lost.add();
  }

 private:
  Bans* bans_ = nullptr;
  Counters* counters_ = nullptr;
  std::shared_ptr<const SourceLists> lists_;
  ShardIndex shard_ = 0;
  bool enabled_ = true;
};

}  // namespace ringway
