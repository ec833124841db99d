#include "gateway/transport/port_owner.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "gateway/transport/sockaddr.h"

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

std::set<std::string> inodes_of_port(std::uint16_t port, bool is_udp) {
  std::set<std::string> inodes;
  collect_inodes(is_udp ? "/proc/net/udp" : "/proc/net/tcp", port, is_udp, inodes);
  collect_inodes(is_udp ? "/proc/net/udp6" : "/proc/net/tcp6", port, is_udp, inodes);
  return inodes;
}

bool has_one_of(const fs::path& process, const std::set<std::string>& inodes) {
  std::error_code ignored;
  for (fs::directory_iterator fd(process / "fd", ignored), last; !ignored && fd != last;
       fd.increment(ignored)) {
    std::error_code gone;
    if (inodes.contains(fs::read_symlink(fd->path(), gone).string())) return true;
  }
  return false;
}

}  // namespace

std::string find_port_owner(std::uint16_t port, bool is_udp) {
  const std::set<std::string> inodes = inodes_of_port(port, is_udp);
  if (inodes.empty()) return {};
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::string name = process->path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    if (has_one_of(process->path(), inodes)) return program_of(process->path());
  }
  return {};
}

bool is_own_port(std::uint16_t port, bool is_udp) {
  return has_one_of("/proc/self", inodes_of_port(port, is_udp));
}

// The interfaces are asked, not bind(): net.ipv4.ip_nonlocal_bind lets that have any address.
bool host_has(const Address& address) {
  ifaddrs* all = nullptr;
  if (address.is_any() || getifaddrs(&all) != 0) return true;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, &freeifaddrs);
  for (const ifaddrs* one = all; one; one = one->ifa_next) {
    const int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
    if (family != AF_INET && family != AF_INET6) continue;
    SocketAddress own{};
    std::memcpy(&own.any, one->ifa_addr,
                family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (read_socket_address(own).address == address) return true;
  }
  return address.is_loopback();  // 127.0.0.0/8 is one interface's as a whole
}

}  // namespace ringway
