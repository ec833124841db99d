#include "protocol/sdp/codec_name.h"

#include <string>

#include <gtest/gtest.h>

namespace ringway::sdp {
namespace {

std::string codec(const std::string& sections) {
  const CodecName name =
      first_codec("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n" + sections);
  return std::string(name.view());
}

// RFC 8866 6.6, RFC 3551 6.
TEST(CodecName, IsTheFirstFormatOfTheFirstAudioInUse) {
  EXPECT_EQ(codec("m=audio 4000 RTP/AVP 0 8\r\n"), "PCMU/8000");
  EXPECT_EQ(codec("m=audio 4000 RTP/AVP 111 0\r\na=rtpmap:111 opus/48000/2\r\n"), "opus/48000/2");
  EXPECT_EQ(codec("m=audio 4000 RTP/AVP 101 13 8\r\na=rtpmap:101 telephone-event/8000\r\n"
                  "a=rtpmap:13 CN/8000\r\n"),
            "PCMA/8000");
  EXPECT_EQ(codec("m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 0 RTP/AVP 0\r\n"
                  "m=audio 4002 RTP/AVP 9\r\n"),
            "G722/8000");
}

TEST(CodecName, IsEmptyWhereThereIsNone) {
  EXPECT_EQ(codec(""), "");
  EXPECT_EQ(codec("m=image 4000 udptl t38\r\n"), "");
  EXPECT_EQ(codec("m=audio 4000 RTP/AVP 97\r\n"), "") << "a dynamic number without a name";
  EXPECT_EQ(first_codec("no description").view(), "");
  const std::string long_name(100, 'x');
  EXPECT_EQ(codec("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 " + long_name + "\r\n"),
            long_name.substr(0, 23));
}

}  // namespace
}  // namespace ringway::sdp
