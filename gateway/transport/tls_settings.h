#pragma once

#include <cstdint>
#include <vector>

#include "tls/context.h"

namespace ringway {

// What a shard needs to speak TLS: its own context, and which profile of it serves whom. Made by
// the control thread, replaced whole on reload; open connections keep what they began with.
struct TlsSettings {
  static constexpr std::uint16_t kNone = 0xffff;

  tls::TlsContext context;
  std::vector<std::uint16_t> server_profiles;    // by place in Config::listen; kNone: not TLS
  std::vector<std::uint16_t> client_profiles;    // by place in Config::next_hops; kNone: default
  std::uint16_t default_client_profile = kNone;  // for targets that are no configured next hop
};

}  // namespace ringway
