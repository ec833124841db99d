#include "tests/sim/attacker.h"

#include <array>

namespace ringway::sim {
namespace {

constexpr std::string_view kMark = "X-May-Reach";
constexpr std::size_t kLootMax = 64;

// Addresses that neither the configuration nor any dialog names.
constexpr std::array<std::string_view, 6> kTraps{"127.0.0.1:5060",     "10.9.9.9:5060",
                                                 "192.168.77.7:5060",  "169.254.1.1:80",
                                                 "203.0.113.250:9999", "198.51.100.1:5061"};

bool is_addressed_to(const Message& message, std::string_view user) {
  return user_of(message.uri) == user || user_of(uri_of(message.header("To"))) == user;
}

}  // namespace

Attacker::Attacker(World& world, Device& device, Device& guest)
    : world_(world),
      device_(device),
      guest_(guest),
      socket_(endpoint("203.0.113.240:4444")),
      access_twin_(endpoint("203.0.113.241:4444")) {
  for (const Endpoint& at : {socket_, access_twin_}) {
    world_.network.bind(at, [this](const Endpoint&, std::string_view text) {
      if (const auto message = Message::parse(text)) take(*message);
    });
  }
  for (const std::string_view at : kTraps) world_.checks.forbid(endpoint(at));
  world_.checks.forbid(endpoint("127.0.0.1:22"));
  const auto watch = [this](std::string_view who) {
    return [this, who = std::string(who)](std::string_view text) { return saw(who, text); };
  };
  for (auto& each : world_.devices) each->observe = watch(each->name());
  for (std::size_t i = 0; i < world_.pbxs(); ++i) world_.pbx(i).observe = watch("next-hop");
}

// --- What must never be seen -------------------------------------------------------------------

bool Attacker::saw(std::string_view who, std::string_view text) {
  const auto message = Message::parse(text);
  if (!message) return false;
  judge(who, *message, text);
  const bool answers_attack =
      !message->is_request() && message->branch().starts_with("z9hG4bKattack");
  if (who != device_.name() && who != guest_.name()) return answers_attack;
  take(*message);
  return answers_attack || (who == guest_.name() && !message->is_request());
}

void Attacker::judge(std::string_view who, const Message& message, std::string_view text) {
  const std::string_view mark = message.header(kMark);
  // What the next hop has passed on went the normal way.
  const bool by_next_hop = mark == "next-hop" && text.find("10.0.0.9") != text.npos;
  if (message.is_request() && !mark.empty() && mark != who && !by_next_hop) {
    return world_.checks.fail(std::string(who) + " was reached past the rules", text);
  }
  if (message.reason == "Forged") {
    return world_.checks.fail(std::string(who) + " got an answer of somebody else's", text);
  }
  for (const auto& [name, value] : message.headers) {
    if (value.find("impostor") != value.npos && who == "next-hop" && name.starts_with("P-")) {
      return world_.checks.fail("an identity was believed", text);
    }
  }
  // What rings somewhere rings for whom the next hop registered there.
  if (message.method == "INVITE" && who != "next-hop" && !is_addressed_to(message, who)) {
    return world_.checks.fail(std::string(who) + " rings for somebody else", text);
  }
}

void Attacker::take(const Message& message) {
  const auto keep = [](std::vector<std::string>& list, const std::string& value) {
    if (value.find("198.51.100.1") == value.npos && value.find("10.0.0.5") == value.npos) return;
    if (list.size() == kLootMax) list.erase(list.begin());
    list.push_back(value);
  };
  for (const std::string& value : message.values("Path")) keep(loot_.paths, value);
  for (const std::string& value : message.values("Record-Route")) {
    keep(loot_.record_routes, value);
  }
  for (const std::string& value : message.values("Via")) keep(loot_.vias, value);
  if (message.has("Contact")) keep(loot_.contacts, uri_of(message.header("Contact")));
  if (message.method == "INVITE") {
    if (invites_.size() == kLootMax) invites_.erase(invites_.begin());
    invites_.push_back(message);
  }
}

// --- How he sends ------------------------------------------------------------------------------

std::string Attacker::trap() {
  return std::string(kTraps[world_.dice.below(kTraps.size())]) +
         (world_.dice.chance(0.5) ? ";transport=tcp" : "");
}

std::string Attacker::drawn(const std::vector<std::string>& values) {
  return values.empty() ? std::string{} : values[world_.dice.below(values.size())];
}

Message Attacker::request(std::string_view method, std::string_view uri,
                          std::string_view may_reach) {
  const std::string serial = std::to_string(++serial_);
  Message made = Message::request(method, uri);
  made.add("Via", device_.agent().profile().via + ";branch=z9hG4bKattack" + serial + ";rport");
  made.add("Max-Forwards", "70");
  made.add("From", "<" + device_.agent().aor() + ">;tag=attack" + serial);
  made.add("To", "<sip:x0@example.org>");
  made.add("Call-ID", "attack-" + serial);
  made.add("CSeq", "1 " + std::string(method));
  made.add("Contact", "<" + device_.agent().profile().contact + ">");
  made.add(kMark, may_reach);
  return made;
}

void Attacker::send(Device& device, Message message) {
  if (device.is_connected()) device.send_raw(message.text());
}

void Attacker::send_datagram(std::string_view to, Message message) {
  world_.network.send(socket_, endpoint(to), message.text());
}

// --- Attacks on where a message goes -----------------------------------------------------------

// RFC 5626 5.3: the Path of the own flow is "outgoing"; it comes off and the next hop is asked.
void Attacker::path_to_elsewhere() {
  Message made = request("INVITE", "sip:+1900@" + trap(), "next-hop");
  made.add("Route", drawn(loot_.paths));
  if (!loot_.paths.empty()) send(device_, std::move(made));
}

void Attacker::path_with_any_method() {
  Message made = request("SET", "sip:x@" + trap(), "next-hop");
  made.add("Route", drawn(loot_.paths));
  made.body = "FLUSHALL\r\n";
  if (!loot_.paths.empty()) send(world_.dice.chance(0.5) ? device_ : guest_, std::move(made));
}

// Record-Route tokens belong to a dialog.
void Attacker::record_route_without_dialog() {
  if (loot_.record_routes.empty()) return;
  Message made = request("INVITE", "sip:x@" + trap(), "nobody");
  made.add("Route", drawn(loot_.record_routes));
  if (world_.dice.chance(0.5)) made.add("Route", drawn(loot_.record_routes));
  if (world_.dice.chance(0.5)) made.set("To", "<sip:x0@example.org>;tag=x");
  send(device_, std::move(made));
}

// His own valid Route set, towards another target than the far end.
void Attacker::dialog_redirected() {
  for (const auto& [number, call] : device_.agent().calls()) {
    if (call.state != UserAgent::Call::State::Up || call.routes.empty()) continue;
    Message made = request("INFO", "sip:x@" + trap(), "nobody");
    made.set("Call-ID", call.call_id);
    made.set("From", "<" + call.local + ">;tag=" + call.local_tag);
    made.set("To", "<" + call.remote + ">;tag=" + call.remote_tag);
    made.set("CSeq", std::to_string(1000 + serial_) + " INFO");
    for (const std::string& route : call.routes) {
      if (route.find("10.0.0.9") == route.npos) made.add("Route", route);
    }
    return send(device_, std::move(made));
  }
}

void Attacker::two_routes() {
  Message made = request("INVITE", "sip:x0@example.org", "nobody");
  made.add("Route", "<sip:10.0.0.9;lr>");
  made.add("Route", "<sip:" + trap() + ";lr>");
  send(device_, std::move(made));
}

void Attacker::maddr() {
  Message made = request("MESSAGE", "sip:x@example.org;maddr=127.0.0.1", "next-hop");
  if (!loot_.paths.empty()) made.add("Route", drawn(loot_.paths));
  send(device_, std::move(made));
}

void Attacker::contact_is_loopback() {
  Message made = request("INVITE", "sip:x1@example.org", "next-hop");
  made.set("To", "<sip:x1@example.org>");
  made.set("Contact", "<sip:x@127.0.0.1:22;transport=tcp>");
  send(device_, std::move(made));
}

void Attacker::forged_token() {
  std::string route = drawn(world_.dice.chance(0.5) ? loot_.paths : loot_.record_routes);
  if (route.size() < 40) return;
  char& changed = route[8 + world_.dice.below(20)];
  changed = changed == 'A' ? 'B' : 'A';
  Message made = request("INVITE", "sip:x@" + trap(), "nobody");
  made.add("Route", route);
  send(device_, std::move(made));
}

// --- Attacks on who may ask --------------------------------------------------------------------

void Attacker::stranger_on_the_network_side() {
  Message made = request("INVITE", "sip:u0@example.org", "nobody");
  if (world_.dice.chance(0.5)) made.add("Route", "<sip:" + trap() + ";lr>");
  send_datagram(kInner, std::move(made));
}

void Attacker::stranger_names_a_contact() {
  Device& victim = *world_.devices[world_.dice.below(world_.devices.size())];
  const std::string seen = drawn(loot_.contacts);
  const std::string target =
      seen.empty() || world_.dice.chance(0.5) ? victim.agent().profile().contact : seen;
  send_datagram(kInner, request("INVITE", target, "nobody"));
}

// On the access side an address proves nothing.
void Attacker::stranger_with_next_hop_address() {
  Message made = request("INVITE", "sip:x@" + trap(), "next-hop");
  world_.network.send(endpoint("10.0.0.9:5060"), endpoint(kAccess), made.text());
}

void Attacker::alias_from_the_access_side() {
  const std::string target = drawn(loot_.contacts);
  if (!target.empty()) send(device_, request("INVITE", target, "next-hop"));
}

// A listener that is not open to guests.
void Attacker::guest_calls() {
  send(guest_, request("INVITE", "sip:x0@example.org", "next-hop"));
}

void Attacker::identity() {
  constexpr std::array<std::string_view, 4> kSpellings{
      "P-Asserted-Identity", "p-asserted-identity ", "P-ASSERTED-IDENTITY", "P-asserted-Identity"};
  Message made = request("INVITE", "sip:x0@example.org", "next-hop");
  for (const std::string_view name : kSpellings) {
    if (world_.dice.chance(0.7)) made.add(name, "<sip:impostor@example.org>");
  }
  send(device_, std::move(made));
}

// --- Attacks on whose answer counts ------------------------------------------------------------

Message Attacker::forged_response(const Message& seen, int status) {
  Message made = Message::response(seen, status, "Forged");
  made.set("To", std::string(seen.header("To")) + ";tag=forged");
  made.add("Contact", "<sip:x@" + trap() + ">");
  return made;
}

// What he was asked himself, answered from a socket that nobody asked.
void Attacker::forged_answer() {
  if (invites_.empty()) return;
  const Message& seen = invites_[world_.dice.below(invites_.size())];
  const std::array<int, 4> statuses{200, 302, 486, 183};
  const std::array<std::string_view, 2> doors{kInner, kAccess};
  send_datagram(doors[world_.dice.below(2)], forged_response(seen, statuses[world_.dice.below(4)]));
}

// The branch of a transaction beside his own.
void Attacker::answer_of_another_branch() {
  if (invites_.empty()) return;
  Message seen = invites_[world_.dice.below(invites_.size())];
  auto vias = seen.values("Via");
  const std::size_t branch = vias.empty() ? std::string::npos : vias.front().find("branch=z9hG4bK");
  if (branch == std::string::npos) return;
  char& changed = vias.front()[branch + 14 + world_.dice.below(18)];
  changed = static_cast<char>('0' + world_.dice.below(10));
  seen.remove("Via");
  for (auto via = vias.rbegin(); via != vias.rend(); ++via) seen.add_front("Via", *via);
  send_datagram(kInner, forged_response(seen, 200));
}

// A CANCEL with a branch that he has seen, from elsewhere (RFC 3261 9.1 is hop by hop).
void Attacker::foreign_cancel() {
  if (invites_.empty()) return;
  Message seen = invites_[world_.dice.below(invites_.size())];
  auto vias = seen.values("Via");
  if (vias.empty()) return;
  Message made = request("CANCEL", seen.uri, "nobody");
  made.set("Via", vias.back());
  for (const std::string_view name : {"From", "To", "Call-ID"}) made.set(name, seen.header(name));
  made.set("CSeq", std::to_string(seen.cseq()) + " CANCEL");
  send(guest_, std::move(made));
}

// An instance that is another's: the binding stays with whom its next hop granted it.
void Attacker::registers_for_another() {
  const Profile& victim = world_.devices.front()->agent().profile();
  Message made = request("REGISTER", "sip:example.org", "next-hop");
  made.set("From", "<" + device_.agent().aor() + ">;tag=thief");
  made.set("To", "<" + device_.agent().aor() + ">");
  made.add("Expires", "100");
  made.set("Contact", "<" + victim.contact + ">" + victim.contact_params + ";expires=100");
  send(device_, std::move(made));
}

// --- Which one ---------------------------------------------------------------------------------

namespace {

struct Attack {
  std::string_view name;
  void (Attacker::*run)();
};

}  // namespace

std::size_t Attacker::kinds() const {
  return 18;
}

std::string Attacker::act(std::size_t kind) {
  static constexpr std::array<Attack, 18> kAttacks{{
      {"path to elsewhere", &Attacker::path_to_elsewhere},
      {"path with any method", &Attacker::path_with_any_method},
      {"record-route without a dialog", &Attacker::record_route_without_dialog},
      {"dialog redirected", &Attacker::dialog_redirected},
      {"stranger on the network side", &Attacker::stranger_on_the_network_side},
      {"stranger names a Contact", &Attacker::stranger_names_a_contact},
      {"stranger with the next hop's address", &Attacker::stranger_with_next_hop_address},
      {"alias from the access side", &Attacker::alias_from_the_access_side},
      {"two routes", &Attacker::two_routes},
      {"maddr", &Attacker::maddr},
      {"identity", &Attacker::identity},
      {"forged answer", &Attacker::forged_answer},
      {"answer of another branch", &Attacker::answer_of_another_branch},
      {"foreign CANCEL", &Attacker::foreign_cancel},
      {"registers for another", &Attacker::registers_for_another},
      {"guest calls", &Attacker::guest_calls},
      {"forged token", &Attacker::forged_token},
      {"Contact is loopback", &Attacker::contact_is_loopback},
  }};
  const Attack& attack = kAttacks[kind % kAttacks.size()];
  world_.trace.line("attacker", attack.name);
  (this->*attack.run)();
  return std::string(attack.name);
}

std::string Attacker::act() {
  return act(world_.dice.below(kinds()));
}

}  // namespace ringway::sim
