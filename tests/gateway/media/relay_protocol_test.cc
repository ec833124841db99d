#include "gateway/media/relay_protocol.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/bencode/bencode.h"

namespace ringway {
namespace {

RelayRequest request(RelayCommand command, MediaLeg towards = MediaLeg::Plain) {
  RelayRequest request;
  request.command = command;
  request.owner = {0xc0ffee, 1};
  request.call_id = "call@host";
  request.leg = 0x2a;
  request.from_tag = "ft";
  request.to_tag = "tt";
  request.sdp = "v=0\r\n";
  request.towards = towards;
  return request;
}

std::string written(const RelayRequest& request) {
  std::array<std::uint8_t, 4096> memory;
  Writer out(memory);
  write_relay_request("COOKIE", request, out);
  EXPECT_FALSE(out.overflowed());
  return std::string(out.written_text());
}

TEST(RelayProtocol, AnOfferTowardsAPlainPhone) {
  EXPECT_EQ(
      written(request(RelayCommand::Offer)),
      "COOKIE "
      "d7:command5:offer7:call-id31:rw00c0ffee01-0000002a-call@host8:from-tag2:ft3:sdp5:v=0\r\n"
      "18:transport-protocol7:RTP/AVP3:ICE6:remove8:rtcp-muxl5:demuxe"
      "8:supportsl10:load limite7:replacel6:origine17:endpoint-learning9:heuristic"
      "5:flagsl13:strict-sourcee5:codecd6:acceptl20:telephone-event/8000eee");
}

TEST(RelayProtocol, AnOfferTowardsABrowser) {
  EXPECT_EQ(
      written(request(RelayCommand::Offer, MediaLeg::Browser)),
      "COOKIE "
      "d7:command5:offer7:call-id31:rw00c0ffee01-0000002a-call@host8:from-tag2:ft3:sdp5:v=0\r\n"
      "18:transport-protocol17:UDP/TLS/RTP/SAVPF3:ICE5:force8:rtcp-muxl5:offer7:requiree"
      "4:SDESl3:offe"
      "8:supportsl10:load limite7:replacel6:origine17:endpoint-learning9:heuristic"
      "5:flagsl13:strict-source12:generate-midee");
}

TEST(RelayProtocol, AnAnswerTowardsAPlainPhone) {
  EXPECT_EQ(
      written(request(RelayCommand::Answer)),
      "COOKIE "
      "d7:command6:answer7:call-id31:rw00c0ffee01-0000002a-call@host8:from-tag2:ft6:to-tag2:tt"
      "3:sdp5:v=0\r\n3:ICE6:remove8:rtcp-muxl5:demuxe"
      "8:supportsl10:load limite7:replacel6:origine17:endpoint-learning9:heuristic"
      "5:flagsl13:strict-sourceee");
}

TEST(RelayProtocol, AnAnswerTowardsABrowser) {
  EXPECT_EQ(
      written(request(RelayCommand::Answer, MediaLeg::Browser)),
      "COOKIE "
      "d7:command6:answer7:call-id31:rw00c0ffee01-0000002a-call@host8:from-tag2:ft6:to-tag2:tt"
      "3:sdp5:v=0\r\n3:ICE5:force8:rtcp-muxl6:accepte4:SDESl3:offe"
      "8:supportsl10:load limite7:replacel6:origine17:endpoint-learning9:heuristic"
      "5:flagsl13:strict-sourceee");
}

// RFC 4568: keys in the description, so no fingerprint; RFC 5764: the other way round.
TEST(RelayProtocol, ASideKeepsItsProfile) {
  const auto offer = [](MediaLeg leg) { return written(request(RelayCommand::Offer, leg)); };
  EXPECT_NE(offer(MediaLeg::Sdes).find("18:transport-protocol8:RTP/SAVP3:ICE6:remove"),
            std::string::npos);
  EXPECT_NE(offer(MediaLeg::Sdes).find("4:DTLS3:off"), std::string::npos);
  EXPECT_NE(offer(MediaLeg::SdesFeedback).find("9:RTP/SAVPF"), std::string::npos);
  EXPECT_NE(offer(MediaLeg::PlainFeedback).find("8:RTP/AVPF"), std::string::npos);
  EXPECT_EQ(offer(MediaLeg::PlainFeedback).find("4:DTLS"), std::string::npos);
  EXPECT_NE(offer(MediaLeg::Dtls).find("16:UDP/TLS/RTP/SAVP3:ICE6:remove"), std::string::npos);
  EXPECT_NE(offer(MediaLeg::Dtls).find("4:SDESl3:offe"), std::string::npos);
}

TEST(MediaLeg, IsWhatTheDescriptionSays) {
  const auto leg = [](std::string m, std::string more = "") {
    return leg_of("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" +
                  more + "m=" + m + "\r\n");
  };
  const std::string kIce = "a=ice-ufrag:a\r\n", kDtls = "a=fingerprint:sha-256 AA\r\n";
  EXPECT_EQ(leg("audio 4000 RTP/AVP 0"), MediaLeg::Plain);
  EXPECT_EQ(leg("audio 4000 RTP/AVP 0", kIce), MediaLeg::Plain) << "ICE alone is no browser";
  EXPECT_EQ(leg("audio 4000 RTP/AVPF 0"), MediaLeg::PlainFeedback);
  EXPECT_EQ(leg("audio 4000 RTP/SAVP 0"), MediaLeg::Sdes);
  EXPECT_EQ(leg("audio 4000 RTP/SAVPF 0"), MediaLeg::SdesFeedback);
  EXPECT_EQ(leg("audio 4000 UDP/TLS/RTP/SAVP 0", kDtls), MediaLeg::Dtls);
  EXPECT_EQ(leg("audio 4000 UDP/TLS/RTP/SAVPF 0", kDtls + kIce), MediaLeg::Browser);
  EXPECT_EQ(leg("image 4000 udptl t38"), std::nullopt);
  EXPECT_EQ(leg("audio 0 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0"), MediaLeg::Plain);
  EXPECT_EQ(leg_of("nothing"), std::nullopt);
}

TEST(RelayProtocol, DeleteAndPing) {
  EXPECT_EQ(written(request(RelayCommand::Delete)),
            "COOKIE d7:command6:delete7:call-id31:rw00c0ffee01-0000002a-call@host"
            "8:from-tag2:ft12:delete-delayi0ee");
  EXPECT_EQ(written(request(RelayCommand::Ping)), "COOKIE d7:command4:pinge");
}

TEST(RelayProtocol, ADigitAndTheFlagThatItNeeds) {
  RelayRequest digit = request(RelayCommand::PlayDtmf);
  digit.event = 11;
  digit.milliseconds = 160;
  EXPECT_EQ(written(digit),
            "COOKIE d7:command9:play DTMF7:call-id31:rw00c0ffee01-0000002a-call@host"
            "8:from-tag2:ft4:codei11e8:durationi160ee");
  for (const RelayCommand command : {RelayCommand::Offer, RelayCommand::Answer}) {
    RelayRequest described = request(command);
    EXPECT_EQ(written(described).find("inject-DTMF"), std::string::npos);
    described.may_play = true;
    EXPECT_NE(written(described).find("11:inject-DTMF"), std::string::npos);
  }
}

TEST(RelayProtocol, ListAndQuery) {
  RelayRequest list = request(RelayCommand::List);
  list.limit = 256;
  EXPECT_EQ(written(list), "COOKIE d7:command4:list5:limiti256ee");
  RelayRequest query = request(RelayCommand::Query);
  query.media_id = "as listed";
  EXPECT_EQ(written(query), "COOKIE d7:command5:query7:call-id9:as listede");
}

TEST(RelayProtocol, AMediaIdSaysWhoseItIs) {
  std::array<std::uint8_t, 128> memory;
  Writer out(memory);
  write_media_id({0xabcd0123, 15}, "x-y@host", 0x1002, out);
  const auto id = parse_media_id(out.written_text());
  ASSERT_TRUE(id) << out.written_text();
  EXPECT_EQ(id->owner.gateway, 0xabcd0123u);
  EXPECT_EQ(id->owner.shard, 15);
  EXPECT_EQ(id->leg, 0x1002u);
  EXPECT_EQ(id->call_id, "x-y@host");
  for (const std::string_view text :
       {"", "rw", "call@host", "rwabcd01230f-00001002", "xxabcd01230f-00001002-call",
        "rwabcd0123gf-00001002-call", "rwABcd01230f-00001002-call",
        "rwabcd01230f+00001002-call", "rwabcd01230f-0000100g-call"}) {
    EXPECT_FALSE(parse_media_id(text)) << text;
  }
}

TEST(RelayProtocol, TotalsAreOfTheRtpThatCameFromEachSide) {
  const std::string streams =
      "7:streamsl"
      "d5:flagsl3:RTPe5:statsd7:packetsi10e5:bytesi1720eee"
      "d5:flagsl4:RTCPe5:statsd7:packetsi5e5:bytesi99eee"
      "d5:flagsl3:RTP8:RTCP-muxe5:statsd7:packetsi2e5:bytesi3eee"
      "e";
  const std::string text =
      "d6:result2:ok4:tagsd6:calleed6:mediasld" + streams + "eee6:callerd6:mediasleeee";
  const auto reply = parse_relay_reply(text);
  ASSERT_TRUE(reply);
  const RelayTotals totals = read_totals(*reply, {"caller", "callee"});
  EXPECT_TRUE(totals.known);
  EXPECT_EQ(totals.packets, (std::array<std::uint64_t, 2>{0, 12}));
  EXPECT_EQ(totals.bytes, (std::array<std::uint64_t, 2>{0, 1723}));
  EXPECT_FALSE(read_totals(*parse_relay_reply("d6:result2:oke"), {"caller", "callee"}).known);
}

// A browser without a candidate yet writes c=0.0.0.0, which elsewhere means hold.
TEST(RelayProtocol, AZeroAddressOfABrowserIsNoHold) {
  RelayRequest offer = request(RelayCommand::Offer);
  offer.zero_address_is_no_hold = true;
  const std::string text = written(offer);
  EXPECT_NE(text.find("7:replacel6:origin12:zero-addresse"), text.npos) << text;
  EXPECT_NE(text.find("5:flagsl13:strict-source17:original-sendrecve"), text.npos) << text;
}

TEST(RelayProtocol, EventsAreAcceptedWhateverTheirNumberWhereAPhoneIsAsked) {
  const std::string_view accepted = "5:codecd6:acceptl20:telephone-event/8000eee";
  for (const MediaLeg towards : {MediaLeg::Plain, MediaLeg::Sdes, MediaLeg::Dtls}) {
    EXPECT_TRUE(written(request(RelayCommand::Offer, towards)).ends_with(accepted));
    EXPECT_EQ(written(request(RelayCommand::Answer, towards)).find("5:codec"), std::string::npos);
  }
  EXPECT_EQ(written(request(RelayCommand::Offer, MediaLeg::Browser)).find("5:codec"),
            std::string::npos);
}

TEST(RelayProtocol, InterfacesAreNamedOnlyTogether) {
  RelayRequest offer = request(RelayCommand::Offer);
  offer.interface_from = "outside";
  EXPECT_EQ(written(offer).find("direction"), std::string::npos);
  offer.interface_to = "in";
  const std::string text = written(offer);
  EXPECT_NE(text.find("9:directionl7:outside2:ine"), text.npos) << text;
}

TEST(RelayProtocol, TextsOfStrangersStayStrings) {
  RelayRequest offer = request(RelayCommand::Offer);
  offer.call_id = "e7:command6:deletee";
  offer.from_tag = std::string_view("\0:d", 3);
  const std::string text = written(offer);
  const auto read = bencode::Dictionary::parse(std::string_view(text).substr(7));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->find_string("command"), "offer");
  EXPECT_EQ(read->find_string("from-tag"), offer.from_tag);
  EXPECT_EQ(read->find_string("call-id"), "rw00c0ffee01-0000002a-e7:command6:deletee");
}

TEST(RelayProtocol, RepliesAreRead) {
  using Result = RelayReply::Result;
  const struct {
    std::string_view text;
    Result result;
    std::string_view sdp, reason;
  } kCases[] = {
      {"d3:sdp5:v=0\r\n6:result2:oke", Result::Ok, "v=0\r\n", ""},
      {"d6:result2:oke", Result::Ok, "", ""},
      {"d6:result4:ponge", Result::Pong, "", ""},
      {"d6:result5:error12:error-reason12:Unknown calle", Result::UnknownCall, "", "Unknown call"},
      {"d6:result5:error12:error-reason15:Unknown call-ide", Result::UnknownCall, "",
       "Unknown call-id"},
      {"d6:result5:error12:error-reason30:tunnel: the connection is downe", Result::LoadLimit, "",
       "tunnel: the connection is down"},
      {"d6:result5:error12:error-reason30:Parallel session limit reachede", Result::LoadLimit, "",
       "Parallel session limit reached"},
      {"d6:result5:error12:error-reason24:CPU usage limit exceedede", Result::LoadLimit, "",
       "CPU usage limit exceeded"},
      {"d6:result5:error12:error-reason16:Ran out of portse", Result::NoPorts, "",
       "Ran out of ports"},
      {"d6:result5:error12:error-reason19:Failed to parse SDPe", Result::Error, "",
       "Failed to parse SDP"},
      {"d6:result5:errore", Result::Error, "", ""},
      {"d6:result10:load limit7:message4:fulle", Result::LoadLimit, "", "full"},
      {"d6:result7:unheard3:sdp1:xe", Result::Error, "", ""},
      {"d6:result2:ok3:sdpi5ee", Result::Ok, "", ""},
  };
  for (const auto& test : kCases) {
    const auto reply = parse_relay_reply(test.text);
    ASSERT_TRUE(reply) << test.text;
    EXPECT_EQ(reply->result, test.result) << test.text;
    EXPECT_EQ(reply->sdp, test.sdp) << test.text;
    EXPECT_EQ(reply->reason, test.reason) << test.text;
  }
}

TEST(RelayProtocol, WhatIsNoReplyIsNone) {
  for (const std::string_view text :
       {"", "d", "de", "i5e", "le", "6:result", "d5:event5:DTMFe", "d6:resulti1ee",
        "d6:resultl2:okee", "d6:result99:oke", "d6:result2:okee", "d6:result2:ok",
        "d6:result18446744073709551616:oke"}) {
    EXPECT_FALSE(parse_relay_reply(text)) << text;
  }
}

TEST(RelayProtocol, CutAtEachByteIsNoReply) {
  const std::string whole =
      "d3:sdp9:v=0\r\no=x\n6:result2:ok7:createdi1700000000e4:tagsd1:adee1:llee";
  ASSERT_TRUE(parse_relay_reply(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of that size exactly, so that a sanitizer sees one byte too many.
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse_relay_reply({cut.data(), cut.size()})) << "at " << size;
  }
}

}  // namespace
}  // namespace ringway
