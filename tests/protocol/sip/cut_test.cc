// Every parser, cut at every byte, with a page behind the last one that may not be read.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "protocol/sip/header_name.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/params.h"
#include "protocol/sip/parse.h"
#include "protocol/sip/uri.h"
#include "protocol/sip/validate.h"
#include "protocol/sip/via.h"
#include "tests/protocol/sip/guarded.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

// Calls parse with each prefix and each suffix of text.
template <typename Parse>
void cut_everywhere(std::string_view text, Parse parse) {
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const test::Guarded copy(text.substr(0, cut));
    parse(copy.text());
  }
  const test::Guarded copy(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) parse(copy.last(cut));
}

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

TEST(Cut, Messages) {
  MessageView view;
  for (const std::string& text :
       {test::browser_invite(), test::ok_response(), test::read_corpus("rfc4475/wsinv.dat"),
        test::read_corpus("rfc4475/intmeth.dat"), test::read_corpus("rfc4475/longreq.dat")}) {
    cut_everywhere(text, [&](std::string_view part) {
      for (const Framing framing : {Framing::Datagram, Framing::WebSocket, Framing::Stream}) {
        if (!parse_message(as_bytes(part), framing, view)) continue;
        EXPECT_TRUE(inside(view.text(), part));
        Essentials out;
        if (view.is_request()) {
          validate_request(view, out);
        } else {
          validate_response(view, out);
        }
        EXPECT_TRUE(inside(out.call_id, part) && inside(out.via.text, part));
        for (const Header& header : view.headers()) {
          EXPECT_TRUE(inside(view.text(header.value), part));
        }
      }
    });
  }
}

TEST(Cut, Values) {
  const std::string_view address =
      "\"Bell, \\\"A\" <sips:a:p@[2001:db8::1]:5061;lr;x=y?a=b&c>;tag=\"q\\\"\" ; q = 0.5";
  cut_everywhere(address, [](std::string_view part) {
    if (const auto parsed = parse_name_addr(part)) {
      EXPECT_TRUE(inside(parsed->uri.text, part) && inside(parsed->params, part));
    }
    EXPECT_TRUE(inside(find_tag(part), part));
    ListCursor list(part);
    while (const auto element = list.next()) EXPECT_TRUE(inside(*element, part));
  });
  cut_everywhere("sip:a;b=c:p%41@example.org:5060;transport=ws;lr;maddr=1.2.3.4?x=y&z",
                 [](std::string_view part) {
                   if (const auto uri = parse_uri(part)) {
                     EXPECT_TRUE(inside(uri->host, part) && inside(uri->headers, part));
                     EXPECT_TRUE(equivalent(*uri, *uri)) << part;
                   }
                 });
  cut_everywhere("SIP / 2.0 / UDP [2001:db8::1] : 5060 ; branch=z9hG4bK1;rport;received=\"a\\\"b\"",
                 [](std::string_view part) {
                   if (const auto via = parse_via(part)) {
                     EXPECT_TRUE(inside(via->sent_by, part) && inside(via->branch, part));
                   }
                 });
  cut_everywhere("4711 \r\n INVITE", [](std::string_view part) { parse_cseq(part); });
  cut_everywhere("3600;refresher=uac", [](std::string_view part) { parse_seconds(part); });
  cut_everywhere("Content-Disposition", [](std::string_view part) { parse_header_name(part); });
  cut_everywhere(";a=1 ; b = \"c\\\"d\";e", [](std::string_view part) {
    ParamCursor params(part);
    while (params.next()) {
    }
  });
}

}  // namespace
}  // namespace ringway::sip
