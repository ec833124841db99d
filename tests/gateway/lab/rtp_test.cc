#include "gateway/lab/rtp.h"

#include <array>
#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

namespace ringway::lab {
namespace {

using Octets = std::vector<std::uint8_t>;

const Octets kFull = {
    0xb1, 0x80, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef,  // V2, P, X, one CSRC, marker
    1,    2,    3,    4,                                           // CSRC
    0xbe, 0xde, 0,    1,    9, 9, 9, 9,                            // extension of one word
    7,    8,    0,    2,                                           // two octets of payload, padding
};

TEST(Rtp, Rfc3550_5_1_ReadsPastCsrcExtensionAndPadding) {
  const auto packet = parse_rtp(kFull);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->payload_type, 0);
  EXPECT_TRUE(packet->marker);
  EXPECT_EQ(packet->sequence, 0x1234);
  EXPECT_EQ(packet->timestamp, 160u);
  EXPECT_EQ(packet->ssrc, 0xdeadbeef);
  EXPECT_EQ(Octets(packet->payload.begin(), packet->payload.end()), (Octets{7, 8}));
}

TEST(Rtp, CutAtEachByteIsRefusedOrShorter) {
  for (std::size_t size = 0; size < kFull.size(); ++size) {
    const Octets cut(kFull.begin(), kFull.begin() + static_cast<std::ptrdiff_t>(size));
    const auto packet = parse_rtp(cut);
    // Once CSRC and extension are whole, only the padding octet decides.
    EXPECT_EQ(packet.has_value(), false) << "at " << size;
  }
}

TEST(Rtp, RefusesOtherVersionsAndLyingLengths) {
  Octets version = kFull;
  version[0] = 0x31;
  EXPECT_FALSE(parse_rtp(version));
  Octets extension = kFull;
  extension[18] = 0xff;
  EXPECT_FALSE(parse_rtp(extension));
  Octets padding = kFull;
  padding.back() = 5;  // one more than there is
  EXPECT_FALSE(parse_rtp(padding));
  padding.back() = 4;
  ASSERT_TRUE(parse_rtp(padding));
  EXPECT_TRUE(parse_rtp(padding)->payload.empty());
  padding.back() = 0;
  EXPECT_FALSE(parse_rtp(padding));
}

TEST(Rtp, WritesWhatItReads) {
  const Octets payload(160, 0x55);
  const RtpPacket packet{8, true, 65535, 4294967295u, 1, payload};
  std::array<std::uint8_t, 172> memory{};
  EXPECT_EQ(write_rtp(packet, MutableBytes(memory).first(171)), 0u);
  ASSERT_EQ(write_rtp(packet, memory), 172u);
  const auto read = parse_rtp(memory);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->payload_type, 8);
  EXPECT_TRUE(read->marker);
  EXPECT_EQ(read->sequence, 65535);
  EXPECT_EQ(read->timestamp, 4294967295u);
  EXPECT_EQ(read->payload.size(), 160u);
}

TEST(Rtp, Rfc4733_2_3_TelephoneEvents) {
  const Octets octets = {11, 0x8a, 0x03, 0x20};
  const auto event = parse_telephone_event(octets);
  ASSERT_TRUE(event);
  EXPECT_EQ(digit_of_event(event->event), '#');
  EXPECT_TRUE(event->end);
  EXPECT_EQ(event->volume, 10);
  EXPECT_EQ(event->duration, 800);
  EXPECT_FALSE(parse_telephone_event(Bytes(octets).first(3)));
  EXPECT_EQ(digit_of_event(0), '0');
  EXPECT_EQ(digit_of_event(15), 'D');
  EXPECT_EQ(digit_of_event(16), '?');
}

TEST(G711, KnownCodes) {
  EXPECT_EQ(encode_pcmu(0), 0xff);
  EXPECT_EQ(decode_pcmu(0xff), 0);
  EXPECT_EQ(decode_pcmu(0x7f), 0);
  EXPECT_EQ(decode_pcmu(0x80), 32124);
  EXPECT_EQ(decode_pcmu(0x00), -32124);
  EXPECT_EQ(encode_pcma(0), 0xd5);
  EXPECT_EQ(decode_pcma(0xd5), 8);
  EXPECT_EQ(decode_pcma(0x55), -8);
  EXPECT_EQ(decode_pcma(0xaa), 32256);
  EXPECT_EQ(decode_pcma(0x2a), -32256);
}

TEST(G711, EachCodeSurvivesDecodingAndEncoding) {
  for (int code = 0; code < 256; ++code) {
    const auto octet = static_cast<std::uint8_t>(code);
    EXPECT_EQ(encode_pcma(decode_pcma(octet)), octet) << code;
    if (octet != 0x7f) {  // minus zero
      EXPECT_EQ(encode_pcmu(decode_pcmu(octet)), octet) << code;
    }
  }
}

TEST(G711, ErrorStaysWithinHalfAStep) {
  for (int sample = -32768; sample <= 32767; sample += 7) {
    const auto linear = static_cast<std::int16_t>(sample);
    const int bound = std::abs(sample) / 32 + 16 + (std::abs(sample) > 32000 ? 700 : 0);
    EXPECT_LE(std::abs(decode_pcmu(encode_pcmu(linear)) - sample), bound) << sample;
    EXPECT_LE(std::abs(decode_pcma(encode_pcma(linear)) - sample), bound) << sample;
  }
}

}  // namespace
}  // namespace ringway::lab
