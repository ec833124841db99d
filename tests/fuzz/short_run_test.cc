// Every fuzz target but the stateful one, built by the project's compiler: corpus and words of SIP,
// changed at random. It finds what is near; libFuzzer (tests/fuzz/run) finds the rest.
//
// Without more, each target gets the same inputs in each run, so that a result belongs to the code.
// RINGWAY_FUZZ_SECONDS: so long for each target, with a seed of its own.
// RINGWAY_FUZZ_SEED: as a run has printed it.
// The input that ended the process lies in fuzz-NAME.input in the folder that the test ran in.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

namespace ringway::fuzz {
namespace {

struct Target {
  std::string_view name;
  void (*check)(Bytes);
};
constexpr std::array kTargets = {
    Target{"message", check_message},
    Target{"framer", check_framer},
    Target{"address", check_address},
    Target{"via", check_via},
    Target{"forward", check_forward},
    Target{"websocket", check_websocket},
    Target{"http", check_http},
    Target{"front", check_front},
    Target{"sdp", check_sdp},
    Target{"relay", check_relay},
    Target{"token", check_token},
    Target{"tunnel", check_tunnel},
    Target{"admission", check_admission},
    Target{"rules", check_rules},
};

constexpr std::size_t kInputMax = 6'000;

// The input under test, in a file that is there when the process is not.
class LastInput {
 public:
  explicit LastInput(std::string_view target) : name_("fuzz-" + std::string(target) + ".input") {
    file_ = ::open(name_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    EXPECT_GE(file_, 0) << name_;
    EXPECT_EQ(::ftruncate(file_, kInputMax), 0);
    void* memory = ::mmap(nullptr, kInputMax, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    EXPECT_NE(memory, MAP_FAILED);
    memory_ = static_cast<char*>(memory);
  }
  ~LastInput() {
    ::munmap(memory_, kInputMax);
    ::close(file_);
    std::filesystem::remove(name_);
  }
  LastInput(const LastInput&) = delete;
  LastInput& operator=(const LastInput&) = delete;
  // Behind the input there are zeros.
  void put(const std::string& input) {
    std::memcpy(memory_, input.data(), input.size());
    std::memset(memory_ + input.size(), 0, kInputMax - input.size());
  }

 private:
  std::string name_;
  int file_ = -1;
  char* memory_ = nullptr;
};

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> files_of(const char* folder) {
  std::vector<std::string> out;
  const auto path = std::filesystem::path(RINGWAY_CORPUS) / folder;
  if (!std::filesystem::exists(path)) return out;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::string text = read(entry.path());
    if (!text.empty()) out.push_back(text.substr(0, kInputMax));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> seeds_of(std::string_view target) {
  std::vector<std::string> seeds = files_of(("seeds/" + std::string(target)).c_str());
  if (seeds.empty() || target == "rules") {
    for (const char* folder : {"rfc4475", "rfc5118", "bugs"}) {
      for (std::string& text : files_of(folder)) seeds.push_back(std::move(text));
    }
  }
  return seeds;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::uint64_t seed)
      : seeds_(std::move(seeds)), dice_(seed) {}

  std::string next() {
    std::string text = any_seed();
    for (std::size_t changes = below(6); changes != 0 && !text.empty(); --changes) change(text);
    text.resize(std::min(text.size(), kInputMax));
    return text;
  }

 private:
  std::size_t below(std::size_t limit) { return dice_() % limit; }
  const std::string& any_seed() { return seeds_[below(seeds_.size())]; }

  void change(std::string& text) {
    static constexpr std::string_view kBytes("\r\n \t\0:;,<>\"\\@=?%/.0az\xff\x80", 23);
    static constexpr std::string_view kWords[] = {"\r\n",
                                                  "\r\n\r\n",
                                                  "\r\n ",
                                                  "Via: ",
                                                  ";branch=z9hG4bK",
                                                  "sip:",
                                                  "Content-Length: 5",
                                                  "\"",
                                                  "::1",
                                                  ";tag=",
                                                  ";lr",
                                                  "4294967295",
                                                  "a=x",
                                                  "m=audio 9 RTP/AVP 0\r\n",
                                                  "5:hello",
                                                  "i0e",
                                                  "d1:a1:be",
                                                  "%00",
                                                  "PROXY TCP4 ",
                                                  "text",
                                                  "[[rule]]\n",
                                                  "SIP/2.0 ",
                                                  "INVITE "};
    const std::size_t at = below(text.size());
    switch (below(7)) {
      case 0:
        text[at] = kBytes[below(kBytes.size())];
        return;
      case 1:
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        return;
      case 2:
        text.insert(at, 1, static_cast<char>(below(256)));
        return;
      case 3:
        text.erase(at, 1 + below(16));
        return;
      case 4:
        text.insert(at, kWords[below(std::size(kWords))]);
        return;
      case 5: {  // a part once more, elsewhere
        const std::string part = text.substr(below(text.size()), 1 + below(64));
        text.insert(at, part);
        return;
      }
      default: {  // the end of another one
        const std::string& other = any_seed();
        text = text.substr(0, at) + other.substr(below(other.size()));
      }
    }
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 dice_;
};

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

class ShortRun : public ::testing::TestWithParam<Target> {};

TEST_P(ShortRun, BreaksNoPromise) {
  const Target target = GetParam();
  constexpr std::uint64_t kSeed = 1, kRuns = 5'000;
  const std::chrono::seconds seconds(number_of("RINGWAY_FUZZ_SECONDS", 0));
  const bool counted = seconds == seconds.zero();
  const std::uint64_t seed =
      number_of("RINGWAY_FUZZ_SEED", counted ? kSeed : std::random_device{}());
  std::printf("%.*s: seed %llu\n", static_cast<int>(target.name.size()), target.name.data(),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  std::vector<std::string> seeds = seeds_of(target.name);
  ASSERT_FALSE(seeds.empty());
  LastInput last(target.name);
  for (const std::string& text : seeds) {
    last.put(text);
    target.check(as_bytes(text));
  }
  Mutator mutator(std::move(seeds), seed);
  const auto end = std::chrono::steady_clock::now() + seconds;
  std::uint64_t runs = 0;
  while (counted ? runs < kRuns : std::chrono::steady_clock::now() < end) {
    const std::string text = mutator.next();
    // In memory of its own size, so that a sanitizer sees a read behind it.
    const std::vector<std::uint8_t> exact(text.begin(), text.end());
    last.put(text);
    target.check(exact);
    ++runs;
  }
  RecordProperty("runs", std::to_string(runs));
  EXPECT_GT(runs, 0u);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, ShortRun, ::testing::ValuesIn(kTargets),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ringway::fuzz
