#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/config/config.h"
#include "gateway/transport/tls_settings.h"
#include "tls/session.h"

namespace ringway::sim {

// From here on OpenSSL's randomness follows from seed, in this process: handshakes, tokens and
// hash keys are the same in each run of a seed.
void seed_randomness(std::uint64_t seed);

// What shards with this configuration speak TLS with: one certificate for all listeners.
std::shared_ptr<const TlsSettings> server_tls(const Config& config);

// The TLS of somebody who calls, with the program's own engine: bytes of a wire in and out.
class SecureClient {
 public:
  SecureClient();

  // What the wire is to carry first.
  std::string begin() { return receive({}).to_send; }
  struct Result {
    std::string plaintext, to_send;
    bool failed = false;
  };
  Result receive(std::string_view ciphertext);
  bool is_ready() const { return session_.handshake_done(); }
  // Precondition: is_ready().
  std::string seal(std::string_view plaintext);

 private:
  tls::TlsSession session_;
};

}  // namespace ringway::sim
