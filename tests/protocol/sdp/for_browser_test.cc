#include "protocol/sdp/for_browser.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "protocol/sdp/connections.h"

namespace ringway::sdp {
namespace {

const std::string kSession =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n";

std::string section(const std::string& media, const std::string& mid) {
  return "m=" + media + "\r\n" + (mid.empty() ? "" : "a=mid:" + mid + "\r\n");
}

std::string rewritten(const std::string& body, const BrowserRules& rules) {
  std::array<std::uint8_t, 4096> memory;
  Writer out(memory);
  EXPECT_EQ(write_for_browser(body, rules, out), SlimResult::Slimmed);
  return std::string(out.written_text());
}

// The group's line, or an empty text.
std::string group_of(const std::string& body, const BrowserRules& rules) {
  const std::string text = rewritten(body, rules);
  const std::size_t at = text.find("a=group:");
  return at == text.npos ? "" : text.substr(at, text.find("\r\n", at) - at);
}

// RFC 9143 7.2.
TEST(ForBrowser, AnOfferHasAGroupWithTheSectionInUse) {
  BrowserRules offer;
  offer.bundle = true;
  const std::string audio = section("audio 4000 UDP/TLS/RTP/SAVPF 0", "a1");
  const std::string video = section("video 4002 UDP/TLS/RTP/SAVPF 96", "v1");
  EXPECT_EQ(group_of(kSession + audio, offer), "a=group:BUNDLE a1");
  EXPECT_EQ(group_of(kSession + video + audio, offer), "a=group:BUNDLE a1");
  EXPECT_EQ(group_of(kSession + video, offer), "a=group:BUNDLE v1");
  EXPECT_EQ(group_of(kSession + section("audio 0 RTP/AVP 0", "x") + video, offer),
            "a=group:BUNDLE v1");
  EXPECT_EQ(group_of(kSession + section("audio 4000 RTP/AVP 0", ""), offer), "");
  EXPECT_EQ(group_of(kSession + "a=group:BUNDLE other\r\na=group:LS a1 v1\r\n" + audio, offer),
            "a=group:BUNDLE a1");
}

// RFC 9143 7.3: an answer takes up what was offered, and nothing else.
TEST(ForBrowser, AnAnswerHasAGroupOnlyIfOneWasOffered) {
  const std::string audio = section("audio 4000 UDP/TLS/RTP/SAVPF 0", "0");
  const std::string with = kSession + "a=group:BUNDLE 0 1\r\n" + audio, without = kSession + audio;
  const std::string others = kSession + "a=group:BUNDLE 1 00\r\n" + audio;
  BrowserRules answer;
  answer.bundle = true;
  answer.offer = with;
  EXPECT_EQ(group_of(kSession + audio, answer), "a=group:BUNDLE 0");
  answer.offer = without;
  EXPECT_EQ(group_of(kSession + audio, answer), "");
  answer.offer = others;
  EXPECT_EQ(group_of(kSession + audio, answer), "");
  answer.offer = "no description";
  EXPECT_EQ(group_of(kSession + audio, answer), "");
  EXPECT_EQ(rewritten(kSession + audio, answer), kSession + audio);
}

TEST(ForBrowser, PrivateCandidatesGoWhereThereIsAPublicAddress) {
  const std::string inside = "a=candidate:1 1 UDP 2130706431 10.0.0.7 4000 typ host\r\n";
  const std::string outside = "a=candidate:2 1 UDP 2130706175 198.51.100.1 4000 typ host\r\n";
  const std::string audio = section("audio 4000 UDP/TLS/RTP/SAVPF 0", "0");
  BrowserRules rules;
  EXPECT_EQ(rewritten(kSession + audio + inside + outside, rules),
            kSession + audio + inside + outside);
  rules.is_private = [](std::string_view address) { return address.starts_with("10."); };
  EXPECT_EQ(rewritten(kSession + audio + inside + outside, rules), kSession + audio + outside);
  const std::string local = audio + "c=IN IP4 10.0.0.7\r\n" + inside + outside;
  EXPECT_EQ(rewritten(kSession + local, rules), kSession + local) << "reached only inside";
}

// RFC 9143 15, RFC 8285 8: nothing behind the relay has promised to send it.
TEST(ForBrowser, TheMidExtensionGoes) {
  const std::string mid = "urn:ietf:params:rtp-hdrext:sdes:mid";
  const std::string level = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
  const std::string stream = "a=extmap:6 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n";
  const std::string other = "a=extmap:5 " + mid + "s\r\n" + stream + "a=note:4 " + mid + "\r\n";
  const std::string audio = section("audio 4000 UDP/TLS/RTP/SAVPF 0", "0");
  const std::string rest = kSession + audio + level + other;
  EXPECT_EQ(rewritten(kSession + audio + "a=extmap:4 " + mid + "\r\n" + level + other, {}), rest);
  EXPECT_EQ(rewritten(rest + "a=extmap:14/sendrecv " + mid + "\r\n", {}), rest);
  EXPECT_EQ(rewritten(rest + "a=extmap:4  " + mid + "  short\r\n", {}), rest);
  EXPECT_EQ(rewritten(kSession + "a=extmap:3 " + mid + "\n" + audio, {}), kSession + audio);
  EXPECT_EQ(rewritten(rest, {}), rest);
}

TEST(ForBrowser, WhatIsNoDescriptionStays) {
  std::array<std::uint8_t, 64> memory;
  Writer out(memory);
  EXPECT_EQ(write_for_browser("v=1\r\n", {}, out), SlimResult::NotSdp);
  EXPECT_EQ(write_for_browser(kSession + "m=audio 1 RTP/AVP 0\r\n", {}, out),
            SlimResult::Overflowed);
}

std::string moved(const std::string& body) {
  std::array<std::uint8_t, 4096> memory;
  Writer out(memory);
  EXPECT_EQ(write_media_connections(body, out), SlimResult::Slimmed);
  return std::string(out.written_text());
}

// RFC 8866 5.7.
TEST(MediaConnections, TheSessionsAddressStandsInEachSection) {
  const std::string above = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n", below = "t=0 0\r\n";
  const std::string c = "c=IN IP4 192.0.2.1\r\n", other = "c=IN IP4 192.0.2.9\r\n";
  const std::string audio = "m=audio 4000 RTP/AVP 0\r\n", title = "i=x\r\n", end = "a=sendrecv\r\n";
  EXPECT_EQ(moved(above + c + below + audio + end), above + below + audio + c + end);
  EXPECT_EQ(moved(above + c + below + audio + title + end),
            above + below + audio + title + c + end);
  EXPECT_EQ(moved(above + c + below + audio + other + audio),
            above + below + audio + other + audio + c);
  EXPECT_EQ(moved(above + c + below), above + c + below);
  EXPECT_EQ(moved(above + below + audio + other), above + below + audio + other);
  EXPECT_EQ(moved(above + c + below + "m=audio 4000 RTP/AVP 0"), above + below + audio + c)
      << "a last line without its end";
  EXPECT_EQ(moved(above + c + below + "m=audio 4000 RTP/AVP 0\r"), above + below + audio + c)
      << "a last line with half of its end";
  EXPECT_EQ(moved("v=0\r"), "v=0\r\n");
  EXPECT_EQ(moved("v=0"), "v=0\r\n");
}

}  // namespace
}  // namespace ringway::sdp
