#include "gateway/admission/fraud_rules.h"

#include <algorithm>

#include "gateway/admission/called_number.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

using Days = std::chrono::duration<std::int64_t, std::ratio<86'400>>;

// A called number may hold anything; a rule's prefix that does is a mistake.
bool is_plain(std::string_view prefix) {
  return prefix.find_first_not_of("0123456789+*#-.() %") == prefix.npos;
}

}  // namespace

LoadedNumberPrefixes parse_number_prefixes(std::string_view text) {
  LoadedNumberPrefixes loaded;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view entry = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    entry = entry.substr(0, entry.find_first_of("#;"));
    while (!entry.empty() && ascii::is_space(entry.front())) entry.remove_prefix(1);
    entry = entry.substr(0, entry.find_first_of(" \t\r"));
    if (entry.empty()) continue;
    const CalledNumber number(entry);
    const bool is_number = !number.text().empty() && is_plain(entry);
    if (is_number && loaded.prefixes.size() < FraudRules::kPrefixesMax) {
      loaded.prefixes.emplace_back(number.text());
    } else if (loaded.wrong_line == 0) {
      loaded.wrong_line = line;
    }
  }
  return loaded;
}

std::optional<std::uint16_t> parse_time_of_day(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = ascii::parse_number(text.substr(0, 2), 24);
  const auto minutes = ascii::parse_number(text.substr(3), 59);
  if (!hours || !minutes || *hours * 60 + *minutes > 1'440) return std::nullopt;
  return static_cast<std::uint16_t>(*hours * 60 + *minutes);
}

std::optional<std::uint8_t> parse_day(std::string_view text) {
  static constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  for (std::size_t i = 0; i < std::size(kDays); ++i) {
    if (ascii::equal_ignoring_case(text, kDays[i])) return static_cast<std::uint8_t>(1u << i);
  }
  return std::nullopt;
}

std::expected<FraudRules, std::string> FraudRules::build(const std::vector<FraudConfig>& rules,
                                                         const std::vector<std::string>& files,
                                                         Duration utc_offset) {
  FraudRules built;
  built.utc_offset_ = utc_offset;
  for (std::size_t i = 0; i < rules.size() && i < kRulesMax; ++i) {
    const FraudConfig& from = rules[i];
    Rule rule;
    rule.name = from.name;
    rule.accounts = from.accounts;
    rule.deny = from.deny;
    rule.calls = from.calls;
    rule.calls_a_minute = from.calls_a_minute;
    rule.minutes_a_day = from.minutes_a_day;
    rule.longest = from.longest;
    rule.any_source = from.sources.empty();
    rule.sources = PrefixSet(parse_prefixes(from.sources));
    rule.has_times = !from.from.empty() || !from.days.empty();
    rule.begin = parse_time_of_day(from.from).value_or(0);
    rule.end = parse_time_of_day(from.to).value_or(0);
    for (const std::string& day : from.days) rule.days |= parse_day(day).value_or(0);

    for (const std::string* text : {&from.from, &from.to}) {
      if (!text->empty() && !parse_time_of_day(*text)) {
        return std::unexpected(from.name + ": \"" + *text + "\" is no time of day like \"18:30\"");
      }
    }
    for (const std::string& day : from.days) {
      if (parse_day(day)) continue;
      return std::unexpected(from.name + ": \"" + day +
                             "\" is no day: Mon, Tue, Wed, Thu, Fri, Sat, Sun");
    }
    std::vector<std::string> prefixes;
    for (const std::string& text : from.prefixes) {
      const CalledNumber number(text);
      if (number.text().empty() || !is_plain(text)) {
        return std::unexpected(from.name + ": \"" + text + "\" begins no number");
      }
      prefixes.emplace_back(number.text());
    }
    if (!files[i].empty()) {
      auto loaded = parse_number_prefixes(files[i]);
      if (loaded.wrong_line != 0) {
        return std::unexpected(from.prefix_file + ":" + std::to_string(loaded.wrong_line) +
                               ": this begins no number; one a line, like +882");
      }
      std::ranges::move(loaded.prefixes, std::back_inserter(prefixes));
    }
    if (from.prefixes.empty() && from.prefix_file.empty()) prefixes.emplace_back();
    for (std::string& prefix : prefixes) {
      built.longest_prefix_ = std::max(built.longest_prefix_, prefix.size());
      built.entries_.push_back({std::move(prefix), static_cast<std::uint16_t>(i)});
    }
    built.rules_.push_back(std::move(rule));
  }
  if (built.entries_.size() > kPrefixesMax) {
    return std::unexpected("[[fraud]]: more than " + std::to_string(kPrefixesMax) + " prefixes");
  }
  std::ranges::stable_sort(built.entries_, [](const Entry& a, const Entry& b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : a.rule < b.rule;
  });
  return built;
}

std::size_t FraudRules::first_of(std::string_view prefix) const {
  const auto found = std::ranges::lower_bound(entries_, prefix, {}, [](const Entry& entry) {
    return std::string_view(entry.prefix);
  });
  return static_cast<std::size_t>(found - entries_.begin());
}

bool FraudRules::is_in_force(const Rule& rule, Duration utc) const {
  if (!rule.has_times) return true;
  const Duration local = utc + utc_offset_;
  const auto day = std::chrono::floor<Days>(local);
  // 1970 began on a Thursday.
  const auto weekday = static_cast<unsigned>((day.count() % 7 + 7 + 4) % 7);
  if ((rule.days >> weekday & 1) != 0) return true;
  if (rule.begin == rule.end) return false;
  const auto minute = (local - day) / std::chrono::minutes(1);
  if (rule.begin < rule.end) return minute >= rule.begin && minute < rule.end;
  return minute >= rule.begin || minute < rule.end;
}

}  // namespace ringway
