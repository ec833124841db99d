#pragma once

#include <string_view>
#include <vector>

namespace ringway {

// What of this machine the process may use.
struct Cpus {
  std::vector<int> allowed;  // by the affinity mask (taskset, CPUAffinity=, cpusets); never empty
  double quota = 0;  // CPUs' worth of time by cgroup (CPUQuota=, docker --cpus); 0: no limit

  // One shard for each CPU, but no more than the quota pays for, rounded up; 1..64.
  unsigned shards() const;
};

Cpus read_cpus();

// The quota in the text of a cgroup v2 cpu.max, "150000 100000"; 0 for "max" or what is no quota.
double parse_cpu_max(std::string_view text);

}  // namespace ringway
