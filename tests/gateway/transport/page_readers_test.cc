// Pages that are read slowly or not at all: who holds places with them goes when places are short.

#include <algorithm>

#include "tests/gateway/transport/host.h"

namespace ringway::test {
namespace {

constexpr std::uint32_t kFlows = 64;
constexpr std::uint32_t kFreeMin = kFlows / 16;  // fewer free places are a shortage
constexpr std::size_t kPageSize = 8 << 20;       // more than sockets hold

class PageReaders : public testing::Test {
 protected:
  static Config config() {
    Config config = config_with({listen_on(Transport::Ws)});
    config.limits.flows = kFlows;
    return config;
  }
  static std::shared_ptr<const StaticPages> pages() {
    return std::make_shared<const StaticPages>(
        StaticPages().with("/big.js", {"text/javascript", std::string(kPageSize, 'j')}));
  }
  PageReaders() : host_(config(), {}, pages()) {
    const int size = 65'536;  // of accepted connections, too
    setsockopt(host_.socket_of(0), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }

  Socket reader(const char* source) {
    Socket socket = connected_socket(host_.endpoint(), source);
    const int size = 65'536;
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    write_all(socket, "GET /big.js HTTP/1.1\r\nHost: a\r\n\r\n");
    return socket;
  }
  std::vector<Socket> readers(std::uint32_t count, const char* source) {
    std::vector<Socket> sockets;
    for (std::uint32_t i = 0; i < count; ++i) sockets.push_back(reader(source));
    host_.settle();
    return sockets;
  }
  // So many bytes, or to the end.
  void read(const Socket& socket, std::size_t size, std::string& text) {
    const std::size_t until = text.size() + size;
    ASSERT_TRUE(host_.until([&] {
      return text.size() >= until || Host::read_some(socket.fd(), text) == Host::Peek::End;
    }));
  }
  std::size_t closed(const std::vector<Socket>& sockets) {
    return static_cast<std::size_t>(std::ranges::count_if(sockets, [](const Socket& socket) {
      std::string text;
      Host::Peek peek = Host::Peek::Bytes;
      while (peek == Host::Peek::Bytes) peek = Host::read_some(socket.fd(), text);
      return peek == Host::Peek::End;
    }));
  }
  std::uint64_t dropped() { return host_.counters().slow_readers_dropped.value(); }
  std::uint64_t refused() {
    return host_.counters().flows_refused[static_cast<std::size_t>(Transport::Ws)].value();
  }
  Host host_;
};

TEST_F(PageReaders, WhoDoesNotReadGoesOnceConnectionsAreMany) {
  const auto hoard = readers(kFlows - kFreeMin - 1, "127.0.0.2");
  host_.advance(1'100ms);
  EXPECT_EQ(dropped(), 0u) << "there is room";
  const auto at = readers(1, "127.0.0.3");
  EXPECT_EQ(dropped(), 0u);
  const auto above = readers(1, "127.0.0.3");
  EXPECT_GE(dropped(), 1u);
  for (int i = 0; i < 100; ++i) {
    const auto more = readers(1, "127.0.0.3");
    EXPECT_EQ(closed(more), 0u) << i;
    host_.advance(60ms);
  }
  EXPECT_EQ(refused(), 0u);
  EXPECT_GE(dropped(), hoard.size());
}

TEST_F(PageReaders, NobodyIsDroppedInHisFirstMoments) {
  const auto crowd = readers(kFlows, "127.0.0.2");
  host_.advance(900ms);
  const auto next = readers(1, "127.0.0.3");
  EXPECT_EQ(dropped(), 0u);
  EXPECT_EQ(refused(), 1u) << "there is no place, and nobody who has to go";
  host_.advance(200ms);
  const auto again = readers(2, "127.0.0.3");
  EXPECT_GE(dropped(), 1u);
}

TEST_F(PageReaders, WhoReadsStaysBesideWhoHoards) {
  const Socket honest = reader("127.0.0.3");
  std::string text;
  read(honest, 1 << 20, text);
  const auto hoard = readers(kFlows - 2, "127.0.0.2");
  for (int i = 0; i < 20; ++i) {
    host_.advance(500ms);
    read(honest, 128 << 10, text);
    readers(1, "127.0.0.4");
  }
  EXPECT_GE(dropped(), 1u);
  read(honest, kPageSize, text);
  EXPECT_TRUE(text.ends_with("jjjj"));
  EXPECT_GE(text.size(), kPageSize);
}

// The kernel takes megabytes for somebody who reads nothing: what counts is how it goes on.
TEST_F(PageReaders, WhoReadsALittleNowAndThenGoesBeforeWhoReadsSteadily) {
  const Socket trickler = reader("127.0.0.2"), steady = reader("127.0.0.3");
  const auto others = readers(kFlows - 3, "127.0.0.4");  // lighter once they are gone
  std::string little, much;
  read(trickler, 65'536, little);
  read(steady, 65'536, much);
  std::uint64_t others_dropped = 0;
  int rounds = 0;
  for (; rounds < 200 && dropped() == others_dropped; ++rounds) {
    host_.advance(1'900ms);
    read(trickler, 65'536, little);
    read(steady, 256 << 10, much);
    std::vector<Socket> crowd;  // of who has just come
    while (host_.streams().open_streams() < kFlows - 1) {
      crowd.push_back(connected_socket(host_.endpoint(), "127.0.0.5"));
      host_.settle();
    }
    if (rounds == 0) others_dropped = dropped();
  }
  EXPECT_EQ(others_dropped, others.size());
  EXPECT_EQ(dropped(), others_dropped + 1);
  read(steady, kPageSize, much);
  EXPECT_GE(much.size(), kPageSize);
  read(trickler, kPageSize, little);
  EXPECT_LT(little.size(), kPageSize);
}

}  // namespace
}  // namespace ringway::test
