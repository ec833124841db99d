#pragma once

#include <memory>
#include <string>
#include <vector>

#include "protocol/base/bytes.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_session_st SSL_SESSION;
typedef struct ssl_st SSL;

namespace ringway::tls::test {

// A TLS client that is not ours: plain OpenSSL over memory BIOs. Trusts everybody.
class ForeignClient {
 public:
  explicit ForeignClient(int version, const std::string& server_name = "",
                         const std::vector<std::string>& protocols = {});
  ~ForeignClient();
  ForeignClient(const ForeignClient&) = delete;
  ForeignClient& operator=(const ForeignClient&) = delete;

  // Goes on with the handshake and reads what comes.
  void receive(Bytes ciphertext);
  // Ciphertext to be sent; takes it.
  std::vector<std::uint8_t> take_output();
  void send(std::string_view plaintext);
  void update_key();
  void close();
  void restrict_ciphers(const char* list);
  void restrict_signatures(const char* list);

  bool done() const { return done_; }
  bool failed() const { return failed_; }
  bool resumed() const;
  std::string certificate_name() const;  // common name of the server's certificate
  std::string key_type() const;
  const std::string& received() const { return received_; }

  // The newest ticket; empty if none came.
  std::vector<std::uint8_t> ticket() const;
  void use_ticket(const std::vector<std::uint8_t>& ticket);

 private:
  void run();

  SSL_CTX* context_;
  SSL* ssl_;
  std::vector<std::uint8_t> ticket_;
  std::string received_;
  bool done_ = false;
  bool failed_ = false;
};

}  // namespace ringway::tls::test
