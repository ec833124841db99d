#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>

#include "gateway/base/counters.h"
#include "gateway/reactor/kernel_choice.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/reactor/ring.h"
#include "tests/gateway/reactor/peer.h"

// A system that does not give us what we need says so in one clear line.

namespace ringway::test {
namespace {

// What task returns, run in a child process whose limits it may ruin.
std::string in_child(const std::function<std::string()>& task) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = task();
    static_cast<void>(!write(ends[1], text.data(), text.size()));
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char piece[4096];
  for (ssize_t size = 0; (size = read(ends[0], piece, sizeof piece)) > 0;) {
    text.append(piece, static_cast<std::size_t>(size));
  }
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

std::string open_ring() {
  Counters counters;
  Ring ring(counters);
  const auto opened = ring.open();
  return opened ? "opened" : opened.error();
}

// From here on a system call fails with this error, as a container's profile makes it.
void forbid(int call, int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{sizeof filter / sizeof filter[0], filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

struct Refusal {
  const char* name;
  int error;
  const char* says;
  const char* cure;
};

class RefusedRing : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedRing, SaysWhatIsMissingAndWhatToDo) {
  const std::string text = in_child([] {
    forbid(SYS_io_uring_setup, GetParam().error);
    return open_ring();
  });
  EXPECT_NE(text.find(GetParam().says), std::string::npos) << text;
  EXPECT_NE(text.find(GetParam().cure), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << "one line";
}

INSTANTIATE_TEST_SUITE_P(
    Ring, RefusedRing,
    testing::Values(Refusal{"Seccomp", EPERM, "io_uring is forbidden here", "seccomp"},
                    Refusal{"Access", EACCES, "io_uring is forbidden here",
                            "kernel.io_uring_disabled"},
                    Refusal{"NoSuchCall", ENOSYS, "this kernel has no io_uring", "Linux 6.1"},
                    Refusal{"OldKernel", EINVAL, "io_uring is too old", "Linux 6.1"},
                    Refusal{"LockedMemory", ENOMEM, "cannot get its memory", "LimitMEMLOCK="},
                    Refusal{"Descriptors", EMFILE, "no file descriptor", "LimitNOFILE="},
                    Refusal{"SystemDescriptors", ENFILE, "no file descriptor", "LimitNOFILE="},
                    Refusal{"Anything", EBUSY, "io_uring cannot be set up", "busy"}),
    [](const auto& test) { return test.param.name; });

std::string choose(KernelKind wanted) {
  const auto choice = choose_kernel(wanted);
  if (!choice) return "error: " + choice.error();
  return (choice->kind == KernelKind::Epoll ? "epoll " : "io_uring ") + choice->reason;
}

TEST(KernelChoice, IsTheRingWhereNothingIsInTheWay) {
  EXPECT_EQ(in_child([] { return choose(KernelKind::Auto); }), "io_uring ");
  EXPECT_EQ(in_child([] { return choose(KernelKind::IoUring); }), "io_uring ");
  EXPECT_EQ(in_child([] { return choose(KernelKind::Epoll); }), "epoll ");
}

TEST(KernelChoice, IsEpollWhereTheRingIsRefusedAndSaysWhy) {
  for (const int error : {EPERM, EACCES, ENOSYS, EINVAL}) {
    const std::string text = in_child([error] {
      forbid(SYS_io_uring_setup, error);
      return choose(KernelKind::Auto);
    });
    EXPECT_TRUE(text.starts_with("epoll ")) << text;
    EXPECT_NE(text.find("io_uring"), std::string::npos) << text;
  }
  // A profile that knows only the first of the three calls.
  for (const int call : {SYS_io_uring_register, SYS_io_uring_enter}) {
    const std::string text = in_child([call] {
      forbid(call, EPERM);
      return choose(KernelKind::Auto);
    });
    EXPECT_TRUE(text.starts_with("epoll ")) << text;
  }
}

TEST(KernelChoice, AsksForTheRingGetTheRefusalAndNoOtherKernel) {
  const std::string text = in_child([] {
    forbid(SYS_io_uring_setup, EPERM);
    return choose(KernelKind::IoUring);
  });
  EXPECT_TRUE(text.starts_with("error: ")) << text;
}

// What would be short under epoll as well is not hidden behind it.
TEST(KernelChoice, DoesNotFallBackForWantOfMemoryOrDescriptors) {
  for (const int error : {ENOMEM, EMFILE}) {
    const std::string text = in_child([error] {
      forbid(SYS_io_uring_setup, error);
      return choose(KernelKind::Auto);
    });
    EXPECT_TRUE(text.starts_with("error: ")) << text;
  }
}

TEST(Refusal, RealLimitOfDescriptors) {
  const std::string text = in_child([] {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_NOFILE, &none);
    return open_ring();
  });
  EXPECT_NE(text.find("LimitNOFILE="), std::string::npos) << text;
}

TEST(Refusal, RealLimitOfLockedMemory) {
  const std::string text = in_child([]() -> std::string {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_MEMLOCK, &none);
    // Root is exempt; somebody else is not.
    if (geteuid() == 0 && setresuid(65'534, 65'534, 65'534) != 0) return "cannot become nobody";
    Counters counters;
    ReceiveBuffers buffers;
    Ring ring(counters);
    if (const auto opened = ring.open(); !opened) return opened.error();
    const auto opened = buffers.open(ring, {1, 512, 4'096, 4'096});
    return opened ? "opened" : opened.error();
  });
  if (text == "opened") GTEST_SKIP() << "this kernel charges rings to nobody";
  EXPECT_NE(text.find("LimitMEMLOCK="), std::string::npos) << text;
}

TEST(Refusal, NobodyIsInTheWayHere) {
  EXPECT_EQ(in_child(open_ring), "opened");
}

}  // namespace
}  // namespace ringway::test
