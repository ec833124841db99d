#include "protocol/sdp/telephone_event.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::sdp {
namespace {

std::string description(std::string_view sections) {
  return "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n" +
         std::string(sections);
}

const std::string kOffer = description(
    "m=audio 4000 RTP/AVP 0 110 126\r\na=rtpmap:110 telephone-event/48000\r\n"
    "a=rtpmap:126 telephone-event/8000\r\n");

TEST(TelephoneEvent, AnotherNumberInTheAnswerIsTold) {
  const auto answer = [](std::string_view rtpmap) {
    return description("m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:" + std::string(rtpmap) + "\r\n");
  };
  EXPECT_TRUE(has_other_event_numbers(kOffer, answer("101 telephone-event/8000")));
  EXPECT_TRUE(has_other_event_numbers(kOffer, answer("101 Telephone-Event/8000")));
  EXPECT_FALSE(has_other_event_numbers(kOffer, answer("126 telephone-event/8000")));
  EXPECT_FALSE(has_other_event_numbers(kOffer, answer("110 telephone-event/48000")));
  EXPECT_FALSE(has_other_event_numbers(kOffer, answer("101 iLBC/8000"))) << "it takes no events";
  EXPECT_FALSE(has_other_event_numbers(kOffer, answer("300 telephone-event/8000")));
}

TEST(TelephoneEvent, OneNumberThatBothHaveIsEnough) {
  EXPECT_FALSE(has_other_event_numbers(
      kOffer, description("m=audio 5000 RTP/AVP 0 101 126\r\na=rtpmap:101 telephone-event/8000\r\n"
                          "a=rtpmap:126 telephone-event/8000\r\n")));
}

TEST(TelephoneEvent, OnlyThoseAtEightThousandInASectionInUseCount) {
  EXPECT_TRUE(has_events(kOffer));
  EXPECT_FALSE(has_events(
      description("m=audio 4000 RTP/AVP 0 110\r\na=rtpmap:110 telephone-event/48000\r\n")));
  EXPECT_FALSE(
      has_events(description("m=audio 0 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n")));
  EXPECT_FALSE(has_events(""));
}

TEST(TelephoneEvent, SectionsAreComparedByPlace) {
  const std::string video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
  const std::string two = kOffer + video;
  EXPECT_TRUE(has_other_event_numbers(
      two, description("m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n") +
               "m=video 0 RTP/AVP 96\r\n"));
  EXPECT_FALSE(has_other_event_numbers(
      two, description("m=audio 0 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n") +
               "m=video 0 RTP/AVP 96\r\n"))
      << "a refused section";
  EXPECT_FALSE(has_other_event_numbers(kOffer, "nonsense"));
  EXPECT_FALSE(has_other_event_numbers("", kOffer));
}

}  // namespace
}  // namespace ringway::sdp
