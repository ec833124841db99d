#include <benchmark/benchmark.h>

#include <string>

#include "bench/workloads/workload.h"

// Times every workload. Choose with --benchmark_filter=REGEX.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const ringway::bench::Workloads workloads = ringway::bench::make_workloads();
  for (const auto& workload : workloads) {
    benchmark::RegisterBenchmark(
        std::string(workload->name()).c_str(), [work = workload.get()](benchmark::State& state) {
          for (auto _ : state) work->once();
          if (work->bytes() == 0) return;
          state.SetBytesProcessed(static_cast<std::int64_t>(work->bytes()) *
                                  static_cast<std::int64_t>(state.iterations()));
        });
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
