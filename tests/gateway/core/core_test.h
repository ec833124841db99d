#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/core/proxy_core.h"

// The core through its public header: bytes and the time in, an outbox out. What takes more than a
// few messages is in tests/sim.

namespace ringway {

inline Endpoint endpoint(std::string_view text) {
  return *parse_endpoint(text);
}

inline ListenConfig listen(Side side, std::string_view address) {
  ListenConfig config;
  config.name = side == Side::Access ? "access" : "network";
  config.side = side;
  if (side == Side::Access) config.admission = Admission::Open;
  config.address = endpoint(address);
  return config;
}

inline Config make_config() {
  Config config;
  config.listen = {listen(Side::Access, "192.0.2.1:5060"), listen(Side::Network, "10.0.0.1:5060")};
  NextHopConfig next_hop;
  next_hop.name = "pbx";
  next_hop.host = "10.0.0.9";
  next_hop.port = 5060;
  next_hop.transport = Transport::Udp;
  next_hop.probe_interval = Duration::zero();
  config.next_hops = {next_hop};
  config.limits.transactions = config.limits.client_transactions = config.limits.contexts = 64;
  config.limits.buffer_bytes = 4u << 20;
  return config;
}

struct Part {
  std::string_view what, with;
};

class ProxyCoreTest : public ::testing::Test {
 protected:
  ProxyCoreTest() { publish(); }

  void publish() {
    auto next_hops = std::make_shared<NextHopSnapshot>();
    Resolution found;
    found.outcome = Resolution::Outcome::Found;
    found.targets.push_back({Transport::Udp, pbx_.remote, 0, 0});
    next_hops->next_hops.push_back(found);
    core_->publish_next_hops(next_hops, now_, outbox_);
    outbox_.clear();
  }

  // epoch: another one after a restart.
  std::unique_ptr<ProxyCore> make_core(std::uint32_t epoch) {
    return std::make_unique<ProxyCore>(ProxyCore::Environment{
        config_, 0, 1, listeners(), mac_, epoch, 1, buffers_, *counters_, log_});
  }
  std::vector<ListenerInfo> listeners() const {
    std::vector<ListenerInfo> all;
    for (const ListenConfig& entry : config_.listen) all.push_back({entry, entry.address});
    return all;
  }

  // What the core sends on receiving text, each with the address that it goes to in front.
  std::vector<std::string> receive(const Source& source, std::string_view text) {
    core_->receive_message(source, as_bytes(text), now_, outbox_);
    return taken();
  }
  std::vector<std::string> advance(Duration time) {
    now_ += time;
    core_->expire(now_, outbox_);
    return taken();
  }
  std::vector<std::string> taken() {
    std::vector<std::string> all;
    for (const Output& output : outbox_.items()) {
      if (output.kind != Output::Kind::SendDatagram) continue;
      const bool to_phone = output.remote == phone_.remote, to_far = output.remote == far_.remote;
      EXPECT_TRUE(to_phone || to_far || output.remote == pbx_.remote)
          << "to an address that nobody named";
      EXPECT_EQ(output.listener, to_phone ? phone_.listener : pbx_.listener);
      all.push_back((to_phone ? "phone " : to_far ? "far " : "pbx ") +
                    std::string(as_text(output.buffer.bytes())));
    }
    outbox_.clear();
    return all;
  }

  static std::string request(std::initializer_list<Part> changes = {}) {
    std::string text =
        "OPTIONS sip:bob@example.test SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKone;rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>\r\n"
        "Call-ID: one@test\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    for (const auto& [what, with] : changes) {
      for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size()) {
        text.replace(at, what.size(), with);
      }
    }
    return text;
  }
  // A response of the next hop to what the core sent it.
  static std::string response(std::string_view sent, std::string_view status) {
    std::string text(sent.substr(sent.find(' ') + 1));
    text.replace(0, text.find("\r\n"), "SIP/2.0 " + std::string(status));
    return text;
  }

  Config config_ = make_config();
  tls::Mac mac_{tls::MacKey{1, 2, 3}};
  BufferPool buffers_{config_.limits.buffer_bytes};
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{256};
  Log log_{0, LogLevel::Debug, queue_, *counters_};
  std::unique_ptr<ProxyCore> core_ = make_core(4711);
  Outbox outbox_;
  Instant now_ = Instant{} + std::chrono::hours(1);
  Source phone_{Transport::Udp, 0, endpoint("198.51.100.7:40000"), {}};
  Source pbx_{Transport::Udp, 1, endpoint("10.0.0.9:5060"), {}};
  Source far_{Transport::Udp, 1, endpoint("20.0.0.8:5060"), {}};  // listed nowhere
};

}  // namespace ringway
