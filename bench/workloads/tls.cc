#include <array>
#include <string>

#include "bench/workloads/workload.h"
#include "protocol/base/writer.h"
#include "tls/certificate.h"
#include "tls/context.h"
#include "tls/session.h"

namespace ringway::bench {
namespace {

// A client and a server of ours over memory.
class Pair {
 public:
  Pair() {
    const std::string names[] = {"localhost"};
    const auto made = tls::make_self_signed(names, 30);
    require(made.has_value(), "tls: no certificate");
    tls::ContextConfig config;
    tls::ServerProfile server;
    tls::ServerCertificate certificate;
    certificate.primary.chain = {"certificate", made->certificate};
    certificate.primary.key = {"key", made->key};
    server.certificates.push_back(certificate);
    config.servers.push_back(server);
    tls::ClientProfile client;
    client.ca = {"ca", made->certificate};
    client.verify_chain = false;
    client.name_policy = tls::NamePolicy::None;
    config.clients.push_back(client);
    const tls::TicketKeys keys{tls::TicketKey::random(), std::nullopt};
    auto built = tls::TlsContext::build(config, keys);
    require(built.has_value(), "tls: no context");
    context_ = std::make_unique<tls::TlsContext>(std::move(*built));
  }

  void connect() {
    server_ = tls::TlsSession::accept(*context_, 0);
    client_ = tls::TlsSession::connect(*context_, 0, "localhost");
    std::array<std::uint8_t, 16384> to_server, to_client;
    Bytes for_client;
    for (int turn = 0; turn < 6 && !(server_.handshake_done() && client_.handshake_done());
         ++turn) {
      Writer up(to_server);
      if (!client_.handshake_done()) keep(client_.handshake_step(for_client, up));
      Bytes for_server = up.written();
      Writer down(to_client);
      if (!server_.handshake_done()) keep(server_.handshake_step(for_server, down));
      for_client = down.written();
    }
    require(server_.handshake_done() && client_.handshake_done(), "tls: no handshake");
    if (!for_client.empty()) {  // the ticket
      std::array<std::uint8_t, 1024> plain;
      Writer nothing(to_server);
      keep(client_.read(for_client, plain, nothing).size);
    }
  }

  tls::TlsSession& server() { return server_; }
  tls::TlsSession& client() { return client_; }

 private:
  std::unique_ptr<tls::TlsContext> context_;
  tls::TlsSession server_, client_;
};

// An 800-byte record from the client is read, the answer is written.
class Record : public Workload {
 public:
  Record() { pair_.connect(); }
  std::string_view name() const override { return "tls_record_in_out"; }
  std::size_t bytes() const override { return invite().size(); }
  bool is_repeatable() const override { return false; }  // includes the client's half
  void once() override {
    std::array<std::uint8_t, 4096> wire, plain;
    Writer up(wire);
    keep(pair_.client().write(as_bytes(invite()), up).size);
    Bytes received = up.written();
    Writer answer(back_);
    const auto read = pair_.server().read(received, plain, answer);
    require(read.size == invite().size(), "tls: record not read");
    keep(pair_.server().write(as_bytes(ok_response()), answer).size);
    Bytes returned = answer.written();
    Writer nothing(wire);
    require(pair_.client().read(returned, plain, nothing).size == ok_response().size(),
            "tls: answer not read");
  }

 private:
  Pair pair_;
  std::array<std::uint8_t, 4096> back_{};
};

class Handshake : public Workload {
 public:
  std::string_view name() const override { return "tls_handshake_both_ends"; }
  bool is_repeatable() const override { return false; }
  void once() override { pair_.connect(); }

 private:
  Pair pair_;
};

}  // namespace

void add_tls(Workloads& workloads) {
  workloads.push_back(std::make_unique<Record>());
  workloads.push_back(std::make_unique<Handshake>());
}

}  // namespace ringway::bench
