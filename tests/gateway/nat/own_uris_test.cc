#include "gateway/nat/own_uris.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

ListenerInfo listener(Transport transport, std::string_view local) {
  ListenerInfo info;
  info.config.transport = transport;
  info.local = *parse_endpoint(local);
  return info;
}

std::string route_of(const ListenerInfo& info, std::string_view params = "") {
  const OwnUris own({info});
  std::array<std::uint8_t, 256> memory;
  Writer out(memory);
  own.write_route(0, "TOKEN", params, out);
  return std::string(out.written_text());
}

bool is_own(const ListenerInfo& info, std::string_view text) {
  const auto uri = sip::parse_uri(text);
  EXPECT_TRUE(uri) << text;
  return uri && OwnUris({info}).is_own(*uri);
}

// The port always stands there: TLS on 5060 without it would name 5061.
TEST(OwnUris, Rfc3261_16_6_RouteNamesTransportAndAlwaysThePort) {
  EXPECT_EQ(route_of(listener(Transport::Udp, "192.0.2.1:5060")), "<sip:TOKEN@192.0.2.1:5060;lr>");
  EXPECT_EQ(route_of(listener(Transport::Tcp, "192.0.2.1:5062")),
            "<sip:TOKEN@192.0.2.1:5062;transport=tcp;lr>");
  EXPECT_EQ(route_of(listener(Transport::Ws, "192.0.2.1:80"), ";ob"),
            "<sip:TOKEN@192.0.2.1:80;transport=ws;lr;ob>");
  EXPECT_EQ(route_of(listener(Transport::Udp, "[2001:db8::1]:5060")),
            "<sip:TOKEN@[2001:db8::1]:5060;lr>");
}

TEST(OwnUris, Rfc7118_5_2_AWebSocketUriWithoutAPortMeansThatOfHttp) {
  for (const auto& [transport, local] :
       {std::pair(Transport::Wss, "192.0.2.1:443"), std::pair(Transport::Ws, "192.0.2.1:80")}) {
    const ListenerInfo info = listener(transport, local);
    EXPECT_TRUE(is_own(info, "sip:192.0.2.1;transport=ws"));
    EXPECT_TRUE(is_own(info, "sip:192.0.2.1;transport=WSS;lr"));
    EXPECT_FALSE(is_own(info, "sip:192.0.2.1"));
    EXPECT_FALSE(is_own(info, "sip:192.0.2.1;transport=tcp"));
    EXPECT_FALSE(is_own(info, "sip:192.0.2.2;transport=ws"));
  }
  EXPECT_FALSE(is_own(listener(Transport::Wss, "192.0.2.1:8443"), "sip:192.0.2.1;transport=ws"));
  EXPECT_FALSE(is_own(listener(Transport::Tcp, "192.0.2.1:443"), "sip:192.0.2.1;transport=ws"));
}

TEST(OwnUris, Rfc3261_16_6_4_SipsIsRecordedAsSips) {
  const OwnUris own(
      {listener(Transport::Tls, "192.0.2.1:5061"), listener(Transport::Udp, "192.0.2.1:5060")});
  std::array<std::uint8_t, 256> memory;
  Writer out(memory);
  own.write_route(0, "T", "", out, {true, false});
  own.write_route(1, "T", "", out, {false, true});
  own.write_route(0, "T", "", out, {false, true});
  EXPECT_EQ(out.written_text(),
            "<sips:T@192.0.2.1:5061;lr><sip:T@192.0.2.1:5060;transport=udp;lr>"
            "<sip:T@192.0.2.1:5061;lr>");
}

TEST(OwnUris, Rfc7118_5_2_SecureWebSocketsSayWsUnlessAskedForWss) {
  ListenerInfo info = listener(Transport::Wss, "192.0.2.1:443");
  EXPECT_EQ(route_of(info), "<sip:TOKEN@192.0.2.1:443;transport=ws;lr>");
  info.config.record_route_wss = true;
  EXPECT_EQ(route_of(info), "<sip:TOKEN@192.0.2.1:443;transport=wss;lr>");
}

TEST(OwnUris, Rfc5658_6_2_TlsHasItsThreeForms) {
  ListenerInfo info = listener(Transport::Tls, "192.0.2.1:5061");
  info.config.advertise_host = "edge.example.org";
  EXPECT_EQ(route_of(info), "<sip:TOKEN@edge.example.org:5061;lr>");
  info.config.record_route_secure = RecordRouteSecure::Sips;
  EXPECT_EQ(route_of(info), "<sips:TOKEN@edge.example.org:5061;lr>");
  info.config.record_route_secure = RecordRouteSecure::TransportTls;
  EXPECT_EQ(route_of(info), "<sip:TOKEN@edge.example.org:5061;transport=tls;lr>");
}

TEST(OwnUris, Rfc5922_7_5_SecureListenersAreNamedByTheirCertificate) {
  ListenerInfo info = listener(Transport::Tls, "192.0.2.1:5061");
  info.config.certificates.resize(2);
  info.config.certificates[0].names = {"*.example.org"};
  info.config.certificates[1].names = {"edge.example.org"};
  EXPECT_EQ(OwnUris({info}).sent_by(0), "edge.example.org:5061");
  info.config.advertise_host = "other.example.org";
  EXPECT_EQ(OwnUris({info}).sent_by(0), "other.example.org:5061");
}

TEST(OwnUris, Rfc6125_6_4_EachNameOfItsCertificatesIsItsOwn) {
  ListenerInfo info = listener(Transport::Wss, "192.0.2.1:443");
  info.config.certificates.resize(2);
  info.config.certificates[0].names = {"edge.example.org", "voice.example.org"};
  info.config.certificates[1].names = {"*.site.example.org"};
  EXPECT_TRUE(is_own(info, "sip:VOICE.example.org:443;transport=ws"));
  EXPECT_TRUE(is_own(info, "sip:voice.example.org;transport=ws"));
  EXPECT_TRUE(is_own(info, "sip:one.site.example.org;transport=ws"));
  EXPECT_FALSE(is_own(info, "sip:one.two.site.example.org;transport=ws"));
  EXPECT_FALSE(is_own(info, "sip:site.example.org;transport=ws"));
  EXPECT_FALSE(is_own(info, "sip:voice.example.org:444;transport=ws"));
}

TEST(OwnUris, AdvertisedHostAndPortStandInVia) {
  ListenerInfo info = listener(Transport::Udp, "10.0.0.5:5060");
  EXPECT_EQ(OwnUris({info}).sent_by(0), "10.0.0.5:5060");
  info.config.advertise_host = "203.0.113.9";
  info.config.advertise_port = 5070;
  EXPECT_EQ(OwnUris({info}).sent_by(0), "203.0.113.9:5070");
  info.config.advertise_host = "2001:db8::9";
  EXPECT_EQ(OwnUris({info}).sent_by(0), "[2001:db8::9]:5070");
}

TEST(OwnUris, KnowsItselfByAdvertisedAndByBoundAddress) {
  ListenerInfo info = listener(Transport::Udp, "10.0.0.5:5060");
  info.config.advertise_host = "edge.example.org";
  info.config.advertise_port = 5070;
  EXPECT_TRUE(is_own(info, "sip:edge.example.org:5070"));
  EXPECT_TRUE(is_own(info, "sips:x@EDGE.example.org:5070;lr"));
  EXPECT_TRUE(is_own(info, "sip:10.0.0.5:5060"));
  EXPECT_TRUE(is_own(info, "sip:10.0.0.5"));
  EXPECT_FALSE(is_own(info, "sip:edge.example.org")) << "5070 is no default";
  EXPECT_FALSE(is_own(info, "sip:edge.example.org:5060"));
  EXPECT_FALSE(is_own(info, "sip:10.0.0.5:5070"));
  EXPECT_FALSE(is_own(info, "sip:10.0.0.50:5060"));
  EXPECT_FALSE(is_own(info, "tel:+4930123"));
  EXPECT_TRUE(is_own(listener(Transport::Udp, "[2001:db8::1]:5060"), "sip:[2001:DB8::1]:5060"));
}

TEST(OwnUris, Rfc5952_1_AnIpv6AddressIsTheSameInEachSpelling) {
  const ListenerInfo info = listener(Transport::Udp, "[2001:db8::1]:5060");
  EXPECT_TRUE(is_own(info, "sip:[2001:db8:0:0:0:0:0:1]:5060"));
  EXPECT_TRUE(is_own(info, "sip:[2001:0DB8::0001]"));
  EXPECT_FALSE(is_own(info, "sip:[2001:db8::2]:5060"));
  EXPECT_FALSE(is_own(info, "sip:[2001:db8::1]:5070"));
}

}  // namespace
}  // namespace ringway
