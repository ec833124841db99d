#include "gateway/shard/shard.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "gateway/routing/next_hops.h"
#include "gateway/shard/exchange.h"
#include "tests/gateway/reactor/peer.h"

namespace ringway::test {
namespace {

// The value of the first header of that name.
std::string header(const std::string& message, const std::string& name) {
  const std::size_t begin = message.find("\r\n" + name + ": ");
  if (begin == message.npos) return {};
  const std::size_t value = begin + name.size() + 4;
  return message.substr(value, message.find("\r\n", value) - value);
}

// All lines of that header, as they stand.
std::string header_lines(const std::string& message, const std::string& name) {
  std::string lines;
  for (std::size_t at = 0; (at = message.find("\r\n" + name + ": ", at)) != message.npos; ++at) {
    lines += message.substr(at + 2, message.find("\r\n", at + 2) - at);
  }
  return lines;
}

std::string answer_to(const std::string& request, const std::string& extra = "") {
  return "SIP/2.0 200 OK\r\n" + header_lines(request, "Via") + header_lines(request, "From") +
         header_lines(request, "To") + header_lines(request, "Call-ID") +
         header_lines(request, "CSeq") + extra + "Content-Length: 0\r\n\r\n";
}

// Two shards with an access side (TCP) and a network side (UDP), whose next hop is the test.
class Shards : public testing::Test {
 protected:
  static constexpr std::size_t kShards = 2;

  Shards() : next_hop_(bound_socket(SOCK_DGRAM)) {
    ListenConfig access, inside;
    access.name = "access";
    access.transport = Transport::Tcp;
    access.admission = Admission::Open;
    access.address = {*parse_address("127.0.0.1"), 0};
    inside.name = "inside";
    inside.side = Side::Network;
    inside.address = {*parse_address("127.0.0.1"), 0};
    inside.tcp_twin = false;
    config_.listen = {access, inside};
    NextHopConfig hop;
    hop.name = "pbx";
    hop.host = "127.0.0.1";
    hop.port = local_of(next_hop_.fd()).port;
    hop.transport = Transport::Udp;
    hop.probe_interval = Duration::zero();
    config_.next_hops = {hop};
    config_.limits.buffer_bytes = 64 << 20;
    config_.limits.flows = 1'000;
    config_.limits.transactions = config_.limits.client_transactions = 4'096;
    config_.limits.contexts = config_.limits.bindings = config_.limits.dialogs = 4'096;
    config_.timers.drain = 60s;
    auto snapshot = std::make_shared<NextHopSnapshot>();
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    resolution.targets = {{Transport::Udp, local_of(next_hop_.fd())}};
    snapshot->next_hops = {resolution};
    snapshot->generation = 1;
    start(std::move(snapshot));
  }
  ~Shards() override {
    for (const auto& shard : shards_) {
      while (!shard->control().send(Stop{})) std::this_thread::yield();
    }
    for (const auto& shard : shards_) shard->join();
    shards_.clear();
  }
  void start(std::shared_ptr<const NextHopSnapshot> next_hops) {
    auto listeners = open_listeners(config_, kShards);
    ASSERT_TRUE(listeners) << listeners.error();
    access_ = listeners->front().infos[0].local;
    inside_ = listeners->front().infos[1].local;
    for (std::size_t i = 0; i < kShards; ++i) {
      logs_.push_back(std::make_unique<Log::Queue>(1024));
      shards_.push_back(std::make_unique<Shard>(ShardSetup{
          config_, static_cast<ShardIndex>(i), -1, std::move((*listeners)[i]), exchange_, nullptr,
          nullptr, nullptr, next_hops, tls::MacKey{1, 2, 3}, *logs_.back(), [] {}}));
      const auto started = shards_.back()->start();
      ASSERT_TRUE(started) << started.error();
    }
  }
  template <typename Sum>
  std::uint64_t sum(Sum&& of) const {
    std::uint64_t total = 0;
    for (const auto& shard : shards_) total += of(shard->counters());
    return total;
  }
  std::uint64_t handed_over() const {
    return sum([](const Counters& counters) { return counters.handed_over.value(); });
  }
  template <typename Condition>
  [[nodiscard]] bool until(Condition&& condition) const {
    for (const Patience patience; patience.left(); std::this_thread::yield()) {
      if (condition()) return true;
    }
    return condition();
  }
  // Clients until each shard has accepted two of them: the kernel spreads connections by hash.
  void connect_clients() {
    const auto accepted = [&](std::size_t shard) {
      return shards_[shard]->counters().flows_opened[1].value();
    };
    for (std::size_t i = 1; i <= 200 && (accepted(0) < 2 || accepted(1) < 2); ++i) {
      clients_.push_back(connected_socket(access_));
      ASSERT_TRUE(until([&] { return accepted(0) + accepted(1) == i; }));
    }
    ASSERT_GE(accepted(0), 2u);
    ASSERT_GE(accepted(1), 2u);
  }
  static std::string request(const std::string& method, std::size_t client,
                             const std::string& extra = "") {
    const std::string number = std::to_string(client);
    return method + " sip:" + (method == "REGISTER" ? "" : "bob@") +
           "example.org SIP/2.0\r\nVia: SIP/2.0/TCP c" + number + ".invalid;branch=z9hG4bK" +
           method + number + "\r\nMax-Forwards: 70\r\nFrom: <sip:u" + number +
           "@example.org>;tag=" + number + "\r\nTo: <sip:u" + number +
           "@example.org>\r\nCall-ID: " + method + number + "\r\nCSeq: 1 " + method + "\r\n" +
           extra + "Content-Length: 0\r\n\r\n";
  }
  void send(const Socket& socket, const std::string& text) {
    ASSERT_EQ(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  Config config_;
  Socket next_hop_;
  Endpoint access_, inside_;
  Exchange exchange_{kShards};
  std::vector<std::unique_ptr<Log::Queue>> logs_;
  std::vector<Socket> clients_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

// All responses come to the one socket of the network side that the kernel's hash chooses for the
// next hop; those of the other shard's transactions cross over.
TEST_F(Shards, AResponseThatComesToTheOtherShardIsHandedOver) {
  connect_clients();
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    send(clients_[i], request("MESSAGE", i));
    const std::string forwarded = read_once(next_hop_.fd());
    ASSERT_TRUE(forwarded.starts_with("MESSAGE sip:bob@example.org")) << forwarded;
    send_datagram(next_hop_, inside_, answer_to(forwarded));
    const std::string response = read_once(clients_[i].fd());
    EXPECT_TRUE(response.starts_with("SIP/2.0 200")) << response;
    EXPECT_EQ(header(response, "Call-ID"), "MESSAGE" + std::to_string(i));
  }
  EXPECT_GE(handed_over(), 2u);
  EXPECT_EQ(sum([](const Counters& counters) { return counters.stray_responses.value(); }), 0u);
  EXPECT_EQ(sum([](const Counters& counters) { return counters.handed_over_full.value(); }), 0u);
}

TEST_F(Shards, ARequestReachesAFlowOfTheOtherShard) {
  connect_clients();
  std::map<std::size_t, std::string> paths;
  std::map<std::size_t, std::string> contacts;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    send(clients_[i], request("REGISTER", i,
                              "Contact: <sip:u" + std::to_string(i) +
                                  "@c.invalid;transport=tcp>\r\nSupported: path\r\n"
                                  "Expires: 600\r\n"));
    const std::string forwarded = read_once(next_hop_.fd());
    ASSERT_TRUE(forwarded.starts_with("REGISTER ")) << forwarded;
    paths[i] = header(forwarded, "Path");
    contacts[i] = header(forwarded, "Contact");
    ASSERT_FALSE(paths[i].empty()) << forwarded;
    send_datagram(
        next_hop_, inside_,
        answer_to(forwarded, header_lines(forwarded, "Contact") + header_lines(forwarded, "Path")));
    ASSERT_TRUE(read_once(clients_[i].fd()).starts_with("SIP/2.0 200"));
  }
  const auto before = handed_over();
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const std::string number = std::to_string(i);
    const std::string target =
        contacts[i].substr(contacts[i].find('<') + 1, contacts[i].find('>') - 1);
    send_datagram(next_hop_, inside_,
                  "MESSAGE " + target + " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:" +
                      std::to_string(local_of(next_hop_.fd()).port) + ";branch=z9hG4bKin" + number +
                      "\r\nMax-Forwards: 70\r\nRoute: " + paths[i] +
                      "\r\nFrom: <sip:bob@example.org>;tag=b\r\nTo: <sip:u" + number +
                      "@example.org>\r\nCall-ID: in" + number +
                      "\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n");
    const std::string received = read_once(clients_[i].fd());
    ASSERT_TRUE(received.starts_with("MESSAGE ")) << received;
    EXPECT_EQ(header(received, "Call-ID"), "in" + number);
    send(clients_[i], answer_to(received));
    std::string response = read_once(next_hop_.fd());
    EXPECT_TRUE(response.starts_with("SIP/2.0 200")) << response;
  }
  EXPECT_GE(handed_over() - before, 2u) << "none of them crossed";
}

TEST_F(Shards, StopEndsAThreadWhateverIsOpen) {
  connect_clients();
  EXPECT_TRUE(shards_[0]->control().send(Stop{}));
  shards_[0]->join();
  EXPECT_TRUE(shards_[1]->control().send(Stop{}));
  shards_[1]->join();
  shards_.clear();
  for (const Socket& client : clients_) EXPECT_EQ(read_once(client.fd()), "") << "it is closed";
}

TEST_F(Shards, DrainClosesTheFlowsAndSaysSo) {
  connect_clients();
  for (const auto& shard : shards_) EXPECT_TRUE(shard->control().send(Drain{}));
  for (const Socket& client : clients_) EXPECT_EQ(read_once(client.fd()), "");
  clients_.clear();
  for (const auto& shard : shards_) {
    ASSERT_TRUE(until([&] { return shard->control().front() != nullptr; }));
    EXPECT_TRUE(std::holds_alternative<Drained>(*shard->control().front()));
    shard->control().pop();
  }
  EXPECT_FALSE(connected_socket(access_)) << "nobody is let in any more";
}

ToShard calls_query(std::uint64_t request) {
  Query query;
  query.request = request;
  query.max = 10;
  return query;
}

TEST_F(Shards, AQueryIsAnsweredByEach) {
  for (const auto& shard : shards_) EXPECT_TRUE(shard->control().send(calls_query(77)));
  for (const auto& shard : shards_) {
    ASSERT_TRUE(until([&] { return shard->control().front() != nullptr; }));
    const auto* list = std::get_if<Report>(shard->control().front());
    ASSERT_NE(list, nullptr);
    EXPECT_EQ(list->request, 77u);
    EXPECT_TRUE(list->rows.empty());
    shard->control().pop();
  }
}

TEST_F(Shards, AFullQueueOfTheControlThreadLosesNothingAndBlocksNobody) {
  std::size_t sent = 0;
  for (std::uint64_t i = 0; i < 5'000; ++i) sent += shards_[0]->control().send(calls_query(i));
  EXPECT_GT(sent, 0u);
  // What the shard could not tell because nobody read is counted, and it serves on.
  ASSERT_TRUE(until([&] {
    std::uint64_t answers = 0;
    while (shards_[0]->control().front()) {
      shards_[0]->control().pop();
      ++answers;
    }
    sent -= std::min<std::uint64_t>(sent, answers);
    return sent <= shards_[0]->counters().handed_over_full.value();
  }));
  const Socket client = connected_socket(access_);
  EXPECT_TRUE(client);
}

TEST_F(Shards, OneThreadForEachShardAndNoneOfTheKernels) {
  connect_clients();
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    send(clients_[i], "\r\n\r\n");
    EXPECT_EQ(read_once(clients_[i].fd()), "\r\n");
  }
  std::size_t shard_threads = 0, workers = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    std::string name;
    std::getline(file, name);
    shard_threads += name.starts_with("shard-");
    workers += name.starts_with("iou-wrk");
  }
  EXPECT_EQ(shard_threads, kShards);
  EXPECT_EQ(workers, 0u);
}

TEST_F(Shards, AnIdleShardMakesNoTurns) {
  const auto turns = [&] {
    return sum([](const Counters& counters) { return counters.turns.value(); });
  };
  // Quiet once two readings far enough apart agree; a shard that spins never is.
  EXPECT_TRUE(until([&] {
    const auto before = turns();
    for (int i = 0; i < 10'000; ++i) std::this_thread::yield();
    return turns() == before;
  }));
}

TEST(ShardStart, APortThatIsTakenIsKnownBeforeAnythingStarts) {
  const Socket owner = bound_socket(SOCK_DGRAM);
  Config config;
  ListenConfig listen;
  listen.name = "phones";
  listen.address = local_of(owner.fd());
  config.listen = {listen};
  const auto opened = open_listeners(config, 2);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("listener phones cannot use 127.0.0.1:" +
                                std::to_string(listen.address.port) + "/udp"),
            std::string::npos)
      << opened.error();
}

}  // namespace
}  // namespace ringway::test
