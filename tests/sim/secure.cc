#include "tests/sim/secure.h"

#include <openssl/rand.h>

#include <array>

#include "gateway/base/check.h"
#include "gateway/base/random.h"
#include "protocol/base/writer.h"

namespace ringway::sim {
namespace {

// Of nobody but these tests; valid for a hundred years from 2026.
constexpr std::string_view kCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBnjCCAUSgAwIBAgIUaqc3tEy7MvlMM2Cts6UTxCo52TYwCgYIKoZIzj0EAwIw\n"
    "FzEVMBMGA1UEAwwMZ2F0ZXdheS50ZXN0MCAXDTI2MTEyODE1NDk0N1oYDzIxMjYx\n"
    "MTA0MTU0OTQ3WjAXMRUwEwYDVQQDDAxnYXRld2F5LnRlc3QwWTATBgcqhkjOPQIB\n"
    "BggqhkjOPQMBBwNCAATGJffvgbmDMPzjZ/EiuLI89CuAo4Eh0YDkDMyC2ymshf/M\n"
    "bmmyH0usHQwBK2NvRYwiewMkiyMcupcSpTsBfZuxo2wwajAdBgNVHQ4EFgQUVU2J\n"
    "Md4Z+57yxI13/Bdcxq1afH4wHwYDVR0jBBgwFoAUVU2JMd4Z+57yxI13/Bdcxq1a\n"
    "fH4wDwYDVR0TAQH/BAUwAwEB/zAXBgNVHREEEDAOggxnYXRld2F5LnRlc3QwCgYI\n"
    "KoZIzj0EAwIDSAAwRQIge0ReNen7x/4T3bmnTQ4S3CyANYax56pdKoPROCpgywUC\n"
    "IQDuWeva4NT0kr2f0CfplhObyH1UmR6xCO0CWcEzygRwPQ==\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view kKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLwpWVZ62XMwLiFoU\n"
    "ryLzkNpuY/T/FhEMGaogj2vhFwWhRANCAATGJffvgbmDMPzjZ/EiuLI89CuAo4Eh\n"
    "0YDkDMyC2ymshf/MbmmyH0usHQwBK2NvRYwiewMkiyMcupcSpTsBfZux\n"
    "-----END PRIVATE KEY-----\n";

Random randomness(1);

int fill(unsigned char* memory, int size) {
  for (int i = 0; i < size; ++i) memory[i] = static_cast<unsigned char>(randomness.next() >> 32);
  return 1;
}

int status() {
  return 1;
}

tls::TlsContext make_context() {
  tls::ServerProfile server;
  server.certificates = {{.primary = {.chain = {"gateway.pem", std::string(kCertificate)},
                                      .key = {"gateway.key", std::string(kKey)}},
                          .is_default = true}};
  tls::ClientProfile client;
  client.verify_chain = false;
  client.name_policy = tls::NamePolicy::None;
  client.ca = {"gateway.pem", std::string(kCertificate)};
  const tls::TicketKeys keys{{{1}, {2}, {3}}, std::nullopt};
  auto context = tls::TlsContext::build({{server}, {client}}, keys);
  CHECK(context.has_value());
  return *context;
}

const tls::TlsContext& context() {
  static const tls::TlsContext made = make_context();
  return made;
}

}  // namespace

void seed_randomness(std::uint64_t seed) {
  context();  // what it takes, it takes before
  static RAND_METHOD method{nullptr, fill, nullptr, nullptr, fill, status};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  CHECK(RAND_set_rand_method(&method) == 1);
#pragma GCC diagnostic pop
  randomness = Random(seed);
}

std::shared_ptr<const TlsSettings> server_tls(const Config& config) {
  return std::make_shared<const TlsSettings>(
      TlsSettings{context(), std::vector<std::uint16_t>(config.listen.size()),
                  std::vector<std::uint16_t>(config.next_hops.size()), 0});
}

SecureClient::SecureClient() : session_(tls::TlsSession::connect(context(), 0, "gateway.test")) {}

SecureClient::Result SecureClient::receive(std::string_view ciphertext) {
  using State = tls::TlsSession::State;
  Result result;
  Bytes input = as_bytes(ciphertext);
  std::array<std::uint8_t, 17'000> memory;
  for (bool more = true; more;) {
    Writer out(memory);
    State state = State::NeedInput;
    if (!session_.handshake_done()) {
      state = session_.handshake_step(input, out);
      more = state == State::Done || state == State::NeedOutput;
    } else {
      std::array<std::uint8_t, 4'096> plaintext;
      const auto progress = session_.read(input, plaintext, out);
      result.plaintext.append(as_text(Bytes(plaintext).first(progress.size)));
      state = progress.state;
      more = state == State::More || state == State::NeedOutput;
    }
    result.to_send.append(out.written_text());
    result.failed = state == State::Failed;
  }
  return result;
}

std::string SecureClient::seal(std::string_view plaintext) {
  std::string sealed;
  std::array<std::uint8_t, 17'000> memory;
  for (Bytes rest = as_bytes(plaintext); !rest.empty();) {
    Writer out(memory);
    const auto progress = session_.write(rest, out);
    CHECK(progress.state != tls::TlsSession::State::Failed);
    rest = rest.subspan(progress.size);
    sealed.append(out.written_text());
  }
  return sealed;
}

}  // namespace ringway::sim
