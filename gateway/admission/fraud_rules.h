#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/admission/source_lists.h"
#include "gateway/config/config.h"
#include "protocol/base/time.h"

namespace ringway {

// The rules of [[fraud]], compiled: who may call which numbers how much. One published set,
// immutable, shared by all shards.
class FraudRules {
 public:
  struct Rule {
    std::string name;
    std::vector<std::string> accounts;  // AORs as the file has them; none: each for itself
    PrefixSet sources;
    bool any_source = true;
    bool deny = false;
    std::uint32_t calls = 0, calls_a_minute = 0, minutes_a_day = 0;  // 0: no limit
    Duration longest{};
    // In force from begin to end, minutes of the day (end < begin: over midnight), and the whole
    // day on days. Neither: always.
    bool has_times = false;
    std::uint16_t begin = 0, end = 0;
    std::uint8_t days = 0;  // bit 0: Sunday
    bool has_caps() const { return calls != 0 || calls_a_minute != 0 || minutes_a_day != 0; }
  };

  FraudRules() = default;
  // files: the texts of prefix_file, one for each rule, empty where it has none. utc_offset: of
  // local time. Errors: the rule and what is wrong with it.
  [[nodiscard]] static std::expected<FraudRules, std::string> build(
      const std::vector<FraudConfig>& rules, const std::vector<std::string>& files,
      Duration utc_offset);

  bool empty() const { return rules_.empty(); }
  const Rule& rule(std::size_t index) const { return rules_[index]; }

  struct Match {
    int rule = -1;  // none
    std::string_view prefix;
    explicit operator bool() const { return rule >= 0; }
  };
  // The rule for that number: of those in force for that source, and for whose accounts
  // is_account(aor) holds, the one with the longest prefix; of several the first.
  // number: CalledNumber's text; empty: only rules without prefixes fit. utc: since 1970.
  template <typename IsAccount>
  Match find(std::string_view number, const Address& source, Duration utc,
             IsAccount&& is_account) const {
    const std::size_t longest = std::min<std::size_t>(number.size(), longest_prefix_);
    for (std::size_t size = longest + 1; size-- != 0;) {
      const std::string_view prefix = number.substr(0, size);
      for (std::size_t at = first_of(prefix);
           at < entries_.size() && entries_[at].prefix == prefix; ++at) {
        const Rule& rule = rules_[entries_[at].rule];
        if (!rule.any_source && !rule.sources.contains(source)) continue;
        if (!is_in_force(rule, utc)) continue;
        bool fits = rule.accounts.empty();
        for (const std::string& account : rule.accounts) fits = fits || is_account(account);
        if (fits) return {static_cast<int>(entries_[at].rule), entries_[at].prefix};
      }
    }
    return {};
  }

  static constexpr std::size_t kRulesMax = 1'000;
  static constexpr std::size_t kPrefixesMax = 100'000;

 private:
  struct Entry {
    std::string prefix;
    std::uint16_t rule;
  };
  std::size_t first_of(std::string_view prefix) const;
  bool is_in_force(const Rule& rule, Duration utc) const;

  std::vector<Rule> rules_;
  std::vector<Entry> entries_;  // by prefix, then rule
  std::size_t longest_prefix_ = 0;
  Duration utc_offset_{};
};

// The numbers' beginnings in a text, one a line, comments from '#'; anything behind a blank is a
// comment too. wrong_line: the first that begins no number, from 1; 0: none.
struct LoadedNumberPrefixes {
  std::vector<std::string> prefixes;  // as CalledNumber writes them
  std::size_t wrong_line = 0;
};
LoadedNumberPrefixes parse_number_prefixes(std::string_view text);

// "18:30" as minutes of the day; "Sat" as a bit of Rule::days.
std::optional<std::uint16_t> parse_time_of_day(std::string_view text);
std::optional<std::uint8_t> parse_day(std::string_view text);

}  // namespace ringway
