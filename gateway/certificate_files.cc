#include "gateway/certificate_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "tls/certificate.h"

namespace ringway {
namespace {

constexpr std::uint32_t kDays = 825;

std::string complaint(const std::string& path, int error) {
  return path + " cannot be written: " + std::strerror(error);
}

bool write_and_sync(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return fsync(descriptor) == 0;
}

// A whole new file beside path, under the name that is returned.
std::expected<std::string, std::string> write_beside(const std::string& path, std::string_view text,
                                                     mode_t mode) {
  std::string name = path + ".XXXXXX";
  const int descriptor = mkstemp(name.data());  // 0600
  if (descriptor < 0) return std::unexpected(complaint(path, errno));
  const bool written = fchmod(descriptor, mode) == 0 && write_and_sync(descriptor, text);
  int error = written ? 0 : errno;
  if (close(descriptor) != 0 && error == 0) error = errno;
  if (error == 0) return name;
  unlink(name.c_str());
  return std::unexpected(complaint(path, error));
}

void sync_directory(const std::string& directory) {
  const int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  static_cast<void>(fsync(descriptor));
  close(descriptor);
}

}  // namespace

std::expected<CertificateFiles, std::string> make_certificate_files(
    const std::string& directory, const std::vector<std::string>& names, Overwrite overwrite) {
  const CertificateFiles files{directory + "/certificate.pem", directory + "/key.pem"};
  for (const std::string& path : {files.chain, files.key}) {
    struct stat facts {};
    if (overwrite == Overwrite::Yes || lstat(path.c_str(), &facts) != 0) continue;
    return std::unexpected(path + " exists; with --force it is replaced");
  }
  const auto pair = tls::make_self_signed(names, kDays);
  if (!pair) return std::unexpected(pair.error().text);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return std::unexpected(directory + " cannot be made: " + error.message());
  const auto key = write_beside(files.key, pair->key, 0600);
  if (!key) return std::unexpected(key.error());
  const auto chain = write_beside(files.chain, pair->certificate, 0644);
  if (!chain) {
    unlink(key->c_str());
    return std::unexpected(chain.error());
  }
  for (const auto& [from, to] : {std::pair{*key, files.key}, std::pair{*chain, files.chain}}) {
    if (std::rename(from.c_str(), to.c_str()) == 0) continue;
    const int failure = errno;
    unlink(key->c_str());
    unlink(chain->c_str());
    return std::unexpected(complaint(to, failure));
  }
  sync_directory(directory);
  return files;
}

}  // namespace ringway
