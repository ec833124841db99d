#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/flow_info.h"
#include "gateway/base/outbox.h"
#include "protocol/sip/stream_framer.h"
#include "protocol/websocket/connection.h"
#include "tests/sim/wire.h"

namespace ringway::sim {

// One end of a connection that carries SIP: cuts what comes in into messages with the real codecs,
// and writes what goes out. Used by the gateway's shell and by the agents, each in its role.
class Framing {
 public:
  Framing(Transport transport, websocket::Role role)
      : websocket_(is_websocket(transport)), role_(role), connection_(role) {}

  struct Result {
    enum class Kind : std::uint8_t { None, Message, Answer, Close, Broken } kind = Kind::None;
    std::string bytes;  // Message; Answer: what is to be sent back as it is
  };
  void feed(std::string_view bytes) { pending_.append(bytes); }
  // Call until None.
  Result next();

  // message as it stands on the wire. mask: a client's.
  std::string wrap(std::string_view message, const websocket::Mask& mask) const;
  std::string close(std::uint16_t code, const websocket::Mask& mask) const;

 private:
  Result next_websocket();
  std::string frame(websocket::Opcode opcode, std::string_view payload,
                    const websocket::Mask& mask) const;

  bool websocket_;
  websocket::Role role_;
  websocket::Connection connection_;
  sip::StreamFramer framer_;
  std::string pending_;
};

// A flow of the gateway's.
struct Flow {
  Flow(FlowInfo flow_info, Wire::Side wire_side)
      : info(flow_info), side(wire_side), framing(flow_info.transport, websocket::Role::Server) {}

  FlowInfo info;
  Wire::Side side;
  Framing framing;
  std::shared_ptr<Wire> wire;  // null while it connects
  struct Queued {
    std::string bytes;
    Ticket ticket;
  };
  std::deque<Queued> queue;  // while it connects, or its peer does not read
  bool slow = false;         // the peer does not read for a while
  bool announced = false;    // the core knows it
};

}  // namespace ringway::sim
