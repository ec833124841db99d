#include "bench/workloads/workload.h"
#include "gateway/admission/budgets.h"
#include "gateway/admission/source_gate.h"
#include "gateway/filter/filter.h"
#include "gateway/filter/rules_file.h"

namespace ringway::bench {
namespace {

constexpr HashKey kKey{1, 2};

// All that a legitimate request of a known phone pays at the door: the ban table with 100,000 bans
// in force, the shipped signatures on 1,000 bytes, and the budget of its flow.
class Door : public Workload {
 public:
  Door() : rules_(parse_rules(built_in_rules()).rules), bans_(1u << 20, kKey, 1) {
    for (std::uint32_t i = 0; i < 100'000; ++i) {
      const SourceKey source{(std::uint64_t{0xffff'ffff} << 32) | (0x0b00'0000u + i)};
      bans_.table().put({source, BanScope::Everything, BanCause::Failures, 0, now_, now_ + 3'600s},
                        now_);
    }
    gate_.set_enabled(true);
    // Headers that phones write, up to 1,000 bytes.
    message_ = invite();
    const std::size_t at = message_.find("\r\n\r\n") + 2;
    std::string more = "Allow-Events: talk,hold,conference,refer,check-sync\r\n";
    const std::size_t fixed = message_.size() + more.size() + 11;
    if (fixed < kBytes) more += "Subject: " + std::string(kBytes - fixed, 'a') + "\r\n";
    message_.insert(at, more);
    message_.resize(kBytes, ' ');
    budgets_.refused({source_, kFlow, 0, false, false}, Budgets::End::Success, now_);
  }
  std::string_view name() const override { return "admission_invite"; }
  std::size_t bytes() const override { return message_.size(); }
  bool is_repeatable() const override { return false; }
  void once() override {
    now_ += 100ms;
    if (now_ > started_ + 3'000s) now_ = started_;
    require(gate_.ask(address_, BanScope::Datagrams, now_) == SourceGate::Answer::Open,
            "admission: banned");
    require(!rules_.judge(as_bytes(message_), address_, local_).matched(),
            "admission: caught a browser");
    require(budgets_.ask({source_, kFlow, 0, false, false}, now_) == Budgets::Verdict::Pass,
            "admission: over budget");
  }

 private:
  static constexpr std::size_t kBytes = 1'000;
  static constexpr std::uint64_t kFlow = 4711;

  const Instant started_ = Instant(1'000s);
  Instant now_ = started_;
  FilterRules rules_;
  Bans bans_;
  Counters counters_;
  SourceGate gate_{bans_, 0, counters_};
  BudgetsConfig settings_;
  Budgets budgets_{settings_, kKey};
  Address address_ = *parse_address("198.51.100.7");
  Address local_ = *parse_address("192.0.2.1");
  SourceKey source_ = source_key(address_);
  std::string message_;
};

}  // namespace

void add_admission(Workloads& workloads) {
  workloads.push_back(std::make_unique<Door>());
}

}  // namespace ringway::bench
