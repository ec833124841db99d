#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/base/bytes.h"

// TLS and WebSocket with nothing above them: what a bridge cannot do without.

namespace ringway::floor {

// One context for the process: certificate and key are PEM files; prints and exits if unreadable.
SSL_CTX* make_tls_context(const std::string& certificate, const std::string& key);

// One client's connection between ciphertext and whole WebSocket messages. Trusts its client (the
// bench's own generator) further than a product may: frames must not be fragmented.
class Bridge {
 public:
  explicit Bridge(SSL_CTX* context);
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;
  ~Bridge();

  // Consumes ciphertext. sink is called with each message's bytes, valid during the call. False
  // when the connection should be closed.
  template <typename Sink>
  bool receive(Bytes ciphertext, Sink&& sink);

  // Queues one text message; flush() encrypts all of a turn as one record.
  void send(Bytes message);
  // Appends the ciphertext that is ready to output.
  bool flush(std::vector<std::uint8_t>& output);

 private:
  enum class State { Handshake, Upgrade, Open };

  bool step();  // handshake and upgrade; true while the connection lives
  bool upgrade();
  int read_plain();  // appends to plain_; what SSL_read returned
  // The next whole frame in plain_ from position; 0 if incomplete, -1 if unacceptable.
  int next_frame(std::size_t position, Bytes& payload, bool& is_message);

  static int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* done);
  static int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* done);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static BIO_METHOD* bio_method();

  SSL* ssl_;
  State state_ = State::Handshake;
  Bytes input_;                          // ciphertext not yet read, of the running receive()
  std::vector<std::uint8_t> encrypted_;  // written by OpenSSL, taken by flush()
  std::vector<std::uint8_t> plain_;      // decrypted, not yet a whole frame or head
  std::vector<std::uint8_t> outgoing_;   // frames of this turn
};

template <typename Sink>
bool Bridge::receive(Bytes ciphertext, Sink&& sink) {
  input_ = ciphertext;
  if (state_ != State::Open && !step()) return false;
  if (state_ != State::Open) return true;
  for (int got = 1; got > 0;) {
    got = read_plain();
    if (got < 0) return false;
    std::size_t position = 0;
    for (;;) {
      Bytes payload;
      bool is_message = false;
      const int size = next_frame(position, payload, is_message);
      if (size < 0) return false;
      if (size == 0) break;
      if (is_message) sink(payload);
      position += static_cast<std::size_t>(size);
    }
    plain_.erase(plain_.begin(), plain_.begin() + static_cast<std::ptrdiff_t>(position));
  }
  return true;
}

}  // namespace ringway::floor
