// ringway-lab: a SIP registrar and answering phones, to try and to test the gateway with.

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "gateway/lab/journal.h"
#include "gateway/lab/numbers.h"
#include "gateway/lab/phone.h"
#include "gateway/lab/proxy.h"
#include "gateway/lab/registrar.h"
#include "gateway/lab/sofia.h"

namespace ringway::lab {
namespace {

constexpr int kShutdownMs = 1000;

constexpr char kHelp[] =
    "Usage: ringway-lab [options]\n"
    "A SIP registrar, a proxy between its users and phones that answer at fixed numbers.\n"
    "SIP over UDP, plain RTP. Events go to standard output, one JSON object a line.\n"
    "\n"
    "  --listen ADDRESS:PORT   where to take SIP; port 0 is any free one (127.0.0.1:0)\n"
    "  --domain NAME           domain of the users (lab.example)\n"
    "  --password TEXT         ask REGISTER for it by digest; without, everybody may register\n"
    "  --realm NAME            realm of the digest (the domain)\n"
    "  --no-gruu               never hand out a GRUU\n"
    "  --rtp-ports FIRST-LAST  ports of the phones' RTP (any free ones)\n"
    "  --die-with-parent       end when the parent process does\n"
    "  --help, --version\n"
    "\n"
    "Commands on standard input, one a line:\n"
    "  call URI [tone|echo]    call a user; tone is sent unless echo is asked for\n"
    "  hangup CALL             end the call with this number\n"
    "  quit\n"
    "\n"
    "Numbers:\n";

struct Settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  std::string domain = "lab.example";
  std::string password;
  std::string realm;
  bool gruu = true;
  PortRange rtp_ports;
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_literal(const std::string& address) {
  unsigned char memory[sizeof(in6_addr)];
  return inet_pton(AF_INET, address.c_str(), memory) == 1 ||
         inet_pton(AF_INET6, address.c_str(), memory) == 1;
}

bool parse_listen(std::string_view text, Settings& settings) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return false;
  const auto port = parse_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  settings.address = host;
  settings.port = port.value_or(0);
  // The address stands in Via, Contact and SDP, so the wildcard would mean nothing there.
  return port && is_literal(settings.address) && settings.address != "0.0.0.0" &&
         settings.address != "::";
}

bool parse_ports(std::string_view text, PortRange& ports) {
  const std::size_t dash = text.find('-');
  if (dash == text.npos) return false;
  const auto first = parse_port(text.substr(0, dash));
  const auto last = parse_port(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last <= *first) return false;
  ports.first = static_cast<std::uint16_t>((*first + 1) & ~1);
  ports.last = *last;
  return true;
}

[[noreturn]] void print_help() {
  std::fputs(kHelp, stdout);
  for (const char* number : {"100", "101", "102", "103", "104", "105", "106"}) {
    const Number* entry = find_number(number);
    std::printf("  %s %-8s %s\n", number, std::string(entry->name).c_str(),
                std::string(entry->what).c_str());
  }
  std::exit(0);
}

[[noreturn]] void reject(const char* option, const char* value) {
  std::fprintf(stderr, "ringway-lab: %s %s is not understood; see --help\n", option, value);
  std::exit(2);
}

void die_with_parent() {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) std::exit(0);  // it ended before the line above
}

Settings parse_command_line(int argc, char** argv) {
  enum { kListen = 1, kDomain, kPassword, kRealm, kNoGruu, kPorts, kDie, kHelpOption, kVersion };
  const option options[] = {{"listen", required_argument, nullptr, kListen},
                            {"domain", required_argument, nullptr, kDomain},
                            {"password", required_argument, nullptr, kPassword},
                            {"realm", required_argument, nullptr, kRealm},
                            {"no-gruu", no_argument, nullptr, kNoGruu},
                            {"rtp-ports", required_argument, nullptr, kPorts},
                            {"die-with-parent", no_argument, nullptr, kDie},
                            {"help", no_argument, nullptr, kHelpOption},
                            {"version", no_argument, nullptr, kVersion},
                            {nullptr, 0, nullptr, 0}};
  Settings settings;
  for (int found; (found = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (found) {
      case kListen:
        if (!parse_listen(optarg, settings)) reject("--listen", optarg);
        break;
      case kDomain:
        settings.domain = optarg;
        break;
      case kPassword:
        settings.password = optarg;
        break;
      case kRealm:
        settings.realm = optarg;
        break;
      case kNoGruu:
        settings.gruu = false;
        break;
      case kPorts:
        if (!parse_ports(optarg, settings.rtp_ports)) reject("--rtp-ports", optarg);
        break;
      case kDie:
        die_with_parent();
        break;
      case kHelpOption:
        print_help();
      case kVersion:
        std::puts("ringway-lab " RINGWAY_VERSION);
        std::exit(0);
      default:
        std::exit(2);
    }
  }
  if (optind != argc) reject("argument", argv[optind]);
  if (settings.realm.empty()) settings.realm = settings.domain;
  return settings;
}

// Standard input and signals, as callbacks of the root.
class Control {
 public:
  Control(su_root_t* root, Phone& phone) : phone_(phone) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    su_wait_t wait;
    su_wait_create(&wait, signalfd(-1, &signals, SFD_CLOEXEC), SU_WAIT_IN);
    su_root_register(root, &wait, on_signal, this, 0);
    // Files, /dev/null among them, cannot be waited for, and hold no commands for us.
    struct stat input {};
    if (fstat(STDIN_FILENO, &input) == 0 &&
        (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode) || isatty(STDIN_FILENO) != 0)) {
      su_wait_create(&wait, STDIN_FILENO, SU_WAIT_IN);
      input_ = su_root_register(root, &wait, on_input, this, 0);
    }
    root_ = root;
  }
  bool is_ending() const { return ending_; }

 private:
  static int on_signal(void*, su_wait_t*, void* self) {
    static_cast<Control*>(self)->ending_ = true;
    return 0;
  }

  static int on_input(void*, su_wait_t*, void* magic) {
    auto* self = static_cast<Control*>(magic);
    char memory[1024];
    const ssize_t size = read(STDIN_FILENO, memory, sizeof memory);
    if (size <= 0) {
      su_root_deregister(self->root_, self->input_);
      return 0;
    }
    self->pending_.append(memory, static_cast<std::size_t>(size));
    std::size_t end;
    while ((end = self->pending_.find('\n')) != std::string::npos) {
      self->obey(self->pending_.substr(0, end));
      self->pending_.erase(0, end + 1);
    }
    if (self->pending_.size() > sizeof memory) self->pending_.clear();
    return 0;
  }

  void obey(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string verb = line.substr(0, space);
    std::string rest = space == line.npos ? "" : line.substr(space + 1);
    if (verb == "quit") {
      ending_ = true;
    } else if (verb == "call" && !rest.empty()) {
      const std::size_t gap = rest.find(' ');
      const bool echo = gap != rest.npos && rest.substr(gap + 1) == "echo";
      phone_.call(rest.substr(0, gap), echo ? Source::Echo : Source::Tone);
    } else if (verb == "hangup" && phone_.hang_up(parse_port(rest).value_or(0))) {
    } else {
      write_event(JsonLine("error").add("text", "command not understood").add("line", line));
    }
  }

  su_root_t* root_ = nullptr;
  Phone& phone_;
  int input_ = 0;
  std::string pending_;
  bool ending_ = false;
};

int serve(su_root_t* root, const Settings& settings) {
  Registrar registrar({settings.realm, settings.password, settings.gruu});
  Proxy proxy(root, {settings.address, settings.port, settings.domain}, registrar);
  if (!proxy.is_open()) {
    std::fprintf(stderr, "ringway-lab: %s port %u cannot be bound; is another program there?\n",
                 settings.address.c_str(), unsigned{settings.port});
    return 1;
  }
  Phone phone(root, {settings.address, settings.domain, proxy.host_port(), settings.rtp_ports});
  if (!phone.is_open()) {
    std::fputs("ringway-lab: the phones find no free UDP port\n", stderr);
    return 1;
  }
  while (phone.host_port().empty()) su_root_step(root, 100);
  proxy.set_phones(phone.host_port());

  Control control(root, phone);
  write_event(JsonLine("ready")
                  .add("sip", "udp:" + proxy.host_port())
                  .add("domain", settings.domain)
                  .add_raw("numbers", numbers_as_json()));
  while (!control.is_ending()) su_root_step(root, 1000);

  phone.shut_down();
  const su_time_t started = su_now();
  while (!phone.is_shut_down() && su_duration(su_now(), started) < kShutdownMs) {
    su_root_step(root, 50);
  }
  // A phone that still waits for the answer to its BYE keeps the stack busy; nobody reads that.
  if (!phone.is_shut_down()) std::_Exit(0);
  return 0;
}

}  // namespace
}  // namespace ringway::lab

int main(int argc, char** argv) {
  const ringway::lab::Settings settings = ringway::lab::parse_command_line(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  su_init();
  su_log_set_level(su_log_default, getenv("SOFIA_DEBUG") != nullptr ? 9 : 0);
  su_root_t* root = su_root_create(nullptr);
  su_root_threading(root, 0);
  const int status = ringway::lab::serve(root, settings);
  su_root_destroy(root);
  su_deinit();
  return status;
}
