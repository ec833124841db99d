#include "gateway/filter/filter.h"
#include "bench/workloads/workload.h"
#include "gateway/filter/rules_file.h"

namespace ringway::bench {
namespace {

// The built-in signatures against a legitimate message: what every request pays.
class Filter : public Workload {
 public:
  Filter() : rules_(parse_rules(built_in_rules()).rules) {
    require(!rules_.rules().empty(), "filter: no rules");
  }
  std::string_view name() const override { return "filter_invite"; }
  std::size_t bytes() const override { return invite().size(); }
  void once() override {
    require(!rules_.judge(as_bytes(invite()), source_, local_).matched(),
            "filter: caught a browser");
  }

 private:
  FilterRules rules_;
  Address source_{}, local_{};
};

}  // namespace

void add_filter(Workloads& workloads) {
  workloads.push_back(std::make_unique<Filter>());
}

}  // namespace ringway::bench
