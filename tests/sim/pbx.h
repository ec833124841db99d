#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/flow.h"
#include "tests/sim/gateway.h"
#include "tests/sim/user_agent.h"

namespace ringway::sim {

// Who is registered where, shared by all next hops of a world.
struct Location {
  struct Binding {
    std::string contact;
    std::vector<std::string> path;
    Instant expires{};
  };
  std::map<std::string, std::map<std::string, Binding>> users;  // by user, by instance
};

// A next hop: registrar, stateless proxy to whom is registered, and extensions x0, x1 ... of its
// own that answer and call.
class Pbx {
 public:
  Pbx(Gateway::Tools tools, std::string_view at, Location& location);
  Pbx(const Pbx&) = delete;
  Pbx& operator=(const Pbx&) = delete;

  enum class Mode : std::uint8_t { Serves, Silent, Busy };  // Busy: 503 to everything
  Mode mode = Mode::Serves;
  bool knows_path = true;
  bool record_routes = true;
  bool challenges = false;    // REGISTER and INVITE need credentials
  bool sends_by_tcp = false;  // its own requests to the gateway
  bool media_relayed = true;  // its extensions get only what a phone can use

  // Is shown each message that it gets. True: it is not for the next hop.
  std::function<bool(std::string_view)> observe;

  // Makes it if need be.
  UserAgent& extension(std::string_view user);
  // It accepts TCP connections, or refuses them.
  void serve_tcp(bool serve);
  const Endpoint& at() const { return at_; }

 private:
  struct Line {  // one TCP connection
    std::shared_ptr<Wire> wire;
    Wire::Side side;
    std::uint64_t id = 0;  // its wire's
    Framing framing{Transport::Tcp, websocket::Role::Client};
  };
  using LineRef = std::shared_ptr<Line>;

  Wire::End end_of(const LineRef& line);
  void receive(const Endpoint& from, std::string_view text, const LineRef& line);
  void receive_request(Message request, const Endpoint& from, const LineRef& line);
  void receive_register(const Message& request);
  void proxy(Message request);
  void send_response(const Message& response);
  void send_request(const Message& request);
  void write(const Line& line, const std::string& text);
  void send_to_gateway_by_tcp(const std::string& text);
  // The Request-URI and Route set of a request for a registered user; false: nobody is there.
  bool locate(Message& request);
  bool is_own(std::string_view uri) const;

  Gateway::Tools tools_;
  std::string name_;
  Endpoint at_;
  Location& location_;
  std::map<std::string, std::unique_ptr<UserAgent>> extensions_;
  std::map<std::string, std::optional<Location::Binding>> located_;  // by branch
  std::map<std::string, Endpoint> came_from_;  // by branch: where responses go
  std::map<std::string, LineRef> came_by_;     // by branch: on which connection
  // What was proxied onto a connection, by branch and method, with the last response: there a
  // repetition would be a new request (RFC 3261 17.2.2, timer J).
  std::map<std::string, std::optional<Message>> proxied_;
  LineRef own_line_;                  // to the gateway
  std::vector<std::string> waiting_;  // until it is open
  bool opening_ = false;
};

}  // namespace ringway::sim
