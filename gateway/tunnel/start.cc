#include "gateway/tunnel/start.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tls/certificate.h"
#include "tls/digest.h"
#include "tls/random.h"

namespace ringway::tunnel {
namespace {

using Failure = std::unexpected<std::string>;
constexpr std::uint32_t kDays = 3650;

bool write_file(const std::filesystem::path& path, const std::string& text, mode_t mode) {
  const mode_t before = umask(0777 & ~mode);
  std::ofstream out(path);
  umask(before);
  out << text;
  return out.flush().good();
}

// Empty if it cannot be read.
std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::expected<std::string, std::string> make_keys(const std::string& directory) {
  namespace fs = std::filesystem;
  if (directory.empty()) return Failure("--out names no folder");
  const std::array<std::string, 2> ends{"controller", "relay"};
  std::array<tls::PemPair, 2> pairs;
  std::error_code error;
  for (std::size_t i = 0; i < 2; ++i) {
    const fs::path folder = fs::path(directory) / ends[i];
    if (fs::exists(folder, error)) {
      return Failure(folder.string() + " exists; give --out another folder, or delete it first");
    }
    const std::array names{"ringway-tunnel-" + ends[i]};
    auto pair = tls::make_self_signed(names, kDays);
    if (!pair) return Failure(pair.error().text);
    pairs[i] = std::move(*pair);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const fs::path folder = fs::path(directory) / ends[i];
    fs::create_directories(folder, error);
    if (error) return Failure(folder.string() + " cannot be made: " + error.message());
    if (!write_file(folder / "certificate.pem", pairs[i].certificate, 0644) ||
        !write_file(folder / "key.pem", pairs[i].key, 0600) ||
        !write_file(folder / "peer.pem", pairs[1 - i].certificate, 0644)) {
      return Failure(folder.string() + " cannot be written to");
    }
  }
  const std::string base = fs::absolute(directory).lexically_normal().string();
  return "Made, good for ten years:\n"
         "  " +
         base +
         "/controller   stays on, or goes to, the SIP server's host\n"
         "  " +
         base +
         "/relay        goes to rtpengine's host, and is then deleted here\n\n"
         "Copy the second one:\n"
         "  ssh RTPENGINE_HOST mkdir -p " +
         base + "\n  scp -rp " + base + "/relay RTPENGINE_HOST:" + base +
         "/\n\n"
         "Then, on rtpengine's host:\n"
         "  ringway tunnel relay --listen 0.0.0.0:2225 --rtpengine 127.0.0.1:2223 --keys " +
         base +
         "/relay\n"
         "and on the SIP server's host:\n"
         "  ringway tunnel controller --listen 127.0.0.1:2223 --relay RTPENGINE_HOST:2225 --keys " +
         base +
         "/controller\n\n"
         "A second SIP server uses a copy of the controller folder.\n";
}

std::expected<tls::TlsContext, std::string> load_keys(const std::string& folder) {
  const tls::KeyPair own{{folder + "/certificate.pem", {}}, {folder + "/key.pem", {}}};
  const tls::Pem peer{folder + "/peer.pem", {}};
  if (!std::filesystem::is_directory(folder)) {
    return Failure("keys: there is no folder " + folder +
                   "; `ringway tunnel keys --out FOLDER` "
                   "makes one for each end");
  }
  if (std::filesystem::is_directory(folder + "/controller")) {
    return Failure("keys: " + folder + " holds the folders of both ends; name one of them, " +
                   folder + "/controller or " + folder + "/relay");
  }
  tls::ContextConfig config;
  tls::ServerProfile server;
  server.certificates.push_back({.primary = own, .is_default = true});
  server.min_version = tls::Version::Tls13;
  server.client_certificates = tls::ClientCertificatePolicy::Require;
  server.client_ca = peer;
  config.servers.push_back(std::move(server));
  tls::ClientProfile client;
  client.ca = peer;
  client.own = own;
  client.name_policy = tls::NamePolicy::None;
  client.min_version = tls::Version::Tls13;
  config.clients.push_back(std::move(client));
  auto context = tls::TlsContext::build(config, {tls::TicketKey::random(), std::nullopt});
  if (!context) return Failure("keys: " + context.error().text);
  return *context;
}

HashKey cookie_key(const Settings& settings) {
  const std::string boot = read_file("/proc/sys/kernel/random/boot_id");
  struct stat space {};
  if (boot.empty() || stat("/proc/self/ns/net", &space) != 0) {
    const auto random = tls::random_bytes<16>();
    return {read_u64(random), read_u64(Bytes(random).subspan(8))};
  }
  std::string text = boot;
  text += std::to_string(space.st_dev) + ' ' + std::to_string(space.st_ino) + '\n';
  for (const ListenAddress& address : settings.listen) text += address.text + '\n';
  if (!settings.keys.empty()) text += read_file(settings.keys + "/key.pem");
  const auto digest = tls::sha256(as_bytes(text));
  return {read_u64(digest), read_u64(Bytes(digest).subspan(8))};
}

std::expected<void, std::string> become(const std::string& user) {
  if (geteuid() != 0 || user == "root") return {};
  const char* name = user.empty() ? "ringway" : user.c_str();
  const passwd* account = getpwnam(name);
  if (!account && user.empty()) account = getpwnam(name = "nobody");
  if (!account) return Failure(std::string("user: there is no account ") + name);
  if (setgroups(0, nullptr) != 0 || setgid(account->pw_gid) != 0 || setuid(account->pw_uid) != 0) {
    return Failure(std::string("cannot become ") + name + ": " + std::strerror(errno));
  }
  static_cast<void>(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  return {};
}

}  // namespace ringway::tunnel
