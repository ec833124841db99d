#include "bench/workloads/workload.h"

#include <cstdio>
#include <cstdlib>

namespace ringway::bench {

Workloads make_workloads() {
  Workloads workloads;
  add_parse(workloads);
  add_edit(workloads);
  add_websocket(workloads);
  add_transaction(workloads);
  add_timers(workloads);
  add_bencode(workloads);
  add_tls(workloads);
  add_filter(workloads);
  add_core(workloads);
  add_admission(workloads);
  return workloads;
}

void require(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "bench: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

std::string_view invite() {
  static constexpr std::string_view kText =
      "INVITE sip:bob@example.org SIP/2.0\r\n"
      "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks\r\n"
      "Max-Forwards: 70\r\n"
      "To: <sip:bob@example.org>\r\n"
      "From: \"Alice\" <sip:alice@example.org>;tag=asdyka899\r\n"
      "Call-ID: asidkj3ss0dfgjkl34\r\n"
      "CSeq: 4712 INVITE\r\n"
      "Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws;ob>\r\n"
      "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n"
      "Supported: outbound,ice,replaces,100rel\r\n"
      "User-Agent: JsSIP 3.10.1\r\n"
      "Content-Type: application/sdp\r\n"
      "Content-Length: 307\r\n"
      "\r\n"
      "v=0\r\n"
      "o=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n"
      "s=-\r\n"
      "t=0 0\r\n"
      "a=group:BUNDLE 0\r\n"
      "m=audio 9 UDP/TLS/RTP/SAVPF 111 8 0\r\n"
      "c=IN IP4 0.0.0.0\r\n"
      "a=ice-ufrag:vWpq\r\n"
      "a=ice-pwd:q4n0kXbcmZUQ9Bl1QvLgxvY7\r\n"
      "a=setup:actpass\r\n"
      "a=mid:0\r\n"
      "a=sendrecv\r\n"
      "a=rtcp-mux\r\n"
      "a=rtpmap:111 opus/48000/2\r\n"
      "a=rtpmap:8 PCMA/8000\r\n"
      "a=rtpmap:0 PCMU/8000\r\n";
  return kText;
}

std::string_view ok_response() {
  static constexpr std::string_view kText =
      "SIP/2.0 200 OK\r\n"
      "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0.2f3.9d1c77aa;rport=5060\r\n"
      "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks;received=198.51.100.7\r\n"
      "Record-Route: <sip:192.0.2.1:5060;lr>\r\n"
      "Record-Route: <sip:8fe2c1@192.0.2.1:8443;transport=ws;lr>\r\n"
      "To: <sip:bob@example.org>;tag=bmqkjhsd\r\n"
      "From: \"Alice\" <sip:alice@example.org>;tag=asdyka899\r\n"
      "Call-ID: asidkj3ss0dfgjkl34\r\n"
      "CSeq: 4712 INVITE\r\n"
      "Contact: <sip:bob@203.0.113.22:5060>\r\n"
      "Content-Length: 0\r\n"
      "\r\n";
  return kText;
}

}  // namespace ringway::bench
