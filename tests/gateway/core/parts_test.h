#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/core/services.h"
#include "tests/gateway/core/core_test.h"

// The small parts of the core, each by itself.

namespace ringway {

class PartsTest : public ::testing::Test {
 protected:
  std::vector<ListenerInfo> listeners() const {
    std::vector<ListenerInfo> all;
    for (const ListenConfig& entry : config_.listen) all.push_back({entry, entry.address});
    return all;
  }
  Services services() {
    CoreEnvironment environment{config_, 0, 1,        listeners(), mac_,
                                4711,    1, buffers_, *counters_,  log_};
    return make_services(environment);
  }

  Config config_ = make_config();
  tls::Mac mac_{tls::MacKey{1, 2, 3}};
  BufferPool buffers_{config_.limits.buffer_bytes};
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{256};
  Log log_{0, LogLevel::Debug, queue_, *counters_};
  Outbox outbox_;
  Instant now_ = Instant{} + std::chrono::hours(1);
};

}  // namespace ringway
