#include "gateway/control/metrics_page.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "gateway/admission/ban_judge.h"
#include "gateway/call/call_table.h"
#include "gateway/control/log_writer.h"
#include "gateway/core/request_size.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/shard/name_waits.h"
#include "gateway/transport/bounds.h"

namespace ringway {
namespace {

std::string page_of(const Counters& counters) {
  const Counters* shards[] = {&counters};
  return metrics_page(shards, nullptr, 12.5);
}

std::vector<std::string> lines_of(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream text(page);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// name, labels in braces if there are any, a space, a number.
bool is_sample(std::string_view line) {
  const auto take_name = [&] {
    const std::size_t size = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_");
    if (size == 0 || size == line.npos) return false;
    line.remove_prefix(size);
    return true;
  };
  if (!take_name()) return false;
  if (line.starts_with('{')) {
    do {
      line.remove_prefix(1);
      if (!take_name() || !line.starts_with("=\"")) return false;
      const std::size_t end = line.find('"', 2);
      if (end == line.npos) return false;
      line.remove_prefix(end + 1);
    } while (line.starts_with(','));
    if (!line.starts_with('}')) return false;
    line.remove_prefix(1);
  }
  if (!line.starts_with(' ')) return false;
  const std::string number(line.substr(1));
  std::size_t used = 0;
  static_cast<void>(std::stod(number, &used));
  return used == number.size();
}

// Whoever is refused by a bound can be found on the page.
TEST(MetricsPage, EachBoundHasItsCounter) {
  const Counters counters;
  const std::string page = page_of(counters);
  std::set<std::string_view> names;
  for (const bounds::Bound& bound : bounds::table()) {
    EXPECT_TRUE(names.insert(bound.what).second) << bound.what << " stands there twice";
    EXPECT_GT(bound.value, 0u) << bound.what;
    EXPECT_FALSE(bound.beyond.empty()) << bound.what;
    EXPECT_NE(page.find("\n# TYPE ringway_" + std::string(bound.counter) + " "), std::string::npos)
        << bound.what << ": " << bound.counter;
  }
}

// Where the table cannot name a constant of a layer above its own, it repeats its value.
TEST(MetricsPage, TheTableOfBoundsSaysWhatTheirOwnersHave) {
  const std::map<std::string_view, std::uint64_t> owners{
      {"request by UDP", RequestSize::kDatagramMax},
      {"sources that are watched, and users", BanJudge::kSourcesMax},
      {"targets of a request", TargetList::kTargetsMax},
      {"dialogs of a call", CallTable::kDialogsMax},
      {"names that a shard asks for at one time", NameWaits::kQuestionsMax},
      {"lines that wait for the log", LogWriter::kLinesMax},
      {"bytes that wait for the log", LogWriter::kBytesMax},
  };
  std::size_t found = 0;
  for (const bounds::Bound& bound : bounds::table()) {
    const auto owner = owners.find(bound.what);
    if (owner == owners.end()) continue;
    ++found;
    EXPECT_EQ(bound.value, owner->second) << bound.what;
  }
  EXPECT_EQ(found, owners.size());
}

// The exposition format, version 0.0.4.
TEST(MetricsPage, EachLineIsInTheFormatAndEachFamilyIsDescribedOnceAndInOnePiece) {
  const Counters counters;
  const std::string page = page_of(counters);
  ASSERT_TRUE(page.ends_with('\n'));
  std::set<std::string> families, samples;
  std::string family, kind;
  for (const std::string& line : lines_of(page)) {
    std::istringstream words(line);
    std::string mark, word, name, text;
    if (line.starts_with("# HELP ")) {
      words >> mark >> word >> family;
      std::getline(words, text);
      EXPECT_TRUE(families.insert(family).second) << family << " twice";
      EXPECT_GT(text.size(), 2u) << line;
      kind.clear();
    } else if (line.starts_with("# TYPE ")) {
      words >> mark >> word >> name >> kind;
      EXPECT_EQ(name, family) << "HELP stands right before TYPE";
      EXPECT_TRUE(kind == "counter" || kind == "gauge" || kind == "histogram") << line;
      EXPECT_EQ(kind == "counter", family.ends_with("_total")) << family;
    } else {
      ASSERT_TRUE(is_sample(line)) << line;
      ASSERT_FALSE(kind.empty()) << line << " has no type";
      name = line.substr(0, line.find_first_of("{ "));
      EXPECT_TRUE(name == family || (kind == "histogram" && name.starts_with(family)))
          << line << " stands under " << family;
      EXPECT_TRUE(samples.insert(line.substr(0, line.rfind(' '))).second) << line << " twice";
    }
  }
  EXPECT_GT(families.size(), 60u);
}

// A counter that nobody can read is not worth its increments. (Left out are sums of what is shown.)
TEST(MetricsPage, EveryCounterIsOnThePage) {
  const auto without_process = [](const std::string& page) {
    std::string kept;
    for (const std::string& line : lines_of(page)) {
      if (!line.starts_with("ringway_process_")) kept += line + "\n";
    }
    return kept;
  };
  Counters counters;
  const std::string before = without_process(page_of(counters));
  const auto is_shown = [&](Counter& counter) {
    counter.set(123);
    const bool shown = without_process(page_of(counters)) != before;
    counter.set(0);
    return shown;
  };
  const std::pair<const char*, Counter*> all[] = {
      {"datagrams_empty", &counters.datagrams_empty},
      {"datagrams_truncated", &counters.datagrams_truncated},
      {"proxy_headers", &counters.proxy_headers},
      {"handshakes_started", &counters.handshakes_started},
      {"ring_overflows", &counters.ring_overflows},
      {"receive_no_buffers", &counters.receive_no_buffers},
      {"log_dropped", &counters.log_dropped},
      {"missed_deadlines", &counters.missed_deadlines},
      {"tokens_refused", &counters.tokens_refused},
      {"strangers_dropped", &counters.strangers_dropped},
      {"requests_forbidden", &counters.requests_forbidden},
      {"targets_forbidden", &counters.targets_forbidden},
      {"response_wrong_source", &counters.response_wrong_source},
      {"cancel_wrong_source", &counters.cancel_wrong_source},
      {"flows_timed_out", &counters.flows_timed_out},
      {"send_queue_overflows", &counters.send_queue_overflows},
      {"handed_over_full", &counters.handed_over_full},
  };
  for (const auto& [name, counter] : all) EXPECT_TRUE(is_shown(*counter)) << name;
}

TEST(MetricsPage, SumsTheShards) {
  Counters a, b;
  a.stun_answered.add(3);
  b.stun_answered.add(4);
  a.flows[1].add(5);
  b.flows[1].subtract(2);  // a gauge of one shard may be below zero for a moment
  const Counters* shards[] = {&a, &b};
  const std::string page = metrics_page(shards, nullptr, 0);
  EXPECT_NE(page.find("\nringway_stun_total 7\n"), std::string::npos);
  EXPECT_NE(page.find("\nringway_flows{transport=\"tcp\"} 3\n"), std::string::npos);
  EXPECT_NE(page.find("\nringway_shards 2\n"), std::string::npos);
}

TEST(MetricsPage, TheHistogramIsCumulative) {
  Counters counters;
  counters.ng_latency[0].add(2);
  counters.ng_latency[5].add(3);
  counters.ng_latency[19].add(1);
  counters.ng_latency_microseconds.add(2'500'000);
  const std::string page = page_of(counters);
  double last = 0;
  std::size_t buckets = 0;
  for (const std::string& line : lines_of(page)) {
    if (!line.starts_with("ringway_ng_latency_seconds_bucket")) continue;
    const double value = std::stod(line.substr(line.rfind(' ')));
    EXPECT_GE(value, last) << line;
    last = value;
    ++buckets;
  }
  EXPECT_EQ(buckets, 20u);
  EXPECT_EQ(last, 6);
  EXPECT_NE(page.find("le=\"+Inf\"} 6\n"), std::string::npos);
  EXPECT_NE(page.find("ringway_ng_latency_seconds_count 6\n"), std::string::npos);
  EXPECT_NE(page.find("ringway_ng_latency_seconds_sum 2.5\n"), std::string::npos);
}

TEST(MetricsPage, RulesOfOneNameAreOneSeries) {
  FilterRules::Rule rule;
  rule.name = "one";
  rule.text = "scanner";
  FilterRules::Rule other = rule;
  other.text = "another";
  const FilterRules rules({rule, other});
  Counters counters;
  counters.filter_rule_hits[0].add(2);
  counters.filter_rule_hits[1].add(3);
  const Counters* shards[] = {&counters};
  const std::string page = metrics_page(shards, &rules, 0);
  const std::string series = "\nringway_filter_drops_total{rule=\"one\",action=\"drop\"} ";
  EXPECT_NE(page.find(series + "5\n"), std::string::npos);
  EXPECT_EQ(page.find(series), page.rfind(series));
}

TEST(MetricsPage, RuleNamesAreEscaped) {
  FilterRules::Rule rule;
  rule.name = "a\"b\\c\nd";
  rule.text = "scanner";
  const FilterRules rules({rule});
  const Counters counters;
  const Counters* shards[] = {&counters};
  const std::string page = metrics_page(shards, &rules, 0);
  EXPECT_NE(page.find("rule=\"a\\\"b\\\\c\\nd\""), std::string::npos)
      << page.substr(page.find("filter_drops_total{"), 80);
}

}  // namespace
}  // namespace ringway
