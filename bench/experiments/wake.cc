#include <liburing.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/pin.h"
#include "protocol/base/ascii.h"

// What it costs to tell another ring's thread that there is mail, by a ring message and by an
// eventfd that the other reads through its ring; to a thread that sleeps and to one that works.

namespace {

constexpr char kHelp[] = R"(ringway-wake-experiment: ring messages against eventfds.

  ringway-wake-experiment [--count N] [--cpu N]

Two threads on cores N and N + 1 (default 0), each with a ring of its own. Asleep: they wake each
other by turns, and latency is from before the wake to the first look at its completion. Busy: the
other turns without ever waiting, and only the sender's cost counts. Prints one JSON line for each
pair of way and target: median and 99th percentile of the latency, and microseconds of CPU of each
side for one wake.
)";

enum class Way { RingMessage, Eventfd };

[[noreturn]] void die(const char* what, int error) {
  std::fprintf(stderr, "ringway-wake-experiment: %s: %s\n", what, std::strerror(error));
  std::exit(1);
}

std::uint64_t nanoseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

void pin(unsigned cpu) {
  if (!ringway::bench::pin(cpu)) die("sched_setaffinity", errno);
}

// One thread's side. The ring belongs to the thread that opens it.
class Side {
 public:
  void open() {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    const int result = io_uring_queue_init_params(64, &ring_, &params);
    if (result < 0) die("io_uring_queue_init_params", -result);
    event_ = eventfd(0, EFD_CLOEXEC);
    if (event_ < 0) die("eventfd", errno);
    arm();
    ready_.store(true, std::memory_order_release);
  }
  void close() {
    io_uring_queue_exit(&ring_);
    ::close(event_);
  }
  void wait_for() const {
    while (!ready_.load(std::memory_order_acquire)) std::this_thread::yield();
  }

  // Wakes other, whose ring is open: an eventfd at once, a ring message with the next turn.
  void wake(Way way, const Side& other) {
    if (way == Way::Eventfd) {
      const std::uint64_t one = 1;
      if (write(other.event_, &one, sizeof one) != sizeof one) die("write", errno);
      return;
    }
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    io_uring_prep_msg_ring(entry, other.ring_.ring_fd, 0, kMessage, 0);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = 0;
  }
  void submit() {
    if (io_uring_sq_ready(&ring_) != 0) io_uring_submit(&ring_);
  }

  // Sleeps until woken.
  void sleep() {
    while (!reap()) io_uring_submit_and_wait(&ring_, 1);
  }
  // One turn without waiting; true if it was woken.
  bool look() {
    io_uring_submit_and_get_events(&ring_);
    return reap();
  }

 private:
  static constexpr std::uint64_t kMessage = 1;
  static constexpr std::uint64_t kEvent = 2;

  void arm() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    io_uring_prep_read(entry, event_, &value_, sizeof value_, 0);
    entry->user_data = kEvent;
  }

  bool reap() {
    bool woken = false;
    unsigned head;
    unsigned seen = 0;
    io_uring_cqe* completion;
    io_uring_for_each_cqe(&ring_, head, completion) {
      ++seen;
      if (completion->user_data == kEvent) arm();
      woken |= completion->user_data != 0;
    }
    io_uring_cq_advance(&ring_, seen);
    return woken;
  }

  io_uring ring_{};
  int event_ = -1;
  std::uint64_t value_ = 0;
  std::atomic<bool> ready_{false};
};

struct Setup {
  unsigned count = 50'000;
  unsigned cpu = 0;
};

void print(Way way, const char* target, std::vector<std::uint64_t>& latencies, double sender_us,
           double target_us) {
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(latencies[latencies.size() * percent / 100]) * 1e-3;
  };
  std::printf(
      "{\"way\": \"%s\", \"target\": \"%s\", \"p50_us\": %.2f, \"p99_us\": %.2f, "
      "\"sender_cpu_us\": %.2f, \"target_cpu_us\": %.2f}\n",
      way == Way::RingMessage ? "ring message" : "eventfd", target, at(50), at(99), sender_us,
      target_us);
}

// By turns: half of a round trip is one wake, and both sides do the same.
void asleep(Way way, const Setup& setup) {
  Side here, there;
  std::atomic<std::uint64_t> spent{0};
  std::thread other([&] {
    pin(setup.cpu + 1);
    there.open();
    here.wait_for();
    const std::uint64_t before = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < setup.count; ++i) {
      there.sleep();
      there.wake(way, here);
    }
    there.submit();
    spent = nanoseconds(CLOCK_THREAD_CPUTIME_ID) - before;
  });
  pin(setup.cpu);
  here.open();
  there.wait_for();
  std::vector<std::uint64_t> latencies;
  latencies.reserve(setup.count);
  const std::uint64_t before = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  for (unsigned i = 0; i < setup.count; ++i) {
    const std::uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    here.wake(way, there);
    here.sleep();
    latencies.push_back((nanoseconds(CLOCK_MONOTONIC) - begin) / 2);
  }
  const std::uint64_t own = nanoseconds(CLOCK_THREAD_CPUTIME_ID) - before;
  other.join();
  here.close();
  there.close();
  print(way, "asleep", latencies, static_cast<double>(own) * 1e-3 / setup.count,
        static_cast<double>(spent) * 1e-3 / setup.count);
}

void busy(Way way, const Setup& setup) {
  Side here, there;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> seen{0};
  std::thread other([&] {
    pin(setup.cpu + 1);
    there.open();
    while (!done.load(std::memory_order_relaxed)) {
      if (there.look()) seen.fetch_add(1, std::memory_order_release);
    }
  });
  pin(setup.cpu);
  here.open();
  there.wait_for();
  std::vector<std::uint64_t> latencies;
  latencies.reserve(setup.count);
  std::uint64_t spent = 0;
  for (unsigned i = 0; i < setup.count; ++i) {
    const std::uint64_t before = seen.load(std::memory_order_acquire);
    const std::uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    const std::uint64_t begin_cpu = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    here.wake(way, there);
    here.submit();
    spent += nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin_cpu;
    while (seen.load(std::memory_order_acquire) == before) {
    }
    latencies.push_back(nanoseconds(CLOCK_MONOTONIC) - begin);
  }
  done = true;
  other.join();
  here.close();
  there.close();
  print(way, "busy", latencies, static_cast<double>(spent) * 1e-3 / setup.count, 0);
}

}  // namespace

int main(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help" || i + 1 == argc) {
      std::fputs(kHelp, name == "--help" ? stdout : stderr);
      return name == "--help" ? 0 : 2;
    }
    const auto number = ringway::ascii::parse_number(argv[++i], 10'000'000);
    if (name == "--count" && number && *number > 0) {
      setup.count = *number;
    } else if (name == "--cpu" && number) {
      setup.cpu = *number;
    } else {
      std::fputs(kHelp, stderr);
      return 2;
    }
  }
  for (const Way way : {Way::RingMessage, Way::Eventfd}) {
    asleep(way, setup);
    busy(way, setup);
  }
  return 0;
}
