#include "bench/load/agent.h"

#include <cstdio>

#include "bench/load/udp_channel.h"
#include "protocol/base/ascii.h"

namespace ringway::load {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kT1 = 500 * kMillisecond;  // RFC 3261 17.1.1.1
constexpr std::uint64_t kT2 = 4000 * kMillisecond;
constexpr std::uint64_t kTransactionTimeout = 64 * kT1;  // timers B and F
constexpr std::size_t kUnitsMax = 200'000;

std::string hex(std::uint64_t value, int digits) {
  char text[20];
  std::snprintf(text, sizeof text, "%0*lx", digits, value);
  return text;
}

// -1 if there is a character that is no lower-case hex digit.
std::int64_t parse_hex(std::string_view text) {
  std::int64_t value = 0;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

}  // namespace

Agent::Agent(Loop& loop, const Options& options, AnsweringSide* answering)
    : loop_(loop),
      options_(options),
      answering_(answering),
      salt_(std::random_device{}() & 0xffff),
      reliable_(options.transport != Transport::Udp) {
  if (is_websocket(options.transport) && options.engine == Engine::LibWebSockets) {
    websockets_ = std::make_unique<WebSocketsClient>(loop, options);
  } else if (is_secure(options.transport)) {
    tls_ = std::make_unique<TlsClient>(options.resume);
  }
  flows_.resize(options.flows);
}

Agent::~Agent() = default;

void Agent::make_channel(std::size_t index) {
  Flow& flow = flows_[index];
  flow.connecting = true;
  flow.connect_started = now_ns();
  ++connecting_;
  ++statistics_.started;
  if (options_.transport == Transport::Udp) {
    --statistics_.started;
    flow.channel =
        std::make_unique<UdpChannel>(loop_, *this, options_.target, options_.from_if_given());
    flow.channel->index = index;
    channel_opened(*flow.channel);
  } else if (websockets_ != nullptr) {
    flow.channel = std::make_unique<WebSocketsChannel>(loop_, *this, *websockets_);
    flow.channel->index = index;
  } else {
    flow.channel = std::make_unique<StreamChannel>(loop_, *this, options_, tls_.get());
    flow.channel->index = index;
  }
}

void Agent::open_flows(unsigned count) {
  for (std::size_t tries = 0; tries < flows_.size() && count > 0; ++tries) {
    const std::size_t index = next_open_;
    next_open_ = next_open_ + 1 == flows_.size() ? 0 : next_open_ + 1;
    if (flows_[index].channel != nullptr) continue;
    make_channel(index);
    --count;
  }
}

void Agent::drop_all() {
  for (Flow& flow : flows_) {
    if (flow.channel == nullptr) continue;
    flow.channel->drop();
    graveyard_.push_back(std::move(flow.channel));
    flow.connecting = false;
    flow.registered = false;
  }
  open_count_ = connecting_ = registered_ = 0;
  for (std::uint32_t i = 0; i < units_.size(); ++i) {
    if (units_[i].state != State::Free) lose(i);
  }
}

// The salt makes flows of several generators differ; 16 bits of index are enough for NOFILE.
void Agent::describe(Flow& flow, std::size_t index) {
  flow.tag = hex(salt_, 4) + hex(index & 0xffff, 4);
  flow.user = options_.user_prefix + std::to_string(index);
  const Address& local = flow.channel->local();
  std::string host = host_port(local);
  // A browser knows no address of its own (RFC 7118 5).
  if (is_websocket(options_.transport)) host = "f" + flow.tag + ".invalid";
  flow.via = std::string("SIP/2.0/") + via_token(options_.transport) + " " + host;
  flow.contact = "<sip:" + flow.user + "@" + host;
  if (options_.transport == Transport::Tcp) flow.contact += ";transport=tcp";
  if (options_.transport == Transport::Tls) flow.contact += ";transport=tls";
  if (is_websocket(options_.transport)) flow.contact += ";transport=ws";
  flow.contact += ">";
}

void Agent::channel_opened(Channel& channel) {
  Flow& flow = flows_[channel.index];
  flow.connecting = false;
  --connecting_;
  ++open_count_;
  if (channel.resumed()) ++statistics_.resumed;
  describe(flow, channel.index);
  if (handshake_only) {
    const std::uint64_t took = now_ns() - flow.connect_started;
    statistics_.first.add(took);
    interval_.add(took);
    ++statistics_.completed;
    --open_count_;
    channel.drop();
    graveyard_.push_back(std::move(flow.channel));
    if (closed_loop) make_channel(channel.index);
    return;
  }
  if (register_flows) begin(static_cast<std::uint32_t>(channel.index), flow.connect_started, true);
}

void Agent::channel_closed(Channel& channel) {
  Flow& flow = flows_[channel.index];
  ++statistics_.flow_failures;
  if (flow.connecting) {
    --connecting_;
  } else {
    --open_count_;
    if (flow.registered) --registered_;
  }
  flow.connecting = flow.registered = false;
  // A channel that failed inside its constructor is not ours yet, and has no index.
  if (flow.channel.get() == &channel) graveyard_.push_back(std::move(flow.channel));
  for (std::uint32_t i = 0; i < units_.size(); ++i) {
    if (units_[i].state != State::Free && units_[i].flow == channel.index) lose(i);
  }
}

bool Agent::start(std::uint64_t intended) {
  for (std::size_t tries = 0; tries < flows_.size(); ++tries) {
    const std::uint32_t flow = next_flow_;
    next_flow_ = next_flow_ + 1 == flows_.size() ? 0 : next_flow_ + 1;
    if (flows_[flow].channel != nullptr && flows_[flow].channel->is_open()) {
      return begin(flow, intended, false);
    }
  }
  return false;
}

bool Agent::begin(std::uint32_t flow, std::uint64_t intended, bool registering) {
  if (free_.empty()) {
    if (units_.size() >= kUnitsMax) return false;
    free_.push_back(static_cast<std::uint32_t>(units_.size()));
    units_.emplace_back();
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  Unit& unit = units_[slot];
  unit.state = State::Waiting;
  unit.registering = registering;
  ++unit.generation;
  unit.flow = flow;
  unit.intended = intended;
  unit.remote.clear();
  unit.routes.clear();
  unit.next_hop.size = 0;
  unit.target = "sip:answer@" + options_.domain;
  ++active_;
  if (!registering) ++statistics_.started;
  if (registering || options_.mode == Mode::Register) {
    unit.target = "sip:" + options_.domain;
    send_request(slot, "REGISTER");
  } else if (options_.mode == Mode::Call) {
    send_request(slot, "INVITE");
  } else if (options_.mode == Mode::Message) {
    send_request(slot, "MESSAGE");
  } else {
    send_request(slot, "OPTIONS");
  }
  return true;
}

void Agent::write_request(std::uint32_t slot, std::string_view method, char kind) {
  Unit& unit = units_[slot];
  const Flow& flow = flows_[unit.flow];
  const std::string id = hex(slot, 6) + hex(unit.generation, 4);
  out_.clear();
  out_.append(method).append(" ").append(unit.target).append(" SIP/2.0\r\nVia: ").append(flow.via);
  out_.append(";rport;branch=z9hG4bK").append(flow.tag).append(id);
  out_.push_back(kind);
  out_.append("\r\n").append(unit.routes).append("Max-Forwards: 70\r\nFrom: <sip:");
  out_.append(flow.user).append("@").append(options_.domain).append(">;tag=").append(id);
  out_.append(flow.tag).append("\r\nTo: ");
  if (!unit.remote.empty()) {
    out_.append(unit.remote);
  } else if (method == "REGISTER") {
    out_.append("<sip:").append(flow.user).append("@").append(options_.domain).append(">");
  } else {
    out_.append("<sip:answer@").append(options_.domain).append(">");
  }
  out_.append("\r\nCall-ID: ").append(id).append(flow.tag).append("@ringway-load");
  if (options_.vary != 0) {
    out_.append((slot * 31 + unit.generation * 17) % (options_.vary + 1), 'x');
  }
  out_.append("\r\nCSeq: ");
  out_.append(kind == 'b' ? "2 " : "1 ").append(method).append("\r\n");
  out_.append("User-Agent: ringway-load/" RINGWAY_VERSION "\r\n");
  if (method == "REGISTER") {
    out_.append("Contact: ").append(flow.contact);
    if (reliable_) {
      out_.append(";reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-0000");
      out_.append(flow.tag).append(">\"");
    }
    out_.append("\r\nExpires: ").append(std::to_string(options_.expires_s));
    out_.append("\r\nSupported: path, outbound, gruu\r\n");
  }
  if (method == "INVITE" || method == "OPTIONS") {
    out_.append("Contact: ").append(flow.contact).append("\r\n");
    out_.append("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, INFO, UPDATE\r\n");
  }
  std::string_view body;
  if (method == "INVITE") {
    body = sdp_;
    out_.append("Supported: outbound, replaces\r\nContent-Type: application/sdp\r\n");
  } else if (method == "MESSAGE") {
    body = "load";
    out_.append("Content-Type: text/plain\r\n");
  }
  out_.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  out_.append(body);
}

void Agent::send_request(std::uint32_t slot, std::string_view method) {
  Unit& unit = units_[slot];
  if (sdp_.empty()) {
    const std::string& address = flows_[unit.flow].channel->local().text;
    sdp_ = make_sdp(address.empty() ? "127.0.0.1" : address);
  }
  write_request(slot, method, method == "BYE" ? 'b' : 'r');
  const std::uint64_t now = now_ns();
  unit.sent = now;
  unit.interval = kT1;
  unit.retransmit_at = now + kT1;
  if (!reliable_) unit.request = out_;
  flows_[unit.flow].channel->send(out_, unit.next_hop.size != 0 ? &unit.next_hop : nullptr);
}

void Agent::channel_received(Channel& channel, std::string_view text, const Address* source) {
  if (!read_message(text, message_)) {
    ++statistics_.strays;
    return;
  }
  Flow& flow = flows_[channel.index];
  if (message_.is_request) {
    if (answering_ != nullptr) answering_->answer(channel, message_, source, flow.contact);
    return;
  }
  handle_response(flow);
}

void Agent::handle_response(Flow& flow) {
  constexpr std::string_view kCookie = "z9hG4bK";
  const std::string_view branch = header_parameter(message_.find("Via", 'v'), "branch");
  const bool ours = branch.size() == kCookie.size() + 19 && branch.starts_with(kCookie) &&
                    branch.substr(kCookie.size(), 8) == flow.tag;
  const std::int64_t slot = ours ? parse_hex(branch.substr(15, 6)) : -1;
  const std::int64_t generation = ours ? parse_hex(branch.substr(21, 4)) : -1;
  if (slot < 0 || slot >= static_cast<std::int64_t>(units_.size())) {
    ++statistics_.strays;
    return;
  }
  Unit& unit = units_[static_cast<std::size_t>(slot)];
  const char kind = branch.back();
  const bool expected = kind == 'b'
                            ? unit.state == State::Bye
                            : unit.state == State::Waiting || unit.state == State::Proceeding;
  if (unit.generation != generation || !expected) {
    ++statistics_.strays;
    return;
  }
  if (message_.status < 200) {
    if (options_.mode == Mode::Call && kind == 'r') unit.state = State::Proceeding;
    return;
  }
  handle_final(static_cast<std::uint32_t>(slot), kind);
}

void Agent::handle_final(std::uint32_t slot, char kind) {
  Unit& unit = units_[slot];
  const bool success = message_.status < 300;
  const std::uint64_t now = now_ns();
  if (!success) ++statistics_.statuses[message_.status];
  if (kind == 'b') {
    statistics_.bye.add(now - unit.sent);
    finish(slot, success);
    return;
  }
  if (!unit.registering || options_.mode == Mode::Storm) {
    statistics_.first.add(now - unit.intended);
    interval_.add(now - unit.intended);
  }
  if (options_.mode == Mode::Call && !unit.registering) {
    answer_invite(slot);
    return;
  }
  if (unit.registering && success && !flows_[unit.flow].registered) {
    flows_[unit.flow].registered = true;
    ++registered_;
  }
  finish(slot, success);
}

// ACK: for a 2xx a request of its own along the dialog's route set (13.2.2.4), for anything else
// part of the INVITE transaction, with its branch (17.1.1.3).
void Agent::answer_invite(std::uint32_t slot) {
  Unit& unit = units_[slot];
  unit.remote.assign(message_.find("To", 't'));
  if (message_.status >= 300) {
    write_request(slot, "ACK", 'r');
    flows_[unit.flow].channel->send(out_, nullptr);
    finish(slot, false);
    return;
  }
  if (const std::string_view contact = message_.find("Contact", 'm'); !contact.empty()) {
    unit.target.assign(address_uri(contact));
  }
  std::string_view first_route;
  unit.routes.clear();
  for (std::size_t i = message_.headers.size(); i-- > 0;) {  // reversed (12.1.2)
    if (!is_header(message_.headers[i], "Record-Route", 0)) continue;
    std::string_view values = message_.headers[i].value;
    while (!values.empty()) {
      const std::size_t comma = values.rfind(',');
      const std::string_view value =
          ascii::trim(comma == values.npos ? values : values.substr(comma + 1));
      if (first_route.empty()) first_route = value;
      unit.routes.append("Route: ").append(value).append("\r\n");
      values = comma == values.npos ? std::string_view() : values.substr(0, comma);
    }
  }
  if (!reliable_) set_next_hop(unit, first_route.empty() ? unit.target : first_route);
  write_request(slot, "ACK", 'a');
  flows_[unit.flow].channel->send(out_, unit.next_hop.size != 0 ? &unit.next_hop : nullptr);
  if (options_.hold_s > 0) {
    unit.state = State::Hold;
    unit.retransmit_at = now_ns() + static_cast<std::uint64_t>(options_.hold_s * 1e9);
    holding_.push_back(slot);
  } else {
    send_bye(slot);
  }
}

// In-dialog datagrams go where the topmost route points, if that is an address and not a name.
void Agent::set_next_hop(Unit& unit, std::string_view first_route) {
  const std::string_view uri = address_uri(first_route);
  const HostPort where = uri_host_port(uri);
  if (where.host.empty() || uri.find("transport=ws") != uri.npos ||
      where.host.find_first_not_of("0123456789.") != std::string::npos) {
    return;
  }
  const std::uint16_t port = where.port != 0 ? where.port : 5060;
  if (where.host == options_.target.text && port == options_.target.port) return;
  unit.next_hop = resolve(where.host + ":" + std::to_string(port), false);
}

void Agent::send_bye(std::uint32_t slot) {
  units_[slot].state = State::Bye;
  if (flows_[units_[slot].flow].channel == nullptr) {
    lose(slot);
    return;
  }
  send_request(slot, "BYE");
}

void Agent::finish(std::uint32_t slot, bool success) {
  Unit& unit = units_[slot];
  const bool load = !unit.registering || options_.mode == Mode::Storm;
  unit.state = State::Free;
  free_.push_back(slot);
  --active_;
  if (load) {
    if (success) {
      ++statistics_.completed;
    } else {
      ++statistics_.refused;
    }
  }
  if (!unit.registering && closed_loop && !start(now_ns())) ++statistics_.skipped;
}

void Agent::lose(std::uint32_t slot) {
  Unit& unit = units_[slot];
  unit.state = State::Free;
  free_.push_back(slot);
  --active_;
  ++statistics_.lost;
  if (!unit.registering && closed_loop && !start(now_ns())) ++statistics_.skipped;
}

void Agent::tick(std::uint64_t now) {
  graveyard_.clear();
  while (!holding_.empty()) {
    const std::uint32_t slot = holding_.front();
    if (units_[slot].state == State::Hold && units_[slot].retransmit_at > now) break;
    holding_.pop_front();
    if (units_[slot].state == State::Hold) send_bye(slot);
  }
  for (std::uint32_t slot = 0; slot < units_.size(); ++slot) {
    Unit& unit = units_[slot];
    if (unit.state == State::Free || unit.state == State::Hold) continue;
    if (now >= unit.sent + kTransactionTimeout) {
      lose(slot);
      continue;
    }
    if (reliable_ || unit.state == State::Proceeding || now < unit.retransmit_at) continue;
    ++statistics_.retransmissions;
    unit.interval = std::min(unit.interval * 2, kT2);
    unit.retransmit_at = now + unit.interval;
    flows_[unit.flow].channel->send(unit.request,
                                    unit.next_hop.size != 0 ? &unit.next_hop : nullptr);
  }
}

void Agent::reset_statistics() {
  statistics_ = Statistics();
  interval_.clear();
}

void Agent::give_up() {
  closed_loop = false;
  for (std::uint32_t slot = 0; slot < units_.size(); ++slot) {
    if (units_[slot].state != State::Free && units_[slot].state != State::Hold) lose(slot);
  }
}

}  // namespace ringway::load
