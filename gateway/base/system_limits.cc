#include "gateway/base/system_limits.h"

#include <sys/resource.h>

#include <cerrno>

namespace ringway {
namespace {

constexpr std::uint64_t kStackBytesMin = 512 << 10;

// What the process may have of it; 0: as much as there is.
std::uint64_t allowed(__rlimit_resource resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return limit.rlim_cur;
}

std::string in_mib(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

std::string descriptor_limit() {
  return "RLIMIT_NOFILE (LimitNOFILE= in systemd, ulimit -n) allows " +
         std::to_string(allowed(RLIMIT_NOFILE)) + " open files";
}

}  // namespace

std::string memory_refusal(std::string_view what, std::size_t bytes, std::string_view settings) {
  std::string text(what);
  if (bytes != 0) text += " (" + in_mib(bytes) + " more)";
  const std::string smaller = ", or make " + std::string(settings) + " smaller";
  if (const std::uint64_t limit = allowed(RLIMIT_AS); limit != 0) {
    return text + ": RLIMIT_AS (LimitAS= in systemd, ulimit -v) allows " + in_mib(limit) +
           "; remove that limit" + smaller;
  }
  if (const std::uint64_t limit = allowed(RLIMIT_DATA); limit != 0) {
    return text + ": RLIMIT_DATA (LimitDATA= in systemd, ulimit -d) allows " + in_mib(limit) +
           "; remove that limit" + smaller;
  }
  return text +
         ": the kernel promises no more memory (sysctl vm.overcommit_memory=2?); set it to 0" +
         smaller;
}

std::string refusal(const std::system_error& error) {
  const int number = error.code().value();
  if (number == EMFILE) return "no descriptor is left: " + descriptor_limit() + "; raise it";
  if (number != EAGAIN) return error.what();
  // pthread_create(3) says the same of threads that are too many and of a stack without a place.
  std::string text =
      "a thread cannot be started: raise TasksMax= in systemd (pids.max of the "
      "control group)";
  if (const std::uint64_t limit = allowed(RLIMIT_NPROC); limit != 0) {
    text += ", or RLIMIT_NPROC (LimitNPROC= in systemd, ulimit -u), which allows this user " +
            std::to_string(limit);
  }
  if (const std::uint64_t limit = allowed(RLIMIT_AS); limit != 0) {
    text += ", or RLIMIT_AS (LimitAS= in systemd, ulimit -v), which allows " + in_mib(limit);
  }
  return text + ", or make shards smaller";
}

std::expected<void, std::string> check_limits(std::uint64_t descriptors) {
  const std::uint64_t files = allowed(RLIMIT_NOFILE);
  if (files != 0 && files < descriptors) {
    return std::unexpected(descriptor_limit() + ", but " + std::to_string(descriptors) +
                           " are needed before the first connection comes; raise it, or make "
                           "shards or listeners fewer");
  }
  const std::uint64_t stack = allowed(RLIMIT_STACK);
  if (stack != 0 && stack < kStackBytesMin) {
    return std::unexpected("RLIMIT_STACK (LimitSTACK= in systemd, ulimit -s) allows " +
                           std::to_string(stack >> 10) + " KiB; raise it to 8192 KiB");
  }
  return {};
}

}  // namespace ringway
