#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/transport.h"
#include "tests/sim/flow.h"
#include "tests/sim/gateway.h"
#include "tests/sim/secure.h"
#include "tests/sim/user_agent.h"

namespace ringway::sim {

// A browser or a phone of the access side: a user agent and its connection, which may die and be
// made anew; or its socket behind a NAT.
class Device {
 public:
  struct Kind {
    Transport transport = Transport::Wss;
    bool instance = true;  // says +sip.instance and reg-id; else its Contact is its name
  };
  Device(Gateway::Tools tools, int number, Kind kind, bool media_relayed);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // done(false): refused. A UDP device is always connected.
  void connect(std::function<void(bool)> done = {});
  bool is_connected() const;
  // The end of its connection: in order, by a reset, or so that nobody hears of it.
  enum class Leave : std::uint8_t { Close, Reset, Silent };
  void disconnect(Leave how);
  void rebind_nat();
  // Bytes that are no message of its user agent's.
  void send_raw(std::string_view bytes);
  // Its connection breaks within so many bytes.
  void cut_after(std::uint64_t bytes, bool silently);

  // From now on it speaks to that address; where it is connected already when it comes back.
  void use(const Endpoint& server) { server_ = server; }

  UserAgent& agent() { return *agent_; }
  // Is shown each message that it gets. True: it is not for the user agent.
  std::function<bool(std::string_view)> observe;
  Transport transport() const { return kind_.transport; }
  const std::string& name() const { return name_; }

 private:
  void receive_bytes(std::string_view bytes);
  void receive_message(std::string_view text);
  void receive_plain(std::string_view bytes);
  void opened();
  void write(std::string_view plain);
  void lost();
  void fail_to_connect();
  void watch(std::shared_ptr<Wire> wire);
  Endpoint server() const;
  websocket::Mask mask();

  Gateway::Tools tools_;
  Kind kind_;
  std::string name_;
  Endpoint local_;   // its socket's, behind the NAT
  Address outside_;  // the NAT's
  std::optional<Endpoint> server_;  // none: the usual one of its transport
  std::shared_ptr<Wire> wire_;
  //   Closed --connect--> Calling --wire--> Securing --TLS--> Upgrading --101--> Open
  //                                   TCP, WS and TLS leave out what they have not
  enum class Stage : std::uint8_t { Closed, Calling, Securing, Upgrading, Open };
  Stage stage_ = Stage::Closed;
  std::unique_ptr<SecureClient> tls_;  // null: none
  std::unique_ptr<Framing> framing_;
  std::string head_;  // of the answer to the upgrade
  std::function<void(bool)> done_;
  std::unique_ptr<UserAgent> agent_;
};

}  // namespace ringway::sim
