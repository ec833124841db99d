#include <algorithm>
#include <string>

#include "gateway/filter/filter.h"
#include "gateway/filter/rules_file.h"
#include "tests/fuzz/hold.h"
#include "tests/fuzz/targets.h"

// Rule files, and messages under them. The input is two texts, parted by a NUL: rules, and a
// message as it comes from the wire. What must hold:
//   a file is either taken whole or has a mistake with a place in its text.
//   the rules that were taken compile, and judge any bytes: the rule that decided is one of them,
//   its action is the verdict's, and the same bytes get the same verdict. a verdict never hangs on
//   bytes behind the header section.

namespace ringway {
namespace {

using fuzz::hold;

bool same(const FilterRules::Verdict& one, const FilterRules::Verdict& other) {
  return one.rule == other.rule && one.action == other.action && one.code == other.code &&
         one.points == other.points;
}

void check_verdict(const FilterRules& rules, std::string_view message) {
  static const Address kSource = *parse_address("198.51.100.7");
  static const Address kLocal = *parse_address("192.0.2.1");
  const auto verdict = rules.judge(as_bytes(message), kSource, kLocal);
  hold(verdict.rule < static_cast<int>(rules.rules().size()), "no such rule");
  if (verdict.matched()) {
    const auto& rule = rules.rules()[static_cast<std::size_t>(verdict.rule)];
    hold(rule.action == verdict.action, "another action than the rule's");
    if (rule.action == FilterRules::Action::Reject) hold(verdict.code == rule.code, "another code");
  }
  hold(same(verdict, rules.judge(as_bytes(message), kSource, kLocal)), "another verdict");
  while (message.starts_with("\r\n")) message.remove_prefix(2);  // RFC 3261 7.5
  if (const std::size_t end = message.find("\r\n\r\n"); end != message.npos) {
    std::string longer(message.substr(0, end + 4));
    longer += "User-Agent: friendly-scanner\r\nFrom: <sip:nm@nm>\r\n\r\n";
    const auto with_body = rules.judge(as_bytes(longer), kSource, kLocal);
    hold(same(with_body, rules.judge(as_bytes(longer).first(end + 4), kSource, kLocal)),
         "a body is judged");
  }
}

}  // namespace

void fuzz::check_rules(Bytes bytes) {
  static const FilterRules kShipped(parse_rules(built_in_rules()).rules, {}, {"gw.example.org"});
  const std::string_view input = as_text(bytes);
  const std::size_t cut = input.find('\0');
  const std::string_view text = input.substr(0, cut);
  const std::string_view message = cut == input.npos ? input : input.substr(cut + 1);
  check_verdict(kShipped, message);
  // toml++ 3.0 holds other letters outside of quotes for unreachable, which a sanitizer reports.
  if (std::ranges::any_of(text, [](char c) { return (c & 0x80) != 0; })) return;
  const LoadedRules loaded = parse_rules(text);
  if (!loaded.mistakes.empty()) return;
  check_verdict(FilterRules(loaded.rules, {}, {"gw.example.org"}), message);
}

}  // namespace ringway
