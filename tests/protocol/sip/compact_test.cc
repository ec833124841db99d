#include "protocol/sip/compact.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "protocol/sip/header_name.h"
#include "protocol/sip/parse.h"

namespace ringway::sip {
namespace {

std::string compact(std::string_view message) {
  std::array<std::uint8_t, 4096> memory{};
  Writer out{MutableBytes(memory)};
  EXPECT_TRUE(write_compact(message, out));
  return std::string(out.written_text());
}

TEST(Compact, Rfc3261_7_3_3_NamesAreShortAndValuesStay) {
  EXPECT_EQ(compact("INVITE sip:b@example.test SIP/2.0\r\n"
                    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
                    "VIA : SIP/2.0/WSS a.invalid;branch=z9hG4bK0\r\n"
                    "From: \"a: b\" <sip:a@example.test>;tag=1\r\n"
                    "To:<sip:b@example.test>\r\n"
                    "Call-ID:  \t1\r\n"
                    "Contact: <sip:a@a.invalid>\r\n"
                    "Content-Type: application/sdp\r\n"
                    "Supported: timer\r\n"
                    "Session-Expires: 90\r\n"
                    "Max-Forwards: 69\r\n"
                    "Content-Length: 7\r\n"
                    "\r\n"
                    "To: x\r\n"),
            "INVITE sip:b@example.test SIP/2.0\r\n"
            "v:SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
            "v:SIP/2.0/WSS a.invalid;branch=z9hG4bK0\r\n"
            "f:\"a: b\" <sip:a@example.test>;tag=1\r\n"
            "t:<sip:b@example.test>\r\n"
            "i:1\r\n"
            "m:<sip:a@a.invalid>\r\n"
            "c:application/sdp\r\n"
            "k:timer\r\n"
            "x:90\r\n"
            "Max-Forwards:69\r\n"
            "l:7\r\n"
            "\r\n"
            "To: x\r\n");
}

TEST(Compact, Rfc8224_WhatIsSignedAndWhatIsUnknownStaysByteForByte) {
  const std::string_view message =
      "INVITE sip:b@example.test SIP/2.0\r\n"
      "Identity:  eyJh.b.c;info=<https://example.test/a.cer>\r\n"
      "y:  eyJh.b.c;info=<https://example.test/a.cer>\r\n"
      "X-Ours :  a b\r\n"
      "\r\n";
  EXPECT_EQ(compact(message), message);
}

TEST(Compact, Rfc3261_7_3_1_AFoldedValueStaysOne) {
  EXPECT_EQ(compact("OPTIONS sip:b SIP/2.0\r\n"
                    "Subject: a\r\n"
                    "  To: b\r\n"
                    "From:\r\n"
                    " <sip:a@b>;tag=1\r\n"
                    "Supported: \r\n"
                    "\r\n"),
            "OPTIONS sip:b SIP/2.0\r\n"
            "Subject: a\r\n"
            "  To: b\r\n"
            "f:\r\n"
            " <sip:a@b>;tag=1\r\n"
            "k:\r\n"
            "\r\n");
}

TEST(Compact, WhatIsNotWholeIsCopied) {
  for (const std::string_view text : {"", "OPTIONS", "OPTIONS sip:b SIP/2.0\r\n",
                                      "OPTIONS sip:b SIP/2.0\r\nTo: b", ": x\r\n",
                                      "OPTIONS sip:b SIP/2.0\r\n: x\r\n\r\n"}) {
    EXPECT_EQ(compact(text), text);
  }
}

TEST(Compact, AnOverflowIsTold) {
  std::array<std::uint8_t, 20> memory{};
  Writer out{MutableBytes(memory)};
  EXPECT_FALSE(write_compact("OPTIONS sip:b SIP/2.0\r\nTo: b\r\n\r\n", out));
}

TEST(Compact, EachFormIsReadAsItsName) {
  for (int i = 1; i <= static_cast<int>(HeaderName::Identity); ++i) {
    const auto name = static_cast<HeaderName>(i);
    const char form = compact_form(name);
    if (form == 0) continue;
    EXPECT_EQ(parse_header_name({&form, 1}), name) << to_text(name);
  }
  EXPECT_EQ(compact_form(HeaderName::Via), 'v');
  EXPECT_EQ(compact_form(HeaderName::CSeq), 0);
  EXPECT_EQ(compact_form(HeaderName::Other), 0);
}

}  // namespace
}  // namespace ringway::sip
