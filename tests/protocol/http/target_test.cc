#include "protocol/http/target.h"

#include <gtest/gtest.h>

#include <string>

#include "protocol/http/forwarded.h"

namespace ringway::http {
namespace {

RequestHead head_of(const std::string& text) {
  static std::string kept;
  kept = text;
  RequestHeadReader reader;
  auto head = reader.read(kept);
  EXPECT_TRUE(head && *head) << text;
  return head && *head ? **head : RequestHead();
}

std::string request(const std::string& target, const std::string& headers) {
  return "GET " + target + " HTTP/1.1\r\n" + headers + "\r\n";
}

TEST(Target, Rfc9112_3_2_SaysHostAndPath) {
  const struct {
    const char* target;
    const char* host;
    const char* expected_host;  // null: refused
    const char* expected_path = "/";
  } kCases[] = {
      {"/", "a.test", "a.test"},
      {"/x?y=/z", "a.test:8080", "a.test", "/x"},
      {"/", "[2001:db8::1]:443", "[2001:db8::1]"},
      {"/", "192.0.2.1", "192.0.2.1"},
      {"/", "my_gateway:8443", "my_gateway"},
      {"/", "a~b_c.test", "a~b_c.test"},
      {"http://A.test", "a.test", "A.test"},
      {"http://a.test?x", "a.test", "a.test"},
      {"https://a.test:443/x", "a.test", "a.test", "/x"},
      {"/", "a.test:", nullptr},
      {"/", "a.test:evil", nullptr},
      {"/", "a.test:65536", nullptr},
      {"/", "a.test:-1", nullptr},
      {"/", "a.test/b", nullptr},
      {"/", "u@a.test", nullptr},
      {"/", "[::1", nullptr},
      {"/", "[evil]", nullptr},
      {"/", "[::1]x", nullptr},
      {"http://b.test/", "a.test", nullptr},
      {"http://a.test:81/", "a.test", nullptr},
      {"http:///", "a.test", nullptr},
      {"file://a.test/", "a.test", nullptr},
      {"a.test:80", "a.test", nullptr},
      {"*", "a.test", nullptr},
  };
  for (const auto& each : kCases) {
    const auto target =
        find_target(head_of(request(each.target, "Host: " + std::string(each.host) + "\r\n")));
    const std::string name = std::string(each.target) + " of " + each.host;
    ASSERT_EQ(target.has_value(), each.expected_host != nullptr) << name;
    if (!target) continue;
    EXPECT_EQ(target->host, each.expected_host) << name;
    EXPECT_EQ(target->path, each.expected_path) << name;
  }
}

TEST(Target, Rfc6454_6_1_OriginsAreTheSameWhateverTheirCaseAndDefaultPort) {
  EXPECT_TRUE(same_origin("https://a.test", "HTTPS://A.Test:443"));
  EXPECT_TRUE(same_origin("http://a.test:80", "http://a.test"));
  EXPECT_TRUE(same_origin("null", "null"));
  for (const char* other : {"http://a.test", "https://a.test:444", "https://a.test.evil.test",
                            "https://evil.test", "https://a.test/", "null", "", "a.test"}) {
    EXPECT_FALSE(same_origin("https://a.test", other)) << other;
  }
}

TEST(Forwarded, TheNewestNodeComesFirst) {
  const auto nodes = [](const ForwardedNodes& read) {
    std::string text;
    for (std::size_t i = 0; i < read.count; ++i) text += std::string(read.nodes[i]) + "|";
    return text;
  };
  EXPECT_EQ(
      nodes(read_forwarded_for(head_of(request(
          "/", "Host: a\r\nX-Forwarded-For: 1.1.1.1 , 2.2.2.2\r\nx-forwarded-for: 3::3\r\n")))),
      "3::3|2.2.2.2|1.1.1.1|");
  // RFC 7239 4, 5.2, 6.
  EXPECT_EQ(nodes(read_forwarded(head_of(request(
                "/",
                "Host: a\r\nForwarded: for=1.1.1.1;by=\"a,b\", proto=http;For=\"[2::2]:5\"\r\n"
                "Forwarded: proto=https\r\n")))),
            "|[2::2]:5|1.1.1.1|");
  std::string many = "Host: a\r\nX-Forwarded-For: 0";
  for (std::size_t i = 1; i <= ForwardedNodes::kMax; ++i) many += "," + std::to_string(i);
  const auto read = read_forwarded_for(head_of(request("/", many + "\r\n")));
  EXPECT_EQ(read.count, ForwardedNodes::kMax);
  EXPECT_EQ(read.nodes[0], std::to_string(ForwardedNodes::kMax));
}

}  // namespace
}  // namespace ringway::http
