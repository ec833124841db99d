#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "protocol/sip/parse.h"

namespace ringway::test {

// An INVITE of a browser, 800 bytes with its body.
inline std::string browser_invite() {
  const std::string body =
      "v=0\r\n"
      "o=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n"
      "s=-\r\n"
      "t=0 0\r\n"
      "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8\r\n"
      "c=IN IP4 0.0.0.0\r\n"
      "a=rtpmap:111 opus/48000/2\r\n";
  return "INVITE sip:bob@example.org SIP/2.0\r\n"
         "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK5619233;rport\r\n"
         "Max-Forwards: 70\r\n"
         "To: <sip:bob@example.org>\r\n"
         "From: \"Alice\" <sip:alice@example.org>;tag=qdbc2j4kfr\r\n"
         "Call-ID: 3n0jrgd7lfl2v0sqkkg8\r\n"
         "CSeq: 4711 INVITE\r\n"
         "Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws;ob>\r\n"
         "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n"
         "Supported: timer,ice,replaces,outbound\r\n"
         "Session-Expires: 90\r\n"
         "User-Agent: JsSIP 3.10.1\r\n"
         "Content-Type: application/sdp\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string ok_response() {
  return "SIP/2.0 200 OK\r\n"
         "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-one, SIP/2.0/WSS x.invalid;branch=two\r\n"
         "From: <sip:a@example.org>;tag=1\r\n"
         "To: <sip:b@example.org>;tag=2\r\n"
         "Call-ID: c\r\n"
         "CSeq: 1 INVITE\r\n"
         "Content-Length: 0\r\n\r\n";
}

inline std::string read_corpus(std::string_view name) {
  std::ifstream file(std::string(RINGWAY_CORPUS) + "/" + std::string(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// An index is large; each test keeps its own and fills it as often as it likes.
inline bool parse(std::string_view text, sip::MessageView& view,
                  sip::Framing framing = sip::Framing::Datagram) {
  return sip::parse_message(as_bytes(text), framing, view).has_value();
}

}  // namespace ringway::test
