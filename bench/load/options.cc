#include "bench/load/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "protocol/base/ascii.h"

namespace ringway::load {
namespace {

constexpr char kHelp[] =
    R"(ringway-load: SIP load over UDP, TCP, TLS, WS and WSS, with latency percentiles.

  ringway-load MODE --to HOST:PORT [options]

Modes
  options register message   one transaction each
  call        INVITE 100 180 200 ACK BYE 200 with SDP; dialogs follow Record-Route and Contact
  idle        opens --flows connections, registers each, stays (prints when all are up)
  handshake   connect, TLS, upgrade, close; again and again (--resume: with session tickets)
  storm       opens and registers --flows connections, drops all at once, comes back at --rate
  scanner     what SIP scanners send, at --rate, over UDP; answers are counted, not expected
  serve       answers OPTIONS, REGISTER, INVITE, BYE and MESSAGE; 180 and 200 at once for INVITE

Where
  --to HOST:PORT             the server under load
  --transport udp|tcp|tls|ws|wss      default udp
  --engine libwebsockets|own WebSocket client for ws and wss (default libwebsockets;
                             handshake and storm always use own)
  --path PATH --origin URL   of the WebSocket
  --from ADDRESS             where the flows come from (default: what the system picks)
  --domain NAME              host part of Request-URI, From and To (default example.org)
  --user PREFIX              user names are PREFIX and a number (default load)
  --answer-udp, --answer-tcp, --answer-tls HOST:PORT
                             answering side: the server of serve, or one inside any other mode
  --certificate, --key FILE  PEM, for --answer-tls

How much
  --flows N                  sockets or connections (default 1)
  --concurrency N            closed loop: so many transactions or calls at any time
  --rate R                   open loop: starts a second; latency counts from the intended moment
  --burst S                  open loop: starts what is due together, every so many seconds
  --duration S --warmup S    seconds; the warm-up is not counted (default 10 and 0)
  --delay S                  says that it is ready and waits so long before the load
  --register                 every flow registers before the load starts
  --expires S                of REGISTER (default 3600)
  --hold S                   between ACK and BYE (default 0)
  --vary BYTES               Call-IDs, and so messages, differ in length by up to so many (default 0)
  --resume                   handshakes resume sessions

Output
  --json FILE                result; - is standard output
  --server-pid PID           report the CPU time of this process too (may be repeated)
  --quiet                    no progress lines
  --cpu N                    run on this core only
  --spin                     never sleep: to be woken costs 10 to 30 us that are not the server's
  --help, --version

A lost UDP request is sent again after 500 ms, doubling (RFC 3261 timers A and E), and counts as lost
after 32 s or at the end. The generator says so when its own core was the limit.
Point it at machines that are yours.
)";

[[noreturn]] void usage(const char* what, const char* detail = "") {
  std::fprintf(stderr, "ringway-load: %s%s (see --help)\n", what, detail);
  std::exit(2);
}

double parse_real(const char* text) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != 0 || !(value >= 0)) usage("not a number: ", text);
  return value;
}

unsigned parse_count(const char* text) {
  const auto value = ascii::parse_number(text, 10'000'000);
  if (!value) usage("not a number: ", text);
  return *value;
}

Mode parse_mode(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(Mode::Serve); ++i) {
    if (text == mode_name(static_cast<Mode>(i))) return static_cast<Mode>(i);
  }
  usage("unknown mode");
}

Transport parse_transport(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(Transport::Wss); ++i) {
    if (text == transport_name(static_cast<Transport>(i))) return static_cast<Transport>(i);
  }
  usage("unknown transport");
}

enum Key {
  kTo = 1,
  kTransport,
  kFrom,
  kEngine,
  kPath,
  kOrigin,
  kDomain,
  kUser,
  kAnswerUdp,
  kAnswerTcp,
  kAnswerTls,
  kCertificate,
  kPrivateKey,
  kFlows,
  kConcurrency,
  kRate,
  kBurst,
  kDuration,
  kWarmup,
  kDelay,
  kRegister,
  kExpires,
  kHold,
  kResume,
  kServerPid,
  kJson,
  kQuiet,
  kSpin,
  kVary,
  kCpu,
  kHelpKey,
  kVersion
};

const option kOptions[] = {{"to", 1, nullptr, kTo},
                           {"transport", 1, nullptr, kTransport},
                           {"from", 1, nullptr, kFrom},
                           {"engine", 1, nullptr, kEngine},
                           {"path", 1, nullptr, kPath},
                           {"origin", 1, nullptr, kOrigin},
                           {"domain", 1, nullptr, kDomain},
                           {"user", 1, nullptr, kUser},
                           {"answer-udp", 1, nullptr, kAnswerUdp},
                           {"answer-tcp", 1, nullptr, kAnswerTcp},
                           {"answer-tls", 1, nullptr, kAnswerTls},
                           {"certificate", 1, nullptr, kCertificate},
                           {"key", 1, nullptr, kPrivateKey},
                           {"flows", 1, nullptr, kFlows},
                           {"concurrency", 1, nullptr, kConcurrency},
                           {"rate", 1, nullptr, kRate},
                           {"burst", 1, nullptr, kBurst},
                           {"duration", 1, nullptr, kDuration},
                           {"warmup", 1, nullptr, kWarmup},
                           {"delay", 1, nullptr, kDelay},
                           {"register", 0, nullptr, kRegister},
                           {"expires", 1, nullptr, kExpires},
                           {"hold", 1, nullptr, kHold},
                           {"resume", 0, nullptr, kResume},
                           {"server-pid", 1, nullptr, kServerPid},
                           {"json", 1, nullptr, kJson},
                           {"quiet", 0, nullptr, kQuiet},
                           {"spin", 0, nullptr, kSpin},
                           {"vary", 1, nullptr, kVary},
                           {"cpu", 1, nullptr, kCpu},
                           {"help", 0, nullptr, kHelpKey},
                           {"version", 0, nullptr, kVersion},
                           {nullptr, 0, nullptr, 0}};

void apply(Options& options, int key, const char* value, std::string& to) {
  switch (key) {
    case kTo:
      to = value;
      return;
    case kTransport:
      options.transport = parse_transport(value);
      return;
    case kFrom:
      options.from = resolve(std::string(value) + ":0", false);
      return;
    case kEngine:
      if (std::strcmp(value, "own") != 0 && std::strcmp(value, "libwebsockets") != 0) {
        usage("unknown engine: ", value);
      }
      options.engine = std::strcmp(value, "own") == 0 ? Engine::Own : Engine::LibWebSockets;
      return;
    case kPath:
      options.path = value;
      return;
    case kOrigin:
      options.origin = value;
      return;
    case kDomain:
      options.domain = value;
      return;
    case kUser:
      options.user_prefix = value;
      return;
    case kAnswerUdp:
      options.answer_udp = resolve(value, false);
      return;
    case kAnswerTcp:
      options.answer_tcp = resolve(value, true);
      return;
    case kAnswerTls:
      options.answer_tls = resolve(value, true);
      return;
    case kCertificate:
      options.certificate = value;
      return;
    case kPrivateKey:
      options.key = value;
      return;
    case kFlows:
      options.flows = parse_count(value);
      return;
    case kConcurrency:
      options.concurrency = parse_count(value);
      return;
    case kRate:
      options.rate = parse_real(value);
      return;
    case kBurst:
      options.burst_s = parse_real(value);
      return;
    case kDuration:
      options.duration_s = parse_real(value);
      return;
    case kWarmup:
      options.warmup_s = parse_real(value);
      return;
    case kDelay:
      options.delay_s = parse_real(value);
      return;
    case kRegister:
      options.register_first = true;
      return;
    case kExpires:
      options.expires_s = parse_count(value);
      return;
    case kHold:
      options.hold_s = parse_real(value);
      return;
    case kResume:
      options.resume = true;
      return;
    case kServerPid:
      options.server_pids.push_back(static_cast<int>(parse_count(value)));
      return;
    case kJson:
      options.json = value;
      return;
    case kSpin:
      options.spin = true;
      return;
    case kVary:
      options.vary = parse_count(value);
      return;
    case kQuiet:
      options.progress = false;
      return;
    case kCpu:
      options.cpu = static_cast<int>(parse_count(value));
      return;
    case kHelpKey:
      std::fputs(kHelp, stdout);
      std::exit(0);
    case kVersion:
      std::puts("ringway-load " RINGWAY_VERSION);
      std::exit(0);
    default:
      usage("unknown option");
  }
}

void check(Options& options, const std::string& to) {
  if (options.answer_tls.size != 0 && (options.certificate.empty() || options.key.empty())) {
    usage("--answer-tls needs --certificate and --key");
  }
  if (options.mode == Mode::Serve) {
    if (options.answer_udp.size + options.answer_tcp.size + options.answer_tls.size == 0) {
      usage("serve needs --answer-udp, --answer-tcp or --answer-tls");
    }
    return;
  }
  if (to.empty()) usage("--to is needed");
  options.target = resolve(to, options.transport != Transport::Udp);
  options.target_name = to.substr(0, to.rfind(':'));
  if (options.flows == 0) usage("--flows must not be 0");
  const bool connects =
      options.mode == Mode::Idle || options.mode == Mode::Storm || options.mode == Mode::Handshake;
  if (connects && options.transport == Transport::Udp) usage("this mode needs a stream transport");
  if (options.mode == Mode::Scanner) {
    if (options.transport != Transport::Udp) usage("scanner speaks UDP");
    if (options.rate <= 0) usage("scanner needs --rate");
  }
  if (options.mode == Mode::Handshake || options.mode == Mode::Storm) {
    options.engine = Engine::Own;
  }
  if (options.concurrency == 0 && options.rate <= 0) options.concurrency = connects ? 16 : 1;
}

}  // namespace

const char* via_token(Transport transport) {
  switch (transport) {
    case Transport::Udp:
      return "UDP";
    case Transport::Tcp:
      return "TCP";
    case Transport::Tls:
      return "TLS";
    case Transport::Ws:
      return "WS";
    case Transport::Wss:
      return "WSS";
  }
  return "";
}

const char* transport_name(Transport transport) {
  switch (transport) {
    case Transport::Udp:
      return "udp";
    case Transport::Tcp:
      return "tcp";
    case Transport::Tls:
      return "tls";
    case Transport::Ws:
      return "ws";
    case Transport::Wss:
      return "wss";
  }
  return "";
}

const char* mode_name(Mode mode) {
  switch (mode) {
    case Mode::Options:
      return "options";
    case Mode::Register:
      return "register";
    case Mode::Message:
      return "message";
    case Mode::Call:
      return "call";
    case Mode::Idle:
      return "idle";
    case Mode::Handshake:
      return "handshake";
    case Mode::Storm:
      return "storm";
    case Mode::Scanner:
      return "scanner";
    case Mode::Serve:
      return "serve";
  }
  return "";
}

Address resolve(const std::string& text, bool stream) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) usage("an address is HOST:PORT: ", text.c_str());
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = stream ? SOCK_STREAM : SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), text.c_str() + colon + 1, &hints, &found) != 0) {
    usage("cannot resolve ", text.c_str());
  }
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  char numeric[NI_MAXHOST];
  char port[NI_MAXSERV];
  getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof numeric, port, sizeof port,
              NI_NUMERICHOST | NI_NUMERICSERV);
  freeaddrinfo(found);
  address.text = numeric;
  address.port = static_cast<std::uint16_t>(std::strtoul(port, nullptr, 10));
  return address;
}

Options parse_options(int argc, char** argv) {
  Options options;
  std::string to;
  for (int c; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    apply(options, c, optarg, to);
  }
  if (optind + 1 != argc) usage("one MODE is needed");
  options.mode = parse_mode(argv[optind]);
  check(options, to);
  return options;
}

}  // namespace ringway::load
