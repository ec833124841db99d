#include "protocol/sip/session_description.h"

#include <string>

#include <gtest/gtest.h>

#include "protocol/sip/parse.h"

namespace ringway::sip {
namespace {

using Kind = SessionDescription::Kind;

struct Found {
  Kind kind;
  std::string text;
  friend bool operator==(const Found&, const Found&) = default;
};

Found find(const std::string& headers, const std::string& body) {
  const std::string text =
      "INVITE sip:b@example.test SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n" + headers +
      "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  MessageView view;
  EXPECT_TRUE(parse_message(as_bytes(text), Framing::Datagram, view));
  const SessionDescription found = find_session_description(view);
  return {found.kind, std::string(found.text)};
}

const std::string kSdp = "v=0\r\ns=-\r\n";
const Found kReadable{Kind::Readable, kSdp}, kNone{Kind::None, ""};

// RFC 3261 20.15, 25.1: SLASH may have white space around it, names are compared without case.
TEST(SessionDescription, IsTheBodyOfThatType) {
  for (const std::string type : {"application/sdp", "APPLICATION/SDP", "application / sdp",
                                 "application/sdp; charset=utf-8", "application/sdp ;x=\"a;b\""}) {
    EXPECT_EQ(find("Content-Type: " + type + "\r\n", kSdp), kReadable) << type;
    EXPECT_EQ(find("c: " + type + "\r\n", kSdp), kReadable) << type;
  }
  for (const std::string type :
       {"application/sdpx", "text/sdp", "application", "x-application/sdp"}) {
    EXPECT_EQ(find("Content-Type: " + type + "\r\n", kSdp), kNone) << type;
  }
  EXPECT_EQ(find("", kSdp), kNone);
  EXPECT_EQ(find("Content-Type: application/sdp\r\n", ""), kNone);
  EXPECT_EQ(find("Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n", kSdp),
            kNone);
  EXPECT_EQ(find("c: application/sdp\r\nContent-Disposition: session;handling=required\r\n", kSdp),
            kReadable);
}

// RFC 3261 20.12.
TEST(SessionDescription, CannotBeReadWhereItIsEncoded) {
  const std::string type = "Content-Type: application/sdp\r\n";
  EXPECT_EQ(find(type + "Content-Encoding: gzip\r\n", kSdp).kind, Kind::Encoded);
  EXPECT_EQ(find(type + "e: deflate\r\n", kSdp).kind, Kind::Encoded);
  EXPECT_EQ(find(type + "Content-Encoding: identity\r\n", kSdp).kind, Kind::Readable);
  EXPECT_EQ(find(type + "Content-Encoding: Identity\r\n", kSdp).kind, Kind::Readable);
}

const std::string kMixed = "Content-Type: multipart/mixed;boundary=\"b-1\"\r\n";

// RFC 5621 3.1, RFC 2046 5.1.
TEST(SessionDescription, IsAPartOfAMultipart) {
  const std::string isup = "--b-1\r\nContent-Type: application/isup\r\n\r\n\x01--b-1\r\n\r\n";
  const std::string head = "--b-1\r\nContent-Type: application/sdp\r\n\r\n";
  EXPECT_EQ(find(kMixed, head + kSdp + "\r\n--b-1--\r\n"), kReadable);
  EXPECT_EQ(find(kMixed, isup + head + kSdp + "\r\n--b-1--"), kReadable);
  EXPECT_EQ(find(kMixed, "preamble\r\n" + head + kSdp + "\r\n" + isup + "--b-1--\r\nepilogue"),
            kReadable);
  EXPECT_EQ(find(kMixed, head + "v=0\r\ns=-\r\n--b-1--"), (Found{Kind::Readable, "v=0\r\ns=-"}));
  EXPECT_EQ(find("c: MULTIPART/Mixed ; boundary=b-1\r\n",
                 "--b-1  \r\ncontent-type:\r\n application / SDP\r\n\r\n" + kSdp + "\r\n--b-1--"),
            kReadable);
  EXPECT_EQ(find(kMixed, "--b-1\r\n\r\nno type\r\n" + head + kSdp + "\r\n--b-1--"), kReadable);
  EXPECT_EQ(find(kMixed,
                 "--b-1\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n"
                 "Content-Type: application/sdp\r\n\r\n" +
                     kSdp + "\r\n--in--\r\n--b-1--\r\n"),
            kReadable);
}

TEST(SessionDescription, IsNotFoundWhereAMultipartHasNone) {
  const std::string head = "--b-1\r\nContent-Type: application/sdp\r\n";
  EXPECT_EQ(find(kMixed, "--b-1\r\nContent-Type: text/plain\r\n\r\n" + kSdp + "\r\n--b-1--"),
            kNone);
  EXPECT_EQ(find(kMixed, head + "\r\n" + kSdp), kNone) << "no end";
  EXPECT_EQ(find(kMixed, kSdp), kNone);
  EXPECT_EQ(find("c: multipart/mixed\r\n", head + "\r\n" + kSdp + "\r\n--b-1--"), kNone);
  EXPECT_EQ(find(kMixed, head + "Content-Disposition: render\r\n\r\n" + kSdp + "\r\n--b-1--"),
            kNone);
  EXPECT_EQ(find(kMixed, "--b-10\r\nContent-Type: application/sdp\r\n\r\n" + kSdp + "\r\n--b-10--"),
            kNone)
      << "a longer boundary is another one";
  EXPECT_EQ(find(kMixed, head + "Content-Transfer-Encoding: base64\r\n\r\ndj0w\r\n--b-1--").kind,
            Kind::Encoded);
  EXPECT_EQ(find(kMixed, head + "Content-Transfer-Encoding: binary\r\n\r\n" + kSdp + "\r\n--b-1--"),
            kReadable);
}

TEST(SessionDescription, NestingHasAnEnd) {
  std::string body = "Content-Type: application/sdp\r\n\r\n" + kSdp;
  for (int depth = 0; depth < 30; ++depth) {
    body = "Content-Type: multipart/mixed;boundary=n" + std::to_string(depth) + "\r\n\r\n--n" +
           std::to_string(depth) + "\r\n" + body + "\r\n--n" + std::to_string(depth) + "--";
  }
  EXPECT_EQ(find(kMixed, "--b-1\r\n" + body + "\r\n--b-1--"), kNone);
}

TEST(SessionDescription, CutAtEachByteStaysInside) {
  const std::string body =
      "--b-1\r\nContent-Type: application/sdp\r\n\r\n" + kSdp + "\r\n--b-1--\r\n";
  for (std::size_t size = 0; size < body.size(); ++size) {
    const Found found = find(kMixed, body.substr(0, size));
    EXPECT_TRUE(found == kNone || found == kReadable) << size;
  }
}

}  // namespace
}  // namespace ringway::sip
