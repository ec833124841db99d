#include "gateway/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace ringway {
namespace {

constexpr unsigned kShardsMax = 64;

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

double smaller(double a, double b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// cgroup v2: our own group's limit and those of the groups above it.
double quota_of_unified(const std::string& group) {
  double quota = 0;
  for (std::filesystem::path path = group;; path = path.parent_path()) {
    quota =
        smaller(quota, parse_cpu_max(first_line("/sys/fs/cgroup" + path.string() + "/cpu.max")));
    if (path == path.parent_path()) return quota;
  }
}

// cgroup v1: two files of the cpu controller, in our own group and in those above it. In a
// container the name of the group is the host's, and the container's own group is at the top.
double quota_of_controller(const std::string& group) {
  double quota = 0;
  for (std::filesystem::path path = group;; path = path.parent_path()) {
    const std::string folder = "/sys/fs/cgroup/cpu" + path.string();
    quota = smaller(quota, parse_cpu_max(first_line(folder + "/cpu.cfs_quota_us") + " " +
                                         first_line(folder + "/cpu.cfs_period_us")));
    if (path == path.parent_path()) return quota;
  }
}

}  // namespace

double parse_cpu_max(std::string_view text) {
  std::istringstream stream{std::string(text)};
  double quota = 0, period = 0;
  if (!(stream >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return quota / period;
}

unsigned Cpus::shards() const {
  unsigned count = static_cast<unsigned>(std::max<std::size_t>(allowed.size(), 1));
  if (quota > 0) count = std::min(count, static_cast<unsigned>(std::max(std::ceil(quota), 1.0)));
  return std::min(count, kShardsMax);
}

Cpus read_cpus() {
  Cpus cpus;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(static_cast<std::size_t>(cpu), &mask)) cpus.allowed.push_back(cpu);
    }
  }
  if (cpus.allowed.empty()) cpus.allowed.push_back(0);
  // proc(5): "0::/group" is cgroup v2, "4:cpu,cpuacct:/group" is v1.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") {
      cpus.quota = smaller(cpus.quota, quota_of_unified(group));
    } else if (controllers.find(",cpu,") != controllers.npos) {
      cpus.quota = smaller(cpus.quota, quota_of_controller(group));
    }
  }
  return cpus;
}

}  // namespace ringway
