#include "protocol/http/response.h"

#include <gtest/gtest.h>

#include <array>

namespace ringway::http {
namespace {

TEST(HttpResponse, HeadOfAPage) {
  std::array<std::uint8_t, 512> memory;
  Writer writer(memory);
  write_response_head({Status::Ok, "text/html; charset=utf-8", 1234, "X-Test: 1\r\n"}, writer);
  EXPECT_EQ(writer.written_text(),
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: text/html; charset=utf-8\r\n"
            "Content-Length: 1234\r\n"
            "Connection: close\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Referrer-Policy: no-referrer\r\n"
            "Cache-Control: no-store\r\n"
            "X-Test: 1\r\n"
            "\r\n");
}

// RFC 9110 9.3.2: the head is that of the answer to a GET.
TEST(HttpResponse, AnErrorToHeadHasNoBody) {
  std::array<std::uint8_t, 512> with_memory, without_memory;
  Writer with(with_memory), without(without_memory);
  write_error(Status::NotFound, with, "X: y\r\n");
  write_error(Status::NotFound, without, "X: y\r\n", Body::LeftOut);
  EXPECT_TRUE(without.written_text().ends_with("\r\n\r\n"));
  EXPECT_EQ(std::string(without.written_text()) + "404 Not Found\n", with.written_text());
}

TEST(HttpResponse, LengthOfAnErrorIsThatOfItsBody) {
  const Status all[] = {Status::BadRequest,         Status::Forbidden,
                        Status::NotFound,           Status::MethodNotAllowed,
                        Status::RequestTimeout,     Status::UpgradeRequired,
                        Status::TooManyRequests,    Status::HeadTooLarge,
                        Status::ServiceUnavailable, Status::VersionNotSupported};
  for (const Status status : all) {
    std::array<std::uint8_t, 512> memory;
    Writer writer(memory);
    write_error(status, writer);
    ASSERT_FALSE(writer.overflowed());
    const std::string_view text = writer.written_text();
    const std::string_view body = text.substr(text.find("\r\n\r\n") + 4);
    EXPECT_NE(text.find("Content-Length: " + std::to_string(body.size()) + "\r\n"), text.npos)
        << text;
    EXPECT_TRUE(body.starts_with(std::to_string(static_cast<int>(status)))) << text;
    EXPECT_TRUE(
        text.starts_with("HTTP/1.1 " + std::string(body.substr(0, body.size() - 1)) + "\r\n"))
        << text;
  }
}

}  // namespace
}  // namespace ringway::http
