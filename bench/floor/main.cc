#include <arpa/inet.h>
#include <getopt.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/floor/options.h"
#include "bench/floor/ring.h"
#include "bench/pin.h"
#include "protocol/base/ascii.h"

namespace ringway::floor {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

constexpr char kHelp[] =
    R"(ringway-floor: moves the bytes of a SIP proxy and parses nothing.

The floor that a proxy's cost is compared with: one thread, the product's ring flags, one receive
and one send for each message.

  --mode udp-udp|tcp-udp|wss-udp   what to move (default udp-udp)
  --listen ADDRESS:PORT            where clients come in
  --server ADDRESS:PORT            where their messages go, by UDP
  --cpu N                          run on this core only
  --certificate FILE --key FILE    PEM, for wss-udp

Answers return by socket: each client (UDP endpoint or connection) has its own UDP socket towards
the server. Ends on SIGINT or SIGTERM and prints its counters as one JSON line.

Experiments (udp-udp):
  --send ring|ring-skip|ring-address|inline|sendmmsg|train   default ring-address
  --batch N                        datagrams for one submission; 0 is all of a turn (default)
  --buffer SIZE --stride BYTES --buffers COUNT
Experiments (tcp-udp, wss-udp):
  --direct                         connections are direct descriptors of the ring
  --defer-accept                   accept a connection when its first bytes are there
)";

[[noreturn]] void usage(const char* what) {
  std::fprintf(stderr, "ringway-floor: %s (see --help)\n", what);
  std::exit(2);
}

sockaddr_in parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (colon == text.npos) usage("an endpoint is ADDRESS:PORT");
  const auto port = ascii::parse_number(text.substr(colon + 1), 65535);
  const std::string host(text.substr(0, colon));
  if (!port || inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) usage("bad endpoint");
  address.sin_port = htons(static_cast<std::uint16_t>(*port));
  return address;
}

std::uint32_t parse_count(const char* text) {
  const auto number = ascii::parse_number(text, 1u << 30);
  if (!number) usage("bad number");
  return *number;
}

Mode parse_mode(std::string_view text) {
  if (text == "udp-udp") return Mode::UdpUdp;
  if (text == "tcp-udp") return Mode::TcpUdp;
  if (text == "wss-udp") return Mode::WssUdp;
  usage("unknown mode");
}

Send parse_send(std::string_view text) {
  if (text == "ring") return Send::Ring;
  if (text == "ring-skip") return Send::RingSkip;
  if (text == "ring-address") return Send::RingAddress;
  if (text == "inline") return Send::Inline;
  if (text == "sendmmsg") return Send::Sendmmsg;
  if (text == "train") return Send::Train;
  usage("unknown way to send");
}

Options parse(int argc, char** argv) {
  static const option kOptions[] = {{"mode", required_argument, nullptr, 'm'},
                                    {"listen", required_argument, nullptr, 'l'},
                                    {"server", required_argument, nullptr, 's'},
                                    {"cpu", required_argument, nullptr, 'c'},
                                    {"send", required_argument, nullptr, 'S'},
                                    {"batch", required_argument, nullptr, 'b'},
                                    {"buffer", required_argument, nullptr, 'z'},
                                    {"stride", required_argument, nullptr, 't'},
                                    {"buffers", required_argument, nullptr, 'n'},
                                    {"direct", no_argument, nullptr, 'D'},
                                    {"defer-accept", no_argument, nullptr, 'd'},
                                    {"certificate", required_argument, nullptr, 'C'},
                                    {"key", required_argument, nullptr, 'K'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {nullptr, 0, nullptr, 0}};
  Options options;
  for (int c; (c = getopt_long(argc, argv, "h", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'm':
        options.mode = parse_mode(optarg);
        break;
      case 'l':
        options.listen = parse_endpoint(optarg);
        break;
      case 's':
        options.server = parse_endpoint(optarg);
        break;
      case 'c':
        options.cpu = static_cast<int>(parse_count(optarg));
        break;
      case 'S':
        options.send = parse_send(optarg);
        break;
      case 'b':
        options.batch = parse_count(optarg);
        break;
      case 'z':
        options.buffer_size = parse_count(optarg);
        break;
      case 't':
        options.buffer_stride = parse_count(optarg);
        break;
      case 'n':
        options.buffer_count = parse_count(optarg);
        break;
      case 'D':
        options.direct = true;
        break;
      case 'd':
        options.defer_accept = true;
        break;
      case 'C':
        options.certificate = optarg;
        break;
      case 'K':
        options.key = optarg;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        std::exit(0);
      default:
        usage("unknown option");
    }
  }
  if (options.listen.sin_port == 0 || options.server.sin_port == 0) {
    usage("--listen and --server are needed");
  }
  if (options.buffer_stride < options.buffer_size) options.buffer_stride = options.buffer_size;
  return options;
}

}  // namespace

bool stopping() {
  return stop_requested != 0;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.cpu >= 0 && !bench::pin(static_cast<unsigned>(options.cpu))) {
    die("sched_setaffinity", errno);
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  if (options.mode == Mode::UdpUdp) {
    run_udp(options);
  } else {
    run_stream(options);
  }
  return 0;
}

}  // namespace ringway::floor

int main(int argc, char** argv) {
  return ringway::floor::run(argc, argv);
}
