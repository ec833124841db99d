#include "gateway/routing/route_preprocess.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/nat/contact.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

constexpr std::uint32_t kEpoch = 11;
constexpr std::string_view kCallId = "a84b4c76e66710";
const FlowId kFlow(0, 5, 6);

std::vector<ListenerInfo> listeners() {
  ListenConfig udp, wss;
  udp.side = Side::Network;
  wss.transport = Transport::Wss;
  wss.advertise_host = "gateway.example.org";
  return {{udp, *parse_endpoint("192.0.2.1:5060")}, {wss, *parse_endpoint("10.0.0.1:8443")}};
}

// One request in, what preprocessing says of it and the request with its edits out.
struct Routed {
  RoutePreprocess route;
  std::string request_uri, next_route;  // as found
  std::string uri_out;                  // of the request as written
  std::vector<std::string> routes_out;  // its Route header values, one for each header
};

class RoutePreprocessTest : public ::testing::Test {
 protected:
  RoutePreprocessTest() : own_(listeners()), mac_(tls::MacKey{1}) {
    browser_.transport = Transport::Wss;
    browser_.listener = 1;
    browser_.flow = kFlow;
    server_.remote = *parse_endpoint("198.51.100.7:5060");
  }

  FlowToken network(bool paired) const {
    FlowToken token;
    token.paired = paired;
    token.leg = 3;
    return token;
  }
  FlowToken access(FlowToken::Kind kind, bool paired) const {
    FlowToken token;
    token.kind = kind;
    token.paired = paired;
    token.media = true;
    token.leg = 3;
    token.epoch = kEpoch;
    token.flow = kFlow;
    token.listener = 1;
    return token;
  }
  std::string uri(const FlowToken& token, ListenerIndex listener,
                  std::string_view scope = kCallId) const {
    std::array<std::uint8_t, 256> user, memory;
    Writer token_text(user), out(memory);
    write_flow_token(token, mac_, scope, token_text);
    own_.write_route(listener, token_text.written_text(), "", out);
    const std::string_view text = out.written_text();
    return std::string(text.substr(1, text.size() - 2));
  }
  // The two values of a dialog between a browser and the network side (RFC 5658).
  std::string network_uri(bool paired = true) const { return uri(network(paired), 0); }
  std::string access_uri(bool paired = true) const {
    return uri(access(FlowToken::Kind::Access, paired), 1);
  }
  static std::string in_angles(const std::string& text) { return "<" + text + ">"; }

  Routed run(std::string_view request_uri, const std::vector<std::string>& routes,
             const Source& source) const {
    std::string text = "BYE " + std::string(request_uri) + " SIP/2.0\r\n";
    text += "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n";
    for (const std::string& route : routes) text += "Route: " + route + "\r\n";
    text += "From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>;tag=2\r\n";
    text += "Call-ID: " + std::string(kCallId) + "\r\nCSeq: 2 BYE\r\n\r\n";
    return run_text(text, source);
  }

  Routed run_text(const std::string& text, const Source& source) const {
    sip::MessageView view;
    sip::Essentials essentials;
    EXPECT_TRUE(parse_message(as_bytes(text), sip::Framing::Datagram, view)) << text;
    EXPECT_TRUE(validate_request(view, essentials).ok()) << text;
    std::vector<std::uint8_t> scratch_memory(8192), out_memory(8192);
    Writer scratch(scratch_memory), out(out_memory);
    Routed routed;
    routed.route = preprocess_route(view, essentials, source, own_, mac_, kEpoch, scratch);
    if (routed.route.refused) return routed;
    routed.request_uri = routed.route.request_uri;
    routed.next_route = routed.route.next_route;
    sip::EditList edits;
    routed.route.apply(view, edits, scratch);
    EXPECT_TRUE(edits.write(view, out)) << text;
    sip::MessageView after;
    EXPECT_TRUE(parse_message(out.written(), sip::Framing::Datagram, after));
    EXPECT_TRUE(validate_request(after).ok()) << out.written_text();
    routed.uri_out = after.request_uri();
    for (const sip::Header* header = after.find(sip::HeaderName::Route); header;
         header = after.next(header)) {
      routed.routes_out.emplace_back(after.text(header->value));
    }
    return routed;
  }

  OwnUris own_;
  tls::Mac mac_;
  Source browser_, server_;
};

using Values = std::vector<std::string>;

// Each way to lay values out over headers: bit i says that value i + 1 begins a new header.
std::vector<Values> layouts(const Values& values) {
  std::vector<Values> all;
  for (unsigned cuts = 0; cuts < 1u << (values.size() - 1); ++cuts) {
    Values headers = {values.front()};
    for (std::size_t i = 1; i < values.size(); ++i) {
      if ((cuts >> (i - 1) & 1) != 0) {
        headers.push_back(values[i]);
      } else {
        headers.back() += ", " + values[i];
      }
    }
    all.push_back(headers);
  }
  return all;
}

std::string joined(const Values& headers) {
  std::string text;
  for (const std::string& header : headers) text += (text.empty() ? "" : ", ") + header;
  return text;
}

TEST_F(RoutePreprocessTest, Rfc5658_5_BothOfAPairComeOffTowardsTheNextHop) {
  for (const Values& routes : layouts({in_angles(access_uri()), in_angles(network_uri())})) {
    const Routed routed = run("sip:bob@198.51.100.7", routes, browser_);
    EXPECT_FALSE(routed.route.refused) << joined(routes);
    EXPECT_TRUE(routed.route.from_token);
    EXPECT_TRUE(routed.route.in_dialog);
    EXPECT_FALSE(routed.route.towards_access);
    EXPECT_TRUE(routed.route.media);
    EXPECT_EQ(routed.route.leg, 3u);
    EXPECT_EQ(routed.uri_out, "sip:bob@198.51.100.7");
    EXPECT_EQ(routed.routes_out, Values{}) << joined(routes);
  }
}

TEST_F(RoutePreprocessTest, Rfc5658_5_BothOfAPairComeOffTowardsTheFlow) {
  for (const Values& routes : layouts({in_angles(network_uri()), in_angles(access_uri())})) {
    const Routed routed = run("sip:alice@xyz.invalid;transport=ws", routes, server_);
    EXPECT_FALSE(routed.route.refused) << joined(routes);
    EXPECT_TRUE(routed.route.towards_access);
    ASSERT_TRUE(routed.route.access);
    EXPECT_EQ(routed.route.access->flow, kFlow);
    EXPECT_EQ(routed.uri_out, "sip:alice@xyz.invalid;transport=ws");
    EXPECT_EQ(routed.routes_out, Values{}) << joined(routes);
  }
}

TEST_F(RoutePreprocessTest, Rfc3261_16_4_ForeignValuesStay) {
  const std::string next = "<sip:p2.example.org;lr>", last = "<sip:p3.example.org;lr>;x=y";
  for (const Values& routes :
       layouts({in_angles(access_uri()), in_angles(network_uri()), next, last})) {
    const Routed routed = run("sip:bob@198.51.100.7", routes, browser_);
    EXPECT_EQ(routed.next_route, "sip:p2.example.org;lr") << joined(routes);
    EXPECT_FALSE(routed.route.next_is_strict);
    EXPECT_EQ(joined(routed.routes_out), next + ", " + last) << joined(routes);
  }
  // The same without any of ours: an ordinary preloaded Route.
  const Routed routed = run("sip:bob@198.51.100.7", {next + "," + last}, browser_);
  EXPECT_FALSE(routed.route.from_token);
  EXPECT_EQ(joined(routed.routes_out), next + "," + last);
}

TEST_F(RoutePreprocessTest, Rfc3261_16_4_PlainValuesOfOursComeOff) {
  const std::string next = "<sip:p2.example.org;lr>";
  for (std::size_t count = 1; count <= 6; ++count) {
    Values values(count, "<sip:gateway.example.org:8443;transport=ws;lr>");
    values.push_back(next);
    for (const Values& routes : layouts(values)) {
      const Routed routed = run("sip:bob@example.org", routes, browser_);
      if (routed.route.refused) continue;  // rather than half of them
      EXPECT_FALSE(routed.route.from_token);
      EXPECT_EQ(routed.next_route, "sip:p2.example.org;lr") << joined(routes);
      EXPECT_EQ(joined(routed.routes_out), next) << routes.size();
    }
  }
  const Routed one = run("sip:bob@example.org", {"<sip:192.0.2.1;lr>"}, browser_);
  EXPECT_FALSE(one.route.refused);
  EXPECT_EQ(one.routes_out, Values{});
}

TEST_F(RoutePreprocessTest, Rfc5658_5_APairThatWasTakenApartIsRefused) {
  const std::string evil = "<sip:evil.example.net;lr>";
  const std::string ours_other = in_angles("sip:someone@192.0.2.1:5060;lr");
  for (const Values& routes : std::vector<Values>{
           {in_angles(network_uri())},
           {in_angles(network_uri()), evil},
           {in_angles(network_uri()) + ", " + evil},
           {in_angles(network_uri()), evil, in_angles(access_uri())},
           {in_angles(network_uri()), ours_other},
           {in_angles(network_uri()),
            in_angles(uri(access(FlowToken::Kind::Access, true), 1, "another-call-id"))},
       }) {
    EXPECT_TRUE(run("sip:x@192.0.2.1", routes, server_).route.refused) << joined(routes);
  }
}

TEST_F(RoutePreprocessTest, AnUnpairedValueEatsNothingElse) {
  const std::string evil = "<sip:evil.example.net;lr>", second = in_angles(network_uri(false));
  Routed routed = run("sip:x@192.0.2.1", {in_angles(access_uri(false)), evil}, browser_);
  EXPECT_EQ(joined(routed.routes_out), evil);
  routed = run("sip:x@192.0.2.1", {in_angles(access_uri(false)), second}, browser_);
  EXPECT_EQ(joined(routed.routes_out), second) << "one more of ours is another pass";
}

TEST_F(RoutePreprocessTest, AThirdValueOfOursIsAnotherPass) {
  const std::string third = in_angles(network_uri()), fourth = in_angles(access_uri());
  const Routed routed =
      run("sip:x@192.0.2.1", {in_angles(network_uri()), in_angles(access_uri()), third, fourth},
          server_);
  EXPECT_FALSE(routed.route.refused);
  EXPECT_EQ(joined(routed.routes_out), third + ", " + fourth);
}

TEST_F(RoutePreprocessTest, Rfc5626_5_3_AChangedTokenIsRefused) {
  const std::string good = network_uri(false);
  const std::size_t begin = good.find("sip:") + 4, end = good.find('@');
  for (std::size_t i = begin; i < end; ++i) {
    std::string changed = good;
    changed[i] = changed[i] == 'x' ? 'y' : 'x';
    const Routed routed = run("sip:x@192.0.2.1", {in_angles(changed)}, server_);
    EXPECT_FALSE(routed.route.from_token) << changed;
    // Without its first letter it is nobody's token any more, and stays.
    EXPECT_EQ(routed.route.refused, i != begin) << changed;
  }
  EXPECT_TRUE(
      run("sip:x@192.0.2.1", {in_angles(uri(network(false), 0, "other"))}, server_).route.refused);
}

TEST_F(RoutePreprocessTest, Rfc3327_APathTokenNamesTheFlowInAnyDialog) {
  const FlowToken path = access(FlowToken::Kind::Path, false);
  const Routed routed = run("sip:alice@xyz.invalid", {in_angles(uri(path, 0, ""))}, server_);
  EXPECT_FALSE(routed.route.refused);
  EXPECT_TRUE(routed.route.towards_access);
  EXPECT_FALSE(routed.route.in_dialog);
  EXPECT_FALSE(routed.route.media);
  ASSERT_TRUE(routed.route.access);
  EXPECT_EQ(routed.route.access->flow, kFlow);
  EXPECT_EQ(routed.routes_out, Values{});
  // A Record-Route token that is signed for no dialog is not a Path.
  const FlowToken record = access(FlowToken::Kind::Access, false);
  EXPECT_TRUE(run("sip:alice@xyz.invalid", {in_angles(uri(record, 0, ""))}, server_).route.refused);
}

TEST_F(RoutePreprocessTest, DirectionOfASingleValueFollowsTheSource) {
  FlowToken stream = access(FlowToken::Kind::Access, false);
  const auto towards_access = [&](const FlowToken& token, const Source& source) {
    return run("sip:b@example.org", {in_angles(uri(token, 1))}, source).route.towards_access;
  };
  EXPECT_FALSE(towards_access(stream, browser_));
  EXPECT_TRUE(towards_access(stream, server_));
  Source other = browser_;
  other.flow = FlowId(0, 5, 7);
  EXPECT_TRUE(towards_access(stream, other)) << "same slot, other connection";
  stream.epoch = kEpoch + 1;
  EXPECT_TRUE(towards_access(stream, browser_)) << "a flow id of another process means nothing";

  FlowToken datagram = access(FlowToken::Kind::Access, false);
  datagram.flow = {};
  datagram.epoch = 0;
  datagram.remote = *parse_endpoint("198.51.100.7:5060");
  EXPECT_FALSE(towards_access(datagram, server_));
  Source elsewhere = server_;
  elsewhere.remote.port = 5061;
  EXPECT_TRUE(towards_access(datagram, elsewhere));
  elsewhere = server_;
  elsewhere.transport = Transport::Tcp;
  EXPECT_TRUE(towards_access(datagram, elsewhere));
}

TEST_F(RoutePreprocessTest, Rfc3261_16_4_StrictRoutingIsUndone) {
  const std::string target = "<sip:alice@xyz.invalid;transport=ws>";
  const std::string middle = "<sip:p2.example.org;lr>";
  struct Case {
    std::string request_uri;
    Values values;
    std::string routes_out;
  };
  const Case kCases[] = {
      {network_uri(false), {target}, ""},
      {network_uri(false), {middle, target}, middle},
      {network_uri(), {in_angles(access_uri()), target}, ""},
      {network_uri(), {in_angles(access_uri()), middle, target}, middle},
      {network_uri(), {in_angles(access_uri()), middle, middle, target}, middle + ", " + middle},
  };
  for (const Case& test : kCases) {
    for (const Values& routes : layouts(test.values)) {
      const Routed routed = run(test.request_uri, routes, server_);
      EXPECT_FALSE(routed.route.refused) << joined(routes);
      EXPECT_TRUE(routed.route.towards_access);
      EXPECT_EQ(routed.request_uri, "sip:alice@xyz.invalid;transport=ws");
      EXPECT_EQ(routed.uri_out, "sip:alice@xyz.invalid;transport=ws");
      EXPECT_EQ(joined(routed.routes_out), test.routes_out) << routes.size() << joined(routes);
      for (const std::string& route : routed.routes_out) EXPECT_FALSE(route.empty());
    }
  }
}

TEST_F(RoutePreprocessTest, Rfc3261_16_4_StrictRoutingWithoutATargetIsRefused) {
  EXPECT_TRUE(run(network_uri(false), {}, server_).route.refused);
  EXPECT_TRUE(run(network_uri(), {"<sip:alice@xyz.invalid>"}, server_).route.refused)
      << "the second of the pair is missing";
  std::string changed = network_uri(false);
  changed[10] = changed[10] == 'x' ? 'y' : 'x';
  EXPECT_TRUE(run(changed, {"<sip:alice@xyz.invalid>"}, server_).route.refused);
}

TEST_F(RoutePreprocessTest, Rfc3261_16_12_EachSpellingOfLrCounts) {
  for (const std::string_view spelling : {"lr", "lr=", "lr=on", "lr=true", "LR"}) {
    std::string ours = network_uri(false);
    ours.replace(ours.find(";lr") + 1, 2, spelling);
    if (sip::parse_uri(ours)) {
      const Routed in = run(ours, {"<sip:alice@xyz.invalid>"}, server_);
      EXPECT_EQ(in.request_uri, "sip:alice@xyz.invalid") << spelling;
    }
    const std::string next = "<sip:p2.example.org;" + std::string(spelling) + ">";
    EXPECT_FALSE(run("sip:b@example.org", {next}, browser_).route.next_is_strict) << spelling;
  }
}

// A server that puts our own address into its Contact is not a strict router.
TEST_F(RoutePreprocessTest, Rfc3261_16_4_OurAddressAsTargetIsNotStrict) {
  for (const std::string_view target :
       {"sip:192.0.2.1:5060", "sip:bob@192.0.2.1", "sip:bob@192.0.2.1:5060;lr"}) {
    const Routed routed = run(target, {in_angles(network_uri()), in_angles(access_uri())}, server_);
    EXPECT_FALSE(routed.route.refused);
    EXPECT_TRUE(routed.route.towards_access);
    EXPECT_EQ(routed.uri_out, target);
    EXPECT_EQ(routed.routes_out, Values{});
  }
}

TEST_F(RoutePreprocessTest, Rfc3261_16_6_AStrictNextHopGetsTheRequestUri) {
  const std::string old_uri = "sip:bob@198.51.100.7;x=1";
  const std::string strict = "<sip:p2.example.org;x>", behind = "<sip:p3.example.org;lr>";
  for (const Values& routes :
       layouts({in_angles(access_uri()), in_angles(network_uri()), strict, behind})) {
    const Routed routed = run(old_uri, routes, browser_);
    EXPECT_TRUE(routed.route.next_is_strict);
    EXPECT_EQ(routed.uri_out, "sip:p2.example.org;x") << joined(routes);
    EXPECT_EQ(joined(routed.routes_out), behind + ", <" + old_uri + ">") << joined(routes);
  }
  const Routed alone = run(old_uri, {strict}, browser_);
  EXPECT_EQ(alone.uri_out, "sip:p2.example.org;x");
  EXPECT_EQ(joined(alone.routes_out), "<" + old_uri + ">");
}

TEST_F(RoutePreprocessTest, Rfc3261_16_6_FromStrictToStrict) {
  for (const Values& routes :
       layouts({"<sip:p2.example.org>", "<sip:p3.example.org>", "<sip:bob@198.51.100.7>"})) {
    const Routed routed = run(network_uri(false), routes, browser_);
    EXPECT_EQ(routed.uri_out, "sip:p2.example.org") << joined(routes);
    EXPECT_EQ(joined(routed.routes_out), "<sip:p3.example.org>, <sip:bob@198.51.100.7>");
  }
}

TEST_F(RoutePreprocessTest, AnAliasedContactIsUndone) {
  const FlowToken token = access(FlowToken::Kind::Contact, false);
  std::array<std::uint8_t, 1024> memory;
  Writer out(memory);
  const auto contact = sip::parse_uri("sip:alice@xyz.invalid;transport=ws");
  ASSERT_TRUE(contact && write_contact_alias(*contact, token, 0, own_, mac_, out));
  const std::string alias(out.written_text());

  Routed routed = run(alias, {}, server_);
  EXPECT_TRUE(routed.route.towards_access);
  ASSERT_TRUE(routed.route.access);
  EXPECT_EQ(routed.route.access->flow, kFlow);
  EXPECT_EQ(routed.uri_out, "sip:alice@xyz.invalid;transport=ws");

  routed = run(alias, {in_angles(network_uri()), in_angles(access_uri())}, server_);
  EXPECT_EQ(routed.uri_out, "sip:alice@xyz.invalid;transport=ws");
  EXPECT_TRUE(routed.route.in_dialog);
  EXPECT_EQ(routed.routes_out, Values{});

  std::string changed = alias;
  changed.back() = changed.back() == 'A' ? 'B' : 'A';
  EXPECT_TRUE(run(changed, {}, server_).route.refused);
}

}  // namespace
}  // namespace ringway
