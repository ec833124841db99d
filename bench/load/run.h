#pragma once

#include <map>
#include <memory>
#include <vector>

#include "bench/load/agent.h"
#include "bench/load/answering_side.h"
#include "bench/load/histogram.h"
#include "bench/load/loop.h"
#include "bench/load/options.h"
#include "bench/load/scanner.h"
#include "bench/load/statistics.h"

namespace ringway::load {

struct Result {
  double duration_s = 0;      // of the measured window
  double generator_cpu = 0;   // share of one core
  double generator_wait = 0;  // share of the time in which it was ready but had no core
  double server_cpu_s = 0;    // of --server-pid
  double server_wait_s = 0;   // in which its busiest thread was ready to run without a core
  double ready_s = 0;         // until all flows were open, and registered if asked
  double recovered_s = 0;     // storm: from the drop until all were registered again; 0: not
  unsigned open_flows = 0;
  std::uint64_t answered = 0;  // requests at the answering side
  Histogram lateness;          // open loop: of a unit's start behind its due moment
  std::vector<Interval> intervals;
};

// What the threads of some processes have used, by the scheduler's own accounting.
struct CpuUse {
  struct Thread {
    double running_s = 0;
    double waiting_s = 0;  // ready to run while others had the core
  };
  std::map<int, Thread> threads;  // by thread id
};
CpuUse cpu_use(const std::vector<int>& pids);
double running_between(const CpuUse& before, const CpuUse& after);
// Of the thread that ran most. Threads that seldom have anything to do wait for it where they share
// its core, which says nothing of others.
double waiting_between(const CpuUse& before, const CpuUse& after);

// One run from opening the flows to the result.
class Run {
 public:
  explicit Run(const Options& options);

  // Returns the program's exit status: 0, or 1 if nothing was completed.
  int run();

 private:
  enum class Phase { Opening, Warmup, Measure, Drain, Over };

  void on_millisecond();
  void on_prepare();
  void on_second(std::uint64_t now);
  void open_more(std::uint64_t now);
  bool all_ready() const;
  void enter(Phase phase, std::uint64_t now);
  void start_load(std::uint64_t now);
  void start_due(std::uint64_t now);
  void arm_pacer();
  void begin_window(std::uint64_t now);
  void end_window(std::uint64_t now);
  void report();

  const Options& options_;
  Loop loop_;
  std::unique_ptr<AnsweringSide> answering_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<Scanner> scanner_;
  uv_timer_t timer_{};
  uv_poll_t pacer_{};
  uv_prepare_t prepare_{};
  uv_idle_t spinner_{};  // its presence keeps the loop from sleeping
  uv_signal_t signals_[2]{};
  int pacer_fd_ = -1;
  Phase phase_ = Phase::Opening;
  std::uint64_t started_ = 0;
  std::uint64_t phase_since_ = 0;
  std::uint64_t ready_at_ = 0;  // for delay_s
  std::uint64_t window_started_ = 0;
  std::uint64_t load_started_ = 0;  // open loop: moment of unit 0
  std::uint64_t issued_ = 0;        // open loop: units started since
  std::uint64_t next_burst_ = 0;
  std::uint64_t opened_ = 0;  // connections opened at --rate since opening_since_
  std::uint64_t opening_since_ = 0;
  std::uint64_t next_second_ = 0;
  std::uint64_t next_tick_ = 0;
  std::uint64_t interval_completed_ = 0;
  std::uint64_t interval_lost_ = 0;
  double own_cpu_ = 0;
  CpuUse own_use_, server_use_;
  std::uint64_t dropped_at_ = 0;  // storm
  Result result_;
};

// report.cc
// True if the generator may have been what limited rate and latency.
bool was_limit(const Options& options, const Result& result);
void print_summary(const Options& options, const Statistics& statistics, const Result& result);
void write_json(const Options& options, const Statistics& statistics, const Result& result);

}  // namespace ringway::load
