#include "protocol/sdp/slim.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/protocol/sdp/samples.h"

namespace ringway::sdp {
namespace {

std::string slim(std::string_view body) {
  std::vector<std::uint8_t> memory(body.size());
  Writer out(memory);
  EXPECT_EQ(slim_for_plain(body, out), SlimResult::Slimmed) << body;
  return std::string(out.written_text());
}

TEST(Slim, ConvertedChromiumOffer) {
  const std::string text = slim(kConvertedOffer);
  EXPECT_EQ(text,
            "v=0\r\n"
            "o=- 4611732053722938000 2 IN IP4 127.0.0.1\r\n"
            "s=-\r\n"
            "t=0 0\r\n"
            "m=audio 30028 RTP/AVP 111 9 0 8 126\r\n"
            "c=IN IP4 192.0.2.80\r\n"
            "a=rtpmap:111 opus/48000/2\r\n"
            "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
            "a=rtpmap:9 G722/8000\r\n"
            "a=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:8 PCMA/8000\r\n"
            "a=rtpmap:126 telephone-event/8000\r\n"
            "a=sendrecv\r\n");
  EXPECT_LT(text.size(), 400u);
  EXPECT_EQ(slim(text), text);
}

TEST(Slim, BrowserOfferStaysWhole) {
  EXPECT_EQ(slim(kChromiumOffer), kChromiumOffer);
}
TEST(Slim, PhoneAnswerStaysWhole) {
  EXPECT_EQ(slim(kPhoneAnswer), kPhoneAnswer);
}

TEST(Slim, Rfc3605_2_1_OnlyAnRtcpPortThatIsNotTheNextOneIsSaid) {
  EXPECT_EQ(slim("v=0\r\nm=audio 40 RTP/AVP 0\r\na=rtcp:41\r\na=rtcp-xr:rcvr-rtt=all\r\n"),
            "v=0\r\nm=audio 40 RTP/AVP 0\r\n");
  for (const std::string_view kept :
       {"a=rtcp:42\r\n", "a=rtcp:41 IN IP4 192.0.2.1\r\n", "a=rtcp:\r\n"}) {
    const std::string body = "v=0\r\nm=audio 40 RTP/AVP 0\r\n" + std::string(kept);
    EXPECT_EQ(slim(body), body);
  }
}

TEST(Slim, OpusAloneKeepsItsEvents) {
  constexpr std::string_view kBody =
      "v=0\r\nm=audio 4 RTP/AVP 111 110 126\r\na=rtpmap:111 opus/48000/2\r\n"
      "a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n";
  EXPECT_EQ(slim(kBody), kBody);
}

TEST(Slim, OnlyFastEventsStay) {
  constexpr std::string_view kBody =
      "v=0\r\nm=audio 4 RTP/AVP 111 0 110\r\na=rtpmap:111 opus/48000/2\r\n"
      "a=rtpmap:110 telephone-event/48000\r\n";
  EXPECT_EQ(slim(kBody), kBody);
}

TEST(Slim, NeverTheLastCodec) {
  for (const std::string_view body : {"v=0\r\nm=audio 4 RTP/AVP 13\r\n",
                                      "v=0\r\nm=audio 4 RTP/AVP 13 101\r\n"
                                      "a=rtpmap:101 telephone-event/8000\r\n",
                                      "v=0\r\nm=audio 4 RTP/AVP 63\r\na=rtpmap:63 red/48000/2\r\n",
                                      "v=0\r\nm=audio 0 RTP/AVP\r\n"}) {
    EXPECT_EQ(slim(body), body);
  }
}

TEST(Slim, StaticTypesRedefinedAndCase) {
  // 13 that is a codec here, and CN under another number and in another case.
  EXPECT_EQ(slim("v=0\nm=audio 4 RTP/AVP 13 99 0\na=rtpmap:13 L16/8000\na=rtpmap:99 cn/16000\n"
                 "a=fmtp:99 x\na=ptime:20\n"),
            "v=0\nm=audio 4 RTP/AVP 13 0\na=rtpmap:13 L16/8000\na=ptime:20\n");
}

TEST(Slim, VideoLosesBallastOnly) {
  EXPECT_EQ(
      slim("v=0\r\nm=video 4 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\na=mid:1\r\n"
           "a=rtcp-fb:96 ccm fir\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc:1 x\r\n"),
      "v=0\r\nm=video 4 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\n"
      "a=rtcp-fb:96 ccm fir\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n");
}

TEST(Slim, SessionPartStaysWithASecureSection) {
  constexpr std::string_view kBody =
      "v=0\r\na=group:BUNDLE 1\r\nm=audio 4 RTP/AVP 0\r\nm=video 5 UDP/TLS/RTP/SAVPF 96\r\n"
      "a=mid:1\r\n";
  EXPECT_EQ(slim(kBody), kBody);
}

TEST(Slim, UnknownFormatsLeaveTheMediaLineAlone) {
  EXPECT_EQ(slim("v=0\nm=audio 4 RTP/AVP 0 13 x 200\na=mid:1\n"),
            "v=0\nm=audio 4 RTP/AVP 0 13 x 200\n");
}

TEST(Slim, NotSdpWritesNothing) {
  std::uint8_t memory[64];
  Writer out(memory);
  EXPECT_EQ(slim_for_plain("hello", out), SlimResult::NotSdp);
  EXPECT_EQ(out.size(), 0u);
}

TEST(Slim, OverflowIsSaid) {
  const std::size_t needed = slim(kConvertedOffer).size();
  for (std::size_t size = 0; size <= needed; ++size) {
    std::vector<std::uint8_t> memory(size);
    Writer out(memory);
    EXPECT_EQ(slim_for_plain(kConvertedOffer, out),
              size < needed ? SlimResult::Overflowed : SlimResult::Slimmed)
        << size;
  }
}

TEST(Slim, CutAtEveryByteNeverGrows) {
  for (std::size_t cut = 0; cut < kConvertedOffer.size(); ++cut) {
    const std::vector<char> part(kConvertedOffer.begin(),
                                 kConvertedOffer.begin() + static_cast<long>(cut));
    std::vector<std::uint8_t> memory(cut);
    Writer out(memory);
    EXPECT_NE(slim_for_plain({part.data(), part.size()}, out), SlimResult::Overflowed) << cut;
  }
}

}  // namespace
}  // namespace ringway::sdp
