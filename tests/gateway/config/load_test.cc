#include "gateway/config/load.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

const std::string kDirectory = CONFIGS;

std::string text_of(const std::vector<Mistake>& mistakes) {
  std::string text;
  for (const Mistake& mistake : mistakes) {
    text += std::to_string(mistake.position.line) + ":" + std::to_string(mistake.position.column) +
            ": " + mistake.text + "\n";
  }
  return text;
}

// Valid in itself; cases add to it. 8 lines.
const std::string kBase =
    "[[listen]]\ntransport = \"udp\"\nside = \"network\"\naddress = \"192.0.2.1:5060\"\n"
    "[[next_hop]]\naddress = \"192.0.2.20:5060\"\n"
    "[media]\nslim = true\n";

std::vector<Mistake> mistakes_of(const std::string& text) {
  return parse_config(text, "/x/ringway.toml").mistakes;
}

TEST(LoadConfig, ShippedFileNamesEveryDefaultAsItIs) {
  const LoadedConfig loaded = load_config(kDirectory + "/ringway.toml");
  ASSERT_TRUE(loaded.mistakes.empty()) << text_of(loaded.mistakes);
  const Config& config = loaded.config;
  const Config plain;
  EXPECT_EQ(config.timers, plain.timers);
  EXPECT_EQ(config.limits, plain.limits);
  MediaConfig media = config.media;  // [[relay]] stands there as an example, with its defaults
  ASSERT_EQ(media.relays.size(), 1u);
  EXPECT_EQ(media.relays[0], RelayConfig(*parse_endpoint("10.0.0.5:2223")));
  media.relays.clear();
  EXPECT_EQ(media, plain.media);
  EXPECT_EQ(config.page, plain.page);
  EXPECT_EQ(config.shards, plain.shards);
  EXPECT_EQ(config.pin, plain.pin);
  EXPECT_EQ(config.udp_trains, plain.udp_trains);
  EXPECT_EQ(config.key_file, plain.key_file);
  EXPECT_EQ(config.log_level, plain.log_level);
  EXPECT_EQ(config.log_format, plain.log_format);
  EXPECT_EQ(config.server_name, plain.server_name);
  EXPECT_EQ(config.filter, plain.filter);
  EXPECT_EQ(config.filter_file, plain.filter_file);
  EXPECT_EQ(config.filter_exempt, plain.filter_exempt);
  EXPECT_EQ(config.nameservers, plain.nameservers);
  EXPECT_EQ(config.max_breadth, plain.max_breadth);
  EXPECT_EQ(config.force_rport, plain.force_rport);
  EXPECT_FALSE(config.admin.enabled);
}

// The defaults that depend on other settings: what the file says is what leaving it out gives.
TEST(LoadConfig, ShippedListenersAndNextHopHaveTheirDefaults) {
  const Config full = load_config(kDirectory + "/ringway.toml").config;
  const LoadedConfig loaded = parse_config(
      "[[listen]]\ntransport = \"wss\"\naddress = \"0.0.0.0\"\ncertificate = \"certificate.pem\"\n"
      "key = \"key.pem\"\n[[listen]]\ntransport = \"udp\"\nside = \"network\"\n"
      "address = \"192.0.2.10\"\n[[certificate]]\ncertificate = \"certificate.pem\"\n"
      "key = \"key.pem\"\n"
      "[[next_hop]]\naddress = \"pbx.example.org\"\n",
      kDirectory + "/ringway.toml");
  ASSERT_TRUE(loaded.mistakes.empty()) << text_of(loaded.mistakes);
  EXPECT_EQ(loaded.config.listen, full.listen);
  EXPECT_EQ(loaded.config.next_hops, full.next_hops);
  EXPECT_EQ(loaded.config.certificates, full.certificates);
}

TEST(LoadConfig, ShippedFileNamesEveryKeyThereIs) {
  const std::string file = read_text_file(kDirectory + "/ringway.toml").text;
  std::set<std::string> named;
  std::string table, line;
  std::istringstream lines(file);
  while (std::getline(lines, line)) {
    if (line.starts_with("[")) {
      const std::size_t begin = line.find_first_not_of('[');
      table = line.substr(begin, line.find(']') - begin) + ".";
      named.insert(table.substr(0, table.size() - 1));
      continue;
    }
    if (line.starts_with("#")) line.erase(0, 1);
    const std::size_t end = line.find(" = ");
    const std::string key = line.substr(0, end);
    if (end != line.npos && key.find(' ') == key.npos) named.insert(table + key);
  }
  for (const std::string& key : known_keys()) EXPECT_TRUE(named.contains(key)) << key;
}

TEST(LoadConfig, MinimalFileIsShortAndValid) {
  const LoadedConfig loaded = load_config(kDirectory + "/minimal.toml");
  EXPECT_TRUE(loaded.mistakes.empty()) << text_of(loaded.mistakes);
  std::istringstream lines(read_text_file(kDirectory + "/minimal.toml").text);
  std::string line;
  int effective = 0;
  while (std::getline(lines, line)) effective += !line.empty() && !line.starts_with("#");
  EXPECT_LE(effective, 12);
}

TEST(LoadConfig, ANextHopSaysHowItWantsDigits) {
  const auto loaded = parse_config(kBase +
                                       "[[next_hop]]\naddress = \"192.0.2.21\"\n"
                                       "dtmf = \"rfc4733\"\ndomains = [\"b.test\"]",
                                   "/x/ringway.toml");
  ASSERT_TRUE(loaded.mistakes.empty()) << text_of(loaded.mistakes);
  EXPECT_EQ(loaded.config.next_hops[0].dtmf, Dtmf::Info);
  EXPECT_EQ(loaded.config.next_hops[1].dtmf, Dtmf::Rfc4733);
  const auto mistakes = mistakes_of(kBase +
                                    "[[next_hop]]\naddress = \"192.0.2.21\"\n"
                                    "dtmf = \"inband\"\ndomains = [\"b.test\"]");
  ASSERT_EQ(mistakes.size(), 1u) << text_of(mistakes);
  EXPECT_EQ(mistakes[0].position.line, 11u);
  EXPECT_NE(mistakes[0].text.find("rfc4733"), std::string::npos) << mistakes[0].text;
}

TEST(LoadConfig, EachKindOfMistakeIsReportedAtItsPlace) {
  const struct {
    std::string_view name;
    std::string text;
    std::uint32_t line, column;
    std::string_view says;
  } kCases[] = {
      {"unknown key", "[timers]\ngrase = \"5s\"", 10, 1, "grace"},
      {"unknown table", "[timer]\ngrace = \"5s\"", 9, 2, "timers"},
      {"wrong kind", "[timers]\ngrace = true", 10, 9, "grace"},
      {"wrong unit", "[timers]\ngrace = \"5 apples\"", 10, 9, "grace"},
      {"out of range", "[timers]\ngrace = \"6m\"", 10, 9, "5m"},
      {"number out of range", "[sip]\nmax_breadth = 0", 10, 15, "1000"},
      {"size", "[limits]\nbuffer_bytes = \"1q\"", 10, 16, "buffer_bytes"},
      {"word", "[log]\nlevel = \"loud\"", 10, 9, "warning"},
      {"address", "[admin]\naddress = \"localhost:1\"", 10, 11, "address"},
      {"prefix", "[filter]\nexempt = [\"192.0.2.0/99\"]", 10, 0, "192.0.2.0/99"},
      {"syntax", "[log\nlevel = 1", 9, 0, ""},
  };
  for (const auto& test : kCases) {
    const auto mistakes = mistakes_of(kBase + test.text);
    const auto found = std::ranges::find_if(mistakes, [&](const Mistake& mistake) {
      return mistake.position.line == test.line &&
             (test.column == 0 || mistake.position.column == test.column) &&
             mistake.text.find(test.says) != std::string::npos;
    });
    EXPECT_NE(found, mistakes.end()) << test.name << ": expected " << test.line << ":"
                                     << test.column << " with \"" << test.says << "\", got\n"
                                     << text_of(mistakes);
  }
}

TEST(LoadConfig, AllMistakesComeInOneRunInTheOrderOfTheFile) {
  const auto mistakes = mistakes_of(kBase +
                                    "[timers]\ngrase = 1\nt1 = \"1h\"\n[log]\nlevel = 5\n"
                                    "[limits]\nflows = 1\n[other]\n");
  EXPECT_EQ(mistakes.size(), 5u) << text_of(mistakes);
  for (std::size_t i = 1; i < mistakes.size(); ++i) {
    EXPECT_GE(mistakes[i].position.line, mistakes[i - 1].position.line) << text_of(mistakes);
  }
}

TEST(LoadConfig, RelationsBetweenSettingsAreChecked) {
  const std::string listen =
      "[[listen]]\ntransport = \"udp\"\nside = \"network\"\naddress = \"192.0.2.1:5060\"\n";
  const std::string hop = "[[next_hop]]\naddress = \"192.0.2.20:5060\"\n";
  const std::string web = "[[listen]]\ntransport = \"ws\"\naddress = \"192.0.2.1:80\"\n";
  std::string many = hop;
  for (std::size_t i = 0; i <= kListenersMax; ++i) {
    many += "[[listen]]\ntransport = \"udp\"\nside = \"network\"\naddress = \"192.0.2.1:" +
            std::to_string(5060 + i) + "\"\n";
  }
  const struct {
    std::string_view name;
    std::string text;
    std::string_view says;
  } kCases[] = {
      {"no listener", hop, "listen"},
      {"too many listeners", many, "more than 120"},
      {"no next hop", listen, "next_hop"},
      {"listener twice", listen + listen + hop, "the same address"},
      {"TLS without a certificate",
       listen + hop + "[[listen]]\ntransport = \"tls\"\naddress = \"192.0.2.1\"\n", "certificate"},
      {"WebSocket towards next hops", listen + hop + web + "side = \"network\"\n", "side"},
      {"path of the upgrade", listen + hop + web + "path = \"ws\"\n", "/"},
      {"all addresses without a name",
       "[[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:5060\"\n" + hop, "advertise"},
      {"send_from names nobody", listen + hop + "send_from = \"udp-9\"\n", "udp-9"},
      {"next hop of a family without a listener",
       listen + "[[next_hop]]\naddress = \"[2001:db8::1]:5060\"\n", "family"},
      {"relay at a public address", listen + hop + "[media]\nrtpengine = \"203.0.114.1:2223\"\n",
       "public"},
      {"page without a listener", listen + hop + "[page]\ndirectory = \"page\"\n", "wss"},
      {"t1 above t2", listen + hop + "[timers]\nt1 = \"5s\"\nt2 = \"4s\"\n", "t2"},
      {"contexts above transactions",
       listen + hop + "[limits]\ntransactions = 100\ncontexts = 200\n", "contexts"},
  };
  for (const auto& test : kCases) {
    const auto mistakes = mistakes_of(test.text);
    const bool found = std::ranges::any_of(mistakes, [&](const Mistake& mistake) {
      return mistake.text.find(test.says) != std::string::npos;
    });
    EXPECT_TRUE(found) << test.name << ": got\n" << text_of(mistakes);
  }
  EXPECT_TRUE(mistakes_of(listen + hop).empty()) << text_of(mistakes_of(listen + hop));
}

// Each would refuse every browser.
TEST(LoadConfig, OriginsHostsAndPathsThatNoRequestCanEqualAreMistakes) {
  const std::string listen = "[[listen]]\ntransport = \"ws\"\naddress = \"127.0.0.1:8080\"\n";
  for (const char* bad :
       {"origins = [\"https://ok.test\", \"app.test\"]", "origins = [\"https://app.test/\"]",
        "origins = [\"*\"]", "origins = \"https://\"", "origins = [\"https://a.test, https://b\"]",
        "hosts = [\"gw.test:443\"]", "hosts = [\"https://gw.test\"]", "hosts = [\"[::1]:443\"]",
        "hosts = [\"\"]", "path = \"/sip?x=y\""}) {
    const auto mistakes = mistakes_of(listen + bad + "\n" + kBase);
    ASSERT_EQ(mistakes.size(), 1u) << bad << "\n" << text_of(mistakes);
    EXPECT_EQ(mistakes[0].position.line, 4u) << bad;
  }
  for (const char* good :
       {"origins = [\"https://app.test\", \"HTTP://a_b.test:8080\", \"null\", \"app://local\"]",
        "hosts = [\"gw.test\", \"192.0.2.1\", \"[2001:db8::1]\"]", "path = \"/sip\""}) {
    const auto mistakes = mistakes_of(listen + good + "\n" + kBase);
    EXPECT_TRUE(mistakes.empty()) << good << "\n" << text_of(mistakes);
  }
}

// What it holds is written into messages.
TEST(LoadConfig, AServerNameIsOneLineOfAscii) {
  for (const std::string& bad :
       {std::string("a\\r\\nVia: x"), std::string("\xc3\xa4"), std::string(129, 'x')}) {
    const auto mistakes = mistakes_of(kBase + "[sip]\nserver_name = \"" + bad + "\"\n");
    ASSERT_EQ(mistakes.size(), 1u) << text_of(mistakes);
    EXPECT_EQ(mistakes[0].position.line, 10u);
  }
  const std::string good(128, 'x');
  EXPECT_TRUE(mistakes_of(kBase + "[sip]\nserver_name = \"" + good + "\"\n").empty());
}

TEST(LoadConfig, AFileThatCannotBeReadIsAMistakeWithoutAPlace) {
  const LoadedConfig loaded = load_config(kDirectory + "/no-such-file.toml");
  ASSERT_EQ(loaded.mistakes.size(), 1u);
  EXPECT_EQ(loaded.mistakes[0].position.line, 0u);
}

TEST(LoadConfig, CutAtEachByteIsReadOrReported) {
  const std::string whole = read_text_file(kDirectory + "/minimal.toml").text;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    parse_config(whole.substr(0, size), "/x/ringway.toml");
  }
}

}  // namespace
}  // namespace ringway
