#include "gateway/filter/filter.h"

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <cstring>
#include <optional>

#include "gateway/base/check.h"
#include "protocol/base/ascii.h"
#include "protocol/base/writer.h"

namespace ringway {
namespace {

using Rule = FilterRules::Rule;
using Field = FilterRules::Field;
using Match = FilterRules::Match;
using Action = FilterRules::Action;

constexpr std::size_t kFieldCount = 6;
constexpr std::string_view kSourceMark = "{source}", kLocalMark = "{local}";

// The lower five bits of a letter do not depend on its case, so two neighbours make one of 1,024
// pairs in both cases. A pair that begins no rule's text ends the look at that place.
constexpr std::size_t pair_of(char first, char second) {
  return (static_cast<std::size_t>(first) & 31) << 5 | (static_cast<std::size_t>(second) & 31);
}

// The first eight bytes of text, bit 5 of each set so that case does not matter; zero behind it.
constexpr std::uint64_t kCaseBits = 0x2020'2020'2020'2020;
std::uint64_t head_of(std::string_view text) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t head = 0;
  if (text.size() >= 8) {
    std::memcpy(&head, text.data(), 8);
  } else {
    for (std::size_t i = 0; i < text.size(); ++i) {
      head |= std::uint64_t{static_cast<std::uint8_t>(text[i])} << (8 * i);
    }
  }
  return head | kCaseBits;
}

// A rule's text, in lower case; where it names addresses, expanded for one packet.
struct Pattern {
  std::uint8_t rule = 0;
  bool has_marks = false;
  std::string text;  // up to the first mark if there is one
  std::uint64_t head = 0, mask = 0;

  Pattern(std::size_t index, bool marks, std::string up_to_mark)
      : rule(static_cast<std::uint8_t>(index)),
        has_marks(marks),
        text(std::move(up_to_mark)),
        head(head_of(text)),
        mask(text.size() >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * text.size())) - 1) {}
  // False for nearly everything that does not begin with text.
  bool may_begin(std::uint64_t head_of_value) const { return ((head ^ head_of_value) & mask) == 0; }
};

struct FieldRules {
  std::array<std::vector<Pattern>, 32> at_start;  // Exact and Prefix, by the first byte
  std::vector<Pattern> contained;
  std::bitset<1024> pairs;  // of the first two bytes of contained ones
  bool has_start = false;
  bool empty() const { return !has_start && contained.empty(); }
};

// The headers that rules look at.
enum class Header : std::uint8_t { UserAgent, From, To, Contact };

// The name and URI of a From, To or Contact value (RFC 3261 20.10), as far as a scanner's ones go.
struct NameAddress {
  std::string_view name, uri;
};

NameAddress split(std::string_view value) {
  NameAddress result;
  std::size_t open = 0;
  if (value.starts_with('"')) {
    const std::size_t close = value.find('"', 1);
    if (close == value.npos) return {value.substr(1), {}};
    result.name = value.substr(1, close - 1);
    open = value.find('<', close);
  } else {
    open = value.find('<');
    if (open != value.npos) result.name = ascii::trim(value.substr(0, open));
  }
  if (open == value.npos) {
    result.uri = ascii::trim(value.substr(0, value.find(';')));
    return result;
  }
  result.uri = value.substr(open + 1);
  result.uri = result.uri.substr(0, result.uri.find('>'));
  return result;
}

// scheme:user@host, without what may follow.
std::string_view without_port(std::string_view uri) {
  uri = uri.substr(0, uri.find_first_of(";?"));
  const std::size_t at = uri.find('@');
  const std::size_t host = at != uri.npos ? at + 1 : uri.find(':') + 1;
  const std::size_t bracket = uri.find(']', host);
  const std::size_t colon = uri.find(':', bracket != uri.npos ? bracket : host);
  return uri.substr(0, colon);
}

}  // namespace

struct FilterRules::Compiled {
  std::array<FieldRules, kFieldCount> fields;
  std::bitset<FilterRules::kRulesMax> drops;
  std::array<bool, 4> wanted{};  // by Header
};

namespace {

// What one message is judged with.
class Judge {
 public:
  Judge(const std::vector<Rule>& rules, const FilterRules::Compiled& compiled,
        const Address& source, const Address& local)
      : rules_(rules), compiled_(compiled), source_(source), local_(local) {}

  void look_at(Header header, std::string_view value) {
    if (header == Header::UserAgent) {
      match(Field::UserAgent, value, value);
    } else {
      const NameAddress address = split(value);
      if (header == Header::From) {
        match(Field::FromName, address.name, address.name);
        match(Field::FromUri, address.uri, {});
      } else {
        match(header == Header::To ? Field::ToUri : Field::ContactUri, address.uri, {});
      }
    }
    match(Field::Any, value, value);
  }

  std::optional<std::size_t> rule() const { return rule_; }

 private:
  const FieldRules& rules_of(Field field) const {
    return compiled_.fields[static_cast<std::size_t>(field)];
  }

  // exact: what Exact compares with; empty for a URI, whose port is cut off only if needed.
  void match(Field field, std::string_view value, std::string_view exact) {
    const FieldRules& rules = rules_of(field);
    if (value.empty() || rules.empty()) return;
    if (rules.has_start) {
      const std::uint64_t head = head_of(value);
      for (const Pattern& pattern : rules.at_start[static_cast<std::size_t>(value[0]) & 31]) {
        if (!pattern.may_begin(head)) continue;
        if (!ascii::starts_with_ignoring_case(value, pattern.text)) continue;
        const Rule& rule = rules_[pattern.rule];
        std::string_view compared = value;
        if (rule.match == Match::Exact) compared = exact.empty() ? without_port(value) : exact;
        if (equals(pattern, compared, rule.match)) hit(pattern.rule);
      }
    }
    if (rules.contained.empty()) return;
    for (std::size_t i = 0; i + 1 < value.size(); ++i) {
      if (!rules.pairs[pair_of(value[i], value[i + 1])]) continue;
      const std::uint64_t head = head_of(value.substr(i));
      for (const Pattern& pattern : rules.contained) {
        if (pattern.may_begin(head) &&
            ascii::starts_with_ignoring_case(value.substr(i), pattern.text) &&
            equals(pattern, value.substr(i), Match::Prefix)) {
          hit(pattern.rule);
        }
      }
    }
  }

  bool equals(const Pattern& pattern, std::string_view value, Match match) const {
    std::array<std::uint8_t, FilterRules::kTextMax + 4 * kEndpointTextMax> memory;
    std::string_view text = pattern.text;
    if (pattern.has_marks) text = expand(rules_[pattern.rule].text, memory);
    return match == Match::Exact ? ascii::equal_ignoring_case(value, text)
                                 : ascii::starts_with_ignoring_case(value, text);
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

  void hit(std::size_t rule) {
    if (!rule_ || (compiled_.drops[rule] && !compiled_.drops[*rule_])) rule_ = rule;
  }

  const std::vector<Rule>& rules_;
  const FilterRules::Compiled& compiled_;
  const Address& source_;
  const Address& local_;
  std::optional<std::size_t> rule_;
};

// The value of a line that begins with name, white space and a colon.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (!ascii::starts_with_ignoring_case(line, name)) return std::nullopt;
  std::size_t at = name.size();
  while (at < line.size() && ascii::is_space(line[at])) ++at;
  if (at == line.size() || line[at] != ':') return std::nullopt;
  return ascii::trim(line.substr(at + 1));
}

// A header's name, of which the first bytes tell most lines apart.
struct Name {
  std::string_view text;
  std::string_view compact;
  Header header;
  std::uint64_t head, mask;

  constexpr Name(std::string_view name, std::string_view compact_name, Header which)
      : text(name), compact(compact_name), header(which), head(0), mask(0) {
    for (std::size_t i = 0; i < std::min<std::size_t>(name.size(), 8); ++i) {
      head |= std::uint64_t{static_cast<std::uint8_t>(name[i] | 0x20)} << (8 * i);
      mask |= std::uint64_t{0xff} << (8 * i);
    }
  }
};

// Which of the headers a line is, and its value.
std::optional<Header> header_of(std::string_view line, std::string_view& value) {
  static constexpr std::array kNames{Name{"user-agent", {}, Header::UserAgent},
                                     Name{"from", "f", Header::From}, Name{"to", "t", Header::To},
                                     Name{"contact", "m", Header::Contact}};
  const std::uint64_t head = head_of(line);
  for (const Name& name : kNames) {
    if (((head ^ name.head) & name.mask) == 0) {
      if (const auto found = value_of(line, name.text)) {
        value = *found;
        return name.header;
      }
    }
    if (name.compact.empty() || (head & 0xff) != static_cast<std::uint8_t>(name.compact[0])) {
      continue;
    }
    if (const auto found = value_of(line, name.compact)) {
      value = *found;
      return name.header;
    }
  }
  return std::nullopt;
}

}  // namespace

FilterRules::FilterRules(std::vector<Rule> rules, std::vector<Prefix> exempt)
    : rules_(std::move(rules)), exempt_(std::move(exempt)) {
  CHECK(rules_.size() <= kRulesMax);
  auto compiled = std::make_shared<Compiled>();
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    CHECK(rule.text.size() >= 2 && rule.text.size() <= kTextMax);
    FieldRules& field = compiled->fields[static_cast<std::size_t>(rule.field)];
    const std::size_t mark = std::min(rule.text.find(kSourceMark), rule.text.find(kLocalMark));
    Pattern pattern(i, mark != rule.text.npos, rule.text.substr(0, mark));
    CHECK(pattern.text.size() >= 2);
    if (rule.match == Match::Contains) {
      field.pairs.set(pair_of(pattern.text[0], pattern.text[1]));
      field.contained.push_back(std::move(pattern));
    } else {
      field.has_start = true;
      field.at_start[static_cast<std::size_t>(pattern.text[0]) & 31].push_back(std::move(pattern));
    }
    compiled->drops[i] = rule.action == Action::Drop;
  }
  const auto& fields = compiled->fields;
  const auto used = [&](Field field) { return !fields[static_cast<std::size_t>(field)].empty(); };
  const bool any = used(Field::Any);
  compiled->wanted = {any || used(Field::UserAgent),
                      any || used(Field::FromUri) || used(Field::FromName),
                      any || used(Field::ToUri), any || used(Field::ContactUri)};
  compiled_ = std::move(compiled);
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
  auto wanted = compiled_->wanted;
  auto left = std::count(wanted.begin(), wanted.end(), true);
  std::size_t line_end = text.find('\n');
  while (line_end != text.npos && left != 0) {
    const std::size_t start = line_end + 1;
    line_end = text.find('\n', start);
    if (start == text.size() || text[start] == '\r' || text[start] == '\n') break;
    std::string_view value;
    std::string_view line = text.substr(start, line_end - start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto header = header_of(line, value);
    if (!header) continue;
    bool& is_wanted = wanted[static_cast<std::size_t>(*header)];
    if (!is_wanted) continue;
    is_wanted = false;
    --left;
    judge.look_at(*header, value);
  }
  const auto rule = judge.rule();
  if (!rule) return {};
  return {static_cast<int>(*rule), rules_[*rule].action};
}

}  // namespace ringway
