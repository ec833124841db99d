#include "gateway/control/lab_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

extern char** environ;

namespace ringway {
namespace {

constexpr int kReadyMilliseconds = 10'000;

std::string find_lab() {
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {own / "ringway-lab", own / "lab" / "ringway-lab"}) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "ringway-lab";
}

}  // namespace

std::expected<LabProcess, std::string> start_lab(const std::string& domain) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return std::unexpected("no descriptors left for the lab");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  std::string program = find_lab();
  std::string arguments[] = {program,    "--listen", "127.0.0.1:0",
                             "--domain", domain,     "--die-with-parent"};
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  LabProcess lab;
  const int failed =
      posix_spawnp(&lab.pid, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  if (failed != 0) {
    close(pipe_ends[0]);
    return std::unexpected(
        "ringway-lab cannot be started; it is built where libsofia-sip-ua-dev is installed");
  }
  lab.output = pipe_ends[0];
  std::string line;
  while (line.find('\n') == line.npos && line.size() < 65'536) {
    pollfd ready{lab.output, POLLIN, 0};
    char text[1024];
    const ssize_t size =
        poll(&ready, 1, kReadyMilliseconds) == 1 ? read(lab.output, text, sizeof text) : 0;
    if (size <= 0) {
      stop_lab(lab);
      return std::unexpected("ringway-lab did not become ready; run it by hand to see why");
    }
    line.append(text, static_cast<std::size_t>(size));
  }
  const auto ready = nlohmann::json::parse(line.substr(0, line.find('\n')), nullptr, false);
  if (ready.is_discarded() || !ready.contains("sip")) {
    stop_lab(lab);
    return std::unexpected("ringway-lab said something unexpected: " + line);
  }
  const std::string sip = ready["sip"];
  lab.address = sip.substr(sip.find(':') + 1);
  nlohmann::json page{{"domain", domain}, {"password", "demo"}};
  if (ready.contains("numbers")) page["numbers"] = ready["numbers"];
  lab.page = page.dump();
  return lab;
}

void stop_lab(const LabProcess& lab) {
  if (lab.output >= 0) close(lab.output);
  if (lab.pid <= 0) return;
  kill(lab.pid, SIGTERM);
  waitpid(lab.pid, nullptr, 0);
}

}  // namespace ringway
