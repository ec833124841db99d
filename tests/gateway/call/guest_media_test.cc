#include "gateway/call/guest_media.h"

#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

Source from(std::string_view remote, std::uint32_t flow = 0) {
  Source source;
  source.remote = *parse_endpoint(remote);
  if (flow != 0) source.flow = {1, flow, 1};
  return source;
}

TEST(GuestMedia, AFlowAndASourceHaveTheirShareAndGetItBack) {
  GuestMedia guests({1, 2}, 2, 3);
  std::vector<GuestMedia::Place> places(8);
  EXPECT_TRUE(guests.take(from("192.0.2.1:1000", 5), places[0]));
  EXPECT_TRUE(guests.take(from("192.0.2.1:1000", 5), places[1]));
  EXPECT_FALSE(guests.take(from("192.0.2.1:1000", 5), places[2])) << "the flow has two";
  EXPECT_TRUE(guests.take(from("192.0.2.1:1001", 6), places[2]));
  EXPECT_FALSE(guests.take(from("192.0.2.1:1002", 7), places[3])) << "the address has three";
  EXPECT_TRUE(guests.take(from("192.0.2.2:1000", 8), places[3])) << "another address has its own";
  guests.give_back(places[0]);
  guests.give_back(places[0]);  // once
  EXPECT_TRUE(guests.take(from("192.0.2.1:1000", 5), places[0]));
  EXPECT_FALSE(guests.take(from("192.0.2.1:1002", 7), places[4]));
  for (auto& place : places) guests.give_back(place);
  EXPECT_TRUE(guests.take(from("192.0.2.1:1002", 7), places[4]));
}

TEST(GuestMedia, DatagramsCountByTheirPortAndIpv6ByItsNetwork) {
  GuestMedia guests({1, 2}, 1, 2);
  GuestMedia::Place a, b, c, d;
  EXPECT_TRUE(guests.take(from("[2001:db8::1]:1000"), a));
  EXPECT_FALSE(guests.take(from("[2001:db8::1]:1000"), b));
  EXPECT_TRUE(guests.take(from("[2001:db8::ffff]:1001"), b)) << "another port";
  EXPECT_FALSE(guests.take(from("[2001:db8::2]:1002"), c)) << "one /64, one source";
  EXPECT_TRUE(guests.take(from("[2001:db8:0:1::2]:1002"), d));
}

}  // namespace
}  // namespace ringway
