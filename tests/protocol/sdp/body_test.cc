#include "protocol/sdp/body.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/protocol/sdp/samples.h"

namespace ringway::sdp {
namespace {

TEST(Body, SectionsOfAnOffer) {
  const auto body = Body::parse(kChromiumOffer);
  ASSERT_TRUE(body.has_value());
  EXPECT_EQ(body->media_count(), 1u);
  EXPECT_TRUE(body->session().starts_with("v=0"));
  EXPECT_TRUE(body->media(0).starts_with("m=audio 54321"));
  EXPECT_EQ(body->session().size() + body->media(0).size(), kChromiumOffer.size());
}

TEST(Body, LineEndsAndMissingLastOne) {
  for (const std::string_view text :
       {"v=0\r\nm=audio 1 RTP/AVP 0\r\na=mid:x", "v=0\nm=audio 1 RTP/AVP 0\na=mid:x",
        "v=0\r\nm=audio 1 RTP/AVP 0\na=mid:x\r\n\r\n"}) {
    const auto body = Body::parse(text);
    ASSERT_TRUE(body.has_value()) << text;
    Lines lines(body->media(0));
    EXPECT_EQ(lines.next()->value, "audio 1 RTP/AVP 0");
    const auto line = lines.next();
    EXPECT_EQ(attribute_of(*line).name, "mid");
    EXPECT_EQ(attribute_of(*line).value, "x");
    EXPECT_FALSE(lines.next().has_value());
  }
}

TEST(Body, CutAtEveryByte) {
  for (std::size_t cut = 0; cut <= kChromiumOffer.size(); ++cut) {
    // Exactly as large as the text, so that the sanitizer sees any step beyond.
    const std::vector<char> part(kChromiumOffer.begin(),
                                 kChromiumOffer.begin() + static_cast<long>(cut));
    const auto body = Body::parse({part.data(), part.size()});
    if (cut < 3) {
      EXPECT_FALSE(body.has_value()) << cut;
    } else if (body) {
      std::size_t size = body->session().size();
      for (std::size_t i = 0; i < body->media_count(); ++i) size += body->media(i).size();
      EXPECT_EQ(size, cut);
    }
  }
}

TEST(Body, Errors) {
  const struct {
    std::string text;
    BodyError error;
  } kCases[] = {
      {"", BodyError::NotSdp},
      {"hello", BodyError::NotSdp},
      {"v=1\r\n", BodyError::NotSdp},
      {"o=x\r\nv=0\r\n", BodyError::NotSdp},
      {"v=0\r\nbad\r\n", BodyError::BadLine},
      {"v=0\r\n\r\na=after\r\n", BodyError::BadLine},
      {"v=0\r\n" + std::string(kBodyBytesMax, 'a'), BodyError::TooLarge},
  };
  for (const auto& each : kCases) {
    const auto body = Body::parse(each.text);
    ASSERT_FALSE(body.has_value()) << each.text;
    EXPECT_EQ(body.error(), each.error) << each.text;
  }
}

std::string repeated(std::string_view line, std::size_t count) {
  std::string text = "v=0\n";
  for (std::size_t i = 0; i < count; ++i) text += line;
  return text;
}

TEST(Body, LimitsAtAndAbove) {
  EXPECT_TRUE(Body::parse(repeated("a=x\n", kLinesMax - 1)).has_value());
  EXPECT_EQ(Body::parse(repeated("a=x\n", kLinesMax)).error(), BodyError::TooManyLines);
  EXPECT_EQ(Body::parse(repeated("m=audio 1 RTP/AVP 0\n", kMediaMax))->media_count(), kMediaMax);
  EXPECT_EQ(Body::parse(repeated("m=audio 1 RTP/AVP 0\n", kMediaMax + 1)).error(),
            BodyError::TooManyMedia);
  std::string largest = "v=0\na=";
  largest.append(kBodyBytesMax - largest.size(), 'x');
  EXPECT_TRUE(Body::parse(largest).has_value());
  EXPECT_EQ(Body::parse(largest + "x").error(), BodyError::TooLarge);
  // A media section right at the end of the largest body.
  std::string late =
      "v=0\na=" + std::string(kBodyBytesMax - 6 - 21, 'x') + "\nm=audio 1 RTP/AVP 0\n";
  ASSERT_EQ(late.size(), kBodyBytesMax);
  EXPECT_EQ(Body::parse(late)->media(0), "m=audio 1 RTP/AVP 0\n");
}

TEST(Body, MediaLineWithMissingParts) {
  EXPECT_EQ(media_line("").kind, "");
  EXPECT_EQ(media_line("audio").kind, "audio");
  EXPECT_EQ(media_line("audio 9").port, "9");
  EXPECT_EQ(media_line("audio 9 RTP/AVP").formats, "");
  EXPECT_EQ(media_line("audio 9 RTP/AVP 0 8").formats, "0 8");
}

}  // namespace
}  // namespace ringway::sdp
