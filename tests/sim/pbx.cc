#include "tests/sim/pbx.h"

#include <utility>

namespace ringway::sim {
namespace {

constexpr std::string_view kOwnBranch = "z9hG4bKproxied-";

}  // namespace

Pbx::Pbx(Gateway::Tools tools, std::string_view at, Location& location)
    : tools_(tools), name_("pbx " + std::string(at)), at_(endpoint(at)), location_(location) {
  tools_.network.bind(
      at_, [this](const Endpoint& from, std::string_view text) { receive(from, text, {}); });
  serve_tcp(true);
}

void Pbx::serve_tcp(bool serve) {
  if (!serve) return tools_.network.stop_listening(at_);
  tools_.network.listen(at_, [this](const Endpoint&, std::shared_ptr<Wire> wire) {
    auto line = std::make_shared<Line>();
    line->id = wire->id();
    line->wire = std::move(wire);
    line->side = Wire::Side::Server;
    return std::optional(end_of(line));
  });
}

Wire::End Pbx::end_of(const LineRef& line) {
  return {[this, line](std::string_view bytes) {
            line->framing.feed(bytes);
            for (;;) {
              const Framing::Result result = line->framing.next();
              if (result.kind == Framing::Result::Kind::None) return;
              if (result.kind == Framing::Result::Kind::Message) {
                tools_.checks.sent({line->id}, result.bytes);
                receive({}, result.bytes, line);
              }
              if (result.kind == Framing::Result::Kind::Broken) {
                return tools_.checks.fail("the next hop cannot read its connection", result.bytes);
              }
            }
          },
          [this, line](Wire::Ending) {
            tools_.checks.connection_ended(line->id);
            line->wire.reset();
          }};
}

UserAgent& Pbx::extension(std::string_view user) {
  auto& agent = extensions_[std::string(user)];
  if (!agent) {
    Profile profile;
    profile.user = user;
    profile.contact = "sip:" + profile.user + "@" + to_string(at_);
    profile.via = "SIP/2.0/UDP " + to_string(at_);
    profile.media_relayed = media_relayed;
    profile.reliable = sends_by_tcp;
    agent = std::make_unique<UserAgent>(
        UserAgent::Tools{tools_.clock, tools_.dice, tools_.trace, tools_.checks}, profile,
        [this](const Message& message) {
          if (!message.is_request()) return send_response(message);
          Message request = message;
          // An AOR of its own domain is looked up, as for anybody else.
          if (request.values("Route").empty() && host_port_of(request.uri) == "example.org" &&
              !locate(request)) {
            return tools_.clock.after(
                0ns, [this, request, user = user_of(uri_of(request.header("From")))] {
                  if (request.method != "ACK")
                    extension(user).receive(Message::response(request, 404));
                });
          }
          send_request(request);
        });
  }
  return *agent;
}

bool Pbx::is_own(std::string_view uri) const {
  return host_port_of(uri) == to_string(at_);
}

void Pbx::receive(const Endpoint& from, std::string_view text, const LineRef& line) {
  if (mode == Mode::Silent) return;
  auto message = Message::parse(text);
  if (!message) return tools_.checks.fail("the next hop gets what is no message", text);
  tools_.trace.line(name_, "gets " + message->summary());
  if (observe && observe(text)) return;
  if (message->is_request()) return receive_request(std::move(*message), from, line);
  const std::string branch = message->branch();
  if (branch.starts_with(kOwnBranch)) {
    message->remove_first_value("Via");
    if (sends_by_tcp) proxied_[message->branch() + " " + message->cseq_method()] = *message;
    return send_response(*message);
  }
  // For which of its extensions: by the From of the request.
  const std::string user = user_of(uri_of(message->header("From")));
  const std::string back = user_of(uri_of(message->header("To")));
  const auto found = extensions_.find(user);
  if (found != extensions_.end()) return found->second->receive(*message);
  tools_.checks.fail("the next hop gets a response for nobody (" + back + ")", text);
}

void Pbx::receive_request(Message request, const Endpoint& from, const LineRef& line) {
  const std::string key = request.branch();
  if (line) {
    came_by_[key] = line;
  } else {
    came_from_[key] = from;
  }
  const bool ack = request.method == "ACK";
  if (mode == Mode::Busy) {
    if (!ack) send_response(Message::response(request, 503));
    return;
  }
  if (request.method == "REGISTER") return receive_register(request);
  const auto routes = request.values("Route");
  bool in_dialog = false;
  if (!routes.empty() && is_own(uri_of(routes.front()))) {
    request.remove_first_value("Route");
    in_dialog = true;
  }
  if (!request.values("Route").empty()) return proxy(std::move(request));
  const std::string user = user_of(request.uri);
  if (is_own(request.uri) || (user.starts_with("x") && !in_dialog)) {
    if (challenges && request.method == "INVITE" && !request.has("Authorization") &&
        !has_parameter(request.header("To"), "tag")) {
      Message challenge = Message::response(request, 407);
      challenge.set("To", std::string(request.header("To")) + ";tag=challenge");
      challenge.add("Proxy-Authenticate", "Digest realm=\"example.org\", nonce=\"n\"");
      return send_response(challenge);
    }
    return extension(user).receive(request);
  }
  const bool elsewhere = host_port_of(request.uri) != "example.org";
  const bool opens = !in_dialog && !has_parameter(request.header("To"), "tag");
  if (elsewhere ? opens : !locate(request)) {  // it relays for its own domain alone
    if (ack) return;
    Message missing = Message::response(request, 404);
    missing.set("To", std::string(request.header("To")) + ";tag=missing");
    return send_response(missing);
  }
  proxy(std::move(request));
}

void Pbx::receive_register(const Message& request) {
  if (challenges && !request.has("Authorization")) {
    Message challenge = Message::response(request, 401);
    challenge.add("WWW-Authenticate", "Digest realm=\"example.org\", nonce=\"n\"");
    return send_response(challenge);
  }
  const std::string user = user_of(uri_of(request.header("To")));
  auto& bindings = location_.users[user];
  const int seconds = std::stoi(std::string(request.header("Expires")));
  for (const std::string& value : request.values("Contact")) {
    const std::string instance = parameter(value, "+sip.instance");
    const std::string key = instance.empty() ? uri_of(value) : instance;
    bindings.erase(key);
    if (seconds == 0) continue;
    bindings[key] = {uri_of(value),
                     knows_path ? request.values("Path") : std::vector<std::string>{},
                     tools_.clock.now() + std::chrono::seconds(seconds)};
  }
  Message response = Message::response(request, 200);
  response.set("To", std::string(request.header("To")) + ";tag=registrar");
  for (const auto& [key, binding] : bindings) {
    response.add("Contact", "<" + binding.contact + ">;expires=" + std::to_string(seconds));
  }
  if (knows_path) {
    for (const std::string& path : request.values("Path")) response.add("Path", path);
  }
  send_response(response);
}

// RFC 3261 16.11: a request that comes again, its CANCEL and its ACK go where the first one went.
bool Pbx::locate(Message& request) {
  const auto [known, fresh] = located_.try_emplace(request.branch());
  const auto& bindings = location_.users[user_of(request.uri)];
  const Location::Binding* newest = nullptr;
  for (const auto& [key, binding] : bindings) {
    if (binding.expires < tools_.clock.now()) continue;
    if (!newest || binding.expires > newest->expires) newest = &binding;
  }
  if (fresh && newest) known->second = *newest;
  const std::optional<Location::Binding>& place = known->second;
  if (!place) return false;
  request.uri = place->contact;
  for (std::size_t i = place->path.size(); i > 0; --i) {
    request.add_front("Route", place->path[i - 1]);
  }
  return true;
}

// RFC 3261 16.11: no state, so the branch is made from the one it came with.
void Pbx::proxy(Message request) {
  const std::string branch = request.branch();
  const int forwards = std::stoi(std::string(request.header("Max-Forwards")));
  if (forwards == 0) {
    if (request.method != "ACK") send_response(Message::response(request, 483));
    return;
  }
  if (sends_by_tcp && request.method != "ACK") {
    const auto [known, fresh] = proxied_.try_emplace(branch + " " + request.method);
    if (!fresh) {
      if (known->second) send_response(*known->second);
      return;
    }
  }
  request.set("Max-Forwards", std::to_string(forwards - 1));
  request.add_front("Via", "SIP/2.0/UDP " + to_string(at_) + ";branch=" + std::string(kOwnBranch) +
                               branch.substr(7));
  const bool dialog = request.method == "INVITE" || request.method == "SUBSCRIBE";
  if (record_routes && dialog && !has_parameter(request.header("To"), "tag")) {
    request.add_front("Record-Route", "<sip:" + to_string(at_) + ";lr>");
  }
  send_request(request);
}

void Pbx::send_response(const Message& response) {
  const std::string branch = response.branch();
  if (const auto line = came_by_.find(branch); line != came_by_.end()) {
    return write(*line->second, response.text());
  }
  if (const auto from = came_from_.find(branch); from != came_from_.end()) {
    tools_.network.send(at_, from->second, response.text());
  }
}

void Pbx::write(const Line& line, const std::string& text) {
  if (!line.wire) return;
  tools_.checks.received({line.id}, text, true);
  line.wire->send(line.side, text);
}

void Pbx::send_request(const Message& request) {
  const auto routes = request.values("Route");
  const std::string next = routes.empty() ? request.uri : uri_of(routes.front());
  const auto to = endpoint_of(next);
  if (!to) return tools_.trace.line(name_, "cannot send to " + next);
  if (sends_by_tcp && *to == endpoint(kInner)) {
    Message by_tcp = request;
    std::string via = by_tcp.values("Via").front();
    by_tcp.remove_first_value("Via");
    by_tcp.add_front("Via", via.replace(8, 3, "TCP"));
    return send_to_gateway_by_tcp(by_tcp.text());
  }
  tools_.network.send(at_, *to, request.text());
}

void Pbx::send_to_gateway_by_tcp(const std::string& text) {
  if (own_line_ && own_line_->wire) return write(*own_line_, text);
  waiting_.push_back(text);
  if (std::exchange(opening_, true)) return;
  auto line = std::make_shared<Line>();
  line->side = Wire::Side::Client;
  const Endpoint from{at_.address, static_cast<std::uint16_t>(tools_.dice.between(30'000, 60'000))};
  tools_.network.connect(from, endpoint(kInner), end_of(line),
                         [this, line](std::shared_ptr<Wire> wire) {
                           opening_ = false;
                           const auto waiting = std::exchange(waiting_, {});
                           if (!wire) return;
                           line->id = wire->id();
                           line->wire = std::move(wire);
                           own_line_ = line;
                           for (const std::string& message : waiting) write(*line, message);
                         });
}

}  // namespace ringway::sim
