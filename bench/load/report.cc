#include <dirent.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/load/run.h"

namespace ringway::load {
namespace {

constexpr double kSaturated = 0.85;
constexpr std::uint64_t kLateMax = 100'000;  // a spinning generator is always busy, but not late

unsigned long long number(std::uint64_t value) {
  return value;
}
double us(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) * 1e-3;
}

double rate_of(const Statistics& statistics, const Result& result) {
  return result.duration_s > 0 ? static_cast<double>(statistics.completed) / result.duration_s : 0;
}

void write_latency(std::FILE* out, const char* name, const Histogram& latency) {
  std::fprintf(out,
               "  \"%s\": {\"count\": %llu, \"mean\": %.1f, \"p50\": %.1f, \"p90\": %.1f, "
               "\"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f},\n",
               name, number(latency.count()), us(latency.mean()), us(latency.percentile(0.5)),
               us(latency.percentile(0.9)), us(latency.percentile(0.99)),
               us(latency.percentile(0.999)), us(latency.max()));
}

void print_latency(const char* name, const Histogram& latency) {
  if (latency.count() == 0) return;
  std::printf("%-14s p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f us\n", name,
              us(latency.percentile(0.5)), us(latency.percentile(0.9)),
              us(latency.percentile(0.99)), us(latency.percentile(0.999)), us(latency.max()));
}

}  // namespace

bool was_limit(const Options& options, const Result& result) {
  if (options.spin) return result.lateness.percentile(0.99) > kLateMax;
  return result.generator_cpu > kSaturated;
}

CpuUse cpu_use(const std::vector<int>& pids) {
  CpuUse use;
  for (const int pid : pids) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/task";
    DIR* tasks = opendir(folder.c_str());
    if (tasks == nullptr) continue;
    while (const dirent* task = readdir(tasks)) {
      if (task->d_name[0] == '.') continue;
      std::FILE* file = std::fopen((folder + "/" + task->d_name + "/schedstat").c_str(), "r");
      if (file == nullptr) continue;
      unsigned long long running = 0;
      unsigned long long waiting = 0;
      if (std::fscanf(file, "%llu %llu", &running, &waiting) == 2) {
        use.threads[std::atoi(task->d_name)] = {static_cast<double>(running) * 1e-9,
                                                static_cast<double>(waiting) * 1e-9};
      }
      std::fclose(file);
    }
    closedir(tasks);
  }
  return use;
}

double running_between(const CpuUse& before, const CpuUse& after) {
  double running = 0;
  for (const auto& [id, thread] : after.threads) {
    const auto known = before.threads.find(id);
    running += thread.running_s - (known != before.threads.end() ? known->second.running_s : 0);
  }
  return running;
}

double waiting_between(const CpuUse& before, const CpuUse& after) {
  double running_most = -1, waiting = 0;
  for (const auto& [id, thread] : after.threads) {
    const auto known = before.threads.find(id);
    const CpuUse::Thread since = known != before.threads.end() ? known->second : CpuUse::Thread{};
    if (thread.running_s - since.running_s <= running_most) continue;
    running_most = thread.running_s - since.running_s;
    waiting = thread.waiting_s - since.waiting_s;
  }
  return waiting;
}

void print_summary(const Options& options, const Statistics& statistics, const Result& result) {
  if (options.json == "-") return;
  std::printf("%s over %s: %llu done in %.2f s, %.0f a second\n", mode_name(options.mode),
              transport_name(options.transport), number(statistics.completed), result.duration_s,
              rate_of(statistics, result));
  std::printf(
      "%-14s %llu  refused %llu  sent again %llu  strays %llu  failed flows %llu"
      "  not started %llu\n",
      "lost", number(statistics.lost), number(statistics.refused),
      number(statistics.retransmissions), number(statistics.strays),
      number(statistics.flow_failures), number(statistics.skipped));
  for (const auto& [status, count] : statistics.statuses) {
    std::printf("%-14d %llu\n", status, number(count));
  }
  print_latency("latency", statistics.first);
  print_latency("BYE", statistics.bye);
  print_latency("started late", result.lateness);
  if (options.resume) std::printf("%-14s %llu\n", "resumed", number(statistics.resumed));
  if (options.mode == Mode::Storm) {
    if (result.recovered_s > 0) {
      std::printf("all %u flows registered again after %.2f s\n", result.open_flows,
                  result.recovered_s);
    } else {
      std::printf("only %u flows came back\n", result.open_flows);
    }
  }
  std::printf(
      "%-14s %.0f %% of a core%s\n", "generator", result.generator_cpu * 100,
      was_limit(options, result) ? ": SATURATED, the figures may be the generator's own" : "");
  if (!options.server_pids.empty() && statistics.completed > 0) {
    std::printf("%-14s %.0f %% of a core, %.2f us for each\n", "server",
                result.server_cpu_s / result.duration_s * 100,
                result.server_cpu_s * 1e6 / static_cast<double>(statistics.completed));
  }
}

void write_json(const Options& options, const Statistics& statistics, const Result& result) {
  std::FILE* out = options.json == "-" ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) {
    std::fprintf(stderr, "ringway-load: cannot write %s\n", options.json.c_str());
    std::exit(1);
  }
  std::fprintf(out,
               "{\n  \"mode\": \"%s\",\n  \"transport\": \"%s\",\n  \"flows\": %u,\n"
               "  \"concurrency\": %u,\n  \"offered_rate\": %.1f,\n  \"duration_s\": %.4f,\n",
               mode_name(options.mode), transport_name(options.transport), options.flows,
               options.concurrency, options.rate, result.duration_s);
  std::fprintf(
      out,
      "  \"started\": %llu,\n  \"completed\": %llu,\n  \"rate\": %.1f,\n  \"lost\": %llu,\n"
      "  \"refused\": %llu,\n  \"retransmissions\": %llu,\n  \"strays\": %llu,\n"
      "  \"flow_failures\": %llu,\n  \"skipped\": %llu,\n  \"resumed\": %llu,\n",
      number(statistics.started), number(statistics.completed), rate_of(statistics, result),
      number(statistics.lost), number(statistics.refused), number(statistics.retransmissions),
      number(statistics.strays), number(statistics.flow_failures), number(statistics.skipped),
      number(statistics.resumed));
  std::fprintf(out, "  \"statuses\": {");
  const char* separator = "";
  for (const auto& [status, count] : statistics.statuses) {
    std::fprintf(out, "%s\"%d\": %llu", separator, status, number(count));
    separator = ", ";
  }
  std::fprintf(out, "},\n");
  write_latency(out, "latency_us", statistics.first);
  write_latency(out, "bye_us", statistics.bye);
  write_latency(out, "late_us", result.lateness);
  std::fprintf(out,
               "  \"open_flows\": %u,\n  \"ready_s\": %.3f,\n  \"recovered_s\": %.3f,\n"
               "  \"answered\": %llu,\n  \"generator_cpu\": %.4f,\n  \"saturated\": %s,\n"
               "  \"generator_wait\": %.4f,\n  \"server_cpu_s\": %.6f,\n"
               "  \"server_wait_s\": %.6f,\n  \"intervals\": [",
               result.open_flows, result.ready_s, result.recovered_s, number(result.answered),
               result.generator_cpu, was_limit(options, result) ? "true" : "false",
               result.generator_wait, result.server_cpu_s, result.server_wait_s);
  separator = "";
  for (const Interval& interval : result.intervals) {
    std::fprintf(
        out,
        "%s\n    {\"completed\": %llu, \"lost\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, "
        "\"max_us\": %.1f}",
        separator, number(interval.completed), number(interval.lost), us(interval.p50),
        us(interval.p99), us(interval.max));
    separator = ",";
  }
  std::fprintf(out, "\n  ]\n}\n");
  if (out != stdout) std::fclose(out);
}

}  // namespace ringway::load
