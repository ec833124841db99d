// Parameters, URIs, addresses, lists of addresses and Via values.

#include <gtest/gtest.h>

#include <string>

#include "protocol/sip/host.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/params.h"
#include "protocol/sip/uri.h"
#include "protocol/sip/via.h"

namespace ringway::sip {
namespace {

TEST(Params, WalkWithSpacesAndQuotes) {
  ParamCursor cursor(" ; a = 1;b;C=\"x;\\\"y\" ;d=\r\n e; f=");
  auto param = cursor.next();
  ASSERT_TRUE(param);
  EXPECT_EQ(param->name, "a");
  EXPECT_EQ(param->value, "1");
  EXPECT_EQ(param->text, "a = 1");
  param = cursor.next();
  EXPECT_FALSE(param->has_value);
  EXPECT_EQ(cursor.next()->value, "\"x;\\\"y\"");
  EXPECT_EQ(cursor.next()->value, "e");
  param = cursor.next();
  EXPECT_TRUE(param->has_value);
  EXPECT_EQ(param->value, "");
  EXPECT_EQ(param->text, "f=");
  EXPECT_FALSE(cursor.next());
  EXPECT_FALSE(cursor.bad());
}

TEST(Params, MalformedOnesEndTheWalk) {
  for (const char* bad :
       {"a", ";", ";;a", ";a;", ";=b", ";a=\"x", ";a b", ";a=b c", ";a,b", ";<"}) {
    ParamCursor cursor(bad);
    while (cursor.next()) {
    }
    EXPECT_TRUE(cursor.bad()) << bad;
  }
  EXPECT_EQ(find_param(";x;Branch=1;branch=2", "branch")->value, "1");
  EXPECT_FALSE(find_param("", "a"));
}

TEST(Host, Ipv6Addresses) {
  for (const char* good :
       {"::", "::1", "1::", "2001:db8::10", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1",
        "1:2:3:4:5:6:192.0.2.1", "2001:db8:::192.0.2.1", "1:2:3:4:5:6:7::"}) {
    EXPECT_TRUE(is_ipv6_address(good)) << good;
  }
  for (const char* bad :
       {"", ":", ":1", "1:", ":::", "1:::2", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "12345::", "g::", "1:2:3:4:5:6:7:8::", "::192.0.2.256", "::1.2.3", "192.0.2.1",
        "1:2:3:4:5:6:7:1.2.3.4", "1::1.2.3.4:5", "fe80::1%eth0"}) {
    EXPECT_FALSE(is_ipv6_address(bad)) << bad;
  }
}

TEST(Uri, Parts) {
  const auto uri = parse_uri("SIP:alice:secret@[2001:db8::1]:5061;transport=ws;lr?a=b&c=d");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->scheme, Scheme::Sip);
  EXPECT_EQ(uri->scheme_text, "SIP");
  EXPECT_TRUE(uri->has_user);
  EXPECT_EQ(uri->user, "alice");
  EXPECT_EQ(uri->host, "2001:db8::1");
  EXPECT_TRUE(uri->host_is_ipv6);
  EXPECT_EQ(uri->port, 5061);
  EXPECT_EQ(uri->params, ";transport=ws;lr");
  EXPECT_EQ(uri->headers, "?a=b&c=d");
  EXPECT_EQ(uri->param("Transport"), "ws");
  EXPECT_TRUE(uri->is_loose_route());
  EXPECT_FALSE(uri->param("maddr"));
}

TEST(Uri, OtherShapes) {
  EXPECT_FALSE(parse_uri("sip:example.org")->has_user);
  EXPECT_EQ(parse_uri("sips:a@b")->scheme, Scheme::Sips);
  EXPECT_EQ(parse_uri("tel:+15551234;phone-context=x")->scheme, Scheme::Tel);
  EXPECT_EQ(parse_uri("urn:service:sos")->scheme, Scheme::Other);
  EXPECT_EQ(parse_uri("sip:user;par=u%40e@h")->user, "user;par=u%40e");
  EXPECT_EQ(parse_uri("sip:*21#@h")->user, "*21#");
  EXPECT_EQ(parse_uri("sip:a/b?c@h")->user, "a/b?c");
  for (const char* loose : {"sip:h;lr", "sip:h;lr=", "sip:h;lr=on", "sip:h;LR=true"}) {
    EXPECT_TRUE(parse_uri(loose)->is_loose_route()) << loose;
  }
}

TEST(Uri, Refused) {
  const std::pair<const char*, UriError> cases[] = {
      {"", UriError::Empty},
      {"alice", UriError::BadScheme},
      {":a", UriError::BadScheme},
      {"1sip:a", UriError::BadScheme},
      {"<sip:a>", UriError::BadScheme},
      {"sip%3Aa", UriError::BadScheme},
      {"sip:", UriError::BadHost},
      {"sip:@h", UriError::BadUser},
      {"sip::p@h", UriError::BadUser},
      {"sip:a@", UriError::BadHost},
      {"sip:a@h@i", UriError::BadHost},
      {"sip:a b@h", UriError::BadHost},
      {"sip: a@h", UriError::BadHost},
      {"sip:a@h ", UriError::BadHost},
      {"sip:a@-h", UriError::BadHost},
      {"sip:a@[::1", UriError::BadHost},
      {"sip:a@[::g]", UriError::BadHost},
      {"sip:a@[]", UriError::BadHost},
      {"sip:a@h:", UriError::BadPort},
      {"sip:a@h:0", UriError::BadPort},
      {"sip:a@h:65536", UriError::BadPort},
      {"sip:2001:db8::10", UriError::BadPort},
      {"sip:a@h:5060:1", UriError::BadPort},
      {"sip:a@h;", UriError::BadParams},
      {"sip:a@h;;x", UriError::BadParams},
      {"sip:a@h; lr", UriError::BadParams},
      {"sip:a@h;x=\"y\"", UriError::BadParams},
      {"sip:[::1];x=a@b", UriError::BadParams},
      {"sip:a@h?x=<y>", UriError::BadParams},
      {"tel:1 2", UriError::BadUser},
  };
  for (const auto& [text, error] : cases) {
    const auto uri = parse_uri(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error(), error) << text;
  }
}

TEST(Uri, PortAndSizeLimits) {
  EXPECT_EQ(parse_uri("sip:h:65535")->port, 65'535);
  EXPECT_EQ(parse_uri("sip:h:0000005060")->port, 5060);
  const std::string text = "sip:" + std::string(kUriBytesMax - 4, 'a');
  EXPECT_TRUE(parse_uri(text));
  EXPECT_EQ(parse_uri(text + "a").error(), UriError::TooLong);
}

bool same(const char* a, const char* b) {
  const auto left = parse_uri(a);
  const auto right = parse_uri(b);
  EXPECT_TRUE(left && right) << a << " " << b;
  EXPECT_EQ(equivalent(*left, *right), equivalent(*right, *left));
  return equivalent(*left, *right);
}

TEST(Uri, EquivalenceRfc3261_19_1_4) {
  EXPECT_TRUE(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
  EXPECT_TRUE(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
  EXPECT_TRUE(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
  EXPECT_TRUE(same("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                   "sip:alice@atlanta.com?priority=urgent&subject=project%20x"));
  EXPECT_FALSE(same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
  EXPECT_FALSE(same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
  EXPECT_FALSE(same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
  EXPECT_FALSE(same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
  EXPECT_FALSE(same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
  EXPECT_FALSE(same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
  EXPECT_FALSE(same("sip:a@h", "sips:a@h"));
  EXPECT_FALSE(same("sip:a@h", "sip:h"));
  EXPECT_FALSE(same("sip:a:x@h", "sip:a:y@h"));
  EXPECT_FALSE(same("sip:a%40b@h", "sip:a@h"));
  EXPECT_FALSE(same("sip:a%3Bb@h", "sip:a;b@h"));
  EXPECT_FALSE(same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
  EXPECT_TRUE(same("tel:1", "tel:1"));
  EXPECT_FALSE(same("tel:1", "tel:2"));
}

TEST(Uri, InvalidHost) {
  EXPECT_TRUE(is_invalid_host("df7jal23ls0d.invalid"));
  EXPECT_TRUE(is_invalid_host("x.INVALID."));
  EXPECT_TRUE(is_invalid_host("invalid"));
  EXPECT_FALSE(is_invalid_host("notinvalid"));
  EXPECT_FALSE(is_invalid_host("invalid.example"));
  EXPECT_FALSE(is_invalid_host(""));
}

TEST(NameAddr, Shapes) {
  auto address = parse_name_addr("\"Bell, \\\"A\\\"\" <sip:a@h;lr>;tag=43;q=0.5");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->display_name, "\"Bell, \\\"A\\\"\"");
  EXPECT_TRUE(address->has_angles);
  EXPECT_EQ(address->uri.params, ";lr");
  EXPECT_EQ(address->tag(), "43");
  EXPECT_EQ(address->param("Q"), "0.5");
  // RFC 3261 20: without angle brackets parameters are the header's.
  address = parse_name_addr(" sip:a@h;tag=1 ");
  ASSERT_TRUE(address);
  EXPECT_FALSE(address->has_angles);
  EXPECT_EQ(address->uri.text, "sip:a@h");
  EXPECT_EQ(address->tag(), "1");
  EXPECT_EQ(parse_name_addr("caller<sip:a@h>")->display_name, "caller");
  EXPECT_EQ(parse_name_addr("J. R. \r\n User <sip:a@h>")->display_name, "J. R. \r\n User");
  EXPECT_EQ(parse_name_addr("J\xc3\xbcrgen <sip:a@h>")->display_name, "J\xc3\xbcrgen");
  EXPECT_TRUE(parse_name_addr("*")->is_star);
  EXPECT_EQ(parse_name_addr("<http://www.example.com>;tag=1")->uri.scheme, Scheme::Other);
  EXPECT_TRUE(parse_name_addr("<sip:a@h>;+sip.instance=\"<urn:uuid:0>\""));
  EXPECT_TRUE(parse_name_addr("sip:a@h;+sip.instance=\"<urn:uuid:0>\""));
}

TEST(NameAddr, Refused) {
  const std::pair<const char*, NameAddrError> cases[] = {
      {"", NameAddrError::Empty},
      {" \r\n ", NameAddrError::Empty},
      {"\"open <sip:a@h>", NameAddrError::BadDisplayName},
      {"\"x\" sip:a@h", NameAddrError::BadDisplayName},
      {"\"x\"", NameAddrError::BadDisplayName},
      {"<sip:a@h", NameAddrError::UnclosedAngle},
      {"< sip:a@h >", NameAddrError::BadUri},
      {"<>", NameAddrError::BadUri},
      {"Bell, A <sip:a@h>", NameAddrError::BadUri},
      {"sip:a@h?Route=x", NameAddrError::BadUri},
      {"sip:a@h,sip:b@h", NameAddrError::BadUri},
      {"<sip:a@h>x", NameAddrError::BadParams},
      {"<sip:a@h>;", NameAddrError::BadParams},
      {"<sip:a@h>;;;;", NameAddrError::BadParams},
      {"<sip:a@h>;tag=\"x", NameAddrError::BadParams},
      {"<sip:a@h> <sip:b@h>", NameAddrError::BadParams},
  };
  for (const auto& [text, error] : cases) {
    const auto address = parse_name_addr(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error(), error) << text;
  }
}

TEST(ListCursor, RespectsQuotesAndAngles) {
  ListCursor list("\"a,b\" <sip:c,d@h>;x=\"1,2\" , <sip:e@h>,sip:f@h");
  EXPECT_EQ(list.next(), "\"a,b\" <sip:c,d@h>;x=\"1,2\"");
  EXPECT_EQ(list.rest(), " <sip:e@h>,sip:f@h");
  EXPECT_EQ(list.next(), "<sip:e@h>");
  EXPECT_EQ(list.next(), "sip:f@h");
  EXPECT_FALSE(list.next());
  EXPECT_FALSE(list.bad());
}

TEST(ListCursor, EmptyElementsAreBad) {
  for (const char* bad : {",", "a,", ",a", "a,,b", "a, ", "\"a", "<a"}) {
    ListCursor list(bad);
    while (list.next()) {
    }
    EXPECT_TRUE(list.bad()) << bad;
  }
  for (const char* good : {"", " ", "a", "a,b"}) {
    ListCursor list(good);
    while (list.next()) {
    }
    EXPECT_FALSE(list.bad()) << good;
  }
}

TEST(Via, Parts) {
  const auto via = parse_via(
      "SIP / 2.0\r\n /UDP   [2001:db8::1] : 5070 ; branch = z9hG4bKx ;rport;received=2001:db8::9;"
      "maddr=224.0.0.1;ttl=1;x=\"a,b\"");
  ASSERT_TRUE(via);
  EXPECT_EQ(via->transport, "UDP");
  EXPECT_EQ(via->host, "2001:db8::1");
  EXPECT_TRUE(via->host_is_ipv6);
  EXPECT_EQ(via->port, 5070);
  EXPECT_EQ(via->sent_by, "[2001:db8::1] : 5070");
  EXPECT_EQ(via->branch, "z9hG4bKx");
  EXPECT_EQ(via->received, "2001:db8::9");
  EXPECT_EQ(via->rport, "");
  EXPECT_EQ(via->maddr, "224.0.0.1");
  EXPECT_EQ(parse_via("SIP/2.0/UNKNOWN h")->transport, "UNKNOWN");
  EXPECT_EQ(parse_via("sip/2.0/TCP h;rport=5")->rport, "5");
  EXPECT_FALSE(parse_via("SIP/2.0/WSS x.invalid")->rport);
}

TEST(Via, Refused) {
  const std::pair<const char*, ViaError> cases[] = {
      {"", ViaError::BadProtocol},
      {"SIP/2.0", ViaError::BadProtocol},
      {"SIP/3.0/UDP h", ViaError::BadProtocol},
      {"HTTP/2.0/UDP h", ViaError::BadProtocol},
      {"SIP/2.0/", ViaError::BadTransport},
      {"SIP/2.0/UDP", ViaError::BadTransport},
      {"SIP/2.0/ h", ViaError::BadTransport},
      {"SIP/2.0/UDP ;branch=x", ViaError::BadHost},
      {"SIP/2.0/UDP [::1", ViaError::BadHost},
      {"SIP/2.0/UDP h:", ViaError::BadPort},
      {"SIP/2.0/UDP h:70000", ViaError::BadPort},
      {"SIP/2.0/UDP h;", ViaError::BadParams},
      {"SIP/2.0/UDP h;;", ViaError::BadParams},
      {"SIP/2.0/UDP h x", ViaError::BadParams},
      {"SIP/2.0/UDP h;branch=a;branch=b", ViaError::BadParams},
      {"SIP/2.0/UDP h;received=1.1.1.1;received=2.2.2.2", ViaError::BadParams},
      {"SIP/2.0/UDP h;rport;rport=1", ViaError::BadParams},
  };
  for (const auto& [text, error] : cases) {
    const auto via = parse_via(text);
    ASSERT_FALSE(via) << text;
    EXPECT_EQ(via.error(), error) << text;
  }
}

TEST(Via, MagicCookie) {
  EXPECT_TRUE(has_magic_cookie("z9hG4bKa"));
  EXPECT_FALSE(has_magic_cookie("z9hG4bK"));
  EXPECT_FALSE(has_magic_cookie("Z9hG4bKa"));
}

}  // namespace
}  // namespace ringway::sip
