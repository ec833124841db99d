#pragma once

#include <string_view>

#include "gateway/base/log.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/stream.h"

namespace ringway {

// Logs why the stream's TLS session failed: who, which listener, what to do about it.
void log_tls_failure(Log& log, const ShardListeners& listeners, const Stream& stream,
                     std::string_view event);

}  // namespace ringway
