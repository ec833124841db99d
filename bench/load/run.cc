#include "bench/load/run.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace ringway::load {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kTick = 100'000'000;
constexpr std::uint64_t kOpeningTimeout = 60 * kSecond;
constexpr std::uint64_t kDrainTimeout = 3 * kSecond;
constexpr std::uint64_t kPaceMin = 50'000;  // a pacer that wakes more often only heats the core

double own_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double seconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) * 1e-9;
}

bool is_connection_mode(Mode mode) {
  return mode == Mode::Idle || mode == Mode::Storm || mode == Mode::Handshake;
}

}  // namespace

Run::Run(const Options& options) : options_(options) {
  if (options.answer_udp.size + options.answer_tcp.size + options.answer_tls.size != 0 ||
      options.mode != Mode::Serve) {
    answering_ = std::make_unique<AnsweringSide>(loop_, options);
  }
  if (options.mode == Mode::Scanner) {
    scanner_ = std::make_unique<Scanner>(loop_, options);
  } else if (options.mode != Mode::Serve) {
    agent_ = std::make_unique<Agent>(loop_, options, answering_.get());
    agent_->register_flows =
        options.register_first || options.mode == Mode::Idle || options.mode == Mode::Storm;
    agent_->handshake_only = options.mode == Mode::Handshake;
    agent_->closed_loop = options.mode == Mode::Handshake && options.rate <= 0;
  }
}

int Run::run() {
  uv_timer_init(loop_.get(), &timer_);
  timer_.data = this;
  uv_timer_start(
      &timer_, [](uv_timer_t* t) { static_cast<Run*>(t->data)->on_millisecond(); }, 0, 1);
  uv_prepare_init(loop_.get(), &prepare_);
  prepare_.data = this;
  uv_prepare_start(&prepare_, [](uv_prepare_t* p) { static_cast<Run*>(p->data)->on_prepare(); });
  if (options_.spin) {
    uv_idle_init(loop_.get(), &spinner_);
    uv_idle_start(&spinner_, [](uv_idle_t*) {});
  }
  for (int i = 0; i < 2; ++i) {
    uv_signal_init(loop_.get(), &signals_[i]);
    signals_[i].data = this;
    uv_signal_start(
        &signals_[i],
        [](uv_signal_t* s, int) {
          auto& self = *static_cast<Run*>(s->data);
          if (self.options_.mode == Mode::Serve || self.phase_ == Phase::Opening) {
            self.enter(Phase::Over, now_ns());
          } else if (self.phase_ != Phase::Drain) {
            self.enter(Phase::Drain, now_ns());
          }
        },
        i == 0 ? SIGINT : SIGTERM);
  }
  pacer_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  uv_poll_init(loop_.get(), &pacer_, pacer_fd_);
  pacer_.data = this;
  uv_poll_start(&pacer_, UV_READABLE, [](uv_poll_t* p, int, int) {
    std::uint64_t expirations;
    [[maybe_unused]] const ssize_t got =
        read(static_cast<Run*>(p->data)->pacer_fd_, &expirations, sizeof expirations);
  });
  started_ = phase_since_ = opening_since_ = now_ns();
  next_second_ = started_ + kSecond;
  if (options_.mode == Mode::Serve) {
    uv_timer_stop(&timer_);  // nothing to do but answer
    std::puts("ringway-load: answering");
    std::fflush(stdout);
  }
  loop_.run();
  if (options_.mode == Mode::Serve) {
    std::printf("{\"requests\": %llu}\n", static_cast<unsigned long long>(answering_->requests()));
    return 0;
  }
  report();
  if (scanner_ != nullptr || options_.mode == Mode::Idle) return 0;
  return agent_->statistics().completed > 0 ? 0 : 1;
}

bool Run::all_ready() const {
  if (agent_ == nullptr || agent_->handshake_only) return true;
  if (agent_->open_count() < options_.flows) return false;
  return !agent_->register_flows || agent_->registered() >= options_.flows;
}

void Run::open_more(std::uint64_t now) {
  if (agent_ == nullptr || agent_->handshake_only) return;
  const unsigned have = agent_->open_count() + agent_->connecting();
  if (have >= options_.flows) return;
  unsigned count = options_.flows - have;
  const bool paced = is_connection_mode(options_.mode) && options_.rate > 0;
  if (paced) {
    const auto due = static_cast<std::uint64_t>(seconds(now - opening_since_) * options_.rate);
    count = std::min<unsigned>(count, due > opened_ ? static_cast<unsigned>(due - opened_) : 0);
    opened_ += count;
  } else if (options_.mode != Mode::Storm || dropped_at_ == 0) {
    // Politely before the measurement; the storm itself has no such limit.
    const unsigned in_flight = std::max(
        agent_->connecting(), agent_->open_count() > agent_->registered() && agent_->register_flows
                                  ? agent_->open_count() - agent_->registered()
                                  : 0u);
    count = in_flight < 64 ? std::min(count, 64 - in_flight) : 0;
  }
  agent_->open_flows(count);
}

void Run::enter(Phase phase, std::uint64_t now) {
  phase_ = phase;
  phase_since_ = now;
  switch (phase) {
    case Phase::Opening:
      return;
    case Phase::Warmup:
      start_load(now);
      return;
    case Phase::Measure:
      begin_window(now);
      return;
    case Phase::Drain:
      if (agent_ != nullptr) agent_->closed_loop = false;
      end_window(now);
      return;
    case Phase::Over:
      loop_.stop();
      return;
  }
}

void Run::start_load(std::uint64_t now) {
  result_.ready_s = seconds(now - started_);
  load_started_ = now;
  issued_ = 0;
  if (options_.mode == Mode::Idle || options_.mode == Mode::Storm) {
    std::printf("ringway-load: %u flows are up\n", agent_->open_count());
    std::fflush(stdout);
    return;
  }
  if (agent_ != nullptr && options_.concurrency > 0) {
    if (agent_->handshake_only) {
      agent_->open_flows(options_.concurrency);
      return;
    }
    agent_->closed_loop = true;
    for (unsigned i = 0; i < options_.concurrency; ++i) agent_->start(now);
  } else {
    arm_pacer();
  }
}

// Open loop. Unit i is due at load_started_ + i / rate whatever happened to the others.
void Run::start_due(std::uint64_t now) {
  const double per_ns = options_.rate * 1e-9;
  const auto due =
      static_cast<std::uint64_t>(static_cast<double>(now - load_started_) * per_ns) + 1;
  while (issued_ < due) {
    const auto intended =
        load_started_ + static_cast<std::uint64_t>(static_cast<double>(issued_) / per_ns);
    ++issued_;
    if (phase_ == Phase::Measure) result_.lateness.add(now - intended);
    if (scanner_ != nullptr) {
      scanner_->send();
    } else if (agent_->handshake_only) {
      agent_->open_flows(1);
    } else if (!agent_->start(intended)) {
      ++agent_->statistics().skipped;
    }
  }
}

void Run::arm_pacer() {
  if (options_.spin) return;
  const auto next = load_started_ +
                    static_cast<std::uint64_t>(static_cast<double>(issued_) / options_.rate * 1e9);
  const std::uint64_t at = std::max({next, now_ns() + kPaceMin, next_burst_});
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(at / kSecond);
  when.it_value.tv_nsec = static_cast<long>(at % kSecond);
  timerfd_settime(pacer_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Run::on_prepare() {
  const bool loading = phase_ == Phase::Warmup || phase_ == Phase::Measure;
  const bool connects = options_.mode == Mode::Idle || options_.mode == Mode::Storm;
  if (loading && !connects && options_.rate > 0 && options_.concurrency == 0) {
    const std::uint64_t now = now_ns();
    if (now >= next_burst_) {
      start_due(now);
      next_burst_ = now + static_cast<std::uint64_t>(options_.burst_s * 1e9);
    }
    arm_pacer();
  }
  loop_.flush_marked();
}

void Run::on_millisecond() {
  const std::uint64_t now = now_ns();
  if (agent_ != nullptr && now >= next_tick_) {
    next_tick_ = now + kTick;
    agent_->tick(now);
  }
  if (now >= next_second_) {
    next_second_ += kSecond;
    on_second(now);
  }
  if (phase_ != Phase::Drain) open_more(now);
  const double in_phase = seconds(now - phase_since_);
  switch (phase_) {
    case Phase::Opening:
      if (all_ready() && options_.delay_s > 0 && ready_at_ == 0) {
        ready_at_ = now;
        std::puts("ringway-load: ready");
        std::fflush(stdout);
      }
      if (all_ready() && seconds(now - ready_at_) >= options_.delay_s) {
        enter(Phase::Warmup, now);
      } else if (now - phase_since_ > kOpeningTimeout) {
        std::fprintf(stderr, "ringway-load: only %u of %u flows are up\n", agent_->open_count(),
                     options_.flows);
        enter(Phase::Warmup, now);
      }
      return;
    case Phase::Warmup:
      if (in_phase >= options_.warmup_s) enter(Phase::Measure, now);
      return;
    case Phase::Measure:
      if (dropped_at_ != 0 && result_.recovered_s <= 0 && all_ready()) {
        result_.recovered_s = seconds(now - dropped_at_);
        enter(Phase::Drain, now);
      } else if (in_phase >= options_.duration_s) {
        enter(Phase::Drain, now);
      }
      return;
    case Phase::Drain:
      if (agent_ == nullptr || agent_->active() == 0 || now - phase_since_ > kDrainTimeout) {
        if (agent_ != nullptr) agent_->give_up();
        enter(Phase::Over, now);
      }
      return;
    case Phase::Over:
      return;
  }
}

void Run::begin_window(std::uint64_t now) {
  if (agent_ != nullptr) agent_->reset_statistics();
  interval_completed_ = interval_lost_ = 0;
  next_second_ = now + kSecond;
  window_started_ = now;
  own_cpu_ = own_cpu_seconds();
  own_use_ = cpu_use({getpid()});
  server_use_ = cpu_use(options_.server_pids);
  if (options_.mode == Mode::Storm) {
    dropped_at_ = opening_since_ = now;
    opened_ = 0;
    agent_->drop_all();
  }
}

void Run::end_window(std::uint64_t now) {
  on_second(now);
  result_.duration_s = seconds(now - window_started_);
  result_.generator_cpu = (own_cpu_seconds() - own_cpu_) / std::max(result_.duration_s, 1e-9);
  result_.generator_wait =
      waiting_between(own_use_, cpu_use({getpid()})) / std::max(result_.duration_s, 1e-9);
  const CpuUse server = cpu_use(options_.server_pids);
  result_.server_cpu_s = running_between(server_use_, server);
  result_.server_wait_s = waiting_between(server_use_, server);
  if (agent_ != nullptr) result_.open_flows = agent_->open_count();
  if (answering_ != nullptr) result_.answered = answering_->requests();
}

void Run::on_second(std::uint64_t now) {
  if (agent_ == nullptr) return;
  const Statistics& statistics = agent_->statistics();
  const bool measuring = phase_ == Phase::Measure || phase_ == Phase::Drain;
  const Histogram& latency = agent_->interval();
  const Interval interval{statistics.completed - interval_completed_,
                          statistics.lost - interval_lost_, latency.percentile(0.5),
                          latency.percentile(0.99), latency.max()};
  interval_completed_ = statistics.completed;
  interval_lost_ = statistics.lost;
  agent_->interval().clear();
  if (measuring) result_.intervals.push_back(interval);
  if (!options_.progress) return;
  std::fprintf(stderr, "%5.1f s  %s  %8llu done  p50 %7.0f us  p99 %7.0f us  lost %llu  flows %u\n",
               seconds(now - started_), measuring ? "measure" : "prepare",
               static_cast<unsigned long long>(interval.completed),
               static_cast<double>(interval.p50) * 1e-3, static_cast<double>(interval.p99) * 1e-3,
               static_cast<unsigned long long>(interval.lost), agent_->open_count());
}

void Run::report() {
  static const Statistics kNothing;
  Statistics scanned;
  if (scanner_ != nullptr) {
    scanned.started = scanner_->sent();
    scanned.completed = scanner_->answers();
  }
  const Statistics& statistics = agent_ != nullptr     ? agent_->statistics()
                                 : scanner_ != nullptr ? scanned
                                                       : kNothing;
  print_summary(options_, statistics, result_);
  if (!options_.json.empty()) write_json(options_, statistics, result_);
}

}  // namespace ringway::load
