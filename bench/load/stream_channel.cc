#include "bench/load/stream_channel.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "bench/load/sip_text.h"
#include "protocol/base/bytes.h"

namespace ringway::load {
namespace {

constexpr std::size_t kInputSizeMax = 1 << 20;

// Masks need to be unpredictable to script in a browser (RFC 6455 10.3), not to the server.
std::uint32_t next_mask() {
  static std::minstd_rand generator(std::random_device{}());
  return static_cast<std::uint32_t>(generator()) ^ static_cast<std::uint32_t>(generator() << 16);
}

void set_no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

TlsClient::TlsClient(bool resume) : context_(SSL_CTX_new(TLS_client_method())), resume_(resume) {
  SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set1_groups_list(context_, "X25519:P-256");
  SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
  SSL_CTX_set_app_data(context_, this);
  if (!resume) return;
  SSL_CTX_set_session_cache_mode(context_,
                                 SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context_, [](SSL* ssl, SSL_SESSION* session) {
    auto& self = *static_cast<TlsClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    SSL_SESSION_free(self.session_);
    self.session_ = session;
    return 1;  // the reference is ours
  });
}

TlsClient::~TlsClient() {
  SSL_SESSION_free(session_);
  SSL_CTX_free(context_);
}

SSL* TlsClient::make(const std::string& server_name) {
  SSL* ssl = SSL_new(context_);
  SSL_set_connect_state(ssl);
  SSL_set_tlsext_host_name(ssl, server_name.c_str());
  if (resume_ && session_ != nullptr) SSL_set_session(ssl, session_);
  return ssl;
}

StreamChannel::StreamChannel(Loop& loop, ChannelUser& user, const Options& options, TlsClient* tls)
    : loop_(loop), user_(user), options_(&options), websocket_(is_websocket(options.transport)) {
  const Address& target = options.target;
  fd_ = socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) {
    std::fprintf(stderr, "ringway-load: socket: %s\n", std::strerror(errno));
    std::exit(1);
  }
  set_no_delay(fd_);
  if (tls != nullptr) {
    ssl_ = tls->make(options.target_name);
    SSL_set_fd(ssl_, fd_);
  }
  const Address& from = options.from;
  if (from.size != 0 &&
      bind(fd_, reinterpret_cast<const sockaddr*>(&from.storage), from.size) != 0) {
    std::fprintf(stderr, "ringway-load: cannot bind to %s: %s\n", from.text.c_str(),
                 std::strerror(errno));
    std::exit(1);
  }
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&target.storage), target.size) != 0 &&
      errno != EINPROGRESS) {
    // Reported from the loop like any other failure: poll() sees the error.
  }
  watch(UV_WRITABLE);
}

StreamChannel::StreamChannel(Loop& loop, ChannelUser& user, int fd, SSL* ssl)
    : loop_(loop),
      user_(user),
      state_(ssl != nullptr ? State::Handshake : State::Open),
      fd_(fd),
      ssl_(ssl) {
  set_no_delay(fd);
  if (ssl_ != nullptr) {
    SSL_set_fd(ssl_, fd);
    SSL_set_accept_state(ssl_);
  }
  watch(UV_READABLE);
}

StreamChannel::~StreamChannel() {
  loop_.forget(*this);
  drop();
}

void StreamChannel::watch(int events) {
  if (poll_ == nullptr) {
    poll_ = new uv_poll_t;
    uv_poll_init(loop_.get(), poll_, fd_);
    poll_->data = this;
  }
  if (events == events_) return;
  events_ = events;
  uv_poll_start(poll_, events, [](uv_poll_t* handle, int status, int ready) {
    auto& self = *static_cast<StreamChannel*>(handle->data);
    Loop& loop = self.loop_;
    if (status < 0) {
      self.fail();
    } else {
      self.ready(ready);
    }
    loop.flush_if_many();
  });
}

// A reset instead of a goodbye: the client's ports are free again at once.
void StreamChannel::drop() {
  if (poll_ == nullptr) return;
  state_ = State::Closed;
  uv_poll_stop(poll_);
  const linger reset{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd_);
  uv_close(reinterpret_cast<uv_handle_t*>(poll_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
  poll_ = nullptr;
  if (ssl_ != nullptr) {
    // Without this OpenSSL would hold a dropped connection against its session.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_);
  }
  ssl_ = nullptr;
}

void StreamChannel::fail() {
  if (state_ == State::Closed) return;
  drop();
  user_.channel_closed(*this);
}

void StreamChannel::ready(int events) {
  if (state_ == State::Connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      fail();
      return;
    }
    local_.size = sizeof local_.storage;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&local_.storage), &local_.size);
    fill_numeric(local_);
    state_ = State::Handshake;
    advance();
    return;
  }
  if (state_ == State::Handshake) {
    advance();
    return;
  }
  if ((events & UV_WRITABLE) != 0) write_out();
  if ((events & UV_READABLE) != 0 && state_ != State::Closed) receive();
}

void StreamChannel::advance() {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) {
      const int error = SSL_get_error(ssl_, result);
      if (error == SSL_ERROR_WANT_READ) {
        watch(UV_READABLE);
      } else if (error == SSL_ERROR_WANT_WRITE) {
        watch(UV_READABLE | UV_WRITABLE);
      } else {
        fail();
      }
      return;
    }
    resumed_ = SSL_session_reused(ssl_) != 0;
  }
  watch(UV_READABLE);
  if (websocket_) {
    start_upgrade();
  } else if (ssl_ != nullptr && options_ != nullptr && options_->mode == Mode::Handshake) {
    // Our half ends before the server's: what it sends then (tickets) says that it is done too.
    state_ = State::Ticket;
  } else {
    set_open();
  }
}

void StreamChannel::start_upgrade() {
  state_ = State::Upgrade;
  output_ = "GET " + options_->path + " HTTP/1.1\r\nHost: " + options_->target_name + ":" +
            std::to_string(options_->target.port) +
            "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
  if (!options_->origin.empty()) output_ += "Origin: " + options_->origin + "\r\n";
  // The answer's hash is not checked, so the key need not differ.
  output_ +=
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Sec-WebSocket-Protocol: sip\r\n\r\n";
  write_out();
}

void StreamChannel::finish_upgrade() {
  const std::size_t end = input_.find("\r\n\r\n");
  if (end == input_.npos) return;
  if (!input_.starts_with("HTTP/1.1 101")) {
    fail();
    return;
  }
  input_.erase(0, end + 4);
  set_open();
}

void StreamChannel::set_open() {
  state_ = State::Open;
  user_.channel_opened(*this);
}

int StreamChannel::read_some() {
  static std::array<char, 65536> chunk;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int got = SSL_read(ssl_, chunk.data(), chunk.size());
    if (got > 0) {
      input_.append(chunk.data(), static_cast<std::size_t>(got));
      return got;
    }
    return SSL_get_error(ssl_, got) == SSL_ERROR_WANT_READ ? 0 : -1;
  }
  const ssize_t got = recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got > 0) {
    input_.append(chunk.data(), static_cast<std::size_t>(got));
    return static_cast<int>(got);
  }
  return got < 0 && errno == EAGAIN ? 0 : -1;
}

void StreamChannel::receive() {
  for (;;) {
    const int got = read_some();
    if (got < 0) {
      fail();
      return;
    }
    if (state_ == State::Ticket) {
      set_open();
      return;
    }
    if (got == 0) return;
    if (state_ == State::Upgrade) finish_upgrade();
    if (state_ == State::Open) take_messages();
    if (state_ == State::Closed) return;
    // OpenSSL returns a record at a time; on plain TCP a short read has emptied the socket.
    if (ssl_ == nullptr ? got < 65536 : !SSL_has_pending(ssl_)) return;
  }
}

void StreamChannel::take_messages() {
  std::size_t position = 0;
  while (position < input_.size() && state_ == State::Open) {
    std::string_view text;
    std::size_t size;
    if (websocket_) {
      size = take_frame(position, text);
    } else if (input_[position] == '\r' || input_[position] == '\n') {
      size = 1;  // keep-alive between messages (RFC 3261 7.5, RFC 5626 3.5.1)
    } else {
      size = framed_size(std::string_view(input_).substr(position));
      if (size != 0 && size != std::string::npos) {
        text = std::string_view(input_).substr(position, size);
      }
    }
    if (size == std::string::npos || input_.size() > kInputSizeMax) {
      fail();
      return;
    }
    if (size == 0) break;
    position += size;
    if (!text.empty()) user_.channel_received(*this, text, nullptr);
  }
  input_.erase(0, position);
}

std::size_t StreamChannel::take_frame(std::size_t position, std::string_view& text) {
  const Bytes rest = as_bytes(input_).subspan(position);
  if (rest.size() < 2) return 0;
  std::size_t head = 2;
  std::uint64_t size = rest[1] & 0x7f;
  if (size == 126) {
    head = 4;
    if (rest.size() < head) return 0;
    size = read_u16(rest.subspan(2));
  } else if (size == 127) {
    head = 10;
    if (rest.size() < head) return 0;
    size = read_u64(rest.subspan(2));
  }
  if ((rest[1] & 0x80) != 0 || size > kInputSizeMax) return std::string::npos;
  if (rest.size() < head + size) return 0;
  const std::string_view payload = as_text(rest.subspan(head, static_cast<std::size_t>(size)));
  switch (rest[0] & 0x0f) {
    case 1:
    case 2:
      text = payload;
      break;
    case 8:
      return std::string::npos;
    case 9:
      append_frame(10, payload);
      loop_.mark(*this);
      break;
    default:
      break;
  }
  return head + static_cast<std::size_t>(size);
}

void StreamChannel::append_frame(std::uint8_t opcode, std::string_view payload) {
  output_.push_back(static_cast<char>(0x80 | opcode));
  if (payload.size() < 126) {
    output_.push_back(static_cast<char>(0x80 | payload.size()));
  } else {
    output_.push_back(static_cast<char>(0x80 | 126));
    output_.push_back(static_cast<char>(payload.size() >> 8));
    output_.push_back(static_cast<char>(payload.size() & 0xff));
  }
  const std::uint32_t mask = next_mask();
  char key[4];
  std::memcpy(key, &mask, 4);
  output_.append(key, 4);
  const std::size_t start = output_.size();
  output_.append(payload);
  const std::uint64_t wide = (std::uint64_t{mask} << 32) | mask;
  std::size_t i = 0;
  for (; i + 8 <= payload.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, output_.data() + start + i, 8);
    word ^= wide;
    std::memcpy(output_.data() + start + i, &word, 8);
  }
  for (; i < payload.size(); ++i) {
    output_[start + i] = static_cast<char>(output_[start + i] ^ key[i & 3]);
  }
}

void StreamChannel::send(std::string_view message, const Address*) {
  if (state_ != State::Open) return;
  if (websocket_) {
    append_frame(1, message);
  } else {
    output_.append(message);
  }
  loop_.mark(*this);
}

void StreamChannel::flush() {
  if (state_ == State::Open) write_out();
}

void StreamChannel::write_out() {
  while (written_ < output_.size()) {
    const char* data = output_.data() + written_;
    const std::size_t size = output_.size() - written_;
    ssize_t wrote;
    bool blocked;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      wrote = SSL_write(ssl_, data, static_cast<int>(std::min<std::size_t>(size, 1 << 20)));
      blocked = wrote <= 0 && SSL_get_error(ssl_, static_cast<int>(wrote)) == SSL_ERROR_WANT_WRITE;
    } else {
      wrote = ::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
      blocked = wrote < 0 && errno == EAGAIN;
    }
    if (blocked) {
      watch(UV_READABLE | UV_WRITABLE);
      return;
    }
    if (wrote <= 0) {
      fail();
      return;
    }
    written_ += static_cast<std::size_t>(wrote);
  }
  output_.clear();
  written_ = 0;
  watch(UV_READABLE);
}

StreamListener::StreamListener(Loop& loop, ChannelUser& user, const Address& address, SSL_CTX* tls)
    : loop_(loop), user_(user), tls_(tls) {
  fd_ = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      listen(fd_, 4096) != 0) {
    std::fprintf(stderr, "ringway-load: cannot listen: %s\n", std::strerror(errno));
    std::exit(1);
  }
  uv_poll_init(loop.get(), &poll_, fd_);
  poll_.data = this;
  uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
    static_cast<StreamListener*>(handle->data)->accept_all();
  });
}

void StreamListener::accept_all() {
  std::erase_if(channels_, [](const auto& channel) { return channel->is_closed(); });
  for (;;) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    SSL* ssl = tls_ != nullptr ? SSL_new(tls_) : nullptr;
    channels_.push_back(std::make_unique<StreamChannel>(loop_, user_, fd, ssl));
  }
}

}  // namespace ringway::load
