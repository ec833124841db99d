#include "gateway/control/admin_server.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <thread>

#include "gateway/control/control.h"
#include "gateway/control/service_manager.h"
#include "gateway/shard/exchange.h"
#include "gateway/transport/listener.h"
#include "tests/gateway/reactor/peer.h"

namespace ringway::test {
namespace {

Endpoint free_port() {
  const Socket socket = bound_socket(SOCK_STREAM);
  return local_of(socket.fd());
}

// One request on a connection of its own, on a thread that may wait.
std::string get(const Endpoint& server, const std::string& request) {
  const Socket socket = connected_socket(server);
  if (!socket) return "no connection";
  if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "no request";
  std::string answer;
  for (;;) {
    const std::string piece = read_once(socket.fd());
    if (piece.empty()) return answer;
    answer += piece;
    const std::size_t head = answer.find("\r\n\r\n");
    const std::size_t length = answer.find("Content-Length: ");
    if (head != answer.npos && length != answer.npos &&
        answer.size() >= head + 4 + std::stoul(answer.substr(length + 16))) {
      return answer;
    }
  }
}

std::string page(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() { uv_loop_init(&loop_); }
  ~AdminServerTest() override {
    server_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  void open(AdminServer::Handler handler) {
    for (int attempt = 0; attempt < 20 && !server_; ++attempt) {
      address_ = free_port();
      auto opened = AdminServer::open(&loop_, address_, handler);
      if (opened) server_ = std::move(*opened);
    }
    ASSERT_TRUE(server_);
  }
  // Serves until the client has its answer.
  std::string answer_to(const std::string& request) {
    std::string answer;
    std::atomic<bool> done{false};
    std::thread client([&] {
      answer = get(address_, request);
      done = true;
    });
    for (const Patience patience; !done && patience.left();) {
      uv_run(&loop_, UV_RUN_NOWAIT);
      std::this_thread::yield();
    }
    client.join();
    return answer;
  }

  uv_loop_t loop_{};
  Endpoint address_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, AnswersAtOnce) {
  std::string asked;
  open([&](const AdminRequest& request) {
    asked = request.path;
    return AdminAnswer{200, "application/json", "{}\n"};
  });
  const std::string answer = answer_to(page("/healthz"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("Content-Type: application/json"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n{}\n")) << answer;
  EXPECT_EQ(asked, "/healthz");
}

TEST_F(AdminServerTest, AnswersLaterAndLargePagesWhole) {
  std::uint64_t waiting = 0;
  open([&](const AdminRequest& request) {
    waiting = request.id;
    return std::optional<AdminAnswer>{};
  });
  std::string body(300'000, 'x');
  std::string answer;
  std::atomic<bool> done{false};
  std::thread client([&] {
    answer = get(address_, page("/calls"));
    done = true;
  });
  for (const Patience patience; !done && patience.left();) {
    uv_run(&loop_, UV_RUN_NOWAIT);
    if (waiting != 0) server_->answer(std::exchange(waiting, 0), {200, "text/plain", body});
    std::this_thread::yield();
  }
  client.join();
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), body);
}

TEST_F(AdminServerTest, AClientThatEndsItsSideBehindTheRequestHasItsAnswer) {
  std::uint64_t waiting = 0;
  open([&](const AdminRequest& request) {
    waiting = request.id;
    return std::optional<AdminAnswer>{};
  });
  const Socket client = connected_socket(address_);
  const std::string request = page("/calls");
  ASSERT_GT(::send(client.fd(), request.data(), request.size(), MSG_NOSIGNAL), 0);
  ASSERT_EQ(::shutdown(client.fd(), SHUT_WR), 0);
  for (const Patience patience; waiting == 0 && patience.left();) uv_run(&loop_, UV_RUN_NOWAIT);
  for (int turn = 0; turn < 10; ++turn) uv_run(&loop_, UV_RUN_NOWAIT);  // it sees the end
  server_->answer(waiting, {200, "text/plain", "late"});
  for (int turn = 0; turn < 10; ++turn) uv_run(&loop_, UV_RUN_NOWAIT);
  EXPECT_TRUE(read_once(client.fd()).ends_with("late"));
}

TEST_F(AdminServerTest, AnAnswerToAClientThatLeftIsDropped) {
  open([](const AdminRequest&) { return std::optional<AdminAnswer>{}; });
  server_->answer(4711, {200, "text/plain", "nobody"});
}

// What is meant for this host is not shown to others.
TEST_F(AdminServerTest, ListensWhereItWasToldToAndNowhereElse) {
  open([](const AdminRequest&) { return AdminAnswer{200, "text/plain", "x"}; });
  EXPECT_TRUE(connected_socket(address_));
  for (const char* other : {"127.0.0.2", "::1"}) {
    EXPECT_FALSE(connected_socket({*parse_address(other), address_.port})) << other;
  }
}

TEST_F(AdminServerTest, ListensOnIpv6Too) {
  Socket socket = bound_socket(SOCK_STREAM, "::1");
  const Endpoint address = local_of(socket.fd());
  socket.reset();
  auto opened = AdminServer::open(&loop_, address, [](const AdminRequest&) {
    return AdminAnswer{200, "text/plain", "x"};
  });
  ASSERT_TRUE(opened) << opened.error();
  server_ = std::move(*opened);
  address_ = address;
  EXPECT_TRUE(answer_to(page("/")).ends_with("x"));
  EXPECT_FALSE(connected_socket({*parse_address("127.0.0.1"), address.port}));
}

TEST_F(AdminServerTest, ABusyPortSaysWhatToDo) {
  const Socket owner = listening_socket();
  const auto opened = AdminServer::open(&loop_, local_of(owner.fd()), [](const AdminRequest&) {
    return std::optional<AdminAnswer>{};
  });
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("127.0.0.1:" + std::to_string(local_of(owner.fd()).port)),
            std::string::npos)
      << opened.error();
  EXPECT_NE(opened.error().find("admin.address"), std::string::npos) << opened.error();
}

// The whole control thread with two shards: its pages, its events, and the orderly end.
TEST(ControlThread, ServesItsPagesAndEndsOnASignal) {
  testing::internal::CaptureStderr();
  Config config;
  ListenConfig listen;
  listen.name = "access";
  listen.address = {*parse_address("127.0.0.1"), 0};
  config.listen = {listen};
  config.limits.buffer_bytes = 64 << 20;
  config.limits.transactions = config.limits.client_transactions = 1'024;
  config.limits.contexts = config.limits.bindings = config.limits.dialogs = 1'024;
  config.timers.drain = 20s;
  config.admin.enabled = true;
  auto listeners = open_listeners(config, 2);
  ASSERT_TRUE(listeners) << listeners.error();
  auto log = std::make_unique<LogWriter>(LogWriter::Format::Json, LogLevel::Info);
  std::unique_ptr<Control> control;
  for (int attempt = 0; attempt < 20; ++attempt) {
    config.admin.address = free_port();
    control = std::make_unique<Control>(Control::Setup{
        config, *log, {tls::TicketKey::random(), std::nullopt}, nullptr, {(*listeners)[0].infos, (*listeners)[1].infos}});
    if (control->open()) break;
  }
  Exchange exchange(2);
  std::vector<std::unique_ptr<Shard>> shards;
  for (std::size_t i = 0; i < 2; ++i) {
    shards.push_back(std::make_unique<Shard>(ShardSetup{
        config, static_cast<ShardIndex>(i), -1, std::move((*listeners)[i]), exchange, nullptr,
        nullptr, nullptr, nullptr, tls::MacKey{}, control->log_queue(i), control->wake()}));
    const auto started = shards.back()->start();
    ASSERT_TRUE(started) << started.error();
  }
  std::map<std::string, std::string> answers;
  std::thread client([&] {
    // It is ready once both shards have the next hops.
    for (int attempt = 0; attempt < 2'000 && !answers["/healthz"].starts_with("HTTP/1.1 200");
         ++attempt) {
      answers["/healthz"] = get(config.admin.address, page("/healthz"));
    }
    for (const std::string path :
         {"/livez", "/metrics", "/calls", "/status", "/version", "/", "/nothing"}) {
      answers[path] = get(config.admin.address, page(path));
    }
    kill(getpid(), SIGTERM);
  });
  EXPECT_EQ(control->run(shards), 0);
  client.join();
  shards.clear();
  control.reset();
  log.reset();  // it writes what waits
  const std::string events = testing::internal::GetCapturedStderr();
  for (const std::string path :
       {"/healthz", "/livez", "/metrics", "/calls", "/status", "/version", "/"}) {
    EXPECT_TRUE(answers[path].starts_with("HTTP/1.1 200")) << path << ": " << answers[path];
  }
  EXPECT_TRUE(answers["/nothing"].starts_with("HTTP/1.1 404")) << answers["/nothing"];
  EXPECT_NE(answers["/healthz"].find("{\"status\":\"ok\",\"ready\":true,"), std::string::npos)
      << answers["/healthz"];
  EXPECT_TRUE(answers["/calls"].ends_with("{\"calls\":[]}\n")) << answers["/calls"];
  EXPECT_NE(answers["/metrics"].find("\nringway_shards 2\n"), std::string::npos);
  EXPECT_NE(events.find("\"ready\""), std::string::npos) << events;
  EXPECT_NE(events.find("\"stopped\""), std::string::npos) << events;
}

TEST(ServiceManager, IsToldThroughItsSocket) {
  char directory[] = "/tmp/notify-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/socket";
  const Socket manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(manager.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  notify_service_manager("READY=1");
  unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(read_once(manager.fd()), "READY=1");
  notify_service_manager("nobody listens");
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace ringway::test
