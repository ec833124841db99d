#include "gateway/transport/port_owner.h"

#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace ringway {
namespace {

namespace fs = std::filesystem;

// The inodes of sockets with this local port: the lines of /proc/net/{tcp,udp}.
void collect_inodes(const char* path, std::uint16_t port, bool is_udp,
                    std::set<std::string>& inodes) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, queue, timer, retransmits, user, timeout, inode;
    fields >> number >> local >> remote >> state >> queue >> timer >> retransmits >> user >>
        timeout >> inode;
    const std::size_t colon = local.rfind(':');
    if (colon == local.npos || (!is_udp && state != "0A")) continue;
    unsigned value = 0;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), value, 16);
    if (value == port) inodes.insert("socket:[" + inode + "]");
  }
}

std::string program_of(const fs::path& process) {
  std::ifstream file(process / "comm");
  std::string name;
  std::getline(file, name);
  return name + " (pid " + process.filename().string() + ")";
}

}  // namespace

std::string find_port_owner(std::uint16_t port, bool is_udp) {
  std::set<std::string> inodes;
  collect_inodes(is_udp ? "/proc/net/udp" : "/proc/net/tcp", port, is_udp, inodes);
  collect_inodes(is_udp ? "/proc/net/udp6" : "/proc/net/tcp6", port, is_udp, inodes);
  if (inodes.empty()) return {};
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::string name = process->path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    std::error_code ignored;
    for (fs::directory_iterator fd(process->path() / "fd", ignored), last; !ignored && fd != last;
         fd.increment(ignored)) {
      std::error_code gone;
      if (inodes.contains(fs::read_symlink(fd->path(), gone).string())) {
        return program_of(process->path());
      }
    }
  }
  return {};
}

}  // namespace ringway
