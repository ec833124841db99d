#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/base/transport.h"
#include "protocol/sip/stream_framer.h"
#include "protocol/websocket/connection.h"

namespace ringway::sim {

// One end of a connection that carries SIP: cuts what comes in into messages with the real codecs,
// and writes what goes out, for the far ends of the gateway.
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

}  // namespace ringway::sim
