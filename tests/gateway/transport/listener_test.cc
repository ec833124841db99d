#include "gateway/transport/listener.h"

#include "gateway/config/tcp_twins.h"
#include "gateway/transport/port_owner.h"
#include "tests/gateway/transport/host.h"

namespace ringway::test {
namespace {

Config one(ListenConfig listen) {
  return config_with({std::move(listen)});
}

TEST(Listeners, TheKernelsPortIsTheSameForAllShards) {
  for (const auto transport : {Transport::Udp, Transport::Tcp}) {
    const auto opened = open_listeners(one(listen_on(transport)), 3);
    ASSERT_TRUE(opened) << opened.error();
    ASSERT_EQ(opened->size(), 3u);
    EXPECT_NE((*opened)[0].infos[0].local.port, 0u);
    for (const ShardListeners& shard : *opened) {
      ASSERT_EQ(shard.sockets.size(), 1u);
      EXPECT_EQ(shard.infos[0].local, (*opened)[0].infos[0].local);
      EXPECT_EQ(local_of(shard.sockets[0].fd()), shard.infos[0].local);
    }
  }
}

TEST(Listeners, WithAPortPerShardEachHasItsOwn) {
  ListenConfig listen = listen_on(Transport::Udp);
  listen.port_per_shard = true;
  const auto opened = open_listeners(one(listen), 3);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_NE((*opened)[0].infos[0].local.port, (*opened)[1].infos[0].local.port);
  EXPECT_NE((*opened)[1].infos[0].local.port, (*opened)[2].infos[0].local.port);
}

TEST(Listeners, Rfc3261_18_2_1_AUdpListenerHasATcpTwinOnItsPortBehindAllOthers) {
  ListenConfig udp = listen_on(Transport::Udp);
  udp.tcp_twin = true;
  Config config = config_with({udp, listen_on(Transport::Tcp)});
  add_tcp_twins(config);
  const auto opened = open_listeners(config, 2);
  ASSERT_TRUE(opened) << opened.error();
  for (const ShardListeners& shard : *opened) {
    ASSERT_EQ(shard.infos.size(), 3u);
    EXPECT_EQ(shard.infos[2].config.transport, Transport::Tcp);
    EXPECT_EQ(shard.infos[2].local, shard.infos[0].local);
    EXPECT_TRUE(connected_socket(shard.infos[2].local));
  }
}

TEST(Listeners, ABusyPortNamesTheListenerItsAddressTheOwnerAndTheCure) {
  const Socket owner = listening_socket();
  ListenConfig listen = listen_on(Transport::Tcp);
  listen.name = "browsers";
  listen.address = local_of(owner.fd());
  const auto opened = open_listeners(one(listen), 2);
  ASSERT_FALSE(opened);
  const std::string port = std::to_string(listen.address.port);
  for (const std::string& part :
       {std::string("browsers"), "127.0.0.1:" + port + "/tcp", std::string("is in use"),
        "(pid " + std::to_string(getpid()) + ")", std::string("configure another port")}) {
    EXPECT_NE(opened.error().find(part), std::string::npos) << opened.error();
  }
}

TEST(Listeners, ASecondGatewayDoesNotSlipInBesideTheFirst) {
  const auto first = open_listeners(one(listen_on(Transport::Udp)), 2);
  ASSERT_TRUE(first);
  ListenConfig listen = listen_on(Transport::Udp);
  listen.address = (*first)[0].infos[0].local;
  const auto second = open_listeners(one(listen), 2);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("in use"), std::string::npos) << second.error();
}

TEST(Listeners, AnAddressThatThisHostMayGetLaterIsBoundAlready) {
  EXPECT_TRUE(open_listeners(one(listen_on(Transport::Tcp, "192.0.2.77")), 1));
}

HeldListeners held_of(const std::vector<ShardListeners>& shards) {
  HeldListeners held;
  for (const ShardListeners& shard : shards) held.push_back(shard.infos);
  return held;
}

TEST(Listeners, WhatAReloadAddsIsOpenedForEachShard) {
  Config config = config_with({listen_on(Transport::Tcp)});
  const auto first = open_listeners(config, 2);
  ASSERT_TRUE(first);
  config.listen.push_back(listen_on(Transport::Udp));
  config.listen.back().tcp_twin = true;
  add_tcp_twins(config);
  const auto more = open_more_listeners(config, held_of(*first));
  ASSERT_TRUE(more) << more.error();
  ASSERT_EQ(more->size(), 2u);
  for (const auto& shard : *more) {
    ASSERT_EQ(shard.size(), 2u);
    EXPECT_EQ(shard[0].place, 1u);
    EXPECT_EQ(shard[1].place, 2u);
    EXPECT_EQ(shard[0].info.local, (*more)[0][0].info.local);
    EXPECT_EQ(shard[1].info.local, shard[0].info.local);
    EXPECT_EQ(local_of(shard[0].socket.fd()), shard[0].info.local);
  }
}

TEST(Listeners, AReloadThatCannotHaveOnePortOpensNone) {
  const Socket owner = listening_socket();
  Config config = config_with({listen_on(Transport::Tcp)});
  const auto first = open_listeners(config, 2);
  ASSERT_TRUE(first);
  config.listen.push_back(listen_on(Transport::Udp));
  config.listen.push_back(listen_on(Transport::Tcp));
  config.listen.back().address = local_of(owner.fd());
  const auto more = open_more_listeners(config, held_of(*first));
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().find("is in use"), std::string::npos) << more.error();
}

TEST(Listeners, OneThatComesToTheAddressOfOneThatGoesHasItsSocket) {
  Config config = config_with({listen_on(Transport::Tcp), listen_on(Transport::Udp)});
  const auto first = open_listeners(config, 2);
  ASSERT_TRUE(first) << first.error();
  config.listen.push_back(config.listen[0]);
  config.listen[2].advertise_host = "edge.test";
  config.listen[0].removed = true;
  const auto more = open_more_listeners(config, held_of(*first));
  ASSERT_TRUE(more) << more.error();
  for (const auto& shard : *more) {
    ASSERT_EQ(shard.size(), 1u);
    EXPECT_EQ(shard[0].place, 2u);
    EXPECT_EQ(shard[0].from, 0u);
    EXPECT_FALSE(shard[0].socket);
    EXPECT_EQ(shard[0].info.local, (*first)[0].infos[0].local);
  }
}

TEST(Listeners, APortThatAReloadHasGivenUpIsSharedUntilItIsClosed) {
  Config config = config_with({listen_on(Transport::Udp), listen_on(Transport::Tcp)});
  auto first = open_listeners(config, 2);
  ASSERT_TRUE(first);
  const Endpoint local = (*first)[0].infos[0].local;
  HeldListeners held = held_of(*first);
  for (auto& infos : held) infos[0].config.removed = true;
  config.listen[0].removed = true;
  config.listen.push_back(listen_on(Transport::Udp));
  config.listen[2].address = local;
  auto more = open_more_listeners(config, held);
  ASSERT_TRUE(more) << more.error();
  EXPECT_EQ((*more)[1][0].info.local, local);
}

TEST(PortOwner, NamesThisProcessForItsOwnSockets) {
  const Socket udp = bound_socket(SOCK_DGRAM), tcp = listening_socket("::1");
  const std::string pid = "(pid " + std::to_string(getpid()) + ")";
  EXPECT_NE(find_port_owner(local_of(udp.fd()).port, true).find(pid), std::string::npos);
  EXPECT_NE(find_port_owner(local_of(tcp.fd()).port, false).find(pid), std::string::npos);
}

TEST(PortOwner, OfAFreePortIsNobody) {
  Socket udp = bound_socket(SOCK_DGRAM);
  const std::uint16_t port = local_of(udp.fd()).port;
  udp.reset();
  EXPECT_EQ(find_port_owner(port, true), "");
}

}  // namespace
}  // namespace ringway::test
