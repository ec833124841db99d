#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "gateway/shard/exchange.h"
#include "gateway/shard/shard.h"
#include "tests/sim/flow.h"
#include "tests/sim/machine.h"
#include "tests/sim/message.h"
#include "tests/sim/trace.h"

// The program's own shards (threads, reactor, streams, datagrams, mailboxes, drain) on a computer
// that does all that a kernel may do to them. RINGWAY_SIM_SEEDS: how many seeds (200).
// RINGWAY_SIM_SEED: this one only, with the log.

namespace ringway::sim {
namespace {

constexpr std::string_view kTcp = "198.51.100.1:5060", kWebSocket = "198.51.100.1:8080",
                           kInside = "10.0.0.5:5060", kNextHop = "10.0.0.9:5060";

ListenConfig listen(Side side, Transport transport, std::string_view address) {
  ListenConfig config;
  config.name = std::string(to_text(transport)) + std::string(address);
  config.side = side;
  config.transport = transport;
  config.address = endpoint(address);
  config.tcp_twin = false;
  return config;
}

// The value of the first header of that name.
std::string header(std::string_view message, std::string_view name) {
  const std::string wanted = "\r\n" + std::string(name) + ": ";
  const std::size_t begin = message.find(wanted);
  if (begin == message.npos) return {};
  const std::size_t value = begin + wanted.size();
  return std::string(message.substr(value, message.find("\r\n", value) - value));
}

std::string answer_to(std::string_view request) {
  std::string answer = "SIP/2.0 200 OK\r\n";
  for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
    const std::string wanted = "\r\n" + std::string(name) + ": ";
    for (std::size_t at = 0; (at = request.find(wanted, at)) != request.npos; ++at) {
      answer += std::string(request.substr(at + 2, request.find("\r\n", at + 2) - at));
    }
  }
  return answer + "Content-Length: 0\r\n\r\n";
}

// A phone or a browser on one connection that asks and waits for the answer. When the connection
// ends it makes another, until it has asked often enough.
class Client {
 public:
  Client(Clock& clock, Dice& dice, Network& network, int number, Transport transport)
      : clock_(clock), dice_(dice), network_(network), number_(number), transport_(transport) {}

  void connect() {
    if (connections_++ == 20) return;
    framing_ = std::make_unique<Framing>(transport_, websocket::Role::Client);
    upgraded_ = transport_ != Transport::Ws;
    head_.clear();
    Endpoint from = endpoint("203.0.113.7:1000");
    from.port = static_cast<std::uint16_t>(1'000 + number_ * 100 + connections_);
    network_.connect(from, endpoint(transport_ == Transport::Ws ? kWebSocket : kTcp),
                     {[this](std::string_view bytes) { receive(bytes); },
                      [this](Wire::Ending) {
                        wire_.reset();
                        if (asking_) ++lost_;
                        again();
                      }},
                     [this](std::shared_ptr<Wire> wire) {
                       wire_ = std::move(wire);
                       if (!wire_) return again();
                       if (!upgraded_) {
                         return wire_->send(Wire::Side::Client,
                                            "GET / HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: "
                                            "websocket\r\nConnection: Upgrade\r\nOrigin: "
                                            "https://gateway.test\r\nSec-WebSocket-Version: 13\r\n"
                                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                            "Sec-WebSocket-Protocol: sip\r\n\r\n");
                       }
                       ask();
                     });
  }
  void leave() {
    leaving_ = true;
    if (wire_) std::exchange(wire_, nullptr)->close(Wire::Side::Client);
  }
  int answered() const { return answered_; }
  int lost() const { return lost_; }
  bool waits() const { return asking_ && wire_; }
  std::string waits_for() const {
    return "request " + call_id_ + " of second " + std::to_string(asked_at_.time_since_epoch() / 1s);
  }
  std::string wrong;

 private:
  void again() {
    asking_ = false;
    if (!leaving_) {
      clock_.after(dice_.between(1ms, 500ms), [this] {
        if (!leaving_ && !wire_) connect();
      });
    }
  }
  void ask() {
    if (leaving_ || !wire_) return;
    asking_ = true;
    asked_at_ = clock_.now();
    const std::string id = std::to_string(number_) + "-" + std::to_string(++asked_);
    const std::string body(dice_.below(4) == 0 ? dice_.below(9'000) : dice_.below(300), 'x');
    const std::string via = transport_ == Transport::Ws ? "WS" : "TCP";
    call_id_ = id;
    const std::string text = "MESSAGE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/" + via +
                             " c.invalid;branch=z9hG4bK" + id +
                             "\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=" + id +
                             "\r\nTo: <sip:bob@example.org>\r\nCall-ID: " + id +
                             "\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body;
    wire_->send(Wire::Side::Client, framing_->wrap(text, {1, 2, 3, 4}));
  }
  void receive(std::string_view bytes) {
    if (!upgraded_) {
      head_.append(bytes);
      const std::size_t end = head_.find("\r\n\r\n");
      if (end == head_.npos) return;
      if (!head_.starts_with("HTTP/1.1 101")) wrong = "the upgrade was answered " + head_;
      upgraded_ = true;
      framing_->feed(std::string_view(head_).substr(end + 4));
      ask();
    } else {
      framing_->feed(bytes);
    }
    for (;;) {
      const Framing::Result result = framing_->next();
      if (result.kind == Framing::Result::Kind::None) return;
      if (result.kind == Framing::Result::Kind::Answer && wire_) {
        wire_->send(Wire::Side::Client, result.bytes);
      }
      if (result.kind == Framing::Result::Kind::Broken) wrong = "bytes that are no message";
      if (result.kind == Framing::Result::Kind::Message) take(result.bytes);
    }
  }
  void take(std::string_view message) {
    if (message.starts_with("SIP/2.0 1")) return;
    if (header(message, "Call-ID") != call_id_ || !asking_) {
      wrong = "an answer that nobody waits for: " + std::string(message.substr(0, 200));
      return;
    }
    asking_ = false;
    ++answered_;
    if (asked_ < 12) clock_.after(dice_.between(1ms, 300ms), [this] { ask(); });
  }

  Clock& clock_;
  Dice& dice_;
  Network& network_;
  int number_;
  Transport transport_;
  std::shared_ptr<Wire> wire_;
  std::unique_ptr<Framing> framing_;
  std::string head_, call_id_;
  Instant asked_at_{};
  bool upgraded_ = false, asking_ = false, leaving_ = false;
  int connections_ = 0, asked_ = 0, answered_ = 0, lost_ = 0;
};

// One life of a gateway: clients come, ask and go; then it drains and ends.
class Shards {
 public:
  Shards(std::uint64_t seed, std::size_t shards, bool printing)
      : trace_(clock_, printing), dice_(seed),
        network_(clock_, dice_, trace_),
        machine_(clock_, dice_, network_),
        exchange_(shards) {
    network_.weather.cut = 0.2;
    config_.listen = {listen(Side::Access, Transport::Tcp, kTcp),
                      listen(Side::Access, Transport::Ws, kWebSocket),
                      listen(Side::Network, Transport::Udp, kInside)};
    NextHopConfig hop;
    hop.name = "pbx";
    hop.host = "10.0.0.9";
    hop.port = 5060;
    // To a next hop by TCP and by UDP: connects and datagrams alike.
    const Transport transport = dice_.chance(0.5) ? Transport::Udp : Transport::Tcp;
    hop.transport = transport;
    config_.next_hops = {hop};
    config_.media.relays.clear();
    config_.filter = false;
    config_.limits.flows = 256;
    config_.limits.transactions = config_.limits.client_transactions = 2'048;
    config_.limits.contexts = config_.limits.bindings = config_.limits.dialogs = 512;
    config_.limits.buffer_bytes = 16u << 20;
    config_.timers.drain = 2s;
    auto snapshot = std::make_shared<NextHopSnapshot>();
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    resolution.targets.push_back({transport, endpoint(kNextHop)});
    snapshot->next_hops = {resolution};
    snapshot->generation = 1;
    serve_next_hop();
    start(shards, snapshot);
  }

  std::string live() {
    for (int i = 0; i < 6; ++i) {
      clients_.push_back(std::make_unique<Client>(clock_, dice_, network_, i,
                                                  i % 2 == 0 ? Transport::Tcp : Transport::Ws));
      clients_.back()->connect();
    }
    run(200s);
    for (const auto& client : clients_) {
      if (!client->wrong.empty()) return client->wrong;
      if (client->waits()) return client->waits_for() + " is never answered";
      answered += client->answered();
    }
    for (const auto& client : clients_) client->leave();
    next_hop_wires_.clear();
    for (std::size_t i = 0; i < shards_.size(); ++i) tell(i, Drain{});
    run(60s);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      bool drained = false;
      while (FromShard* message = shards_[i]->control().front()) {
        drained |= std::holds_alternative<Drained>(*message);
        shards_[i]->control().pop();
      }
      if (!drained) return "shard " + std::to_string(i) + " did not drain";
      if (shards_[i]->counters().buffers_in_use.value() != 0) return "buffers are still in use";
    }
    if (machine_.open_streams() != 0) return "connections are still open";
    return {};
  }
  void stop() {
    for (std::size_t i = 0; i < shards_.size(); ++i) tell(i, Stop{});
    run(1s);
    for (const auto& shard : shards_) shard->join();
  }
  const Machine::Hits& hits() const { return machine_.hits; }
  std::uint64_t handed_over() const {
    std::uint64_t sum = 0;
    for (const auto& shard : shards_) sum += shard->counters().handed_over.value();
    return sum;
  }
  int answered = 0;

 private:
  void start(std::size_t shards, const std::shared_ptr<NextHopSnapshot>& snapshot) {
    for (std::size_t i = 0; i < shards; ++i) {
      const auto index = static_cast<ShardIndex>(i);
      ShardListeners listeners;
      for (const ListenConfig& entry : config_.listen) {
        // A number of its own; the machine knows what it stands for.
        listeners.sockets.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
        listeners.infos.push_back({entry, entry.address});
        const int descriptor = listeners.sockets.back().fd();
        if (entry.transport == Transport::Udp) {
          machine_.add_datagram_socket(descriptor, entry.address, index);
        } else {
          machine_.add_listener(descriptor, entry.address, index);
        }
      }
      logs_.push_back(std::make_unique<Log::Queue>(1'024));
      ShardSetup setup{config_, index,   -1,       std::move(listeners), exchange_,     nullptr,
                       nullptr, nullptr, snapshot, tls::MacKey{1, 2, 3}, *logs_.back(), [] {}};
      setup.make_kernel = [this](Counters&, ShardIndex shard) {
        return machine_.make_kernel(shard);
      };
      shards_.push_back(std::make_unique<Shard>(std::move(setup)));
      const auto started = shards_.back()->start();
      EXPECT_TRUE(started) << started.error();
      machine_.settle();
    }
  }
  void serve_next_hop() {
    network_.bind(endpoint(kNextHop), [this](const Endpoint& from, std::string_view bytes) {
      if (!bytes.starts_with("SIP/2.0")) {
        network_.send(endpoint(kNextHop), from, answer_to(bytes));
      }
    });
    network_.listen(
        endpoint(kNextHop),
        [this](const Endpoint&, std::shared_ptr<Wire> wire) -> std::optional<Wire::End> {
          auto framing = std::make_shared<Framing>(Transport::Tcp, websocket::Role::Server);
          next_hop_wires_.push_back(wire);
          return Wire::End{[wire = std::weak_ptr(wire), framing](std::string_view bytes) {
                             framing->feed(bytes);
                             for (;;) {
                               const auto result = framing->next();
                               if (result.kind == Framing::Result::Kind::None) return;
                               const auto open = wire.lock();
                               if (result.kind == Framing::Result::Kind::Message && open) {
                                 open->send(Wire::Side::Server, answer_to(result.bytes));
                               }
                             }
                           },
                           [](Wire::Ending) {}};
        });
  }
  void run(Duration time) {
    const Instant end = clock_.now() + time;
    clock_.at(end, [] {});
    while (clock_.step(end)) {
      for (const auto& log : logs_) print(*log);
    }
  }
  void print(Log::Queue& log) {
    while (LogRecord* record = log.front()) {
      if (trace_.printing()) {
        std::string text(record->event);
        for (std::size_t i = 0; i < record->field_count; ++i) {
          const LogRecord::Field& field = record->fields[i];
          text += " " + std::string(field.key) + "=" +
                  (field.is_number ? std::to_string(field.number)
                                   : std::string(record->text_of(field)));
        }
        trace_.line("log", text);
      }
      log.pop();
    }
  }
  void tell(std::size_t shard, ToShard message) {
    EXPECT_TRUE(shards_[shard]->control().send(std::move(message)));
    machine_.notify(static_cast<ShardIndex>(shard));
  }

  Config config_;
  Clock clock_;
  Trace trace_;
  Dice dice_;
  Network network_;
  Machine machine_;
  Exchange exchange_;
  std::vector<std::unique_ptr<Log::Queue>> logs_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::shared_ptr<Wire>> next_hop_wires_;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(WholeShards, EverySeedUnderEveryFaultOfTheKernel) {
  const std::uint64_t replay = number_from("RINGWAY_SIM_SEED", 0);
  const std::uint64_t first = replay != 0 ? replay : 1;
  const std::uint64_t seeds = replay != 0 ? 1 : number_from("RINGWAY_SIM_SEEDS", 200);
  Machine::Hits all;
  std::uint64_t handed_over = 0;
  int answered = 0, failures = 0;
  for (std::uint64_t seed = first; seed < first + seeds && failures < 5; ++seed) {
    Shards shards(seed, seed % 2 == 0 ? 2 : 5, replay != 0);
    const std::string wrong = shards.live();
    shards.stop();
    if (!wrong.empty()) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << ": " << wrong;
    }
    const Machine::Hits& hits = shards.hits();
    all.short_receives += hits.short_receives;
    all.short_sends += hits.short_sends;
    all.slow_sends += hits.slow_sends;
    all.ended_multishots += hits.ended_multishots;
    all.no_buffers += hits.no_buffers;
    all.no_descriptors += hits.no_descriptors;
    all.refused += hits.refused;
    all.again += hits.again;
    all.late += hits.late;
    all.swapped += hits.swapped;
    all.resets += hits.resets;
    handed_over += shards.handed_over();
    answered += shards.answered;
  }
  EXPECT_GT(answered, 0);
  if (seeds < 5) return;
  // Each of them happened: else the seeds have proven nothing about it.
  EXPECT_GT(all.short_receives, 0u);
  EXPECT_GT(all.short_sends, 0u);
  EXPECT_GT(all.slow_sends, 0u);
  EXPECT_GT(all.ended_multishots, 0u);
  EXPECT_GT(all.no_buffers, 0u);
  EXPECT_GT(all.no_descriptors, 0u);
  EXPECT_GT(all.refused, 0u);
  EXPECT_GT(all.again, 0u);
  EXPECT_GT(all.late, 0u);
  EXPECT_GT(all.swapped, 0u);
  EXPECT_GT(all.resets, 0u);
  EXPECT_GT(handed_over, 0u);
}

}  // namespace
}  // namespace ringway::sim
