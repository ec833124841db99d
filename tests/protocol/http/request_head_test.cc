#include "protocol/http/request_head.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/base/guarded.h"

namespace ringway::http {
namespace {

std::expected<std::optional<RequestHead>, Status> read_whole(std::string_view text) {
  RequestHeadReader reader;
  return reader.read(text);
}

const std::string kPage =
    "GET /index.html?a=1 HTTP/1.1\r\nHost: example.com\r\nAccept:\t*/* \r\n\r\n";

TEST(RequestHead, ReadsAllItsParts) {
  const std::string text = kPage + "left over";
  const auto result = read_whole(text);
  ASSERT_TRUE(result && *result);
  const RequestHead& head = **result;
  EXPECT_EQ(head.method(), "GET");
  EXPECT_EQ(head.target(), "/index.html?a=1");
  EXPECT_EQ(head.path(), "/index.html");
  EXPECT_EQ(head.minor_version(), 1);
  EXPECT_EQ(head.size(), kPage.size());
  ASSERT_EQ(head.headers().size(), 2u);
  EXPECT_EQ(head.headers()[1].name, "Accept");
  EXPECT_EQ(head.headers()[1].value, "*/*");
  EXPECT_EQ(head.find("host"), "example.com");
  EXPECT_EQ(head.find("Cookie"), std::nullopt);
}

TEST(RequestHead, IsIncompleteAtEachCut) {
  for (std::size_t size = 0; size < kPage.size(); ++size) {
    const Guarded cut(std::string_view{kPage}.substr(0, size));
    const auto result = read_whole(cut.text());
    ASSERT_TRUE(result.has_value()) << size;
    EXPECT_FALSE(result->has_value()) << size;
  }
  EXPECT_TRUE(read_whole(Guarded(kPage).text())->has_value());
}

TEST(RequestHead, ArrivesInAnyTwoOrAllSinglePieces) {
  for (std::size_t cut = 0; cut <= kPage.size(); ++cut) {
    RequestHeadReader reader;
    ASSERT_TRUE(reader.read(std::string_view{kPage}.substr(0, cut)).has_value());
    const auto result = reader.read(kPage);
    ASSERT_TRUE(result && *result) << cut;
    EXPECT_EQ((*result)->size(), kPage.size());
  }
  RequestHeadReader reader;
  for (std::size_t size = 0; size < kPage.size(); ++size) {
    const auto result = reader.read(std::string_view{kPage}.substr(0, size));
    ASSERT_TRUE(result && !*result) << size;
  }
  EXPECT_TRUE(reader.read(kPage)->has_value());
}

TEST(RequestHead, RefusesWhatServersReadDifferently) {
  struct Case {
    const char* name;
    std::string text;
    Status status;
  };
  const std::string host = "Host: a\r\n";
  const std::string line = "GET / HTTP/1.1\r\n";
  const Case cases[] = {
      {"empty line first", "\r\n" + line + host + "\r\n", Status::BadRequest},
      {"nothing but the end", "\r\n\r\n", Status::BadRequest},
      {"no target", "GET HTTP/1.1\r\n" + host + "\r\n", Status::BadRequest},
      {"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", Status::BadRequest},
      {"space at the end", "GET / HTTP/1.1 \r\n" + host + "\r\n", Status::BadRequest},
      {"tab for space", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", Status::BadRequest},
      {"no version", "GET /\r\n" + host + "\r\n", Status::BadRequest},
      {"version in lower case", "GET / http/1.1\r\n" + host + "\r\n", Status::BadRequest},
      {"SIP", "OPTIONS sip:a SIP/2.0\r\n" + host + "\r\n", Status::BadRequest},
      {"version with two digits", "GET / HTTP/1.10\r\n" + host + "\r\n", Status::BadRequest},
      {"HTTP/2", "GET / HTTP/2.0\r\n" + host + "\r\n", Status::VersionNotSupported},
      {"HTTP/0.9", "GET / HTTP/0.9\r\n" + host + "\r\n", Status::VersionNotSupported},
      {"bad method", "G@T / HTTP/1.1\r\n" + host + "\r\n", Status::BadRequest},
      {"control character in target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n", Status::BadRequest},
      {"byte above ASCII in target", "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n",
       Status::BadRequest},
      {"lone LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", Status::BadRequest},
      {"lone LF after a header", line + "Host: a\nX: y\r\n\r\n", Status::BadRequest},
      {"lone CR in a value", line + host + "X: a\rb\r\n\r\n", Status::BadRequest},
      {"NUL in a value", line + host + std::string("X: a\0b\r\n\r\n", 10), Status::BadRequest},
      {"folded header", line + host + "X: a\r\n b\r\n\r\n", Status::BadRequest},
      {"folded first header", line + " Host: a\r\n\r\n", Status::BadRequest},
      {"space before the colon", line + "Host : a\r\n\r\n", Status::BadRequest},
      {"no colon", line + host + "Nonsense\r\n\r\n", Status::BadRequest},
      {"empty name", line + host + ": x\r\n\r\n", Status::BadRequest},
      {"no Host", line + "\r\n", Status::BadRequest},
      {"two Hosts", line + host + host + "\r\n", Status::BadRequest},
      {"body announced", line + host + "Content-Length: 1\r\n\r\n", Status::BadRequest},
      {"length not a number", line + host + "Content-Length: +0\r\n\r\n", Status::BadRequest},
      {"length twice", line + host + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
       Status::BadRequest},
      {"chunked", line + host + "transfer-encoding: chunked\r\n\r\n", Status::BadRequest},
  };
  for (const Case& c : cases) {
    const Guarded guarded(c.text);
    const auto result = read_whole(guarded.text());
    ASSERT_FALSE(result.has_value()) << c.name;
    EXPECT_EQ(result.error(), c.status) << c.name;
  }
}

TEST(RequestHead, AcceptsWhatIsUnusualButClear) {
  EXPECT_TRUE(read_whole("GET / HTTP/1.0\r\n\r\n")->has_value());
  EXPECT_EQ((*read_whole("GET / HTTP/1.0\r\n\r\n"))->minor_version(), 0);
  EXPECT_TRUE(read_whole("GET / HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n")->has_value());
  EXPECT_TRUE(read_whole("M#$&^|X * HTTP/1.1\r\nHost: a\r\nX: \xff\tb\r\n\r\n")->has_value());
}

std::string with_lines(std::size_t count) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (std::size_t i = 1; i < count; ++i) text += "X: y\r\n";
  return text + "\r\n";
}

TEST(RequestHead, LimitOfLines) {
  EXPECT_EQ((*read_whole(with_lines(kHeaderLinesMax - 1)))->headers().size(), kHeaderLinesMax - 1);
  EXPECT_EQ((*read_whole(with_lines(kHeaderLinesMax)))->headers().size(), kHeaderLinesMax);
  EXPECT_EQ(read_whole(with_lines(kHeaderLinesMax + 1)).error(), Status::HeadTooLarge);
}

std::string of_size(std::size_t size) {
  const std::string front = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  return front + std::string(size - front.size() - 4, 'x') + "\r\n\r\n";
}

TEST(RequestHead, LimitOfBytes) {
  EXPECT_TRUE(read_whole(of_size(kHeadBytesMax - 1))->has_value());
  EXPECT_TRUE(read_whole(of_size(kHeadBytesMax))->has_value());
  EXPECT_EQ(read_whole(of_size(kHeadBytesMax + 1)).error(), Status::HeadTooLarge);
  EXPECT_FALSE(read_whole(std::string(kHeadBytesMax - 1, 'x'))->has_value());
  EXPECT_EQ(read_whole(std::string(kHeadBytesMax, 'x')).error(), Status::HeadTooLarge);
}

TEST(RequestHead, FindsTokensInLists) {
  const std::string text =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive ,\tUPGRADE\r\n"
      "Sec-WebSocket-Protocol: chat\r\nsec-websocket-protocol: msrp,, Sip\r\nX:\r\n\r\n";
  const auto result = read_whole(text);
  ASSERT_TRUE(result && *result);
  const RequestHead& head = **result;
  EXPECT_EQ(head.find_in_list("Connection", "upgrade"), "UPGRADE");
  EXPECT_EQ(head.find_in_list("Sec-WebSocket-Protocol", "sip"), "Sip");
  EXPECT_EQ(head.find_in_list("Sec-WebSocket-Protocol", "si"), std::nullopt);
  EXPECT_EQ(head.find_in_list("Upgrade", "websocket"), std::nullopt);
  EXPECT_EQ(head.find_in_list("X", "sip"), std::nullopt);
  EXPECT_EQ(head.count("SEC-WEBSOCKET-PROTOCOL"), 2u);
}

}  // namespace
}  // namespace ringway::http
