#include "bench/floor/bridge.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "protocol/base/ascii.h"

namespace ringway::floor {

SSL_CTX* make_tls_context(const std::string& certificate, const std::string& key) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    std::exit(1);
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set1_groups_list(context, "X25519:P-256");
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  return context;
}

BIO_METHOD* Bridge::bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "floor");
    BIO_meth_set_read_ex(made, &Bridge::bio_read);
    BIO_meth_set_write_ex(made, &Bridge::bio_write);
    BIO_meth_set_ctrl(made, &Bridge::bio_control);
    return made;
  }();
  return method;
}

int Bridge::bio_read(BIO* bio, char* data, std::size_t size, std::size_t* done) {
  auto& self = *static_cast<Bridge*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.input_.empty()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *done = std::min(size, self.input_.size());
  std::memcpy(data, self.input_.data(), *done);
  self.input_ = self.input_.subspan(*done);
  return 1;
}

int Bridge::bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* done) {
  auto& self = *static_cast<Bridge*>(BIO_get_data(bio));
  self.encrypted_.insert(self.encrypted_.end(), data, data + size);
  *done = size;
  return 1;
}

long Bridge::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH;
}

Bridge::Bridge(SSL_CTX* context) : ssl_(SSL_new(context)) {
  BIO* bio = BIO_new(bio_method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

Bridge::~Bridge() {
  SSL_free(ssl_);
}

int Bridge::read_plain() {
  std::array<std::uint8_t, 16384> chunk;
  ERR_clear_error();
  const int got = SSL_read(ssl_, chunk.data(), chunk.size());
  if (got > 0) {
    plain_.insert(plain_.end(), chunk.begin(), chunk.begin() + got);
    return got;
  }
  return SSL_get_error(ssl_, got) == SSL_ERROR_WANT_READ ? 0 : -1;
}

bool Bridge::step() {
  if (state_ == State::Handshake) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) return SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ;
    state_ = State::Upgrade;
  }
  const int got = read_plain();
  if (got < 0) return false;
  return upgrade();
}

bool Bridge::upgrade() {
  const std::string_view text = as_text(plain_);
  const std::size_t end = text.find("\r\n\r\n");
  if (end == text.npos) return text.size() < 4096;
  constexpr std::string_view kName = "sec-websocket-key:";
  std::string_view key;
  for (std::size_t line = 0; line < end; line = text.find("\r\n", line) + 2) {
    if (ascii::starts_with_ignoring_case(text.substr(line), kName)) {
      const std::string_view rest = text.substr(line + kName.size());
      key = ascii::trim(rest.substr(0, rest.find("\r\n")));
    }
  }
  std::array<std::uint8_t, SHA_DIGEST_LENGTH> digest;
  const std::string joined = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  SHA1(as_bytes(joined).data(), joined.size(), digest.data());
  std::array<std::uint8_t, 32> accept;
  EVP_EncodeBlock(accept.data(), digest.data(), SHA_DIGEST_LENGTH);
  const std::string head =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Accept: " +
      std::string(as_text(accept).substr(0, 28)) + "\r\n\r\n";
  outgoing_.insert(outgoing_.end(), head.begin(), head.end());
  plain_.erase(plain_.begin(), plain_.begin() + static_cast<std::ptrdiff_t>(end + 4));
  plain_.shrink_to_fit();
  state_ = State::Open;
  return true;
}

int Bridge::next_frame(std::size_t position, Bytes& payload, bool& is_message) {
  const MutableBytes rest = MutableBytes(plain_).subspan(position);
  if (rest.size() < 6) return 0;
  const bool masked = (rest[1] & 0x80) != 0;
  std::size_t size = rest[1] & 0x7f;
  std::size_t head = 6;
  if (!masked || size == 127) return -1;
  if (size == 126) {
    head = 8;
    if (rest.size() < head) return 0;
    size = read_u16(rest.subspan(2));
  }
  if (rest.size() < head + size) return 0;
  const MutableBytes data = rest.subspan(head, size);
  std::uint32_t mask;
  std::memcpy(&mask, rest.data() + head - 4, 4);
  const std::uint64_t wide = (std::uint64_t{mask} << 32) | mask;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, data.data() + i, 8);
    word ^= wide;
    std::memcpy(data.data() + i, &word, 8);
  }
  for (; i < size; ++i) data[i] ^= rest[head - 4 + (i & 3)];
  const std::uint8_t opcode = rest[0] & 0x0f;
  if (opcode == 8) return -1;
  if (opcode == 9) {
    outgoing_.insert(outgoing_.end(), {0x8a, static_cast<std::uint8_t>(size)});
    outgoing_.insert(outgoing_.end(), data.begin(), data.end());
  }
  is_message = opcode == 1 || opcode == 2;
  payload = data;
  return static_cast<int>(head + size);
}

void Bridge::send(Bytes message) {
  if (message.size() < 126) {
    outgoing_.insert(outgoing_.end(), {0x81, static_cast<std::uint8_t>(message.size())});
  } else {
    outgoing_.insert(outgoing_.end(), {0x81, 126, static_cast<std::uint8_t>(message.size() >> 8),
                                       static_cast<std::uint8_t>(message.size())});
  }
  outgoing_.insert(outgoing_.end(), message.begin(), message.end());
}

bool Bridge::flush(std::vector<std::uint8_t>& output) {
  for (std::size_t done = 0; done < outgoing_.size();) {
    ERR_clear_error();
    const int wrote =
        SSL_write(ssl_, outgoing_.data() + done, static_cast<int>(outgoing_.size() - done));
    if (wrote <= 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  outgoing_.clear();
  if (output.empty()) {
    output.swap(encrypted_);
  } else {
    output.insert(output.end(), encrypted_.begin(), encrypted_.end());
  }
  encrypted_.clear();
  return true;
}

}  // namespace ringway::floor
