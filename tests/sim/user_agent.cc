#include "tests/sim/user_agent.h"

#include <algorithm>
#include <utility>

namespace ringway::sim {
namespace {

constexpr Duration kT1 = 500ms, kT2 = 4s, kTimeout = 64 * kT1;
constexpr Duration kInvitePatience = 240s;  // above the gateway's timer C

constexpr std::string_view kBrowserMedia =
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=ice-ufrag:Abcd\r\na=ice-pwd:0123456789012345678901\r\n"
    "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:"
    "17:18:19:1A:1B:1C:1D:1E:1F\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n"
    "a=candidate:1 1 udp 2113937151 192.168.1.7 50000 typ host\r\na=sendrecv\r\n";
constexpr std::string_view kPlainMedia =
    "m=audio 40000 RTP/AVP 0 8\r\nc=IN IP4 10.1.2.3\r\na=sendrecv\r\n";

std::string tagged(std::string_view value, std::string_view tag) {
  return std::string(value) + ";tag=" + std::string(tag);
}

std::string without_tag(std::string_view value) {
  return std::string(value.substr(0, value.find(";tag=")));
}

}  // namespace

UserAgent::UserAgent(Tools tools, Profile profile, Send send)
    : tools_(tools), profile_(std::move(profile)), send_(std::move(send)) {
  register_call_id_ = fresh("reg");
}

std::string UserAgent::fresh(std::string_view prefix) {
  return std::string(prefix) + "-" + profile_.user + "-" + std::to_string(++serial_) + "-" +
         std::to_string(tools_.dice.below(1'000'000));
}

std::vector<int> UserAgent::calls_in(Call::State state) const {
  std::vector<int> found;
  for (const auto& [number, call] : calls_) {
    if (call.state == state) found.push_back(number);
  }
  return found;
}

std::string UserAgent::description() const {
  return "v=0\r\no=- 1 1 IN IP4 10.1.2.3\r\ns=" + profile_.user + "\r\nt=0 0\r\n" +
         std::string(profile_.browser ? kBrowserMedia : kPlainMedia);
}

void UserAgent::check_description(const Message& message) {
  if (message.body.empty() || message.header("Content-Type") != "application/sdp") return;
  const bool webrtc = message.body.find("UDP/TLS/RTP/SAVPF") != std::string::npos;
  if (profile_.media_relayed && webrtc != profile_.browser) {
    tools_.checks.fail(profile_.user + " gets a description of the other kind", message.text());
  }
}

// --- Requests of its own -----------------------------------------------------------------------

Message UserAgent::build(std::string_view method, std::string_view uri, std::string_view from,
                         std::string_view to, std::string_view call_id, unsigned cseq) {
  Message request = Message::request(method, uri);
  const std::string rport = profile_.reliable ? "" : ";rport";
  request.add("Via", profile_.via + ";branch=z9hG4bK" + fresh("b") + rport);
  request.add("Max-Forwards", "70");
  request.add("From", from);
  request.add("To", to);
  request.add("Call-ID", call_id);
  request.add("CSeq", std::to_string(cseq) + " " + std::string(method));
  return request;
}

Message UserAgent::build_within(Call& call, std::string_view method, unsigned cseq) {
  Message request = build(method, call.remote_target, tagged(call.local, call.local_tag),
                          tagged(call.remote, call.remote_tag), call.call_id, cseq);
  for (const std::string& route : call.routes) request.add("Route", route);
  return request;
}

std::string UserAgent::start(Message request, std::function<void(const Message*)> on_response) {
  const std::string key = request.branch() + " " + request.method;
  clients_[key] = {request, 0, false, false, std::move(on_response)};
  send_(request);
  if (!profile_.reliable) {
    tools_.clock.after(kT1, [this, key] { retransmit(key, kT1); });
  }
  const bool invite = request.method == "INVITE";
  const auto give_up = [this, key] {
    Client& client = clients_[key];
    if (client.status != 0) return;
    client.status = 408;
    if (client.on_response) client.on_response(nullptr);
  };
  tools_.clock.after(kTimeout, [this, key, invite, give_up] {
    if (!invite || !clients_[key].provisional) give_up();
  });
  if (invite) tools_.clock.after(kInvitePatience, give_up);
  return key;
}

void UserAgent::retransmit(const std::string& key, Duration interval) {
  const Client& client = clients_[key];
  const bool invite = client.request.method == "INVITE";
  if (client.status != 0 || (invite && client.provisional)) return;
  send_(client.request);
  const Duration next = invite ? interval * 2 : std::min<Duration>(interval * 2, kT2);
  tools_.clock.after(next, [this, key, next] { retransmit(key, next); });
}

void UserAgent::take_response(const Message& response) {
  const std::string key = response.branch() + " " + response.cseq_method();
  const auto found = clients_.find(key);
  if (found == clients_.end()) {
    if (key.starts_with("z9hG4bKraw")) return;  // a stranger's, sent over its line
    return tools_.checks.fail(profile_.user + " gets a response without a request",
                              response.text());
  }
  Client& client = found->second;
  check_description(response);
  if (response.status < 200) {
    client.provisional = true;
    if (client.cancel_wanted && client.status == 0) send_cancel(key);
    if (response.status > 100 && client.status == 0 && client.on_response) {
      client.on_response(&response);
    }
    return;
  }
  const bool invite = client.request.method == "INVITE";
  if (invite && response.status >= 300) ack_refusal(client, response);
  const bool repeated = client.status != 0;
  client.status = response.status;
  // A 2xx to INVITE is the user's at each repetition: it is the one who sends the ACK.
  const auto on_response = client.on_response;
  if (on_response && (!repeated || (invite && response.status < 300))) on_response(&response);
}

void UserAgent::ack_refusal(const Client& client, const Message& response) {
  const Message& invite = client.request;
  Message ack = Message::request("ACK", invite.uri);
  ack.add("Via", invite.values("Via").front());
  ack.add("Max-Forwards", "70");
  ack.add("From", invite.header("From"));
  ack.add("To", response.header("To"));
  ack.add("Call-ID", invite.header("Call-ID"));
  ack.add("CSeq", std::to_string(invite.cseq()) + " ACK");
  for (const std::string& route : invite.values("Route")) ack.add("Route", route);
  send_(ack);
}

void UserAgent::send_cancel(const std::string& key) {
  Client& client = clients_[key];
  client.cancel_wanted = false;
  Message cancel = client.request;
  cancel.method = "CANCEL";
  cancel.body.clear();
  for (const std::string_view name : {"Contact", "Content-Type", "Authorization"}) {
    cancel.remove(name);
  }
  cancel.set("CSeq", std::to_string(cancel.cseq()) + " CANCEL");
  start(std::move(cancel), {});
}

void UserAgent::register_for(int seconds, Done done) {
  send_register(seconds, false, std::move(done));
}

void UserAgent::send_register(int seconds, bool authorized, Done done) {
  Message request = build("REGISTER", "sip:example.org", tagged("<" + aor() + ">", "reg"),
                          "<" + aor() + ">", register_call_id_, ++register_cseq_);
  request.add("Contact", "<" + profile_.contact + ">" + profile_.contact_params);
  request.add("Expires", std::to_string(seconds));
  request.add("Supported", "path, outbound, gruu");
  if (authorized) request.add("Authorization", "Digest username=\"" + profile_.user + "\"");
  start(std::move(request), [this, seconds, authorized, done](const Message* response) {
    if (response && response->status < 200) return;
    if (response && response->status == 401 && !authorized) {
      return send_register(seconds, true, done);
    }
    if (response && response->status == 200 && seconds != 0) {
      const auto contacts = response->values("Contact");
      const bool own = std::ranges::any_of(contacts, [&](const std::string& contact) {
        return uri_of(contact) == profile_.contact;
      });
      if (!own) {
        tools_.checks.fail(profile_.user + " does not find its own Contact", response->text());
      }
    }
    if (done) done(response ? response->status : 0);
  });
}

int UserAgent::call(std::string_view target, Done done, bool late_offer) {
  const int number = next_call_++;
  Call& call = calls_[number];
  call.caller = true;
  call.call_id = fresh("call");
  call.local_tag = fresh("t");
  call.local = "<" + aor() + ">";
  call.remote = "<" + std::string(target) + ">";
  call.remote_target = target;
  send_invite(number, target, std::move(done), late_offer, false);
  return number;
}

void UserAgent::send_invite(int number, std::string_view target, Done done, bool late_offer,
                            bool authorized) {
  Call& call = calls_[number];
  Message invite = build("INVITE", target, tagged(call.local, call.local_tag), call.remote,
                         call.call_id, call.cseq);
  invite.add("Contact", "<" + profile_.contact + ">");
  if (authorized) invite.add("Authorization", "Digest username=\"" + profile_.user + "\"");
  if (!late_offer) {
    invite.add("Content-Type", "application/sdp");
    invite.body = description();
  }
  call.invite_branch = invite.branch() + " INVITE";
  start(std::move(invite), [this, number, done = std::move(done), target = std::string(target),
                            late_offer, authorized](const Message* response) {
    if (response) {
      return take_invite_response(number, *response, done, target, late_offer, authorized);
    }
    Call& silent = calls_[number];
    silent.state = Call::State::Over;
    if (done) done(0);
  });
}

void UserAgent::take_invite_response(int number, const Message& response, const Done& done,
                                     std::string_view target, bool late_offer, bool authorized) {
  Call& call = calls_[number];
  if (response.status < 200) {
    if (call.state == Call::State::Calling) call.state = Call::State::Ringing;
    if (call.state == Call::State::Ringing) learn_dialog(call, response);
    return;
  }
  if ((response.status == 401 || response.status == 407) && !authorized && !call.cancelled) {
    ++call.cseq;
    return send_invite(number, target, done, late_offer, true);
  }
  const bool first = call.status == 0;
  call.status = response.status;
  if (response.status >= 300) {
    call.state = Call::State::Over;
  } else {
    invite_succeeded(number, response, late_offer);
  }
  if (first && done) done(response.status);
}

// RFC 3261 12.1.2; of a provisional response, the early dialog.
void UserAgent::learn_dialog(Call& call, const Message& response) {
  call.remote_tag = parameter(response.header("To"), "tag");
  const auto contacts = response.values("Contact");
  if (!contacts.empty()) call.remote_target = uri_of(contacts.front());
  call.routes = response.values("Record-Route");
  std::ranges::reverse(call.routes);
  if (!response.body.empty()) call.last_sdp = response.body;
}

// ACK for each 2xx; a second answer of another is hung up at once (RFC 3261 13.2.2.4).
void UserAgent::invite_succeeded(int number, const Message& response, bool late_offer) {
  Call dialog = calls_[number];
  const std::string tag = parameter(response.header("To"), "tag");
  const bool fresh_dialog = dialog.state != Call::State::Up && dialog.state != Call::State::Over;
  const bool other = !fresh_dialog && dialog.remote_tag != tag;
  learn_dialog(dialog, response);
  if (fresh_dialog) dialog.state = Call::State::Up;

  Message ack = build_within(dialog, "ACK", response.cseq());
  if (late_offer) {
    ack.add("Content-Type", "application/sdp");
    ack.body = description();
  }
  send_(ack);
  if (other) return static_cast<void>(start(build_within(dialog, "BYE", dialog.cseq + 1), {}));
  calls_[number] = dialog;
  // It was cancelled too late.
  if (fresh_dialog && dialog.cancelled) hang_up(number);
}

void UserAgent::cancel(int number) {
  Call& call = calls_.at(number);
  if (!call.caller || call.cancelled) return;
  if (call.state != Call::State::Calling && call.state != Call::State::Ringing) return;
  call.cancelled = true;
  Client& client = clients_[call.invite_branch];
  if (client.provisional) {
    send_cancel(call.invite_branch);
  } else {
    client.cancel_wanted = true;
  }
}

void UserAgent::hang_up(int number, Done done) {
  Call& call = calls_.at(number);
  const bool early = call.caller && call.state == Call::State::Ringing && !call.remote_tag.empty();
  if (call.state != Call::State::Up && !early) return;
  call.state = Call::State::Over;
  start(build_within(call, "BYE", ++call.cseq), [done](const Message* response) {
    if (response && response->status < 200) return;
    if (done) done(response ? response->status : 0);
  });
}

void UserAgent::request_within(int number, std::string_view method, Done done) {
  Call& call = calls_.at(number);
  if (call.state != Call::State::Up) return;
  Message request = build_within(call, method, ++call.cseq);
  const bool offers = method == "INVITE" || method == "UPDATE";
  if (offers || method == "SUBSCRIBE" || method == "REFER") {
    request.add("Contact", "<" + profile_.contact + ">");
  }
  if (offers) {
    request.add("Content-Type", "application/sdp");
    request.body = description();
  }
  if (method == "REFER") request.add("Refer-To", "<sip:x9@example.org>");
  if (method == "NOTIFY") {
    request.add("Event", "refer");
    request.add("Subscription-State", "active");
  }
  start(std::move(request),
        [this, number, done, method = std::string(method)](const Message* response) {
          if (response && response->status < 200) return;
          if (response && response->status < 300 && method == "INVITE") {
            Call& up = calls_[number];
            if (!response->body.empty()) up.last_sdp = response->body;
            send_(build_within(up, "ACK", response->cseq()));
          }
          if (done) done(response ? response->status : 0);
        });
}

void UserAgent::request(std::string_view method, std::string_view target, Done done) {
  Message request = build(method, target, tagged("<" + aor() + ">", fresh("t")),
                          "<" + std::string(target) + ">", fresh("one"), 1);
  if (method == "SUBSCRIBE" || method == "REFER") {
    request.add("Contact", "<" + profile_.contact + ">");
  }
  if (method == "SUBSCRIBE") request.add("Event", "presence");
  if (method == "MESSAGE") {
    request.add("Content-Type", "text/plain");
    request.body = "hello";
  }
  start(std::move(request), [done](const Message* response) {
    if (response && response->status < 200) return;
    if (done) done(response ? response->status : 0);
  });
}

// --- Requests of others ------------------------------------------------------------------------

void UserAgent::receive(const Message& message) {
  if (message.is_request()) return take_request(message);
  take_response(message);
}

int UserAgent::find_call(const Message& request) const {
  const std::string tag = parameter(request.header("To"), "tag");
  const std::string from = parameter(request.header("From"), "tag");
  for (const auto& [number, call] : calls_) {
    if (call.call_id == request.header("Call-ID") && call.local_tag == tag &&
        (call.remote_tag == from || call.remote_tag.empty())) {
      return number;
    }
  }
  return -1;
}

int UserAgent::open_call(const Message& request) {
  const int number = next_call_++;
  Call& call = calls_[number];
  call.call_id = request.header("Call-ID");
  call.local_tag = fresh("t");
  call.remote_tag = parameter(request.header("From"), "tag");
  call.local = without_tag(request.header("To"));
  call.remote = without_tag(request.header("From"));
  const auto contacts = request.values("Contact");
  if (!contacts.empty()) call.remote_target = uri_of(contacts.front());
  call.routes = request.values("Record-Route");
  call.last_sdp = request.body;
  call.state = Call::State::Ringing;
  return number;
}

void UserAgent::take_request(const Message& request) {
  const std::string key = request.branch() + " " + request.method;
  check_description(request);
  if (request.method == "ACK") return take_ack(request);
  if (const auto known = servers_.find(key); known != servers_.end()) {
    if (known->second.response) send_(*known->second.response);
    return;
  }
  servers_[key].request = request;
  ++received[request.method];
  if (request.method == "CANCEL") return take_cancel(request);
  const bool within = has_parameter(request.header("To"), "tag");
  const int number = within ? find_call(request) : -1;
  if (request.method == "INVITE" && !within) return take_invite(key, request);
  if (within && number < 0) return respond(key, 481);
  if (request.method == "INVITE") return take_reinvite(key, request, number);
  if (request.method == "BYE") {
    if (number < 0) return respond(key, 481);
    calls_[number].state = Call::State::Over;
    respond(key, 200);
    // RFC 3261 15.1.2: what is pending ends with it.
    for (auto& [pending, server] : servers_) {
      const bool open = !server.response || server.response->status < 200;
      if (server.call == number && server.request.method == "INVITE" && open) {
        return respond(pending, 487);
      }
    }
    return;
  }
  if (const int status = answers_others(request); status != 0) respond(key, status);
}

void UserAgent::take_invite(const std::string& key, const Message& request) {
  const int number = open_call(request);
  servers_[key].call = number;
  const Answer answer = answers(request);
  if (answer.trying) respond(key, 100);
  if (answer.rings) {
    tools_.clock.after(answer.after / 2, [this, key] {
      if (servers_[key].response && servers_[key].response->status >= 200) return;
      respond(key, 180);
    });
  }
  if (answer.status == 0) return;
  tools_.clock.after(answer.after, [this, key, number, status = answer.status] {
    if (servers_[key].response && servers_[key].response->status >= 200) return;
    calls_[number].state = status < 300 ? Call::State::Up : Call::State::Over;
    calls_[number].status = status;
    respond(key, status);
  });
}

void UserAgent::take_reinvite(const std::string& key, const Message& request, int number) {
  Call& call = calls_[number];
  servers_[key].call = number;
  if (!request.body.empty()) call.last_sdp = request.body;
  respond(key, call.state == Call::State::Up ? 200 : 481);
}

void UserAgent::take_cancel(const Message& request) {
  const std::string invite = request.branch() + " INVITE";
  const auto found = servers_.find(invite);
  const std::string key = request.branch() + " CANCEL";
  if (found == servers_.end()) return respond(key, 481);
  respond(key, 200);
  if (found->second.response && found->second.response->status >= 200) return;
  calls_[found->second.call].state = Call::State::Over;
  calls_[found->second.call].status = 487;
  respond(invite, 487);
}

void UserAgent::take_ack(const Message& request) {
  for (auto& [key, server] : servers_) {
    if (server.request.method == "INVITE" &&
        server.request.header("Call-ID") == request.header("Call-ID") &&
        server.request.cseq() == request.cseq()) {
      server.acked = true;
    }
  }
}

void UserAgent::respond(const std::string& key, int status) {
  Server& server = servers_[key];
  Message response = Message::response(server.request, status);
  const bool invite = server.request.method == "INVITE";
  if (status > 100 && !has_parameter(response.header("To"), "tag")) {
    const std::string tag = server.call >= 0 ? calls_[server.call].local_tag : fresh("t");
    response.set("To", tagged(response.header("To"), tag));
  }
  if (status > 100 && status < 300 &&
      (invite || server.request.method == "SUBSCRIBE" || server.request.method == "REFER" ||
       server.request.method == "UPDATE")) {
    for (const auto& [name, value] : server.request.headers) {
      if (name == "Record-Route") response.add(name, value);
    }
    response.add("Contact", "<" + profile_.contact + ">");
  }
  if ((invite || server.request.method == "UPDATE") && status >= 200 && status < 300) {
    response.add("Content-Type", "application/sdp");
    response.body = description();
  }
  server.response = response;
  send_(response);
  if (!invite || status < 200) return;
  if (status >= 300 && profile_.reliable) return;
  tools_.clock.after(
      kT1, [this, key, end = tools_.clock.now() + kTimeout] { repeat_until_acked(key, kT1, end); });
}

void UserAgent::repeat_until_acked(const std::string& key, Duration interval, Instant end) {
  Server& server = servers_[key];
  if (server.acked) return;
  if (tools_.clock.now() >= end) {
    // RFC 3261 13.3.1.4: no ACK, no call.
    if (server.response->status < 300 && server.call >= 0) hang_up(server.call);
    return;
  }
  send_(*server.response);
  const Duration next = std::min<Duration>(interval * 2, kT2);
  tools_.clock.after(next, [this, key, next, end] { repeat_until_acked(key, next, end); });
}

}  // namespace ringway::sim
