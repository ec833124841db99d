#include "bench/load/scanner.h"

namespace ringway::load {
namespace {

struct Attempt {
  const char* method;
  const char* user;
  const char* agent;
};

constexpr std::array<Attempt, 6> kAttempts = {{
    {"OPTIONS", "100", "friendly-scanner"},
    {"REGISTER", "1000", "sipvicious"},
    {"INVITE", "900441516014742", "pplsip"},
    {"REGISTER", "admin", "sipcli/v1.8"},
    {"OPTIONS", "nm", "VaxSIPUserAgent/3.1"},
    {"INVITE", "0014803674", "sundayddr"},
}};

}  // namespace

Scanner::Scanner(Loop& loop, const Options& options)
    : options_(options),
      udp_(std::make_unique<UdpChannel>(loop, *this, options.target, options.from_if_given())) {}

void Scanner::send() {
  const std::uint64_t number = sent_++;
  if (number % 8 == 7) {
    udp_->send("\x16\x03\x01 no SIP at all\r\n", nullptr);
    return;
  }
  const Attempt& attempt = kAttempts[number % kAttempts.size()];
  const std::string id = std::to_string(number);
  const std::string host = udp_->local().text + ":" + std::to_string(udp_->local().port);
  const std::string target = options_.target.text;
  const std::string user = attempt.user;
  std::string text = std::string(attempt.method) + " sip:" + user + "@" + target +
                     " SIP/2.0\r\nVia: SIP/2.0/UDP " + host + ";branch=z9hG4bK-scan-" + id +
                     ";rport\r\nMax-Forwards: 70\r\nFrom: \"sipvicious\" <sip:" + user +
                     "@1.1.1.1>;tag=" + id + "\r\nTo: \"sipvicious\" <sip:" + user +
                     "@1.1.1.1>\r\nCall-ID: " + id + "\r\nCSeq: 1 " + attempt.method +
                     "\r\nContact: <sip:" + user + "@" + host +
                     ">\r\nUser-Agent: " + attempt.agent + "\r\nContent-Length: 0\r\n\r\n";
  udp_->send(text, nullptr);
}

}  // namespace ringway::load
