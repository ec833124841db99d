#include "gateway/filter/filter.h"

#include <algorithm>
#include <array>

#include "gateway/base/check.h"
#include "gateway/filter/header_scan.h"
#include "gateway/filter/pattern_index.h"
#include "gateway/filter/regex_rules.h"
#include "protocol/base/ascii.h"
#include "protocol/base/writer.h"

namespace ringway {
namespace {

using Rule = FilterRules::Rule;
using Field = FilterRules::Field;
using Match = FilterRules::Match;
using Action = FilterRules::Action;

constexpr std::size_t kFieldCount = static_cast<std::size_t>(Field::Any) + 1;
constexpr std::string_view kSourceMark = "{source}", kLocalMark = "{local}";

// A rule's text; one that names our own hosts has a pattern for each of them.
struct Pattern {
  std::uint16_t rule = 0;
  bool has_marks = false;  // addresses of the packet are still to be put in
  std::string text;
};

struct FieldRules {
  PatternIndex at_start;  // Exact and Prefix
  PatternIndex inside;    // Contains and Token
  RegexRules regexes;
  bool empty() const { return at_start.empty() && inside.empty() && regexes.empty(); }
};

bool is_token_edge(std::string_view value, std::size_t start, std::size_t size) {
  if (start != 0 && ascii::is_token(value[start - 1])) return false;
  return start + size == value.size() || !ascii::is_token(value[start + size]);
}

std::string with_host(std::string text, std::string_view host) {
  for (std::size_t at = 0; (at = text.find(kLocalMark, at)) != text.npos; at += host.size()) {
    text.replace(at, kLocalMark.size(), host);
  }
  return text;
}

}  // namespace

struct FilterRules::Compiled {
  std::vector<Pattern> patterns;
  std::array<FieldRules, kFieldCount> fields;

  void add(const Rule& rule, std::size_t index, std::string text);
  void finish();
  FieldRules& of(Field field) { return fields[static_cast<std::size_t>(field)]; }
  bool uses(Field field) const { return (used >> static_cast<unsigned>(field) & 1) != 0; }

  std::uint16_t used = 0;        // fields that have rules, a bit for each
  HeaderScan::Names wanted = 0;  // headers that these are in
};
static_assert(kFieldCount <= 16);

void FilterRules::Compiled::finish() {
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    fields[i].at_start.finish();
    fields[i].inside.finish();
    if (!fields[i].empty()) used = static_cast<std::uint16_t>(used | 1u << i);
  }
  using Name = HeaderScan::Name;
  const auto want = [this](Name name, std::initializer_list<Field> of) {
    if (std::ranges::any_of(of, [this](Field field) { return uses(field); })) {
      wanted = static_cast<HeaderScan::Names>(wanted | HeaderScan::only(name));
    }
  };
  want(Name::UserAgent, {Field::UserAgent, Field::Any});
  want(Name::Server, {Field::Server, Field::Any});
  want(Name::From, {Field::FromUri, Field::FromName, Field::Any});
  want(Name::To, {Field::ToUri, Field::Any});
  want(Name::Contact, {Field::ContactUri, Field::Any});
  want(Name::Via, {Field::ViaHost});
}

void FilterRules::Compiled::add(const Rule& rule, std::size_t index, std::string text) {
  CHECK(patterns.size() < 0xffff);
  const std::size_t mark = std::min(text.find(kSourceMark), text.find(kLocalMark));
  const auto id = static_cast<PatternIndex::Id>(patterns.size());
  const bool is_inside = rule.match == Match::Contains || rule.match == Match::Token;
  PatternIndex& where = is_inside ? of(rule.field).inside : of(rule.field).at_start;
  where.add(std::string_view(text).substr(0, mark), id);
  patterns.push_back({static_cast<std::uint16_t>(index), mark != text.npos, std::move(text)});
}

namespace {

// What one message is judged with.
class Judge {
 public:
  Judge(const std::vector<Rule>& rules, const FilterRules::Compiled& compiled,
        const Address& source, const Address& local)
      : rules_(rules), compiled_(compiled), source_(source), local_(local) {}

  void look_at_start_line(std::string_view line) {
    const std::size_t method_end = line.find(' ');
    if (method_end == line.npos) return;
    match(Field::Method, line.substr(0, method_end));
    std::string_view uri = line.substr(method_end + 1);
    match_plain(Field::RequestUri, uri.substr(0, uri.find(' ')), '%');
  }

  void look_at(const HeaderScan::Header& header) {
    if (header.name != HeaderScan::Name::Via) match(Field::Any, header.value);
    switch (header.name) {
      case HeaderScan::Name::UserAgent:
        return match(Field::UserAgent, header.value);
      case HeaderScan::Name::Server:
        return match(Field::Server, header.value);
      case HeaderScan::Name::From: {
        const NameAddress address = split_name_address(header.value);
        match_plain(Field::FromName, address.name, '\\');
        return match_plain(Field::FromUri, address.uri, '%');
      }
      case HeaderScan::Name::To:
        return match_plain(Field::ToUri, split_name_address(header.value).uri, '%');
      case HeaderScan::Name::Contact:
        return match_plain(Field::ContactUri, split_name_address(header.value).uri, '%');
      case HeaderScan::Name::Via:
        return match(Field::ViaHost, via_host(header.value));
    }
  }

  FilterRules::Verdict verdict() const { return verdict_; }

 private:
  void match(Field field, std::string_view value) {
    if (compiled_.uses(field) && value.size() >= 2) {
      match_used(field, value.substr(0, FilterRules::kValueMax));
    }
  }

  // escape: what hides a character of the value: '%' in a URI (RFC 3261 19.1.4), a backslash in a
  // display name (RFC 3261 25.1).
  void match_plain(Field field, std::string_view value, char escape) {
    if (!compiled_.uses(field)) return;
    if (value.find(escape) == value.npos) return match(field, value);
    std::array<char, FilterRules::kValueMax> memory;
    match(field, without_escapes(value, escape, memory));
  }

  void match_used(Field field, std::string_view value) {
    const FieldRules& rules = compiled_.fields[static_cast<std::size_t>(field)];
    rules.at_start.find(value, [&](PatternIndex::Id id) { check(id, field, value, 0); });
    if (!rules.inside.empty()) {
      rules.inside.find_anywhere(
          value, [&](PatternIndex::Id id, std::size_t start) { check(id, field, value, start); });
    }
    if (!rules.regexes.empty()) {
      std::vector<std::uint16_t> found;
      rules.regexes.find(value, found);
      for (const std::uint16_t rule : found) hit(rule);
    }
  }

  // The beginning of the pattern stands in value at start, as far as case and its marks go.
  void check(PatternIndex::Id id, Field field, std::string_view value, std::size_t start) {
    const Pattern& pattern = compiled_.patterns[id];
    const Rule& rule = rules_[pattern.rule];
    std::array<std::uint8_t, FilterRules::kTextMax + 4 * kEndpointTextMax> memory;
    std::string_view text = pattern.text;
    if (pattern.has_marks) text = expand(text, memory);
    std::string_view found = value.substr(start, text.size());
    if (rule.match == Match::Exact) {
      const bool is_uri = field == Field::FromUri || field == Field::ToUri ||
                          field == Field::ContactUri || field == Field::RequestUri;
      found = is_uri ? uri_without_port(value) : value;
    } else if (rule.match == Match::Token && !is_token_edge(value, start, found.size())) {
      return;
    }
    const bool same = rule.letter_case == FilterRules::Case::Exact
                          ? found == text
                          : ascii::equal_ignoring_case(found, text);
    if (same) hit(pattern.rule);
  }

  std::string_view expand(std::string_view text, MutableBytes memory) const {
    Writer out(memory);
    while (!text.empty()) {
      if (text.starts_with(kSourceMark)) {
        write_address(source_, AddressForm::Bracketed, out);
        text.remove_prefix(kSourceMark.size());
      } else if (text.starts_with(kLocalMark)) {
        write_address(local_, AddressForm::Bracketed, out);
        text.remove_prefix(kLocalMark.size());
      } else {
        out.character(text.front());
        text.remove_prefix(1);
      }
    }
    return out.written_text();
  }

  void hit(std::size_t index) {
    const Rule& rule = rules_[index];
    if (rule.action == Action::Score) {
      const unsigned sum = verdict_.points + unsigned{rule.points};
      verdict_.points = static_cast<std::uint16_t>(std::min(sum, FilterRules::kScoreMax));
    }
    if (verdict_.matched() && rule.action <= verdict_.action) return;
    verdict_.rule = static_cast<int>(index);
    verdict_.action = rule.action;
    verdict_.code = rule.code;
  }

  const std::vector<Rule>& rules_;
  const FilterRules::Compiled& compiled_;
  const Address& source_;
  const Address& local_;
  FilterRules::Verdict verdict_;
};

}  // namespace

FilterRules::FilterRules(std::vector<Rule> rules, std::vector<Prefix> exempt,
                         std::vector<std::string> own_hosts)
    : rules_(std::move(rules)), exempt_(std::move(exempt)), own_hosts_(std::move(own_hosts)) {
  constexpr std::size_t kOwnHostsMax = 32;
  CHECK(rules_.size() <= kRulesMax);
  if (own_hosts_.size() > kOwnHostsMax) own_hosts_.resize(kOwnHostsMax);
  auto compiled = std::make_shared<Compiled>();
  std::array<std::vector<RegexRules::Source>, kFieldCount> regexes;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    if (rule.match == Match::Regex) {
      regexes[static_cast<std::size_t>(rule.field)].push_back(
          {rule.text, rule.letter_case == Case::Ignored, static_cast<std::uint16_t>(i)});
      continue;
    }
    CHECK(rule.text.size() >= 2 && rule.text.size() <= kTextMax);
    compiled->add(rule, i, rule.text);
    if (rule.text.find(kLocalMark) == rule.text.npos) continue;
    for (const std::string& host : own_hosts_) compiled->add(rule, i, with_host(rule.text, host));
  }
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    compiled->fields[i].regexes = RegexRules(regexes[i]);
  }
  compiled->finish();
  compiled_ = std::move(compiled);
}

std::shared_ptr<const FilterRules> FilterRules::for_another_shard(
    const std::shared_ptr<const FilterRules>& rules) {
  if (!rules) return nullptr;
  const bool has_regexes = std::any_of(rules->rules_.begin(), rules->rules_.end(),
                                       [](const Rule& r) { return r.match == Match::Regex; });
  return has_regexes
             ? std::make_shared<const FilterRules>(rules->rules_, rules->exempt_, rules->own_hosts_)
             : rules;
}

FilterRules::Verdict FilterRules::judge(Bytes message, const Address& source,
                                        const Address& local) const {
  std::string_view text = as_text(message);
  while (text.starts_with("\r\n")) text.remove_prefix(2);
  if (rules_.empty() || text.starts_with("SIP/")) return {};
  for (const Prefix& prefix : exempt_) {
    if (prefix.contains(source)) return {};
  }
  Judge judge(rules_, *compiled_, source, local);
  HeaderScan scan(text, compiled_->wanted);
  judge.look_at_start_line(scan.start_line());
  while (const auto header = scan.next()) judge.look_at(*header);
  return judge.verdict();
}

}  // namespace ringway
