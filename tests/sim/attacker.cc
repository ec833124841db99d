#include "tests/sim/attacker.h"

#include <array>

namespace ringway::sim {
namespace {

constexpr std::size_t kLootMax = 64;

// Addresses that neither the configuration nor any dialog names.
constexpr std::array<std::string_view, 6> kTraps{"127.0.0.1:5060",     "10.9.9.9:5060",
                                                 "192.168.77.7:5060",  "169.254.1.1:80",
                                                 "203.0.113.250:9999", "198.51.100.1:5061"};

bool is_gateways(std::string_view value) {
  return value.find("198.51.100.1") != value.npos || value.find("10.0.0.5") != value.npos;
}

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
  for (std::size_t i = 0; i < world_.pbxs(); ++i) {
    world_.pbx(i).observe = watch(name_of_next_hop(i));
  }
}

// Those that share the users are one.
std::string_view Attacker::name_of_next_hop(std::size_t index) {
  const std::string& name = world_.gateway().config().next_hops[index].name;
  return name.starts_with("pbx-") ? std::string_view("next-hop") : std::string_view(name);
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
  if (message.method == "CANCEL" && message.header("Reason") == kAttack) {
    return world_.checks.fail(std::string(who) + " is called off by somebody else", text);
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
    if (!is_gateways(value)) return;
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
  Dialog dialog;
  for (const std::string& value : message.values("Record-Route")) {
    if (is_gateways(value)) dialog.routes.push_back(value);
  }
  if (dialog.routes.size() < 2) return;
  dialog.call_id = message.header("Call-ID");
  dialog.to_tag = parameter(message.header("To"), "tag");
  if (dialogs_.size() == kLootMax) dialogs_.erase(dialogs_.begin());
  dialogs_.push_back(std::move(dialog));
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

Message Attacker::forged_response(const Message& seen, int status) {
  Message made = Message::response(seen, status, "Forged");
  made.set("To", std::string(seen.header("To")) + ";tag=forged");
  made.add("Contact", "<sip:x@" + trap() + ">");
  return made;
}

void Attacker::send(Device& device, Message message) {
  if (device.is_connected()) device.send_raw(message.text());
}

void Attacker::send_datagram(std::string_view to, Message message) {
  world_.network.send(socket_, endpoint(to), message.text());
}

std::string Attacker::act() {
  return act(world_.dice.below(kinds()));
}

}  // namespace ringway::sim
