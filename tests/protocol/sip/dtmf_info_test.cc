#include "protocol/sip/dtmf_info.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "protocol/sip/parse.h"

namespace ringway::sip {
namespace {

using Kind = DtmfInfo::Kind;

DtmfInfo read(std::string_view type, std::string_view body, std::string_view lines = {}) {
  const std::string text =
      "INFO sip:b@example.test SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK1\r\n"
      "Max-Forwards: 70\r\nFrom: <sip:a@example.test>;tag=a\r\nTo: <sip:b@example.test>;tag=b\r\n"
      "Call-ID: c\r\nCSeq: 2 INFO\r\nContent-Type: " +
      std::string(type) + "\r\n" + std::string(lines) +
      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  MessageView view;
  EXPECT_TRUE(parse_message(as_bytes(text), Framing::Datagram, view));
  return read_dtmf_info(view);
}
DtmfInfo relay(std::string_view body) {
  return read("application/dtmf-relay", body);
}

TEST(DtmfInfo, EachKeyHasItsEvent) {
  constexpr std::string_view kKeys = "0123456789*#ABCD";
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    const std::string key(1, kKeys[i]);
    for (const DtmfInfo& info :
         {relay("Signal=" + key + "\r\nDuration=200\r\n"), read("application/dtmf", key)}) {
      EXPECT_EQ(info.kind, Kind::Digit) << key;
      EXPECT_EQ(info.event, i) << key;
    }
  }
  EXPECT_EQ(relay("signal = d").event, 15);
  EXPECT_EQ(relay("Signal=11").event, 11) << "# as some gateways write it";
}

TEST(DtmfInfo, LinesAsUserAgentsWriteThem) {
  for (const std::string_view body :
       {"Signal=5\r\nDuration=300", "Signal= 5\r\nDuration= 300\r\n", "Signal=5\nDuration=300\n",
        "Duration=300\r\nSignal=5\r\n\r\n", "SIGNAL=5\r\nVolume=3\r\nduration=300"}) {
    const DtmfInfo info = relay(body);
    EXPECT_EQ(info.kind, Kind::Digit) << body;
    EXPECT_EQ(info.event, 5) << body;
    EXPECT_EQ(info.milliseconds, 300) << body;
  }
  EXPECT_EQ(relay("Signal=5").milliseconds, DtmfInfo::kDefaultMs);
  EXPECT_EQ(read("Application/DTMF-Relay; charset=utf-8", "Signal=5").kind, Kind::Digit);
}

TEST(DtmfInfo, DurationsAreBroughtWithinBounds) {
  EXPECT_EQ(relay("Signal=5\r\nDuration=0").milliseconds, DtmfInfo::kShortestMs);
  EXPECT_EQ(relay("Signal=5\r\nDuration=6001").milliseconds, DtmfInfo::kLongestMs);
  EXPECT_EQ(relay("Signal=5\r\nDuration=4294967297").milliseconds, DtmfInfo::kLongestMs);
  EXPECT_EQ(relay("Signal=5\r\nDuration=99999999999999999999").milliseconds, DtmfInfo::kLongestMs);
}

TEST(DtmfInfo, WhatHasNoDigitOrTwoIsMalformed) {
  for (const std::string_view body :
       {"", "\r\n", "Duration=160", "Signal=", "Signal=E", "Signal=55", "Signal=17", "Signal=5,6",
        "Signal=5\r\nSignal=6", "Signal=5\r\nDuration=-1", "Signal=5\r\nDuration=1e3",
        "Signal=5\r\nDuration=", "Signal=5\r\nDuration=1\r\nDuration=2", "5", "Signal"}) {
    EXPECT_EQ(relay(body).kind, Kind::Malformed) << body;
  }
  EXPECT_EQ(relay(std::string_view("Signal=\0", 8)).kind, Kind::Malformed);
  for (const std::string_view body : {"", "12", "x", "Signal=5"}) {
    EXPECT_EQ(read("application/dtmf", body).kind, Kind::Malformed) << body;
  }
}

TEST(DtmfInfo, OtherInfosAreNoneOfIt) {
  EXPECT_EQ(relay("Signal=!").kind, Kind::None) << "hook flash is no digit";
  EXPECT_EQ(relay("Signal=16").kind, Kind::None);
  EXPECT_EQ(relay("Signal=hf").kind, Kind::None);
  EXPECT_EQ(read("application/media_control+xml", "Signal=5").kind, Kind::None);
  EXPECT_EQ(read("text/dtmf-relay", "Signal=5").kind, Kind::None);
  EXPECT_EQ(read("application/dtmf-relay", "Signal=5", "Info-Package: x\r\n").kind, Kind::None);
  EXPECT_EQ(read("application/dtmf-relay", "Signal=5", "Content-Encoding: gzip\r\n").kind,
            Kind::None);
}

}  // namespace
}  // namespace ringway::sip
