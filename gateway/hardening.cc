#include "gateway/hardening.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RINGWAY_SANITIZED 1
#endif

namespace ringway {
namespace {

std::string reason(int error) {
  return std::strerror(error);
}

std::expected<void, std::string> become(const std::string& name) {
  if (name.empty()) return {};
  const passwd* entry = getpwnam(name.c_str());
  if (!entry) {
    return std::unexpected("process.user: there is no user \"" + name +
                           "\"; make one with: adduser --system --group " + name);
  }
  if (geteuid() == entry->pw_uid) return {};
  if (geteuid() != 0) {
    return std::unexpected("process.user: only root can become " + name +
                           "; start as root, or take user out");
  }
  if (entry->pw_uid == 0) return std::unexpected("process.user: \"" + name + "\" is root itself");
  if (initgroups(name.c_str(), entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
      setuid(entry->pw_uid) != 0) {
    return std::unexpected("process.user: cannot become " + name + ": " + reason(errno));
  }
  if (setuid(0) == 0) return std::unexpected("process.user: root was not given up for good");
  return {};
}

// Of the system calls that a gateway makes while it serves, by what it makes them for.
[[maybe_unused]] constexpr int kAllowed[] = {
    // The network.
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(getpeername),
    SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(listen), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
    SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(socket), SCMP_SYS(socketpair),
    // Both reactors, and libuv's.
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll),
    SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    // Files: configuration, certificates, lists, the control socket, the log.
    SCMP_SYS(access), SCMP_SYS(chmod), SCMP_SYS(chown), SCMP_SYS(close), SCMP_SYS(close_range),
    SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(fadvise64), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fchown), SCMP_SYS(fchownat),
    SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(fsync),
    SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_rm_watch), SCMP_SYS(ioctl), SCMP_SYS(lseek), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
    SCMP_SYS(read), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(readv), SCMP_SYS(stat),
    SCMP_SYS(statfs), SCMP_SYS(statx), SCMP_SYS(umask), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(write), SCMP_SYS(writev),
    // Memory. mmap and mprotect are looked at below.
    SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(mincore), SCMP_SYS(mlock), SCMP_SYS(mlock2),
    SCMP_SYS(mremap), SCMP_SYS(munlock), SCMP_SYS(munmap),
    // Threads.
    SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex),
    SCMP_SYS(get_robust_list), SCMP_SYS(gettid), SCMP_SYS(membarrier), SCMP_SYS(prctl),
    SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list), SCMP_SYS(getcpu),
    // Signals, among them those that abort() sends.
    SCMP_SYS(getpid), SCMP_SYS(kill), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
    // Time, randomness, and what the process may know of itself.
    SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getegid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getppid), SCMP_SYS(getrandom),
    SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(gettimeofday), SCMP_SYS(getuid),
    SCMP_SYS(nanosleep), SCMP_SYS(prlimit64), SCMP_SYS(sysinfo), SCMP_SYS(time), SCMP_SYS(uname),
};

// Memory is never made executable once the process serves.
int allow_unless_executable(scmp_filter_ctx filter, int call) {
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

[[maybe_unused]] std::expected<void, std::string> filter_system_calls() {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(
      seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release);
  if (!filter) return std::unexpected("seccomp: no memory for its filter");
  int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  for (const int call : kAllowed) {
    if (error == 0) error = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0);
  }
  if (error == 0) error = allow_unless_executable(filter.get(), SCMP_SYS(mmap));
  if (error == 0) error = allow_unless_executable(filter.get(), SCMP_SYS(mprotect));
  if (error == 0) error = seccomp_load(filter.get());
  if (error == 0) return {};
  return std::unexpected("seccomp: the kernel does not take the filter (" + reason(-error) +
                         "); [process] seccomp = false starts without it");
}

}  // namespace

std::expected<void, std::string> give_up_rights(const ProcessConfig& process) {
  if (auto done = become(process.user); !done) return done;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected("no_new_privs: " + reason(errno));
  }
#ifndef RINGWAY_SANITIZED  // their reports need what is given up here
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (process.seccomp) return filter_system_calls();
#endif
  return {};
}

}  // namespace ringway
