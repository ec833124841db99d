#pragma once

#include <openssl/ssl.h>

#include <utility>

#include "tests/gateway/transport/host.h"
#include "tests/tls/foreign_client.h"
#include "tests/tls/pki.h"

namespace ringway::test {

// Certificates of one test, for both directions.
struct Certificates {
  tls::test::Authority authority;
  tls::KeyPair server = authority.issue_for("gw.test");

  // Listeners: in their order, whether they speak TLS.
  std::shared_ptr<const TlsSettings> settings(std::initializer_list<bool> listeners) const {
    tls::ContextConfig contexts;
    tls::ServerProfile profile;
    profile.certificates = {{.names = {}, .primary = server}};
    contexts.servers = {profile};
    tls::ClientProfile client;
    client.ca = authority.pem();
    contexts.clients = {client};
    auto context = tls::TlsContext::build(contexts, {tls::TicketKey::random(), std::nullopt});
    EXPECT_TRUE(context) << (context ? "" : context.error().text);
    TlsSettings settings{*context, {}, {0}, 0};
    for (const bool secure : listeners) {
      settings.server_profiles.push_back(secure ? std::uint16_t{0} : TlsSettings::kNone);
    }
    return std::make_shared<const TlsSettings>(std::move(settings));
  }
};

// A TLS client on a socket, moved along by the host's turns.
class SecureClient {
 public:
  SecureClient(Host& host, Socket socket, int version = TLS1_3_VERSION)
      : host_(host),
        socket_(std::move(socket)),
        tls_(std::make_unique<tls::test::ForeignClient>(version, "gw.test")) {}

  void pump() {
    const auto output = tls_->take_output();
    if (!output.empty()) {
      static_cast<void>(!::send(socket_.fd(), output.data(), output.size(), MSG_NOSIGNAL));
    }
    std::string input;
    if (Host::read_some(socket_.fd(), input) == Host::Peek::End) ended_ = true;
    if (!input.empty()) tls_->receive(as_bytes(input));
  }
  [[nodiscard]] bool handshake() {
    const bool decided = host_.until([&] {
      pump();
      return tls_->done() || tls_->failed() || ended_;
    });
    pump();  // its last flight
    return decided && tls_->done();
  }
  void send(std::string_view text) {
    tls_->send(text);
    pump();
  }
  std::string read(std::size_t size) {
    EXPECT_TRUE(host_.until([&] {
      pump();
      return tls_->received().size() >= read_ + size;
    }));
    const std::string text = tls_->received().substr(read_);
    read_ = tls_->received().size();
    return text;
  }
  [[nodiscard]] bool ends() {
    return host_.until([&] {
      pump();
      return ended_;
    });
  }
  tls::test::ForeignClient& tls() { return *tls_; }
  Socket& socket() { return socket_; }

 private:
  Host& host_;
  Socket socket_;
  std::unique_ptr<tls::test::ForeignClient> tls_;
  std::size_t read_ = 0;
  bool ended_ = false;
};

}  // namespace ringway::test
