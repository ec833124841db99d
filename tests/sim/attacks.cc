#include <array>

#include "tests/sim/attacker.h"

// What he tries, one function each.

namespace ringway::sim {

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
    const bool to_trunk = world_.dice.chance(0.3);
    Message made = request("INFO", "sip:x@" + (to_trunk ? std::string(kTrunk) : trap()), "nobody");
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

// Two values that were neighbours, in either order, with and without the dialog that they are of.
// Without a To tag they are of none (RFC 3261 12.2.1.1), and nobody gets it.
void Attacker::spliced_routes() {
  if (dialogs_.empty()) return;
  const Dialog& seen = dialogs_[world_.dice.below(dialogs_.size())];
  constexpr std::array<std::string_view, 4> kMethods{"INVITE", "BYE", "INFO", "MESSAGE"};
  const std::array<std::string, 3> targets{trap(), std::string(kTrunk), "10.0.0.9:5060"};
  const bool tagged = world_.dice.chance(0.7);
  Message made = request(kMethods[world_.dice.below(kMethods.size())],
                         "sip:x0@" + targets[world_.dice.below(targets.size())],
                         tagged ? "next-hop" : "nobody");
  const std::size_t first = world_.dice.below(seen.routes.size() - 1);
  const bool turned = world_.dice.chance(0.5);
  made.add("Route", seen.routes[first + (turned ? 1 : 0)]);
  made.add("Route", seen.routes[first + (turned ? 0 : 1)]);
  if (world_.dice.chance(0.7)) made.set("Call-ID", seen.call_id);
  const std::string tag = world_.dice.chance(0.7) ? seen.to_tag : "made-up";
  if (tagged) made.set("To", "<sip:x0@example.org>;tag=" + tag);
  if (world_.dice.chance(0.2)) return send_datagram(kInner, std::move(made));
  send(world_.dice.chance(0.7) ? device_ : guest_, std::move(made));
}

// A trunk of the network side: its domain, its address, a registration there.
void Attacker::closed_next_hop() {
  Device& from = world_.dice.chance(0.5) ? device_ : guest_;
  switch (world_.dice.below(3)) {
    case 0:
      return send(from, request("INVITE", "sip:+1900@carrier.example", "nobody"));
    case 1:
      return send(from, request("REGISTER", "sip:carrier.example", "nobody"));
    default: {
      Message made = request("INVITE", "sip:+1900@example.org", "nobody");
      made.add("Route", "<sip:" + std::string(kTrunk) + ";lr>");
      return send(from, std::move(made));
    }
  }
}

// What he got from others, once more under his own branch.
void Attacker::replay() {
  if (invites_.empty()) return;
  Message seen = invites_[world_.dice.below(invites_.size())];
  Message made = request("INVITE", seen.uri, "next-hop");
  for (const std::string_view name : {"From", "To", "Call-ID", "CSeq"}) {
    made.set(name, seen.header(name));
  }
  for (const std::string& route : loot_.paths) {
    if (world_.dice.chance(0.1)) made.add("Route", route);
  }
  if (world_.dice.chance(0.2)) {
    made.set(kMark, "nobody");
    return send_datagram(kInner, std::move(made));
  }
  send(world_.dice.chance(0.5) ? device_ : guest_, std::move(made));
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

// What he was asked himself, answered from where nobody was asked.
void Attacker::forged_answer() {
  if (invites_.empty()) return;
  const Message& seen = invites_[world_.dice.below(invites_.size())];
  const std::array<int, 4> statuses{200, 302, 486, 183};
  Message made = forged_response(seen, statuses[world_.dice.below(4)]);
  if (world_.dice.chance(0.2)) return send(guest_, std::move(made));
  if (world_.dice.chance(0.2)) {  // another next hop was not asked
    return world_.network.send(endpoint(kEvil), endpoint(kInner), made.text());
  }
  send_datagram(world_.dice.chance(0.5) ? kInner : kAccess, std::move(made));
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
  made.add("Reason", kAttack);
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

// Another next hop says yes to whatever it is asked: it speaks for its own users alone.
void Attacker::registers_elsewhere() {
  UserAgent& victim = world_.devices.front()->agent();
  Message made = request("REGISTER", "sip:evil.example", "evil");
  made.set("From", "<" + victim.aor() + ">;tag=thief");
  made.set("To", "<" + victim.aor() + ">");
  made.add("Expires", "100");
  made.set("Contact",
           "<" + victim.profile().contact + ">" + victim.profile().contact_params + ";expires=100");
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
  return 22;
}

std::string Attacker::act(std::size_t kind) {
  static constexpr std::array<Attack, 22> kAttacks{{
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
      {"spliced routes", &Attacker::spliced_routes},
      {"closed next hop", &Attacker::closed_next_hop},
      {"registers elsewhere", &Attacker::registers_elsewhere},
      {"replay", &Attacker::replay},
  }};
  const Attack& attack = kAttacks[kind % kAttacks.size()];
  world_.trace.line("attacker", attack.name);
  (this->*attack.run)();
  return std::string(attack.name);
}

}  // namespace ringway::sim
