#pragma once

#include <cstdint>
#include <expected>
#include <memory>

#include "tls/error.h"

typedef struct x509_store_st X509_STORE;

namespace ringway::tls {

// The system's CA certificates, read once for all contexts of all shards: 3 MB and some 30 ms that
// nobody pays again while the files stay as they are. Contexts that were made from it share it and
// keep it alive. Control thread only.
class SystemTrust {
 public:
  // The store; read anew if the system's files have changed since. Lent: who keeps it adds a
  // reference. Errors: there are no such certificates.
  [[nodiscard]] std::expected<X509_STORE*, Error> store();

 private:
  struct Release {
    void operator()(X509_STORE* store) const;
  };
  std::unique_ptr<X509_STORE, Release> store_;
  std::int64_t stamp_ = 0;
};

}  // namespace ringway::tls
