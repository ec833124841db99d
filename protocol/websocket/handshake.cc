#include "protocol/websocket/handshake.h"

#include <optional>

#include "protocol/http/response.h"

namespace ringway::websocket {
namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kKeySize = 24;

// Sixteen bytes in base64 (RFC 6455 4.1): 22 characters and two of padding.
bool is_key(std::string_view text) {
  return text.size() == kKeySize && text.ends_with("==") &&
         text.substr(0, kKeySize - 2).find_first_not_of(kBase64) == text.npos;
}

std::array<char, 28> base64(const std::array<std::uint8_t, 20>& bytes) {
  std::array<char, 28> text;
  std::uint32_t bits = 0;
  std::size_t bit_count = 0;
  std::size_t size = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text[size++] = kBase64[(bits >> bit_count) & 63];
    }
  }
  text[size++] = kBase64[(bits << (6 - bit_count)) & 63];  // 160 bits leave four
  text[size++] = '=';
  return text;
}

// RFC 6455 4.2.2 step 5.4.
std::array<char, 28> accept_value(std::string_view key, Sha1 sha1) {
  std::array<std::uint8_t, kKeySize + kGuid.size()> input;
  Writer writer(input);
  writer.text(key).text(kGuid);
  return base64(sha1(writer.written()));
}

// RFC 6455 4.2.1, items 1 to 8.
Verdict judge(const http::RequestHead& head) {
  if (!head.find_in_list("Upgrade", "websocket")) return Verdict::NotAnUpgrade;
  if (head.method() != "GET" || head.minor_version() != 1) return Verdict::BadRequest;
  if (!head.find_in_list("Connection", "Upgrade")) return Verdict::BadRequest;
  if (head.count("Sec-WebSocket-Version") > 1) return Verdict::BadRequest;
  if (head.find("Sec-WebSocket-Version") != "13") return Verdict::BadVersion;
  const std::optional<std::string_view> key = head.find("Sec-WebSocket-Key");
  if (!key || !is_key(*key) || head.count("Sec-WebSocket-Key") > 1) return Verdict::BadRequest;
  if (!head.find_in_list("Sec-WebSocket-Protocol", "sip")) return Verdict::NoSubprotocol;
  return Verdict::Accept;
}

}  // namespace

Handshake check_handshake(const http::RequestHead& head, Sha1 sha1) {
  Handshake handshake;
  handshake.verdict = judge(head);
  if (handshake.verdict == Verdict::Accept) {
    handshake.accept = accept_value(*head.find("Sec-WebSocket-Key"), sha1);
    // Browsers compare it with what they offered, case included.
    handshake.subprotocol = *head.find_in_list("Sec-WebSocket-Protocol", "sip");
  }
  return handshake;
}

void write_acceptance(const Handshake& handshake, Writer& writer) {
  writer.text(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ");
  writer.text({handshake.accept.data(), handshake.accept.size()});
  writer.text("\r\nSec-WebSocket-Protocol: ").text(handshake.subprotocol).text("\r\n\r\n");
}

void write_refusal(Verdict verdict, Writer& writer) {
  switch (verdict) {
    case Verdict::NotAnUpgrade:
    case Verdict::BadVersion:  // RFC 6455 4.2.2 step 4, RFC 9110 7.8
      http::write_error(http::Status::UpgradeRequired, writer,
                        "Connection: Upgrade\r\n"
                        "Upgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\n");
      return;
    case Verdict::Accept:
    case Verdict::BadRequest:
    case Verdict::NoSubprotocol:
      http::write_error(http::Status::BadRequest, writer, "Sec-WebSocket-Version: 13\r\n");
      return;
  }
}

}  // namespace ringway::websocket
