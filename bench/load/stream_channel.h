#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/load/channel.h"

namespace ringway::load {

// The client side's TLS: one context, and the newest session for those that resume.
class TlsClient {
 public:
  explicit TlsClient(bool resume);
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  ~TlsClient();

  SSL* make(const std::string& server_name);

 private:
  SSL_CTX* context_;
  SSL_SESSION* session_ = nullptr;
  bool resume_;
};

// TCP, optionally TLS on it, optionally WebSocket on that: framed by Content-Length or by frames.
// Certificates are not verified: this measures servers, it does not trust them.
class StreamChannel : public Channel {
 public:
  // A client: connects at once. tls may be null.
  StreamChannel(Loop& loop, ChannelUser& user, const Options& options, TlsClient* tls);
  // A server's end of an accepted socket; ssl (owned from here) may be null.
  StreamChannel(Loop& loop, ChannelUser& user, int fd, SSL* ssl);
  ~StreamChannel() override;

  void send(std::string_view message, const Address* destination) override;
  bool is_open() const override { return state_ == State::Open; }
  bool is_closed() const { return state_ == State::Closed; }
  void drop() override;
  void flush() override;

 private:
  enum class State { Connecting, Handshake, Ticket, Upgrade, Open, Closed };

  void watch(int events);
  void ready(int events);
  void advance();
  void start_upgrade();
  void finish_upgrade();
  void set_open();
  void fail();
  void receive();
  // Bytes read; 0 when it would block; -1 at the end.
  int read_some();
  void take_messages();
  // Size of the frame at position, 0 if incomplete; text is set for a data frame.
  std::size_t take_frame(std::size_t position, std::string_view& text);
  void append_frame(std::uint8_t opcode, std::string_view payload);
  void write_out();

  Loop& loop_;
  ChannelUser& user_;
  const Options* options_ = nullptr;  // of a client
  State state_ = State::Connecting;
  bool websocket_ = false;
  int fd_ = -1;
  int events_ = 0;
  uv_poll_t* poll_ = nullptr;
  SSL* ssl_ = nullptr;
  std::string input_;
  std::string output_;  // from written_ on it has to be written
  std::size_t written_ = 0;
};

// Accepts connections for a user; they stay alive until they close.
class StreamListener {
 public:
  StreamListener(Loop& loop, ChannelUser& user, const Address& address, SSL_CTX* tls);
  StreamListener(const StreamListener&) = delete;
  StreamListener& operator=(const StreamListener&) = delete;

 private:
  void accept_all();

  Loop& loop_;
  ChannelUser& user_;
  SSL_CTX* tls_;
  int fd_ = -1;
  uv_poll_t poll_{};
  std::vector<std::unique_ptr<StreamChannel>> channels_;
};

}  // namespace ringway::load
