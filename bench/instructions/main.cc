#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/workloads/workload.h"

// Runs one workload so often that callgrind can count it: bench/instructions/check starts it with
// collection limited to measured(), so that nothing of the start-up counts.

namespace ringway::bench {

constexpr int kWarmup = 50;
constexpr int kCount = 200;

[[gnu::noinline]] void measured(Workload& workload) {
  for (int i = 0; i < kCount; ++i) workload.once();
}

}  // namespace ringway::bench

int main(int argc, char** argv) {
  using namespace ringway::bench;
  const Workloads workloads = make_workloads();
  if (argc != 2) {
    for (const auto& workload : workloads) {
      if (!workload->is_repeatable()) continue;
      std::printf("%.*s\t%d\n", static_cast<int>(workload->name().size()), workload->name().data(),
                  kCount);
    }
    return 0;
  }
  for (const auto& workload : workloads) {
    if (workload->name() != std::string_view(argv[1])) continue;
    for (int i = 0; i < kWarmup; ++i) workload->once();
    measured(*workload);
    return 0;
  }
  std::fprintf(stderr, "bench-instructions: no workload of that name\n");
  return 2;
}
