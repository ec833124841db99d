#include "tls/trust_store.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <cstdlib>

namespace ringway::tls {
namespace {

std::int64_t changed(const char* variable, const char* otherwise) {
  const char* const named = std::getenv(variable);
  struct stat facts {};
  if (stat(named ? named : otherwise, &facts) != 0) return 0;
  return std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
}

std::int64_t stamp_of_system() {
  return changed(X509_get_default_cert_file_env(), X509_get_default_cert_file()) +
         changed(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()) + 1;
}

}  // namespace

void SystemTrust::Release::operator()(X509_STORE* store) const {
  X509_STORE_free(store);
}

std::expected<X509_STORE*, Error> SystemTrust::store() {
  const std::int64_t stamp = stamp_of_system();
  if (store_ && stamp == stamp_) return store_.get();
  std::unique_ptr<X509_STORE, Release> fresh(X509_STORE_new());
  if (!fresh || X509_STORE_set_default_paths(fresh.get()) != 1) {
    return std::unexpected(
        Error{ErrorCode::FileUnreadable,
              "the system's CA certificates cannot be read; install ca-certificates"});
  }
  store_ = std::move(fresh);
  stamp_ = stamp;
  return store_.get();
}

}  // namespace ringway::tls
