#pragma once

#include <array>
#include <string>
#include <vector>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"
#include "tests/tls/foreign_client.h"
#include "tls/session.h"

namespace ringway::tls::test {

// A TlsSession with the loop of a shell around it: everything received is used up at once, output
// collects in a vector.
class Endpoint {
 public:
  explicit Endpoint(TlsSession session, std::size_t output_space = 65536)
      : session_(std::move(session)), memory_(output_space) {}

  void receive(Bytes ciphertext) {
    while (!session_.handshake_done() && state_ != TlsSession::State::Failed) {
      Writer writer(memory_);
      state_ = session_.handshake_step(ciphertext, writer);
      collect(writer);
      if (state_ == TlsSession::State::NeedInput) break;
    }
    if (!session_.handshake_done()) return;
    while (true) {
      Writer writer(memory_);
      std::array<std::uint8_t, 3000> plaintext;
      const TlsSession::Progress progress = session_.read(ciphertext, plaintext, writer);
      collect(writer);
      received_.append(as_text(Bytes(plaintext).first(progress.size)));
      state_ = progress.state;
      if (state_ != TlsSession::State::More && state_ != TlsSession::State::NeedOutput) break;
    }
    if (state_ == TlsSession::State::NeedInput) unused_ += ciphertext.size();
  }

  // Encrypts all of it, in as many turns as the output space asks for.
  void send(std::string_view plaintext) {
    Bytes rest = as_bytes(plaintext);
    while (true) {
      Writer writer(memory_);
      const TlsSession::Progress progress = session_.write(rest, writer);
      collect(writer);
      rest = rest.subspan(progress.size);
      ++turns_;
      state_ = progress.state;
      if (progress.state != TlsSession::State::NeedOutput) break;
    }
  }

  void close() {
    Writer writer(memory_);
    state_ = session_.close(writer);
    collect(writer);
  }

  std::vector<std::uint8_t> take_output() { return std::exchange(output_, {}); }

  TlsSession& session() { return session_; }
  bool done() const { return session_.handshake_done(); }
  TlsSession::State state() const { return state_; }
  const std::string& received() const { return received_; }
  std::size_t turns() const { return turns_; }
  std::size_t unused() const { return unused_; }  // input left although the state is NeedInput

 private:
  void collect(const Writer& writer) {
    output_.insert(output_.end(), writer.written().begin(), writer.written().end());
  }

  TlsSession session_;
  std::vector<std::uint8_t> memory_;
  std::vector<std::uint8_t> output_;
  std::string received_;
  TlsSession::State state_ = TlsSession::State::NeedInput;
  std::size_t turns_ = 0;
  std::size_t unused_ = 0;
};

// Carries bytes both ways until nothing moves.
template <typename Client>
void shuttle(Client& client, Endpoint& server) {
  while (true) {
    const std::vector<std::uint8_t> up = client.take_output();
    if (!up.empty()) server.receive(up);
    const std::vector<std::uint8_t> down = server.take_output();
    if (!down.empty()) client.receive(down);
    if (up.empty() && down.empty()) return;
  }
}

// The same between two of ours: the client begins.
inline void connect(Endpoint& client, Endpoint& server) {
  client.receive({});
  shuttle(client, server);
}

}  // namespace ringway::tls::test
