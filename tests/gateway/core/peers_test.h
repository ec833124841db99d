#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/core/proxy_core.h"
#include "tests/gateway/core/peers_messages.h"

// Who may say what, through the core's public header: bytes of browsers, next hops and strangers
// go in, and every output is looked at, whatever it is.

namespace ringway {

class PeersTest : public ::testing::Test {
 protected:
  static constexpr ListenerIndex kAccessUdp = 0, kNetworkUdp = 1, kBrowsers = 2, kNetworkTcp = 3;

  PeersTest() {
    listen(Side::Access, Transport::Udp, "192.0.2.1:5060");
    listen(Side::Network, Transport::Udp, "10.0.0.1:5060");
    listen(Side::Access, Transport::Ws, "192.0.2.1:80");
    listen(Side::Network, Transport::Tcp, "10.0.0.1:5060");
    next_hop("pbx", "10.0.0.9", {}, NextHopFrom::Both);
    next_hop("trunk", "10.0.0.12", {"carrier.example"}, NextHopFrom::Network);
    next_hop("other", "10.0.0.13", {"other.example"}, NextHopFrom::Both);
    config_.limits.transactions = config_.limits.client_transactions = config_.limits.contexts = 64;
    config_.limits.buffer_bytes = 4u << 20;
    config_.budgets.enabled = false;  // who tries often is cut off: that is tested elsewhere
  }

  void listen(Side side, Transport transport, std::string_view address) {
    ListenConfig entry;
    entry.name = std::string(side == Side::Access ? "access" : "network") + "-" +
                 std::string(to_text(transport));
    entry.side = side;
    entry.transport = transport;
    entry.address = *parse_endpoint(address);
    config_.listen.push_back(entry);
  }
  void next_hop(std::string name, std::string host, std::vector<std::string> domains,
                NextHopFrom from) {
    NextHopConfig entry;
    entry.name = std::move(name);
    entry.host = std::move(host);
    entry.port = 5060;
    entry.transport = Transport::Udp;
    entry.domains = std::move(domains);
    entry.from = from;
    entry.probe_interval = Duration::zero();
    config_.next_hops.push_back(entry);
  }

  struct Start {
    std::uint64_t seed = 1;
    std::uint8_t key = 1;
    ShardIndex shard = 0, shards = 1;
  };
  void start() { core_ = make_core({}); }
  std::unique_ptr<ProxyCore> make_core(Start how) {
    std::vector<ListenerInfo> listeners;
    for (const ListenConfig& entry : config_.listen) listeners.push_back({entry, entry.address});
    macs_.push_back(std::make_unique<tls::Mac>(tls::MacKey{how.key, 2, 3}));
    auto core = std::make_unique<ProxyCore>(
        ProxyCore::Environment{config_, how.shard, how.shards, listeners, *macs_.back(), how.seed,
                               4711, buffers_, *counters_, log_});
    auto next_hops = std::make_shared<NextHopSnapshot>();
    for (const NextHopConfig& entry : config_.next_hops) {
      Resolution found;
      found.outcome = Resolution::Outcome::Found;
      found.targets.push_back({Transport::Udp, *parse_endpoint(entry.host + ":5060"), 0, 0});
      next_hops->next_hops.push_back(found);
    }
    core->publish_next_hops(next_hops, now_, outbox_);
    outbox_.clear();
    return core;
  }

  // --- Who is there ---

  static Speaker datagrams(std::string user, std::string_view remote, ListenerIndex listener) {
    Speaker made;
    made.source = {Transport::Udp, listener, *parse_endpoint(remote), {}};
    made.user = std::move(user);
    made.to = "udp " + std::string(remote);
    return made;
  }
  // A connection, open from now on.
  Speaker browser(std::uint32_t number, std::string user) {
    const std::string remote = "198.51.100." + std::to_string(number) + ":40000";
    return stream(number, std::move(user), remote, Transport::Ws, kBrowsers, false);
  }
  // The connection that a request to that far end has opened.
  Speaker far_end(std::uint32_t number, std::string_view remote) {
    return stream(number, "far", remote, Transport::Tcp, kNetworkTcp, true);
  }
  Speaker stream(std::uint32_t number, std::string user, std::string_view remote,
                 Transport transport, ListenerIndex listener, bool by_us) {
    FlowInfo info;
    info.flow = FlowId(0, number, 1);
    info.transport = transport;
    info.listener = listener;
    info.remote = *parse_endpoint(remote);
    info.opened_by_us = by_us;
    core_->flow_opened(info, now_, outbox_);
    Speaker made;
    made.source = {transport, listener, info.remote, info.flow};
    made.instance = "<urn:uuid:" + user + ">";
    made.user = std::move(user);
    made.to = "flow " + std::to_string(number);
    return made;
  }
  void close(const Speaker& sender) {
    core_->flow_closed(sender.source.flow, FlowEnd::Closed, now_, outbox_);
  }

  // --- What they say ---

  std::string text(const Speaker& from, const Ask& ask) {
    return written(from, ask, std::to_string(++serial_));
  }
  AllSent receive(const Speaker& from, std::string_view message) {
    core_->receive_message(from.source, as_bytes(message), now_, outbox_);
    return taken();
  }
  AllSent ask(const Speaker& from, const Ask& ask) { return receive(from, text(from, ask)); }
  AllSent advance(Duration time) {
    AllSent all;
    for (const Instant end = now_ + time; now_ < end;) {
      now_ += 250ms;
      core_->expire(now_, outbox_);
      for (Sent& sent : taken()) all.push_back(std::move(sent));
    }
    return all;
  }
  // What the core wants done since the last time.
  AllSent taken() {
    AllSent all;
    for (const Output& output : outbox_.items()) {
      const std::string bytes(output.buffer ? as_text(output.buffer.bytes()) : "");
      switch (output.kind) {
        case Output::Kind::SendDatagram:
          all.push_back({"udp " + text_of(output.remote), bytes});
          break;
        case Output::Kind::SendFlow:
          all.push_back({"flow " + std::to_string(output.flow.slot()), bytes});
          break;
        case Output::Kind::SendConnect:
          all.push_back({"tcp " + text_of(output.remote), bytes});
          break;
        case Output::Kind::RelayRequest:
          all.push_back({"relay", bytes});
          break;
        case Output::Kind::HandOver:
          all.push_back({"shard " + std::to_string(output.shard), bytes});
          break;
        case Output::Kind::Resolve:
          all.push_back({"name " + std::string(output.name), {}});
          break;
        case Output::Kind::CloseFlow:
        case Output::Kind::Announce:
          break;
      }
    }
    outbox_.clear();
    return all;
  }
  // The only one that begins so, wherever it goes; a failure, and an empty one, if there are not.
  static Sent only(const AllSent& all, std::string_view start) {
    const auto fits = [&](const Sent& sent) { return sent.begins(start); };
    EXPECT_EQ(std::ranges::count_if(all, fits), 1) << start << ::testing::PrintToString(all);
    const auto found = std::ranges::find_if(all, fits);
    return found == all.end() ? Sent{} : *found;
  }
  static bool any_to(const AllSent& all, std::string_view place) {
    return std::ranges::any_of(all, [&](const Sent& sent) { return sent.to.starts_with(place); });
  }
  // Nobody but the sender hears anything, and he that refusal.
  void expect_refused(const Speaker& from, const AllSent& all, int status, std::string_view what) {
    AllSent refusals;
    for (const Sent& sent : all) {
      if (!sent.begins("SIP/2.0 100 ")) refusals.push_back(sent);
    }
    ASSERT_EQ(refusals.size(), 1u) << what << ::testing::PrintToString(all);
    EXPECT_EQ(refusals[0].to, from.to) << what;
    EXPECT_TRUE(refusals[0].begins("SIP/2.0 " + std::to_string(status)))
        << what << refusals[0].text;
  }

  // --- What mostly comes first ---

  // Registers at the next hop of that domain; the Path that it stores.
  std::string registers(const Speaker& who, std::string_view domain = "example.test") {
    const AllSent all = ask(who, {.method = "REGISTER",
                                  .uri = "sip:" + std::string(domain),
                                  .to = "<" + who.aor() + ">",
                                  .lines = "Contact: <" + who.contact() + ">;+sip.instance=\"" +
                                           who.instance + "\";reg-id=1;expires=300\r\n"});
    const Sent sent = only(all, "REGISTER ");
    const Speaker& server = domain == "other.example" ? other_ : pbx_;
    EXPECT_EQ(sent.to, server.to);
    receive(server, answer(sent, "200 OK", "Contact: " + value(sent.text, "Contact") + "\r\n"));
    return value(sent.text, "Path");
  }
  // A call to bob that the next hop has answered.
  struct Dialog {
    std::string call_id;
    std::vector<std::string> routes;  // of the caller's requests; of bob's the other way round
    std::vector<std::string> far_routes() const { return {routes.rbegin(), routes.rend()}; }
  };
  Dialog call(const Speaker& caller, std::string_view bobs_contact = "sip:bob@10.0.0.9") {
    const std::string contact = "Contact: <" + std::string(bobs_contact) + ">\r\n";
    const Sent invite = only(ask(caller, {}), "INVITE ");
    const Sent answered = only(receive(pbx_, answer(invite, "200 OK", contact)), "SIP/2.0 200 ");
    Dialog dialog{value(invite.text, "Call-ID"), values(answered.text, "Record-Route")};
    std::ranges::reverse(dialog.routes);
    return dialog;
  }
  // A request of the caller within it.
  AllSent within(const Speaker& caller, const Dialog& dialog, std::string_view method,
                 std::string uri) {
    return ask(caller, {.method = method,
                        .uri = std::move(uri),
                        .routes = dialog.routes,
                        .call_id = dialog.call_id,
                        .to = "<sip:bob@example.test>;tag=b",
                        .cseq = ++cseq_});
  }
  // One of bob's.
  AllSent back(const Speaker& caller, const Dialog& dialog, std::string_view method) {
    return ask(pbx_, {.method = method,
                      .uri = caller.contact(),
                      .routes = dialog.far_routes(),
                      .call_id = dialog.call_id,
                      .from = "<sip:bob@example.test>;tag=b",
                      .to = "<" + caller.aor() + ">;tag=a",
                      .cseq = ++cseq_});
  }

  Config config_;
  BufferPool buffers_{4u << 20};
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{4'096};
  Log log_{0, LogLevel::Debug, queue_, *counters_};
  std::vector<std::unique_ptr<tls::Mac>> macs_;
  std::unique_ptr<ProxyCore> core_;
  Outbox outbox_;
  Instant now_ = Instant{} + std::chrono::hours(1);
  Speaker pbx_ = datagrams("pbx", "10.0.0.9:5060", kNetworkUdp);
  Speaker other_ = datagrams("other", "10.0.0.13:5060", kNetworkUdp);
  Speaker stranger_ = datagrams("stranger", "20.0.0.7:5060", kNetworkUdp);
  unsigned serial_ = 0, cseq_ = 10;
};

}  // namespace ringway
