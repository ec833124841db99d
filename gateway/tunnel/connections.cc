#include "gateway/tunnel/connections.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ringway::tunnel {
namespace {

// A record of TLS takes up to 16,384 bytes of plaintext and some thirty more.
constexpr std::size_t kCipherMax = 2 * Link::kOutputMax + 8192;
constexpr std::size_t kHandshakeMax = 32 * 1024;
// Of what was not yet sent the kernel keeps no more than this: a Ping does not wait long behind a
// large message, and messages stay where they can take turns.
constexpr int kUnsentMax = 64 * 1024;

void set_options(int fd) {
  const int on = 1;
  static_cast<void>(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  static_cast<void>(setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentMax, sizeof kUnsentMax));
}

std::string tls_reason(const tls::TlsSession& session) {
  switch (session.error().code) {
    case tls::ErrorCode::PeerDistrustsUs:
      return "the far end does not accept our certificate; copy its folder of `ringway tunnel "
             "keys` there again";
    case tls::ErrorCode::PeerCertificateUntrusted:
    case tls::ErrorCode::PeerCertificateMissing:
      return "the far end does not have the certificate that peer.pem names; one end takes the "
             "controller folder, the other one the relay folder, of the same `ringway tunnel keys`";
    case tls::ErrorCode::PeerCertificateExpired:
      return "the far end's certificate is not valid now; set both hosts' clocks, or make new "
             "folders with `ringway tunnel keys`";
    case tls::ErrorCode::NotTls:
      return "the far end does not speak TLS; is it started with --keys?";
    default:
      return "TLS: " + std::string(tls::text_of(session.error().code));
  }
}

}  // namespace

Connections::Connections(Kernel& kernel, ReceiveBuffers& buffers, const tls::TlsContext* tls,
                         std::uint16_t places, ConnectionOwner& owner)
    : kernel_(kernel),
      buffers_(buffers),
      tls_(tls),
      owner_(owner),
      connections_(4u * places + 16),
      at_(places),
      scratch_(32 * 1024) {}

Connections::~Connections() {
  for (std::uint32_t slot = 0; slot < connections_.used_slots(); ++slot) {
    if (Connection* connection = connections_.at(slot)) kernel_.close(connection->fd);
  }
}

Connections::Connection* Connections::find(std::uint16_t place) {
  return connections_.find(at_[place]);
}

void Connections::connect(std::uint16_t place, const Endpoint& to) {
  const SlotId id = connections_.take();
  if (!id) return owner_.on_closed(place, "too many connections are being closed");
  Connection& connection = *connections_.find(id);
  connection.place = place;
  at_[place] = id;
  connection.fd = kernel_.open_stream(socket_family(to.family()), nullptr, 0);
  if (connection.fd < 0) {
    const std::string reason = std::strerror(-connection.fd);
    connections_.release(id);
    at_[place] = {};
    return owner_.on_closed(place, "no socket: " + reason);
  }
  set_options(connection.fd);
  const socklen_t size = write_socket_address(to, connection.address);
  connection.connecting = true;
  kernel_.connect(connection.fd, &connection.address.any, size, {OperationKind::Connect, id});
}

void Connections::accepted(std::uint16_t place, int fd) {
  const SlotId id = connections_.take();
  if (!id) {
    kernel_.close(fd);
    return owner_.on_closed(place, "too many connections are being closed");
  }
  Connection& connection = *connections_.find(id);
  connection.place = place;
  connection.fd = fd;
  at_[place] = id;
  set_options(fd);
  if (tls_) connection.session = tls::TlsSession::accept(*tls_, 0);
  secure(id, connection);
}

void Connections::secure(SlotId id, Connection& connection) {
  connection.state = State::Securing;
  arm(id, connection);
  if (!tls_) {
    connection.state = State::Open;
    return owner_.on_opened(connection.place);
  }
  if (!connection.session.valid()) return lost(connection, "no memory for TLS");
  Bytes nothing;
  handshake(id, connection, nothing);
}

void Connections::close(std::uint16_t place) {
  const SlotId id = at_[place];
  Connection* connection = connections_.find(id);
  if (!connection) return;
  at_[place] = {};
  end(id, *connection);
}

std::string Connections::closed_reason(const Connection& connection) {
  const std::string reason = "the far end closed the connection";
  if (tls_ || owner_.link_at(connection.place).up()) return reason;
  return reason + " before it greeted; does it want --keys at this end too?";
}

// The kernel lets go of what it holds, one completion after the other; the descriptor stays till
// then.
void Connections::end(SlotId id, Connection& connection) {
  connection.state = State::Ending;
  kernel_.shutdown(connection.fd, SHUT_RDWR);
  if (connection.connecting) kernel_.cancel(connection.fd, {OperationKind::Connect, id});
  if (connection.receiving) kernel_.cancel(connection.fd, {OperationKind::ReceiveStream, id});
  if (connection.sending) kernel_.cancel(connection.fd, {OperationKind::SendStream, id});
  release_if_idle(id, connection);
}

void Connections::release_if_idle(SlotId id, Connection& connection) {
  if (connection.receiving || connection.sending || connection.connecting) return;
  kernel_.close(connection.fd);
  connections_.release(id);
}

void Connections::lost(Connection& connection, const std::string& reason) {
  const std::uint16_t place = connection.place;
  close(place);
  owner_.on_closed(place, reason);
}

void Connections::completed(const Completion& completion) {
  const SlotId id = completion.operation.id;
  Connection* connection = connections_.find(id);
  if (!connection) {
    if (completion.has_buffer) buffers_.taken(), buffers_.give_back(completion.buffer);
    return;
  }
  const bool ending = connection->state == State::Ending;
  switch (completion.operation.kind) {
    case OperationKind::Connect:
      connection->connecting = false;
      if (ending) break;
      if (completion.result < 0) return lost(*connection, std::strerror(-completion.result));
      owner_.on_connected(connection->place);
      if (tls_) connection->session = tls::TlsSession::connect(*tls_, 0, "ringway-tunnel");
      return secure(id, *connection);
    case OperationKind::SendStream:
      connection->sending = false;
      if (ending) break;
      if (std::cmp_less(completion.result, connection->flying.size()))
        return lost(*connection, "the connection broke while sending");
      return send(id, *connection);
    default:
      if (!completion.more) connection->receiving = false;
      if (completion.has_buffer) {
        buffers_.taken();
        if (!ending && completion.result > 0) {
          received(id, *connection,
                   buffers_.bytes(completion.buffer, static_cast<std::size_t>(completion.result)));
        }
        buffers_.give_back(completion.buffer);
      }
      connection = connections_.find(id);  // the owner may have closed it
      if (!connection) return;
      if (connection->state == State::Ending) break;
      if (completion.result == 0) return lost(*connection, closed_reason(*connection));
      if (completion.result < 0 && completion.result != -ENOBUFS) {
        return lost(*connection, std::strerror(-completion.result));
      }
      return;
  }
  release_if_idle(id, *connection);
}

void Connections::arm(SlotId id, Connection& connection) {
  if (connection.receiving) return;
  connection.receiving = true;
  kernel_.receive(connection.fd, buffers_.group(), 0, {OperationKind::ReceiveStream, id});
}

void Connections::arm() {
  for (const SlotId id : at_) {
    Connection* connection = connections_.find(id);
    if (!connection || connection->state == State::Connecting) continue;
    if (connection->state != State::Ending) arm(id, *connection);
  }
}

void Connections::received(SlotId id, Connection& connection, Bytes bytes) {
  if (!tls_) return owner_.on_received(connection.place, bytes);
  if (connection.state == State::Securing && !handshake(id, connection, bytes)) return;
  if (connections_.find(id) && connection.state == State::Open) decrypt(id, connection, bytes);
}

// True once the handshake is done.
bool Connections::handshake(SlotId id, Connection& connection, Bytes& bytes) {
  std::vector<std::uint8_t> memory(kHandshakeMax);
  Writer out(memory);
  const auto state = connection.session.handshake_step(bytes, out);
  connection.ready.insert(connection.ready.end(), out.written().begin(), out.written().end());
  if (state == tls::TlsSession::State::Failed || state == tls::TlsSession::State::NeedOutput) {
    const std::string reason = tls_reason(connection.session);
    send(id, connection);  // the alert
    lost(connection, reason);
    return false;
  }
  send(id, connection);
  if (state != tls::TlsSession::State::Done) return false;
  connection.state = State::Open;
  owner_.on_opened(connection.place);
  return true;
}

void Connections::decrypt(SlotId id, Connection& connection, Bytes bytes) {
  std::array<std::uint8_t, 2048> memory;
  while (true) {
    Writer out(memory);
    const auto [state, size] = connection.session.read(bytes, scratch_, out);
    connection.ready.insert(connection.ready.end(), out.written().begin(), out.written().end());
    // New keys asked for again and again, and their answers never read.
    if (connection.ready.size() > kCipherMax) {
      return lost(connection, "the far end does not read what it asks for");
    }
    if (size != 0) owner_.on_received(connection.place, Bytes(scratch_).first(size));
    if (!connections_.find(id) || connection.state != State::Open) return;
    switch (state) {
      case tls::TlsSession::State::More:
      case tls::TlsSession::State::NeedOutput:
      case tls::TlsSession::State::Done:
        continue;
      case tls::TlsSession::State::NeedInput:
        return;
      case tls::TlsSession::State::Closed:
        return lost(connection, "the far end closed the connection");
      case tls::TlsSession::State::Failed:
        return lost(connection, tls_reason(connection.session));
    }
  }
}

void Connections::flush() {
  for (std::size_t place = 0; place < at_.size(); ++place) {
    Connection* connection = connections_.find(at_[place]);
    if (connection && !connection->sending) send(at_[place], *connection);
  }
}

void Connections::send(SlotId id, Connection& connection) {
  if (connection.sending) return;
  if (connection.state == State::Open) {
    if (connection.plain_sent == connection.plain.size() &&
        owner_.link_at(connection.place).has_output()) {
      owner_.link_at(connection.place).take_output(connection.plain);
      connection.plain_sent = 0;
    }
    if (!tls_) {
      std::swap(connection.ready, connection.plain);
      connection.plain.clear();
    } else if (connection.plain_sent < connection.plain.size()) {
      encrypt(connection);
    }
  }
  if (connection.ready.empty()) return;
  std::swap(connection.ready, connection.flying);
  connection.ready.clear();
  connection.sending = true;
  kernel_.send(connection.fd, connection.flying, Kernel::Chain::Last,
               {OperationKind::SendStream, id});
}

void Connections::encrypt(Connection& connection) {
  const std::size_t start = connection.ready.size();
  const Bytes plain = Bytes(connection.plain).subspan(connection.plain_sent);
  connection.ready.resize(start + std::min(plain.size() + plain.size() / 64 + 1024, kCipherMax));
  Writer out(MutableBytes(connection.ready).subspan(start));
  const auto progress = connection.session.write(plain, out);
  connection.plain_sent += progress.size;
  connection.ready.resize(start + out.size());
}

}  // namespace ringway::tunnel
