#include "gateway/base/system_limits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>

namespace ringway {
namespace {

// One of this process's soft limits, for a while.
class Lowered {
 public:
  Lowered(__rlimit_resource resource, rlim_t value) : resource_(resource) {
    getrlimit(resource, &before_);
    const rlimit limit{value, before_.rlim_max};
    EXPECT_EQ(setrlimit(resource, &limit), 0);
  }
  ~Lowered() { setrlimit(resource_, &before_); }
  Lowered(const Lowered&) = delete;
  Lowered& operator=(const Lowered&) = delete;

 private:
  __rlimit_resource resource_;
  rlimit before_{};
};

constexpr rlim_t kMebibyte = 1 << 20;

TEST(SystemLimits, WhatKeepsMemoryAwayIsNamedWithWhatItAllows) {
  constexpr std::size_t kWanted = 7 * kMebibyte;
  const Lowered data(RLIMIT_DATA, (std::uint64_t{1} << 46) + 3 * kMebibyte);
  const std::string of_data = memory_refusal("the table finds no memory", kWanted, "limits.flows");
  EXPECT_TRUE(of_data.starts_with("the table finds no memory (7 MiB more): RLIMIT_DATA"))
      << of_data;
  EXPECT_NE(of_data.find("allows 67108867 MiB"), of_data.npos) << of_data;
  EXPECT_TRUE(of_data.ends_with("make limits.flows smaller")) << of_data;
  EXPECT_EQ(memory_refusal("none", 0, "x").find("more)"), std::string::npos);
}

TEST(SystemLimits, AThreadAndADescriptorThatAreRefusedNameTheirs) {
  const Lowered processes(RLIMIT_NPROC, 54'321);
  const std::string thread = refusal(std::system_error(EAGAIN, std::generic_category(), "thread"));
  for (const char* part : {"thread", "pids.max", "TasksMax=", "RLIMIT_NPROC", "54321"}) {
    EXPECT_NE(thread.find(part), thread.npos) << part << " in: " << thread;
  }
  const std::string file = refusal(std::system_error(EMFILE, std::generic_category(), "eventfd"));
  EXPECT_NE(file.find("RLIMIT_NOFILE"), file.npos) << file;
  const std::string other = refusal(std::system_error(ENODEV, std::generic_category(), "it"));
  EXPECT_NE(other.find("it: "), other.npos) << other;
}

TEST(SystemLimits, DescriptorsAtBelowAndAboveWhatIsAllowed) {
  const Lowered files(RLIMIT_NOFILE, 200);
  EXPECT_TRUE(check_limits(199));
  EXPECT_TRUE(check_limits(200));
  const auto refused = check_limits(201);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("allows 200 open files, but 201 are needed"), std::string::npos)
      << refused.error();
}

TEST(SystemLimits, StacksBelowHalfAMebibyteAreRefused) {
  for (const rlim_t size : {kMebibyte / 2 - 4'096, kMebibyte / 2, kMebibyte}) {
    const Lowered stack(RLIMIT_STACK, size);
    EXPECT_EQ(check_limits(1).has_value(), size >= kMebibyte / 2) << size;
  }
}

}  // namespace
}  // namespace ringway
