#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/transport/tls_settings.h"
#include "tls/context.h"
#include "tls/trust_store.h"

namespace ringway {

// What make_tls_settings() leaves for its next call: the contexts of all shards, with what they
// were made from. They are taken again while all of that is the same; some hundred of them cost a
// second.
struct TlsMemory {
  using Files = std::map<std::string, std::array<std::uint8_t, 32>>;  // path to SHA-256

  tls::SystemTrust trust;
  std::vector<tls::TlsContext> contexts;  // by shard
  tls::ContextConfig profiles;
  Files files;
  const void* trusted = nullptr;  // the system's CA certificates; contexts keep them alive
};

// One TLS setting for each shard, read from the files that the config names. memory: of the last
// call; may be null. Errors name the file and what to do; then memory is as it was.
[[nodiscard]] std::expected<std::vector<std::shared_ptr<const TlsSettings>>, std::string>
make_tls_settings(const Config& config, const tls::TicketKeys& keys, unsigned shards,
                  TlsMemory* memory = nullptr);

}  // namespace ringway
