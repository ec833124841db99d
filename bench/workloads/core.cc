#include <array>
#include <cstring>
#include <string>

#include "bench/workloads/workload.h"
#include "gateway/core/proxy_core.h"
#include "gateway/filter/rules_file.h"

namespace ringway::bench {
namespace {

Endpoint endpoint(std::string_view text) {
  return *parse_endpoint(text);
}

ListenConfig listen(Side side, std::string_view address) {
  ListenConfig config;
  config.name = side == Side::Access ? "access" : "network";
  config.side = side;
  if (side == Side::Access) config.admission = Admission::Open;
  config.address = endpoint(address);
  return config;
}

// Short timers, so that as many transactions linger as at some thousands a second with long ones.
Config make_config() {
  Config config;
  config.listen = {listen(Side::Access, "192.0.2.1:5060"), listen(Side::Network, "10.0.0.1:5060")};
  NextHopConfig next_hop;
  next_hop.name = "pbx";
  next_hop.host = "10.0.0.9";
  next_hop.port = 5060;
  next_hop.transport = Transport::Udp;
  next_hop.probe_interval = {};
  config.next_hops = {next_hop};
  config.timers.t1 = config.timers.t2 = config.timers.t4 = 2ms;
  config.limits.buffer_bytes = 64u << 20;
  return config;
}

// One shard's core with everything on, between a user agent and a next hop, both on UDP. Whatever
// it sends is taken out of the outbox as the shell would.
class Gateway {
 public:
  Gateway()
      : config_(make_config()),
        mac_(tls::MacKey{1, 2, 3}),
        buffers_(config_.limits.buffer_bytes),
        queue_(1024),
        log_(0, LogLevel::Info, queue_, counters_),
        core_({config_, 0, 1, listeners(), mac_, 4711, 1, buffers_, counters_, log_}) {
    auto next_hops = std::make_shared<NextHopSnapshot>();
    Resolution found;
    found.outcome = Resolution::Outcome::Found;
    found.targets.push_back({Transport::Udp, pbx_.remote, 0, 0});
    next_hops->next_hops.push_back(found);
    core_.publish_next_hops(next_hops, now_, outbox_);
    core_.publish_filter(std::make_shared<FilterRules>(parse_rules(built_in_rules()).rules));
    outbox_.clear();
  }

  void from_phone(std::string_view text) { receive(phone_, text); }
  void from_pbx(std::string_view text) { receive(pbx_, text); }

  // The message that left for the next hop, or back to the phone; the one before last is gone.
  std::string_view sent(std::size_t count) {
    require(outbox_.items().size() == count, "core: not what was to be sent");
    return as_text(outbox_.items().back().buffer.bytes());
  }
  void flushed() { outbox_.clear(); }

  // A turn of the loop ends. At 10,000 transactions a second.
  void turn() {
    now_ += 100us;
    core_.expire(now_, outbox_);
    outbox_.clear();
  }

 private:
  std::vector<ListenerInfo> listeners() const {
    std::vector<ListenerInfo> all;
    for (const ListenConfig& entry : config_.listen) all.push_back({entry, entry.address});
    return all;
  }
  void receive(const Source& source, std::string_view text) {
    core_.receive_message(source, as_bytes(text), now_, outbox_);
  }

  Config config_;
  tls::Mac mac_;
  BufferPool buffers_;
  Counters counters_;
  Log::Queue queue_;
  Log log_;
  ProxyCore core_;
  Outbox outbox_;
  Instant now_ = Instant{} + std::chrono::hours(1);
  Source phone_{Transport::Udp, 0, endpoint("198.51.100.7:40000"), {}};
  Source pbx_{Transport::Udp, 1, endpoint("10.0.0.9:5060"), {}};
};

// A message of which parts differ each time. The parts of a name are written into it in place:
// '#' stands for a digit of the transaction's number.
class Template {
 public:
  explicit Template(std::string_view text) : text_(text) {
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '#') digits_.push_back(i);
    }
  }
  std::string_view with(std::uint32_t number) {
    std::uint32_t left = number;
    for (const std::size_t place : digits_) {
      text_[place] = static_cast<char>('0' + left % 10);
      left = left < 10 ? number : left / 10;
    }
    return text_;
  }

 private:
  std::string text_;
  std::vector<std::size_t> digits_;
};

// Puts texts one behind the other.
class Text {
 public:
  Text& operator<<(std::string_view part) {
    std::memcpy(memory_.data() + size_, part.data(), part.size());
    size_ += part.size();
    return *this;
  }
  std::string_view view() const { return {memory_.data(), size_}; }

 private:
  std::array<char, 4096> memory_;
  std::size_t size_ = 0;
};

// The first lines of a message behind its start line, with their line ends.
std::string_view lines(std::string_view message, std::size_t first, std::size_t count) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < first; ++i) begin = message.find('\n', begin) + 1;
  std::size_t end = begin;
  for (std::size_t i = 0; i < count; ++i) end = message.find('\n', end) + 1;
  return message.substr(begin, end - begin);
}

constexpr std::uint32_t kFirstNumber = 10'000'000;
constexpr int kUntilSteady = 1'500;  // more than linger at one time

// A request outside a dialog and its response: two messages in, two out.
class Options : public Workload {
 public:
  std::string_view name() const override { return "core_options"; }
  void once() override {
    while (number_ < kFirstNumber + kUntilSteady) transaction();
    transaction();
  }

 private:
  void transaction() {
    ++number_;
    gateway_.from_phone(request_.with(number_));
    Text response;
    response << "SIP/2.0 200 OK\r\n" << lines(gateway_.sent(1), 1, 1) << rest_.with(number_);
    gateway_.flushed();
    gateway_.from_pbx(response.view());
    keep(gateway_.sent(1).data());
    gateway_.turn();
  }

  Gateway gateway_;
  std::uint32_t number_ = kFirstNumber;
  Template request_{
      "OPTIONS sip:bob@example.org SIP/2.0\r\n"
      "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########;rport\r\n"
      "Max-Forwards: 70\r\n"
      "From: \"Alice\" <sip:alice@example.org>;tag=########\r\n"
      "To: <sip:bob@example.org>\r\n"
      "Call-ID: ########@198.51.100.7\r\n"
      "CSeq: 1 OPTIONS\r\n"
      "Contact: <sip:alice@198.51.100.7:40000>\r\n"
      "User-Agent: Deskphone/4.1\r\n"
      "Accept: application/sdp\r\n"
      "Content-Length: 0\r\n\r\n"};
  Template rest_{
      "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########;received=198.51.100.7"
      ";rport=40000\r\n"
      "From: \"Alice\" <sip:alice@example.org>;tag=########\r\n"
      "To: <sip:bob@example.org>;tag=8c1f\r\n"
      "Call-ID: ########@198.51.100.7\r\n"
      "CSeq: 1 OPTIONS\r\n"
      "Contact: <sip:10.0.0.9:5060>\r\n"
      "Content-Length: 0\r\n\r\n"};
};

// A call: INVITE, 180, 200, ACK, BYE, 200. Six messages in, seven out (a 100 is ours).
class CallFlow : public Workload {
 public:
  std::string_view name() const override { return "core_call"; }
  void once() override {
    while (number_ < kFirstNumber + kUntilSteady) call();
    call();
  }

 private:
  void call() {
    ++number_;
    gateway_.from_phone(invite_.with(number_));
    Text via;  // ours with two Record-Route values, and the phone's
    via << lines(gateway_.sent(2), 1, 3) << via_.with(number_);
    gateway_.flushed();
    const std::string_view dialog = dialog_.with(number_);
    const std::string_view upper = lines(via.view(), 1, 1), lower = lines(via.view(), 2, 1);

    gateway_.from_pbx((Text() << "SIP/2.0 180 Ringing\r\n"
                              << via.view() << dialog << kInvited << kEnd)
                          .view());
    keep(gateway_.sent(1).data());
    gateway_.flushed();
    gateway_.from_pbx((Text() << "SIP/2.0 200 OK\r\n"
                              << via.view() << dialog << kInvited << kAnswer)
                          .view());
    keep(gateway_.sent(1).data());
    gateway_.flushed();

    Text route;  // the Record-Route values the other way round, "Record-" cut off
    route << lower.substr(7) << upper.substr(7);
    gateway_.from_phone((Text() << "ACK sip:bob@10.0.0.9:5060 SIP/2.0\r\n"
                                << ack_via_.with(number_) << route.view() << dialog
                                << "CSeq: 1 ACK\r\n"
                                << kForwards)
                            .view());
    keep(gateway_.sent(1).data());
    gateway_.flushed();
    gateway_.turn();

    gateway_.from_phone((Text() << "BYE sip:bob@10.0.0.9:5060 SIP/2.0\r\n"
                                << bye_via_.with(number_) << route.view() << dialog
                                << "CSeq: 2 BYE\r\n"
                                << kForwards)
                            .view());
    Text answer;
    answer << "SIP/2.0 200 OK\r\n"
           << lines(gateway_.sent(1), 1, 1) << bye_back_.with(number_) << dialog
           << "CSeq: 2 BYE\r\n"
           << kEnd;
    gateway_.flushed();
    gateway_.from_pbx(answer.view());
    keep(gateway_.sent(1).data());
    gateway_.turn();
  }

  static constexpr std::string_view kInvited = "CSeq: 1 INVITE\r\n";
  static constexpr std::string_view kEnd = "Content-Length: 0\r\n\r\n";
  static constexpr std::string_view kForwards = "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
  static constexpr std::string_view kAnswer =
      "Contact: <sip:bob@10.0.0.9:5060>\r\n"
      "Content-Type: application/sdp\r\n"
      "Content-Length: 129\r\n\r\n"
      "v=0\r\no=- 3890844527 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
      "m=audio 30000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n";

  Gateway gateway_;
  std::uint32_t number_ = kFirstNumber;
  Template invite_{
      "INVITE sip:bob@example.org SIP/2.0\r\n"
      "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########i;rport\r\n"
      "Max-Forwards: 70\r\n"
      "To: <sip:bob@example.org>\r\n"
      "From: \"Alice\" <sip:alice@example.org>;tag=########\r\n"
      "Call-ID: ########@198.51.100.7\r\n"
      "CSeq: 1 INVITE\r\n"
      "Contact: <sip:alice@198.51.100.7:40000>\r\n"
      "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n"
      "Supported: outbound,replaces,100rel\r\n"
      "User-Agent: Deskphone/4.1\r\n"
      "Content-Type: application/sdp\r\n"
      "Content-Length: 224\r\n\r\n"
      "v=0\r\no=- 3890844526 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
      "m=audio 40002 RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
      "a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"};
  Template via_{
      "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########i;received=198.51.100.7"
      ";rport=40000\r\n"};
  Template dialog_{
      "From: \"Alice\" <sip:alice@example.org>;tag=########\r\n"
      "To: <sip:bob@example.org>;tag=8c1f\r\n"
      "Call-ID: ########@198.51.100.7\r\n"};
  Template ack_via_{"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########a;rport\r\n"};
  Template bye_via_{"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########b;rport\r\n"};
  Template bye_back_{
      "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK########b;received=198.51.100.7"
      ";rport=40000\r\n"};
};

}  // namespace

void add_core(Workloads& workloads) {
  workloads.push_back(std::make_unique<Options>());
  workloads.push_back(std::make_unique<CallFlow>());
}

}  // namespace ringway::bench
