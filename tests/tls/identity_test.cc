#include "tls/identity.h"

#include <gtest/gtest.h>

namespace ringway::tls {
namespace {

TEST(Identity, NamesWithAndWithoutWildcards) {
  const struct {
    const char* pattern;
    const char* name;
    bool strict;
    bool wildcards;
  } kCases[] = {
      {"a.test", "a.test", true, true},
      {"A.Test", "a.tEST", true, true},
      {"a.test.", "a.test", true, true},
      {"a.test", "a.test.", true, true},
      {"a.test", "b.a.test", false, false},
      {"*.a.test", "b.a.test", false, true},
      {"*.a.test", "B.A.TEST", false, true},
      {"*.a.test", "a.test", false, false},
      {"*.a.test", "c.b.a.test", false, false},
      {"*.a.test", ".a.test", false, false},
      {"*.test", "a.test", false, false},  // a wildcard for a whole top level
      {"*", "a", false, false},
      {"b*.a.test", "bc.a.test", false, false},
      {"*.a.test", "*.a.test", false, true},
      {"", "", false, false},
      {"a.test", "", false, false},
  };
  for (const auto& each : kCases) {
    EXPECT_EQ(name_matches(each.pattern, each.name, NamePolicy::Strict), each.strict)
        << each.pattern << " " << each.name;
    EXPECT_EQ(name_matches(each.pattern, each.name, NamePolicy::AllowWildcards), each.wildcards)
        << each.pattern << " " << each.name;
  }
}

TEST(Identity, DomainOfUri) {
  EXPECT_EQ(sip_domain_of_uri("sip:a.test"), "a.test");
  EXPECT_EQ(sip_domain_of_uri("SIP:a.test:5061;transport=tls"), "a.test");
  for (const char* const uri :
       {"sips:a.test", "sip:user@a.test", "http://a.test", "sip:", "", "sip:a b"}) {
    EXPECT_EQ(sip_domain_of_uri(uri), "") << uri;
  }
}

TEST(Identity, PrecedenceOfRfc5922) {
  CertificateIdentities identities;
  identities.common_name = "cn.test";
  EXPECT_EQ(effective_identities(identities), std::vector<std::string_view>{"cn.test"});
  identities.has_alternative_names = true;
  EXPECT_TRUE(effective_identities(identities).empty());
  identities.dns_names = {"dns.test"};
  EXPECT_EQ(effective_identities(identities), std::vector<std::string_view>{"dns.test"});
  identities.sip_domains = {"sip.test"};
  EXPECT_EQ(effective_identities(identities), std::vector<std::string_view>{"sip.test"});
  identities.addresses = {"192.0.2.1"};
  EXPECT_TRUE(matches(identities, "192.0.2.1", NamePolicy::Strict));
  EXPECT_FALSE(matches(identities, "192.0.2.2", NamePolicy::Strict));
  EXPECT_FALSE(matches(identities, "dns.test", NamePolicy::Strict));
  EXPECT_TRUE(matches(identities, "any.test", NamePolicy::None));
}

}  // namespace
}  // namespace ringway::tls
