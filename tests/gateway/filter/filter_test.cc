#include "gateway/filter/filter.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/filter/rules_file.h"

namespace ringway {
namespace {

using Rule = FilterRules::Rule;
using Field = FilterRules::Field;
using Match = FilterRules::Match;
using Action = FilterRules::Action;

const Address kSource = *parse_address("198.51.100.9");
const Address kLocal = *parse_address("192.0.2.1");

struct Headers {
  std::string user_agent = "Phone/1.0";
  std::string from = "\"Alice\" <sip:alice@example.org>;tag=1";
  std::string to = "<sip:bob@example.org>";
  std::string contact = "<sip:alice@10.0.0.7:5060>";
};

std::string request(const Headers& headers) {
  return "OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7\r\nFrom: " +
         headers.from + "\r\nTo: " + headers.to + "\r\nContact: " + headers.contact +
         "\r\nUser-Agent: " + headers.user_agent + "\r\nContent-Length: 0\r\n\r\n";
}

FilterRules one(Field field, Match match, std::string text) {
  return FilterRules({{"rule", field, match, Action::Drop, std::move(text)}});
}

bool hits(const FilterRules& rules, const std::string& message) {
  return rules.judge(as_bytes(message), kSource, kLocal).matched();
}

FilterRules built_in() {
  LoadedRules loaded = parse_rules(built_in_rules());
  EXPECT_TRUE(loaded.mistakes.empty());
  return FilterRules(std::move(loaded.rules));
}

TEST(Filter, EachMatchKindOnEachField) {
  const struct {
    std::string name;
    Field field;
    Match match;
    std::string text;
    Headers headers;
    bool expected;
  } kCases[] = {
      {"exact", Field::UserAgent, Match::Exact, "Scan/1", {.user_agent = "sCAN/1"}, true},
      {"exact, longer", Field::UserAgent, Match::Exact, "Scan/1", {.user_agent = "scan/12"}, false},
      {"prefix", Field::UserAgent, Match::Prefix, "Scan", {.user_agent = "scanner 2"}, true},
      {"prefix, later", Field::UserAgent, Match::Prefix, "Scan", {.user_agent = "a scan"}, false},
      {"contains", Field::UserAgent, Match::Contains, "Scan", {.user_agent = "a sCaN b"}, true},
      {"contains, at the end",
       Field::UserAgent,
       Match::Contains,
       "Scan",
       {.user_agent = "a scan"},
       true},
      {"contains, cut", Field::UserAgent, Match::Contains, "Scan", {.user_agent = "a sca"}, false},
      {"from name", Field::FromName, Match::Exact, "alice", {}, true},
      {"from name, bare",
       Field::FromName,
       Match::Exact,
       "bad guy",
       {.from = "Bad Guy <sip:x@y>;tag=1"},
       true},
      {"from uri", Field::FromUri, Match::Exact, "sip:alice@example.org", {}, true},
      {"from uri, port and parameters",
       Field::FromUri,
       Match::Exact,
       "sip:alice@example.org",
       {.from = "<sip:alice@example.org:5080;x=y>;tag=1"},
       true},
      {"from uri, addr-spec",
       Field::FromUri,
       Match::Exact,
       "sip:alice@example.org",
       {.from = "sip:alice@example.org;tag=1"},
       true},
      {"from uri, IPv6",
       Field::FromUri,
       Match::Exact,
       "sip:a@[2001:db8::1]",
       {.from = "<sip:a@[2001:db8::1]:5060>"},
       true},
      {"from uri, other host",
       Field::FromUri,
       Match::Exact,
       "sip:alice@example.org",
       {.from = "<sip:alice@example.org.net>"},
       false},
      {"to uri", Field::ToUri, Match::Prefix, "sip:bob", {}, true},
      {"to uri is not from", Field::ToUri, Match::Prefix, "sip:alice", {}, false},
      {"contact uri", Field::ContactUri, Match::Contains, "10.0.0.7", {}, true},
      {"any", Field::Any, Match::Contains, "tag=1", {}, true},
      {"any, user agent", Field::Any, Match::Exact, "phone/1.0", {}, true},
      {"any looks at no other header", Field::Any, Match::Contains, "SIP/2.0/UDP", {}, false},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(hits(one(test.field, test.match, test.text), request(test.headers)), test.expected)
        << test.name;
  }
}

TEST(Filter, SourceAndLocalStandForAddresses) {
  const FilterRules source = one(Field::FromUri, Match::Exact, "sip:gw@{source}");
  EXPECT_TRUE(hits(source, request({.from = "<sip:gw@198.51.100.9>"})));
  EXPECT_TRUE(hits(source, request({.from = "<sip:gw@198.51.100.9:5060>"})));
  EXPECT_FALSE(hits(source, request({.from = "<sip:gw@198.51.100.99>"})));
  EXPECT_FALSE(hits(source, request({.from = "<sip:gw@192.0.2.1>"})));
  const FilterRules local = one(Field::FromUri, Match::Exact, "sip:gw@{local}");
  EXPECT_TRUE(hits(local, request({.from = "<sip:gw@192.0.2.1>"})));
  const Address v6 = *parse_address("2001:db8::9");
  const std::string from_v6 = request({.from = "<sip:gw@[2001:db8::9]>"});
  EXPECT_TRUE(source.judge(as_bytes(from_v6), v6, kLocal).matched());
}

TEST(Filter, CompactNamesSpacesAndCase) {
  const FilterRules rules = one(Field::FromUri, Match::Exact, "sip:100@1.1.1.1");
  for (const std::string_view line :
       {"f: <sip:100@1.1.1.1>", "F:<sip:100@1.1.1.1>", "FROM \t: <SIP:100@1.1.1.1>"}) {
    EXPECT_TRUE(hits(rules, "OPTIONS sip:x SIP/2.0\r\n" + std::string(line) + "\r\n\r\n")) << line;
    EXPECT_TRUE(hits(rules, "OPTIONS sip:x SIP/2.0\n" + std::string(line) + "\n\n")) << line;
  }
  EXPECT_FALSE(hits(rules, "OPTIONS sip:x SIP/2.0\r\nFromx: <sip:100@1.1.1.1>\r\n\r\n"));
  EXPECT_FALSE(hits(rules, "OPTIONS sip:x SIP/2.0\r\n\r\nFrom: <sip:100@1.1.1.1>\r\n\r\n"))
      << "a body is not judged";
}

// RFC 3261 7.3.1: HCOLON takes white space on both sides, and a value goes on in the next line if
// that begins with white space.
TEST(Filter, FoldedValuesAreJudgedUnfolded) {
  const FilterRules rules = built_in();
  for (const std::string_view lines :
       {"User-Agent :\r\n Friendly-Scanner", "User-Agent:\r\n\tfriendly-scanner",
        "User-Agent: \r\n \r\n friendly-scanner", "user-agent\t:\n friendly-scanner",
        "User-Agent: a\r\n friendly-scanner\r\n b", "From :\r\n <sip:100@1.1.1.1>\r\n ;tag=1",
        "f\t:\r\n\t\"sipvicious\"\r\n <sip:x@y>", "m:\r\n <sip:123@1.1.1.1>"}) {
    const std::string text = "OPTIONS sip:x SIP/2.0\r\n" + std::string(lines) + "\r\nTo: <sip:a@b>";
    EXPECT_TRUE(hits(rules, text + "\r\n\r\n")) << lines;
    EXPECT_TRUE(hits(rules, text)) << lines << ", cut short";
  }
  EXPECT_FALSE(
      hits(rules, "OPTIONS sip:x SIP/2.0\r\nSubject: x\r\n User-Agent: friendly-scanner\r\n\r\n"))
      << "that line belongs to Subject";
  EXPECT_FALSE(hits(rules, "OPTIONS sip:x SIP/2.0\r\nUser-Agent: a\r\n" + std::string(2000, ' ') +
                               "friendly-\r\n scanner\r\n\r\n"));
}

// RFC 3261 19.1.4 and 25.1: "%31" is "1", and in a display name a backslash hides nothing.
TEST(Filter, EscapesHideNothing) {
  Headers headers;
  for (const char* from : {"<sip:%31%30%30@1.1.1.1>;tag=1", "sip:1%300@1.1.1.1;tag=1"}) {
    headers.from = from;
    EXPECT_TRUE(hits(one(Field::FromUri, Match::Exact, "sip:100@1.1.1.1"), request(headers)));
    EXPECT_TRUE(hits(built_in(), request(headers))) << from;
  }
  for (const char* from : {"<sip:%3@1.1.1.1>", "<sip:%@1.1.1.1>", "<sip:100%>", "<sip:100%2>",
                           "<sip:%2531%30%30@1.1.1.1>"}) {
    headers.from = from;
    EXPECT_FALSE(hits(one(Field::FromUri, Match::Exact, "sip:100@1.1.1.1"), request(headers)));
  }
  headers.from = R"("sip\vic\i\ous" <sip:x@example.org>;tag=1)";
  EXPECT_TRUE(hits(one(Field::FromName, Match::Exact, "sipvicious"), request(headers)));
  EXPECT_TRUE(hits(built_in(), request(headers)));
}

TEST(Filter, EveryOccurrenceOfAHeaderIsJudged) {
  const FilterRules rules = built_in();
  EXPECT_TRUE(
      hits(rules, "OPTIONS sip:x SIP/2.0\r\nUser-Agent: Phone\r\nUser-Agent: sipcli/v1.8\r\n\r\n"));
  EXPECT_TRUE(
      hits(rules, "OPTIONS sip:x SIP/2.0\r\nf: <sip:a@b>\r\nFrom: <sip:100@1.1.1.1>\r\n\r\n"));
}

TEST(Filter, TokensRegexesCaseAndTheOtherFields) {
  const auto judge = [](FilterRules::Rule rule, const std::string& message) {
    return hits(FilterRules({std::move(rule)}), message);
  };
  const Rule token{"t", Field::UserAgent, Match::Token, Action::Drop, "scan"};
  EXPECT_TRUE(judge(token, request({.user_agent = "Scan"})));
  EXPECT_TRUE(judge(token, request({.user_agent = "a (SCAN/2)"})));
  EXPECT_FALSE(judge(token, request({.user_agent = "scanner"})));
  EXPECT_FALSE(judge(token, request({.user_agent = "a-scan"})));
  EXPECT_TRUE(judge(token, request({.user_agent = "scanner scan"}))) << "the second place counts";
  const Rule exact_case{"c",          Field::UserAgent, Match::Prefix,
                        Action::Drop, "Scan",           FilterRules::Case::Exact};
  EXPECT_TRUE(judge(exact_case, request({.user_agent = "Scan 1"})));
  EXPECT_FALSE(judge(exact_case, request({.user_agent = "scan 1"})));
  const Rule regex{"r", Field::UserAgent, Match::Regex, Action::Drop, "^v[0-9]{3}$"};
  EXPECT_TRUE(judge(regex, request({.user_agent = "V123"})));
  EXPECT_FALSE(judge(regex, request({.user_agent = "v1234"})));
  const Rule method{"m", Field::Method, Match::Exact, Action::Drop, "OPTIONS"};
  EXPECT_TRUE(judge(method, request({})));
  const Rule uri{"u", Field::RequestUri, Match::Exact, Action::Drop, "sip:bob@example.org"};
  EXPECT_TRUE(judge(uri, request({})));
  const Rule via{"v", Field::ViaHost, Match::Exact, Action::Drop, "10.0.0.7"};
  EXPECT_TRUE(judge(via, request({})));
  const Rule server{"s", Field::Server, Match::Exact, Action::Drop, "Apache"};
  EXPECT_FALSE(judge(server, request({})));
  EXPECT_TRUE(judge(server, "OPTIONS sip:x SIP/2.0\r\nServer: apache\r\n\r\n"));
}

TEST(Filter, LocalStandsForEachOfOurHosts) {
  const FilterRules rules({{"r", Field::FromUri, Match::Exact, Action::Drop, "sip:a@{local}"}}, {},
                          {"sip.example.org", "203.0.113.5"});
  EXPECT_TRUE(hits(rules, request({.from = "<sip:a@sip.example.org>"})));
  EXPECT_TRUE(hits(rules, request({.from = "<sip:a@203.0.113.5:5060>"})));
  EXPECT_TRUE(hits(rules, request({.from = "<sip:a@192.0.2.1>"}))) << "the listener's address";
  EXPECT_FALSE(hits(rules, request({.from = "<sip:a@203.0.113.6>"})));
}

TEST(Filter, TheStrongestActionDecidesAndPointsAddUp) {
  const FilterRules rules({{"s1", Field::UserAgent, Match::Prefix, Action::Score, "Scan",
                            FilterRules::Case::Ignored, 403, 30},
                           {"s2", Field::FromName, Match::Exact, Action::Score, "Alice",
                            FilterRules::Case::Ignored, 403, 20},
                           {"r", Field::ToUri, Match::Prefix, Action::Reject, "sip:bob",
                            FilterRules::Case::Ignored, 480}});
  const auto verdict = rules.judge(as_bytes(request({.user_agent = "scan"})), kSource, kLocal);
  EXPECT_EQ(verdict.rule, 2);
  EXPECT_EQ(verdict.action, Action::Reject);
  EXPECT_EQ(verdict.code, 480);
  EXPECT_EQ(verdict.points, 50);
}

// Texts that begin with each other, and more of them than one word of a search tells apart.
TEST(Filter, AThousandRulesAreFoundEach) {
  std::vector<Rule> rules;
  for (int i = 0; i < 1024; ++i) {
    const bool exact = i % 4 == 0;
    rules.push_back({"r" + std::to_string(i), Field::UserAgent,
                     exact        ? Match::Exact
                     : i % 4 == 1 ? Match::Prefix
                     : i % 4 == 2 ? Match::Token
                                  : Match::Contains,
                     Action::Drop, "scanner-" + std::to_string(i) + (exact ? "" : "-end")});
  }
  const FilterRules filter(rules);
  for (int i = 0; i < 1024; ++i) {
    const auto verdict =
        filter.judge(as_bytes(request({.user_agent = (i % 4 > 1 ? "x " : "") +
                                                     rules[static_cast<std::size_t>(i)].text})),
                     kSource, kLocal);
    EXPECT_EQ(verdict.rule, i);
  }
  EXPECT_FALSE(hits(filter, request({.user_agent = "scanner-1024"})));
}

TEST(Filter, OnlyRequestsAreJudged) {
  const FilterRules rules = built_in();
  std::string text = request({.user_agent = "friendly-scanner"});
  EXPECT_TRUE(hits(rules, text));
  EXPECT_TRUE(hits(rules, "\r\n\r\n" + text)) << "behind a keepalive";
  text.replace(0, text.find('\r'), "SIP/2.0 200 OK");
  EXPECT_FALSE(hits(rules, text));
}

TEST(Filter, ExemptSourcesAreNeverJudged) {
  LoadedRules loaded = parse_rules(built_in_rules());
  const FilterRules rules(loaded.rules, {*parse_prefix("198.51.100.0/24")});
  const std::string text = request({.user_agent = "friendly-scanner"});
  EXPECT_FALSE(rules.judge(as_bytes(text), kSource, kLocal).matched());
  EXPECT_TRUE(rules.judge(as_bytes(text), *parse_address("198.51.101.9"), kLocal).matched());
}

TEST(Filter, DropGoesBeforeLogWhateverTheOrder) {
  const FilterRules rules({{"log", Field::UserAgent, Match::Prefix, Action::Log, "Scan"},
                           {"drop", Field::FromName, Match::Exact, Action::Drop, "Alice"}});
  const auto both = rules.judge(as_bytes(request({.user_agent = "scan"})), kSource, kLocal);
  EXPECT_EQ(both.rule, 1);
  EXPECT_EQ(both.action, Action::Drop);
  const auto log =
      rules.judge(as_bytes(request({.user_agent = "scan", .from = "<sip:a@b>"})), kSource, kLocal);
  EXPECT_EQ(log.rule, 0);
  EXPECT_EQ(log.action, Action::Log);
}

TEST(Filter, ScannersAndPhonesUnderTheBuiltInRules) {
  const FilterRules rules = built_in();
  const struct {
    std::string user_agent;
    bool matched;
    Action action;
  } kCases[] = {
      {"SIPCLI/V1.8x", true, Action::Drop},
      {"friendly-scanner", true, Action::Drop},
      {"sipvicious", true, Action::Drop},
      {"VaxSIPUserAgent/3.1", true, Action::Drop},
      {"x-lite 4", false, Action::Log},
      {"X-Lite release 1104o", false, Action::Log},
      {"Linksys/SPA942-6.1.5(a)", false, Action::Log},
      {"PBX of mine", false, Action::Log},
      {"Voip Phone 1.0", false, Action::Log},
      {"JsSIP 3.10.1", false, Action::Log},
      {"Asterisk PBX 18.9.0", false, Action::Log},
      {"sipp", false, Action::Log},
      {"sipsak 0.9.8", true, Action::Log},
      {"eyeBeam", true, Action::Log},
      {"eyeBeam release 3015c stamp 27107", true, Action::Log},
      {"cisco", true, Action::Log},
      {"Cisco", false, Action::Log},
      {"Eco-Friendly Phones (barcode scanner edition)", false, Action::Log},
      {"User Friendly Phone 2", false, Action::Log},
      {"my-sipcli-phone", false, Action::Log},
      {"SIPVoice 2.1", false, Action::Log},
      {"iWarp Phone", false, Action::Log},
      {"SmapPhone", false, Action::Log},
      {"Mozilla/5.0 (sipcli/v1.8)", true, Action::Drop},
      {"Mozilla/5.0 (compatible; Nmap NSE)", true, Action::Drop},
      {"sundayddr", true, Action::Drop},
      {"Cisco-CP7960G/8.0", false, Action::Log},
  };
  for (const auto& test : kCases) {
    const auto verdict =
        rules.judge(as_bytes(request({.user_agent = test.user_agent})), kSource, kLocal);
    EXPECT_EQ(verdict.matched(), test.matched) << test.user_agent;
    if (verdict.matched()) {
      EXPECT_EQ(verdict.action, test.action) << test.user_agent;
    }
  }
  EXPECT_TRUE(hits(rules, request({.from = "<sip:100@1.1.1.1>;tag=1"})));
  EXPECT_TRUE(hits(rules, request({.contact = "<sip:123@1.1.1.1:5060>"})));
  for (const char* name : {"Caller", "MAYET", "Simple SIP", "0123456789"}) {
    const auto verdict = rules.judge(
        as_bytes(request({.from = "\"" + std::string(name) + "\" <sip:alice@example.org>;tag=1"})),
        kSource, kLocal);
    EXPECT_EQ(verdict.action, Action::Log) << name;
  }
  EXPECT_TRUE(hits(rules, request({.from = "<sip:voipgw@198.51.100.9>;tag=1"})));
  EXPECT_FALSE(hits(rules, request({.from = "<sip:voipgw@198.51.100.8>;tag=1"})));
}

// Memory whose last byte stands in front of an unreadable page.
class GuardedText {
 public:
  explicit GuardedText(std::string_view text) : size_(text.size()) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    readable_ = (size_ + page - 1) / page * page + page;
    memory_ = static_cast<std::uint8_t*>(mmap(nullptr, readable_ + page, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    total_ = readable_ + page;
    EXPECT_EQ(mprotect(memory_ + readable_, page, PROT_NONE), 0);
    if (size_ != 0) std::memcpy(memory_ + readable_ - size_, text.data(), size_);
  }
  ~GuardedText() { munmap(memory_, total_); }
  GuardedText(const GuardedText&) = delete;
  GuardedText& operator=(const GuardedText&) = delete;
  Bytes bytes() const { return {memory_ + readable_ - size_, size_}; }

 private:
  std::size_t size_, readable_ = 0, total_ = 0;
  std::uint8_t* memory_ = nullptr;
};

TEST(Filter, CutAtEachByteNothingBehindTheEndIsRead) {
  const FilterRules rules = built_in();
  const std::string whole = request({.user_agent = "a friendly-scanne"});
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const GuardedText cut(whole.substr(0, size));
    rules.judge(cut.bytes(), kSource, kLocal);
  }
}

TEST(Filter, NoiseAtTheEdgeOfAPageIsHarmless) {
  constexpr unsigned kSeed = 44;
  std::mt19937 random(kSeed);
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  const FilterRules rules = built_in();
  const std::string_view kPieces[] = {"From:", "f:",  "User-Agent: ", "\r\n", "\n", "<sip:",  "@",
                                      ">",     "\"",  "sipvic",       ":",    "]",  "scann",  " ",
                                      "[",     "To:", "Contact:",     ";",    "\t", "\xff\0z"};
  for (int round = 0; round < 3'000; ++round) {
    std::string text = round % 2 == 0 ? "OPTIONS sip:x SIP/2.0\r\n" : "";
    const std::size_t count = random() % 40;
    for (std::size_t i = 0; i < count; ++i) text += kPieces[random() % std::size(kPieces)];
    const GuardedText guarded(text);
    rules.judge(guarded.bytes(), kSource, kLocal);
  }
}

}  // namespace
}  // namespace ringway
