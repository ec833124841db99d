#include "tests/sim/network.h"

#include <algorithm>

#include "tests/sim/message.h"

namespace ringway::sim {

Network::~Network() {
  for (const auto& weak : wires_) {
    if (const auto wire = weak.lock()) wire->forget();
  }
}

std::string Network::to_string(const Endpoint& endpoint) {
  return sim::to_string(endpoint);
}

bool Network::is_inside(const Endpoint& from, const Endpoint& to) const {
  return from.address.bytes[0] == 10 && to.address.bytes[0] == 10;
}

void Network::put_behind_nat(const Endpoint& local, const Address& outside) {
  nat_[to_string(local)] = {outside, 0};
}

void Network::rebind(const Endpoint& local) {
  const auto found = nat_.find(to_string(local));
  if (found == nat_.end() || found->second.port == 0) return;
  inward_.erase(to_string({found->second.outside, found->second.port}));
  found->second.port = 0;
  trace_.line("nat", "forgets " + to_string(local));
}

Duration Network::delay_to(const Endpoint& from, const Endpoint& to) {
  const Duration delay = dice_.between(weather.delay_min, weather.delay_max);
  return is_inside(from, to) ? delay / 10 : delay;
}

void Network::send(const Endpoint& from, const Endpoint& to, std::string_view bytes) {
  Endpoint source = from;
  if (const auto found = nat_.find(to_string(from)); found != nat_.end()) {
    Mapping& mapping = found->second;
    if (mapping.port == 0) {
      mapping.port = next_port_++;
      inward_[to_string({mapping.outside, mapping.port})] = found->first;
    }
    source = {mapping.outside, mapping.port};
  }
  const double scale = is_inside(source, to) ? 0.1 : 1;
  const std::string from_text = to_string(source), to_text = to_string(to);
  const int copies = dice_.chance(weather.loss * scale)          ? 0
                     : dice_.chance(weather.duplication * scale) ? 2
                                                                 : 1;
  if (copies == 0) trace_.line("udp", "lost: " + from_text + " > " + to_text);
  for (int i = 0; i < copies; ++i) {
    Instant when = clock_.now() + delay_to(source, to);
    Instant& last = last_arrival_[from_text + ">" + to_text];
    if (!dice_.chance(weather.reordering * scale)) {
      when = std::max(when, last);
      last = when;
    } else {
      when += weather.delay_max * 2;
    }
    clock_.at(when, [this, source, to_text, text = std::string(bytes)] {
      // Where it leads is decided when it arrives: the NAT may have forgotten meanwhile.
      const auto inward = inward_.find(to_text);
      const auto socket = sockets_.find(inward == inward_.end() ? to_text : inward->second);
      if (socket == sockets_.end()) return trace_.line("udp", "nobody at " + to_text);
      socket->second(source, text);
    });
  }
}

void Network::connect(const Endpoint& from, const Endpoint& to, Wire::End client,
                      std::function<void(std::shared_ptr<Wire>)> done) {
  auto wire =
      std::make_shared<Wire>(clock_, dice_, ++wires_made_, weather.delay_min,
                             is_inside(from, to) ? weather.delay_max / 10 : weather.delay_max);
  wires_.push_back(wire);
  if (dice_.chance(is_inside(from, to) ? weather.cut / 4 : weather.cut)) {
    wire->cut_after(1 + dice_.below(60'000), dice_.chance(weather.silent));
  }
  clock_.after(delay_to(from, to) * 2, [this, from, to, wire, client = std::move(client),
                                        done = std::move(done)]() mutable {
    const auto door = doors_.find(to_string(to));
    if (door == doors_.end()) return done(nullptr);
    auto server = door->second(from, wire);
    if (!server) return done(nullptr);
    wire->open(std::move(client), std::move(*server));
    done(wire);
  });
}

}  // namespace ringway::sim
