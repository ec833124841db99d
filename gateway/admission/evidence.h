#pragma once

#include <cstdint>

#include "gateway/base/source_key.h"

namespace ringway {

// One thing that a shard saw of a source on the access side.
struct Evidence {
  enum class Kind : std::uint8_t {
    Success,    // 2xx to REGISTER, or a call that was answered
    Failure,    // 401 or 407 to credentials, 403, 404
    Challenge,  // 401 or 407 to a request without credentials
    Signature,  // a filter rule with action "ban"
    Score,      // filter rules with action "score": points
    Framing,    // a stream that carries no SIP
  };
  Kind kind = Kind::Failure;
  bool by_stream = false;  // else the sender's address may be another's
  std::uint8_t points = 0;  // Score: 1 to 100
  SourceKey source;
  std::uint64_t user = 0;  // keyed hash of the AOR that it spoke for; 0: none
};

}  // namespace ringway
