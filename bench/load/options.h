#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::load {

enum class Mode { Options, Register, Message, Call, Idle, Handshake, Storm, Scanner, Serve };
enum class Transport { Udp, Tcp, Tls, Ws, Wss };
// Who speaks WebSocket: libwebsockets' client or the program's own (needed for resumption).
enum class Engine { LibWebSockets, Own };

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string text;  // numeric, without brackets
  std::uint16_t port = 0;
};

struct Options {
  Mode mode = Mode::Options;
  Transport transport = Transport::Udp;
  Engine engine = Engine::LibWebSockets;
  Address target;
  Address from;             // of the flows; size 0: what the system picks
  std::string target_name;  // host as given, for SNI and the Host header
  std::string domain = "example.org";
  std::string path = "/";  // of the WebSocket
  std::string origin;      // header of the upgrade, if not empty
  std::string user_prefix = "load";
  Address answer_udp;  // serve: size 0 if not wanted
  Address answer_tcp;
  Address answer_tls;
  std::string certificate, key;  // of the TLS answering side
  unsigned flows = 1;
  unsigned concurrency = 0;  // closed loop; 0: open loop
  double rate = 0;           // open loop, or connections a second
  double burst_s = 0;        // open loop: what is due starts together so often; 0: at once
  double duration_s = 10;
  double warmup_s = 0;
  double delay_s = 0;  // ready, but silent
  double hold_s = 0;   // between ACK and BYE
  unsigned expires_s = 3600;
  unsigned vary = 0;  // bytes by which the lengths of messages differ
  bool resume = false;
  bool register_first = false;  // each flow registers before the load starts
  bool progress = true;
  bool spin = false;  // never sleep
  int cpu = -1;
  std::vector<int> server_pids;  // whose CPU time is reported
  std::string json;              // file; "-" is standard output

  const Address* from_if_given() const { return from.size != 0 ? &from : nullptr; }
};

// Exits with 2 and a word on a bad command line, with 0 after --help or --version.
Options parse_options(int argc, char** argv);

inline bool is_websocket(Transport t) {
  return t == Transport::Ws || t == Transport::Wss;
}
inline bool is_secure(Transport t) {
  return t == Transport::Tls || t == Transport::Wss;
}
// The token of the Via header (RFC 3261 20.42, RFC 7118 5.2).
const char* via_token(Transport transport);
const char* transport_name(Transport transport);
const char* mode_name(Mode mode);

// Resolves "HOST:PORT"; exits with a word if it cannot.
Address resolve(const std::string& text, bool stream);

}  // namespace ringway::load
