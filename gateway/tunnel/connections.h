#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/slot_table.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/tunnel/link.h"
#include "tls/session.h"

namespace ringway::tunnel {

// Who the connections belong to: each has a place there, which is a Link.
class ConnectionOwner {
 public:
  virtual void on_connected(std::uint16_t place) = 0;  // TCP is there
  virtual void on_opened(std::uint16_t place) = 0;     // TLS too
  virtual void on_received(std::uint16_t place, Bytes bytes) = 0;
  virtual void on_closed(std::uint16_t place, const std::string& reason) = 0;
  virtual Link& link_at(std::uint16_t place) = 0;

 protected:
  ~ConnectionOwner() = default;
};

// TCP connections of the tunnel on one kernel, with TLS or without.
//
//               connected            handshake done
//   Connecting -----------> Securing ---------------> Open
//       |                      |                        |     close(), end of stream, an error
//       +----------------------+------------------------+---> Ending: until the kernel has let go
//
// Without TLS Securing is passed at once.
class Connections {
 public:
  // tls: nullptr: plain TCP. All outlive this object; so does buffers, a group for streams.
  Connections(Kernel& kernel, ReceiveBuffers& buffers, const tls::TlsContext* tls,
              std::uint16_t places, ConnectionOwner& owner);
  ~Connections();

  void connect(std::uint16_t place, const Endpoint& to);
  void accepted(std::uint16_t place, int fd);
  // on_closed() does not follow.
  void close(std::uint16_t place);

  // A completion of kind ReceiveStream, SendStream or Connect without a tag.
  void completed(const Completion& completion);
  // Sends what the links have; once a turn.
  void flush();
  // Arms receives that ran out of buffers; once a turn, after the buffers were published.
  void arm();

 private:
  enum class State : std::uint8_t { Connecting, Securing, Open, Ending };
  struct Connection {
    int fd = -1;
    std::uint16_t place = 0;
    State state = State::Connecting;
    bool receiving = false, sending = false, connecting = false;  // the kernel has it
    SocketAddress address{};
    tls::TlsSession session;
    std::vector<std::uint8_t> plain;  // taken from the link; plain_sent of it are encrypted
    std::size_t plain_sent = 0;
    std::vector<std::uint8_t> ready;   // to be sent next
    std::vector<std::uint8_t> flying;  // what the kernel sends
  };

  Connection* find(std::uint16_t place);
  void secure(SlotId id, Connection& connection);
  void received(SlotId id, Connection& connection, Bytes bytes);
  bool handshake(SlotId id, Connection& connection, Bytes& bytes);
  void decrypt(SlotId id, Connection& connection, Bytes bytes);
  void encrypt(Connection& connection);
  void send(SlotId id, Connection& connection);
  void arm(SlotId id, Connection& connection);
  void lost(Connection& connection, const std::string& reason);
  std::string closed_reason(const Connection& connection);
  void end(SlotId id, Connection& connection);
  void release_if_idle(SlotId id, Connection& connection);

  Kernel& kernel_;
  ReceiveBuffers& buffers_;
  const tls::TlsContext* tls_;
  ConnectionOwner& owner_;
  SlotTable<Connection> connections_;
  std::vector<SlotId> at_;  // by place
  std::vector<std::uint8_t> scratch_;
};

}  // namespace ringway::tunnel
