#include "tests/sim/device.h"

#include <utility>

namespace ringway::sim {

Device::Device(Gateway::Tools tools, int number, Kind kind, bool media_relayed)
    : tools_(tools),
      kind_(kind),
      name_("u" + std::to_string(number)),
      local_(endpoint("192.168.0." + std::to_string(number + 1) + ":5060")),
      outside_(*parse_address("203.0.113." + std::to_string(number + 1))) {
  const bool browser = is_websocket(kind.transport);
  Profile profile;
  profile.user = name_;
  profile.reliable = is_reliable(kind.transport);
  profile.browser = browser;
  profile.media_relayed = media_relayed;
  const std::string host = browser ? "b" + std::to_string(number) + ".invalid" : to_string(local_);
  profile.via = "SIP/2.0/" + std::string(via_token(kind.transport)) + " " + host;
  profile.contact = "sip:" + name_ + "@" + host;
  if (kind.transport != Transport::Udp) {
    profile.contact += ";transport=" + std::string(browser ? "ws" : to_text(kind.transport));
  }
  if (kind.instance) {
    profile.contact_params = ";+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-0000000000" +
                             std::to_string(10 + number) + ">\";reg-id=1";
  }
  if (kind.transport == Transport::Udp) {
    tools_.network.put_behind_nat(local_, outside_);
    tools_.network.bind(
        local_, [this](const Endpoint&, std::string_view bytes) { receive_message(bytes); });
  }
  agent_ = std::make_unique<UserAgent>(
      UserAgent::Tools{tools_.clock, tools_.dice, tools_.trace, tools_.checks}, profile,
      [this](const Message& message) {
        tools_.trace.line(name_, "sends " + message.summary());
        send_raw(message.text());
      });
}

Endpoint Device::server() const {
  if (server_) return *server_;
  switch (kind_.transport) {
    case Transport::Wss:
      return endpoint(kWss);
    case Transport::Ws:
      return endpoint(kWs);
    case Transport::Tls:
      return endpoint(kTls);
    case Transport::Tcp:
    case Transport::Udp:
      return endpoint(kAccess);
  }
  return {};
}

websocket::Mask Device::mask() {
  const std::uint64_t value = tools_.dice.next();
  return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 24)};
}

bool Device::is_connected() const {
  return kind_.transport == Transport::Udp || stage_ == Stage::Open;
}

void Device::connect(std::function<void(bool)> done) {
  if (is_connected() || stage_ != Stage::Closed) {
    if (done) done(is_connected());
    return;
  }
  stage_ = Stage::Calling;
  done_ = std::move(done);
  const Endpoint from{outside_, static_cast<std::uint16_t>(tools_.dice.between(1'025, 65'000))};
  // The handlers know which connection they belong to: an old one's end is no news.
  auto token = std::make_shared<std::shared_ptr<Wire>>();
  Wire::End end{[this, token](std::string_view bytes) {
                  if (wire_ && wire_ == *token) receive_bytes(bytes);
                },
                [this, token](Wire::Ending) {
                  if (wire_ && wire_ == *token) lost();
                }};
  tools_.network.connect(from, server(), std::move(end),
                         [this, token](std::shared_ptr<Wire> wire) {
                           *token = wire;
                           wire_ = wire;
                           if (!wire) return fail_to_connect();
                           head_.clear();
                           tls_.reset();
                           framing_ = std::make_unique<Framing>(kind_.transport,
                                                                websocket::Role::Client);
                           watch(std::move(wire));
                           if (!is_secure(kind_.transport)) return opened();
                           stage_ = Stage::Securing;
                           tls_ = std::make_unique<SecureClient>();
                           wire_->send(Wire::Side::Client, tls_->begin());
                         });
}

void Device::fail_to_connect() {
  stage_ = Stage::Closed;
  if (const auto done = std::exchange(done_, {})) done(false);
}

// Bytes can be exchanged: what is next?
void Device::opened() {
  if (is_websocket(kind_.transport) && stage_ != Stage::Upgrading) {
    stage_ = Stage::Upgrading;
    return write(
        "GET / HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Origin: https://gateway.test\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n");
  }
  stage_ = Stage::Open;
  if (const auto done = std::exchange(done_, {})) done(true);
}

void Device::write(std::string_view plain) {
  wire_->send(Wire::Side::Client, tls_ ? tls_->seal(plain) : std::string(plain));
}

// What a browser's or phone's own keepalive finds out.
void Device::watch(std::shared_ptr<Wire> wire) {
  tools_.clock.after(10s, [this, wire = std::move(wire)] {
    if (wire_ != wire) return;
    if (wire->is_silent() || stage_ != Stage::Open) return lost();
    watch(wire);
  });
}

void Device::lost() {
  tools_.trace.line(name_, "lost its connection");
  tools_.checks.connection_ended(wire_->id());
  const auto wire = std::exchange(wire_, {});
  wire->close(Wire::Side::Client);
  fail_to_connect();
}

void Device::disconnect(Leave how) {
  if (!wire_) return;
  tools_.trace.line(name_, "leaves");
  tools_.checks.connection_ended(wire_->id());
  if (how == Leave::Close && stage_ == Stage::Open) write(framing_->close(1000, mask()));
  const auto wire = std::exchange(wire_, {});
  if (how == Leave::Silent) {
    wire->cut(true);
  } else {
    wire->close(Wire::Side::Client,
                how == Leave::Close ? Wire::Ending::Closed : Wire::Ending::Reset);
  }
  fail_to_connect();
}

void Device::rebind_nat() {
  tools_.network.rebind(local_);
}

void Device::cut_after(std::uint64_t bytes, bool silently) {
  if (wire_) wire_->cut_after(bytes, silently);
}

void Device::send_raw(std::string_view bytes) {
  if (kind_.transport == Transport::Udp) return tools_.network.send(local_, server(), bytes);
  if (stage_ != Stage::Open) return;
  tools_.checks.received({wire_->id()}, bytes, false);
  write(framing_->wrap(bytes, mask()));
}

void Device::receive_bytes(std::string_view bytes) {
  if (!tls_) return receive_plain(bytes);
  const auto wire = wire_;
  const SecureClient::Result result = tls_->receive(bytes);
  if (!result.to_send.empty()) wire->send(Wire::Side::Client, result.to_send);
  if (result.failed) return lost();
  if (stage_ == Stage::Securing && tls_->is_ready()) opened();
  if (wire_ == wire && !result.plaintext.empty()) receive_plain(result.plaintext);
}

void Device::receive_plain(std::string_view bytes) {
  std::string rest(bytes);
  if (stage_ == Stage::Upgrading) {
    head_ += rest;
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == head_.npos) return;
    // Where there is no place for it, it is told so.
    if (!head_.starts_with("HTTP/1.1 101")) return lost();
    rest = head_.substr(end + 4);
    const auto wire = wire_;
    framing_->feed(rest);
    opened();
    if (wire_ != wire) return;
  } else {
    framing_->feed(rest);
  }
  while (wire_) {
    using Got = Framing::Result::Kind;
    const Framing::Result result = framing_->next();
    switch (result.kind) {
      case Got::None:
        return;
      case Got::Message:
        tools_.checks.sent({wire_->id()}, result.bytes);
        receive_message(result.bytes);
        break;
      case Got::Answer:
        write(result.bytes);
        break;
      case Got::Close:
        return lost();
      case Got::Broken:
        return tools_.checks.fail(name_ + " cannot read what it gets", result.bytes);
    }
  }
}

void Device::receive_message(std::string_view text) {
  const auto message = Message::parse(text);
  if (!message) return tools_.checks.fail(name_ + " gets what is no message", text);
  tools_.trace.line(name_, "gets " + message->summary());
  if (observe && observe(text)) return;
  agent_->receive(*message);
}

}  // namespace ringway::sim
