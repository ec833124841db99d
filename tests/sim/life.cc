#include "tests/sim/life.h"

#include <array>

namespace ringway::sim {
namespace {

Weather draw_weather(Dice& dice) {
  Weather weather;
  switch (dice.below(4)) {
    case 0:
      break;
    case 1:
      weather.loss = weather.duplication = weather.reordering = 0.02;
      weather.cut = 0.1;
      break;
    case 2:
      weather.loss = weather.duplication = weather.reordering = 0.1;
      weather.delay_max = 80ms;
      weather.cut = 0.3;
      break;
    case 3:
      weather.loss = 0.25;
      weather.duplication = weather.reordering = 0.2;
      weather.delay_min = 10ms;
      weather.delay_max = 400ms;
      weather.cut = 0.6;
      break;
  }
  weather.silent = 0.4;
  return weather;
}

World::Settings draw_settings(Dice& dice, bool printing) {
  World::Settings settings;
  settings.printing = printing;
  settings.shards = 1 + dice.below(3);
  settings.faults = draw_faults(dice);
  settings.next_hops = dice.chance(0.35) ? 2 : 1;
  settings.filter = dice.chance(0.5);
  Config& config = settings.config;
  if (dice.chance(0.15)) config.media.relays.clear();
  config.media.slim = dice.chance(0.7);
  NextHopConfig& next_hop = config.next_hops.front();
  if (dice.chance(0.25)) next_hop.transport = Transport::Tcp;
  next_hop.binding = std::array{BindingMode::Path, BindingMode::Path, BindingMode::Contact,
                                BindingMode::Auto}[dice.below(4)];
  next_hop.probe_interval = 60s;
  config.timers.grace = dice.between(1s, 15s);
  config.timers.release_after_grace = dice.chance(0.9);
  config.timers.first_answer = dice.between(1s, 6s);
  config.timers.drain = dice.between(5s, 30s);
  if (dice.chance(0.1)) {
    // A gateway that has to refuse.
    settings.tight = true;
    config.limits.transactions = static_cast<std::uint32_t>(dice.between(4, 40));
    config.limits.client_transactions = static_cast<std::uint32_t>(dice.between(3, 30));
    config.limits.contexts = static_cast<std::uint32_t>(dice.between(2, 20));
    config.limits.bindings = static_cast<std::uint32_t>(dice.between(1, 8));
    config.limits.dialogs = static_cast<std::uint32_t>(dice.between(1, 8));
    config.limits.buffer_bytes = static_cast<std::uint64_t>(dice.between(16, 256)) << 10;
  }
  return settings;
}

}  // namespace

PerFault<double> draw_faults(Dice& dice) {
  constexpr std::array<std::pair<Fault, double>, 13> kOdds{{{Fault::ShortReceive, 0.2},
                                                            {Fault::ShortSend, 0.005},
                                                            {Fault::SlowSend, 0.03},
                                                            {Fault::EndedMultishot, 0.1},
                                                            {Fault::NoBuffers, 0.05},
                                                            {Fault::NoDescriptor, 0.1},
                                                            {Fault::Refused, 0.1},
                                                            {Fault::AbortedAccept, 0.1},
                                                            {Fault::Again, 0.1},
                                                            {Fault::LateCancel, 0.5},
                                                            {Fault::OutOfOrder, 0.3},
                                                            {Fault::Overflow, 0.3},
                                                            {Fault::Interrupted, 0.1}}};
  PerFault<double> faults;
  if (dice.chance(0.2)) return faults;
  for (const auto& [fault, odds] : kOdds) {
    if (dice.chance(0.5)) faults[fault] = odds;
  }
  return faults;
}

Life::Life(std::uint64_t seed, bool printing)
    : dice_(seed), world_(dice_.next(), draw_settings(dice_, printing)) {
  world_.network.weather = draw_weather(dice_);
  const BindingMode binding = world_.gateway().config().next_hops.front().binding;
  const bool knows_path = binding == BindingMode::Path || dice_.chance(0.5);
  const bool record_routes = dice_.chance(0.7), challenges = dice_.chance(0.4);
  const bool by_tcp = dice_.chance(0.3);
  for (std::size_t i = 0; i < world_.pbxs(); ++i) {
    Pbx& pbx = world_.pbx(i);
    pbx.knows_path = knows_path;
    pbx.record_routes = record_routes;
    pbx.challenges = challenges;
    pbx.sends_by_tcp = by_tcp;
  }
  if (world_.relay && dice_.chance(0.3)) {
    world_.relay->error = 0.1;
    world_.relay->late = 0.1;
    world_.relay->forgot = true;
  }
  const std::array<Device::Kind, 8> kinds{{{Transport::Wss, true},
                                           {Transport::Wss, true},
                                           {Transport::Wss, false},
                                           {Transport::Ws, true},
                                           {Transport::Tls, true},
                                           {Transport::Tcp, false},
                                           {Transport::Udp, true},
                                           {Transport::Udp, false}}};
  const int devices = dice_.between(2, 6);
  for (int i = 0; i < devices; ++i) world_.add_device(kinds[dice_.below(kinds.size())]);
  for (int i = 0; i < 3; ++i) extensions_.push_back("x" + std::to_string(i));
  end_ = world_.clock.now() + dice_.between(40s, 120s);
}

std::string Life::live() {
  for (auto& device : world_.devices) {
    device->agent().answers = [this](const Message&) { return draw_answer(); };
    device->agent().answers_others = [this](const Message&) { return draw_status(); };
    device_acts(*device);
  }
  for (std::size_t i = 0; i < world_.pbxs(); ++i) {
    for (const std::string& user : extensions_) {
      UserAgent& agent = world_.pbx(i).extension(user);
      agent.answers = [this](const Message&) { return draw_answer(); };
      agent.answers_others = [this](const Message&) { return draw_status(); };
      extension_acts(world_.pbx(i), user);
    }
  }
  fate_acts();
  if (world_.run(end_ - world_.clock.now())) world_.settle();
  return world_.checks.failure();
}

Answer Life::draw_answer() {
  Answer answer;
  answer.trying = world_.dice.chance(0.7);
  answer.rings = world_.dice.chance(0.8);
  answer.after = world_.dice.between(20ms, 5s);
  if (world_.dice.chance(0.3)) {
    answer.status = std::array{486, 603, 503, 480, 302, 0, 0}[world_.dice.below(7)];
  }
  return answer;
}

int Life::draw_status() {
  if (world_.dice.chance(0.9)) return 200;
  return std::array{404, 503, 500, 0}[world_.dice.below(4)];
}

std::string Life::somebody() {
  const std::uint64_t all = world_.devices.size();
  if (world_.dice.chance(0.5)) return "sip:" + one_of(extensions_) + "@example.org";
  if (world_.dice.chance(0.05)) return "sip:nobody@example.org";
  return "sip:u" + std::to_string(world_.dice.below(all)) + "@example.org";
}

void Life::device_acts(Device& device) {
  if (world_.clock.now() >= end_) return;
  act(device);
  world_.clock.after(world_.dice.between(100ms, 5s), [this, &device] { device_acts(device); });
}

void Life::come_back(Device& device) {
  device.connect([this, &device](bool connected) {
    if (connected) device.agent().register_for(world_.dice.between(30, 200));
  });
}

void Life::act(Device& device) {
  Dice& dice = world_.dice;
  UserAgent& agent = device.agent();
  if (!device.is_connected()) {
    if (dice.chance(0.7)) come_back(device);
    return;
  }
  const int drawn = dice.between(0, 99);
  if (agent.received.empty() && agent.calls().empty() && dice.chance(0.5)) {
    agent.register_for(dice.between(30, 200));
  } else if (drawn < 30) {
    agent.call(somebody(), {}, dice.chance(0.1));
  } else if (drawn < 70) {
    act_in_call(agent);
  } else if (drawn < 76) {
    const std::array<std::string_view, 5> methods{"MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER",
                                                  "PUBLISH"};
    agent.request(methods[dice.below(methods.size())], somebody());
  } else if (drawn < 84) {
    agent.register_for(dice.chance(0.1) ? 0 : dice.between(30, 200));
  } else if (drawn < 89) {
    const std::array<Device::Leave, 3> ways{Device::Leave::Close, Device::Leave::Reset,
                                            Device::Leave::Silent};
    device.disconnect(ways[dice.below(ways.size())]);
    if (dice.chance(0.5)) come_back(device);
  } else if (drawn < 91) {
    device.cut_after(dice.below(3'000), dice.chance(0.3));
  } else if (drawn < 93) {
    device.rebind_nat();
    if (dice.chance(0.7)) agent.register_for(dice.between(30, 200));
  } else if (drawn < 97) {
    stranger_acts(device);
  }
}

void Life::act_in_call(UserAgent& agent) {
  Dice& dice = world_.dice;
  using State = UserAgent::Call::State;
  for (const State state : {State::Calling, State::Ringing}) {
    for (const int call : agent.calls_in(state)) {
      if (dice.chance(0.3)) agent.cancel(call);
      if (dice.chance(0.05)) agent.hang_up(call);
    }
  }
  for (const int call : agent.calls_in(State::Up)) {
    const int drawn = dice.between(0, 99);
    if (drawn < 45) {
      agent.hang_up(call);
    } else if (drawn < 75) {
      const std::array<std::string_view, 6> methods{"INVITE", "UPDATE", "INFO",
                                                    "REFER",  "NOTIFY", "MESSAGE"};
      agent.request_within(call, methods[dice.below(methods.size())]);
    }
  }
}

void Life::extension_acts(Pbx& pbx, const std::string& user) {
  if (world_.clock.now() >= end_) return;
  UserAgent& agent = pbx.extension(user);
  if (world_.dice.chance(0.25)) {
    agent.call("sip:u" + std::to_string(world_.dice.below(world_.devices.size())) + "@example.org",
               {}, world_.dice.chance(0.1));
  } else {
    act_in_call(agent);
  }
  world_.clock.after(world_.dice.between(500ms, 10s),
                     [this, &pbx, user] { extension_acts(pbx, user); });
}

// What nobody wants.
void Life::fate_acts() {
  if (world_.clock.now() >= end_) return;
  Dice& dice = world_.dice;
  const int drawn = dice.between(0, 99);
  Pbx& pbx = world_.pbx(dice.below(world_.pbxs()));
  if (drawn < 8) {
    pbx.mode = dice.chance(0.5) ? Pbx::Mode::Silent : Pbx::Mode::Busy;
    world_.clock.after(dice.between(1s, 12s), [&pbx] { pbx.mode = Pbx::Mode::Serves; });
  } else if (drawn < 13 && world_.relay) {
    world_.relay->serve(false);
    world_.clock.after(dice.between(100ms, 8s), [this] { world_.relay->serve(true); });
  } else if (drawn < 17) {
    pbx.serve_tcp(false);
    world_.clock.after(dice.between(1s, 15s), [&pbx] { pbx.serve_tcp(true); });
  } else if (drawn < 18) {
    if (!drained_) world_.restart_gateway();
  } else if (drawn < 19) {
    drained_ = true;
    world_.gateway().drain();
  } else if (drawn < 27) {
    reload();
  }
  world_.clock.after(dice.between(1s, 10s), [this] { fate_acts(); });
}

// A listener of the access side is taken away, comes back, or has another name for others.
void Life::reload() {
  Dice& dice = world_.dice;
  world_.reload([&](Config& config) {
    std::vector<std::size_t> here;
    for (std::size_t i = 0; i < config.listen.size(); ++i) {
      if (config.listen[i].side == Side::Access) here.push_back(i);
    }
    const int drawn = dice.between(0, 9);
    if (drawn < 4 && !here.empty()) {
      const auto place = config.listen.begin() + static_cast<std::ptrdiff_t>(one_of(here));
      gone_.push_back(*place);
      config.listen.erase(place);
    } else if (drawn < 8 && !gone_.empty()) {
      const std::size_t which = dice.below(gone_.size());
      config.listen.push_back(gone_[which]);
      gone_.erase(gone_.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (!here.empty()) {
      ListenConfig& listen = config.listen[one_of(here)];
      listen.advertise_host = listen.advertise_host.empty() ? "gateway.test" : "";
    }
  });
}

// A Route value of ours that was changed, or taken from another dialog.
std::string Life::forged_route(const UserAgent& agent) {
  Dice& dice = world_.dice;
  for (const auto& [number, call] : agent.calls()) {
    if (call.routes.empty()) continue;
    std::string route = call.routes.front();
    if (dice.chance(0.5)) {
      char& changed = route[5 + dice.below(20)];
      changed = changed == 'A' ? 'B' : 'A';
    }
    return route;
  }
  return "<sip:203.0.113.250:9999;lr>";
}

// What scanners, thieves and broken programs send. Nobody reads the answers.
void Life::stranger_acts(Device& device) {
  Dice& dice = world_.dice;
  const std::array<std::string_view, 6> methods{"INVITE", "BYE",    "MESSAGE",
                                                "ACK",    "CANCEL", "REGISTER"};
  Message request =
      Message::request(methods[dice.below(methods.size())], "sip:victim@203.0.113.250:9999");
  request.add("Via", device.agent().profile().via + ";branch=z9hG4bKraw" +
                         std::to_string(dice.below(1'000'000)));
  request.add("Max-Forwards", dice.chance(0.1) ? "0" : "70");
  request.add("From", "<sip:thief@example.org>;tag=thief");
  request.add("To",
              std::string("<sip:victim@example.org>") + (dice.chance(0.5) ? ";tag=made-up" : ""));
  request.add("Call-ID", "raw" + std::to_string(dice.below(1'000'000)));
  request.add("CSeq", "7 " + request.method);
  switch (dice.below(5)) {
    case 0:
      request.add("Route", forged_route(device.agent()));
      break;
    case 1:
      request.add("User-Agent", "friendly-scanner");
      break;
    case 2:
      request.add("Proxy-Require", "mind-reading");
      break;
    case 3:
      request.remove("CSeq");
      break;
    case 4:
      return device.send_raw("\x01\x02 no SIP at all\r\n\r\n");
  }
  if (request.method == "REGISTER") request.add("Expires", "60");
  if (request.method == "REGISTER") request.add("Contact", "<sip:victim@203.0.113.250:9999>");
  device.send_raw(request.text());
}

}  // namespace ringway::sim
