#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/life.h"

// Seeds, one after the other. RINGWAY_SIM_SEEDS: how many (200). RINGWAY_SIM_FIRST: the first one.
// RINGWAY_SIM_SEED: this one only, every event printed.

extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));

namespace ringway::sim {
namespace {

std::uint64_t current_seed = 0;

void say_seed() {
  std::fprintf(stderr, "seed %llu; replay: RINGWAY_SIM_SEED=%llu sim-test\n",
               static_cast<unsigned long long>(current_seed),
               static_cast<unsigned long long>(current_seed));
}

// A failed CHECK or a crash does not return: the seed has to be said on the way down.
void say_seed_on_death() {
  for (const int number : {SIGABRT, SIGSEGV}) {
    std::signal(number, [](int again) {
      say_seed();
      std::signal(again, SIG_DFL);
      std::raise(again);
    });
  }
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(say_seed);
}

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Simulation, OneSeedMakesOneHistory) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    current_seed = seed;
    std::array<std::uint64_t, 2> digests{};
    for (std::uint64_t& digest : digests) {  // one after the other: randomness is the process's
      Life life(seed, false);
      life.live();
      digest = life.world().trace.digest();
    }
    EXPECT_EQ(digests[0], digests[1]) << "seed " << seed;
  }
}

TEST(Simulation, EverySeed) {
  say_seed_on_death();
  const std::uint64_t replay = number_from("RINGWAY_SIM_SEED", 0);
  const std::uint64_t first = replay != 0 ? replay : number_from("RINGWAY_SIM_FIRST", 1);
  const std::uint64_t count = replay != 0 ? 1 : number_from("RINGWAY_SIM_SEEDS", 200);
  int failures = 0;
  PerFault<std::uint64_t> hits;
  for (std::uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
    current_seed = seed;
    Life life(seed, replay != 0);
    const std::string wrong = life.live();
    for (std::size_t i = 0; i < kFaults; ++i) {
      const auto fault = static_cast<Fault>(i);
      hits[fault] += life.world().hits(fault);
    }
    if (wrong.empty()) continue;
    ++failures;
    ADD_FAILURE() << "seed " << seed << ": " << wrong;
    say_seed();
  }
  // Each of them happened: else the seeds have shown nothing about it.
  for (std::size_t i = 0; i < kFaults && count >= 50 && failures == 0; ++i) {
    const auto fault = static_cast<Fault>(i);
    std::printf("%s: %llu\n", std::string(to_text(fault)).c_str(),
                static_cast<unsigned long long>(hits[fault]));
    EXPECT_GT(hits[fault], 0u) << to_text(fault);
  }
}

}  // namespace
}  // namespace ringway::sim
