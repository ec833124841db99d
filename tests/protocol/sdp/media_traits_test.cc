#include "protocol/sdp/media_traits.h"

#include <gtest/gtest.h>

#include "tests/protocol/sdp/samples.h"

namespace ringway::sdp {
namespace {

TEST(MediaTraits, ChromiumOffer) {
  const auto traits = read_traits(kChromiumOffer);
  ASSERT_TRUE(traits.has_value());
  ASSERT_EQ(traits->media().size(), 1u);
  const MediaTraits& audio = traits->media()[0];
  EXPECT_EQ(audio.kind, "audio");
  EXPECT_EQ(audio.protocol, "UDP/TLS/RTP/SAVPF");
  EXPECT_EQ(audio.port, 54321);
  EXPECT_EQ(audio.mid, "0");
  EXPECT_EQ(audio.setup, Setup::ActPass);
  EXPECT_EQ(audio.direction, Direction::SendReceive);
  EXPECT_TRUE(audio.ice && audio.dtls && audio.rtcp_mux && audio.has_candidate);
  EXPECT_FALSE(audio.sdes || audio.zero_address || audio.bundle_only);
  EXPECT_TRUE(traits->bundle);
  EXPECT_TRUE(traits->trickle);
  EXPECT_TRUE(traits->is_webrtc());
  EXPECT_FALSE(traits->has_zero_address());
}

TEST(MediaTraits, Phone) {
  const auto traits = read_traits(kPhoneAnswer);
  ASSERT_TRUE(traits.has_value());
  EXPECT_FALSE(traits->is_webrtc());
  EXPECT_FALSE(traits->has_zero_address());
  EXPECT_FALSE(traits->media()[0].is_secure());
  EXPECT_EQ(traits->media()[0].direction, Direction::SendReceive);
}

TEST(MediaTraits, SessionPartAppliesUnlessOverridden) {
  const auto traits = read_traits(
      "v=0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=ice-ufrag:x\r\na=fingerprint:sha-1 00\r\n"
      "m=audio 4000 RTP/AVP 0\r\n"
      "m=video 4002/2 RTP/SAVPF 96\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\na=crypto:1 x\r\n"
      "m=audio 0 RTP/AVP 0\r\n");
  ASSERT_TRUE(traits.has_value());
  const auto media = traits->media();
  ASSERT_EQ(media.size(), 3u);
  EXPECT_TRUE(media[0].zero_address && media[0].ice && media[0].dtls);
  EXPECT_EQ(media[0].direction, Direction::Inactive);
  EXPECT_EQ(media[1].port, 4002);
  EXPECT_EQ(media[1].direction, Direction::SendOnly);
  EXPECT_TRUE(media[1].sdes);
  EXPECT_FALSE(media[1].zero_address);
  EXPECT_TRUE(traits->has_zero_address());
}

TEST(MediaTraits, DiscardPortWithoutCandidates) {
  const auto without = read_traits(
      "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 192.0.2.1\r\na=ice-ufrag:x\r\n");
  EXPECT_TRUE(without->has_zero_address());
  EXPECT_FALSE(without->trickle);
  EXPECT_TRUE(without->is_webrtc());
  const auto with = read_traits(
      "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 192.0.2.1\r\n"
      "a=candidate:1 1 udp 1 192.0.2.1 4000 typ host\r\na=ice-options:ice2 trickle\r\n");
  EXPECT_FALSE(with->has_zero_address());
  EXPECT_TRUE(with->trickle);
  EXPECT_FALSE(read_traits("v=0\r\na=ice-options:trickles\r\n")->trickle);
}

TEST(MediaTraits, AddressesOfBothFamilies) {
  EXPECT_TRUE(read_traits("v=0\nc=IN IP6 ::\nm=audio 5 RTP/AVP 0\n")->has_zero_address());
  EXPECT_FALSE(read_traits("v=0\nc=IN IP6 ::1\nm=audio 5 RTP/AVP 0\n")->has_zero_address());
  EXPECT_FALSE(read_traits("v=0\nc=IN IP4 0.0.0.0\nm=audio 0 RTP/AVP 0\n")->has_zero_address());
}

TEST(MediaTraits, PortsThatAreNone) {
  EXPECT_EQ(read_traits("v=0\nm=audio 65536 RTP/AVP 0\n")->media()[0].port, 0);
  EXPECT_EQ(read_traits("v=0\nm=audio -1 RTP/AVP 0\n")->media()[0].port, 0);
  EXPECT_EQ(read_traits("v=0\nm=\n")->media()[0].port, 0);
}

}  // namespace
}  // namespace ringway::sdp
