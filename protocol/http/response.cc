#include "protocol/http/response.h"

namespace ringway::http {

std::string_view reason_phrase(Status status) {
  switch (status) {
    case Status::SwitchingProtocols:
      return "Switching Protocols";
    case Status::Ok:
      return "OK";
    case Status::BadRequest:
      return "Bad Request";
    case Status::Unauthorized:
      return "Unauthorized";
    case Status::Forbidden:
      return "Forbidden";
    case Status::NotFound:
      return "Not Found";
    case Status::MethodNotAllowed:
      return "Method Not Allowed";
    case Status::RequestTimeout:
      return "Request Timeout";
    case Status::Conflict:
      return "Conflict";
    case Status::MisdirectedRequest:
      return "Misdirected Request";
    case Status::UnprocessableContent:
      return "Unprocessable Content";
    case Status::UpgradeRequired:
      return "Upgrade Required";
    case Status::TooManyRequests:
      return "Too Many Requests";
    case Status::HeadTooLarge:
      return "Request Header Fields Too Large";
    case Status::ServiceUnavailable:
      return "Service Unavailable";
    case Status::VersionNotSupported:
      return "HTTP Version Not Supported";
  }
  return "";
}

void write_response_head(const ResponseHead& head, Writer& writer) {
  writer.text("HTTP/1.1 ").number(static_cast<std::uint16_t>(head.status)).character(' ');
  writer.text(reason_phrase(head.status)).text("\r\nContent-Type: ").text(head.content_type);
  writer.text("\r\nContent-Length: ").number(head.content_length);
  writer.text(
      "\r\nConnection: close"
      "\r\nX-Content-Type-Options: nosniff"
      "\r\nReferrer-Policy: no-referrer"
      "\r\nCache-Control: no-store\r\n");
  writer.text(head.extra_headers).text("\r\n");
}

void write_error(Status status, Writer& writer, std::string_view extra_headers, Body body) {
  const std::string_view phrase = reason_phrase(status);
  ResponseHead head;
  head.status = status;
  head.content_length = 3 + 1 + phrase.size() + 1;  // status, space, phrase, line feed
  head.extra_headers = extra_headers;
  write_response_head(head, writer);
  if (body == Body::LeftOut) return;
  writer.number(static_cast<std::uint16_t>(status)).character(' ').text(phrase).character('\n');
}

}  // namespace ringway::http
