#include "gateway/ctl/place.h"

#include <unistd.h>

#include <cerrno>

#include "gateway/config/load.h"

namespace ringway::ctl {
namespace {

constexpr const char* kUsualConfig = "/etc/ringway/ringway.toml";
constexpr const char* kUsualSocket = "/run/ringway/control.sock";

// A folder above it is closed to this user: both belong to the service's user and group.
bool is_kept_from_us(const char* path) {
  return access(path, F_OK) != 0 && errno == EACCES;
}

}  // namespace

std::expected<Place, std::string> find_place(const Options& options) {
  Place place;
  if (!options.token_file.empty()) {
    const FileText read = read_text_file(options.token_file);
    if (!read.error.empty()) return std::unexpected(options.token_file + ": " + read.error);
    place.token = read.text.substr(0, read.text.find_first_of("\r\n"));
  }
  if (!options.admin.empty()) {
    const auto address = parse_endpoint(options.admin);
    if (!address) return std::unexpected("--admin: " + options.admin + " is not ADDRESS:PORT");
    place.address = *address;
    return place;
  }
  if (!options.socket.empty()) {
    place.socket = options.socket;
    return place;
  }
  const std::string file = options.config.empty() ? kUsualConfig : options.config;
  if (options.config.empty() && access(kUsualSocket, F_OK) == 0) {
    place.socket = kUsualSocket;
    return place;
  }
  if (options.config.empty() && (is_kept_from_us(kUsualSocket) || is_kept_from_us(kUsualConfig))) {
    return std::unexpected(
        "this user may not see the gateway's files: ask with sudo, or as a member of the group of "
        "/run/ringway (usermod -a -G ringway USER)");
  }
  if (options.config.empty() && access(kUsualConfig, F_OK) != 0) {
    return std::unexpected(std::string("there is neither ") + kUsualSocket + " nor " +
                           kUsualConfig +
                           ": name the gateway by --config FILE, --socket PATH or --admin "
                           "ADDRESS:PORT");
  }
  // Mistakes elsewhere in the file do not matter here: it may be the one that is being mended.
  if (const FileText read = read_text_file(file); !read.error.empty()) {
    return std::unexpected(file + ": " + read.error);
  }
  const Config config = load_config(file).config;
  if (!config.ctl.socket.empty()) {
    place.socket = config.ctl.socket;
  } else if (config.admin.enabled) {
    place.address = config.admin.address;
    if (place.token.empty() && !config.admin.token_file.empty()) {
      const FileText read = read_text_file(config.admin.token_file);
      place.token = read.text.substr(0, read.text.find_first_of("\r\n"));
    }
  } else if (access(kUsualSocket, F_OK) == 0) {
    place.socket = kUsualSocket;
  } else {
    return std::unexpected(file +
                           " names neither ctl.socket nor admin.address: add one of them, or "
                           "use --socket or --admin");
  }
  return place;
}

}  // namespace ringway::ctl
