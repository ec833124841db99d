#include <string>

#include "gateway/admission/called_number.h"
#include "gateway/admission/fraud_rules.h"
#include "gateway/admission/prefix_list.h"
#include "gateway/admission/source_lists.h"
#include "tests/fuzz/hold.h"
#include "tests/fuzz/targets.h"

// Lists that people fetch from elsewhere, and numbers that strangers dial. What must hold:
//   prefix lists: each prefix that was read is in the set that is made of them, its first address
//                 and its last; a line that is wrong is one of the text's.
//   numbers: whatever was read is a number, and reads again as itself.
//   fraud rules: a prefix that was read is found for itself.

namespace ringway {
namespace {

using fuzz::hold;

void check_prefixes(std::string_view text) {
  const LoadedPrefixes loaded = parse_prefix_list(text);
  hold(loaded.wrong_line <= text.size() + 1, "a wrong line is none of the text's");
  hold((loaded.wrong_line == 0) == loaded.mistake.empty(), "a wrong line has no reason");
  const PrefixSet set(loaded.prefixes);
  for (const Prefix& prefix : loaded.prefixes) {
    hold(prefix.bits != 0, "a prefix is everybody");
    hold(set.contains(prefix.address), "a prefix is not in its own set");
    Address last = prefix.address;
    const std::size_t bits = last.family == Family::V4 ? 32 : 128;
    for (std::size_t bit = prefix.bits; bit < bits; ++bit) {
      last.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80u >> (bit % 8));
    }
    hold(set.contains(last), "the last address of a prefix is not in its set");
  }
}

void check_numbers(std::string_view text) {
  const CalledNumber number(text);
  for (const char c : number.text()) {
    hold((c >= '0' && c <= '9') || c == '+' || c == '*' || c == '#', "a number holds no digit");
  }
  hold(CalledNumber(number.text()).text() == number.text(), "a number is not itself");
}

void check_fraud_rules(std::string_view text) {
  const LoadedNumberPrefixes loaded = parse_number_prefixes(text);
  FraudConfig config;
  config.name = "fuzz";
  config.prefixes = loaded.prefixes;
  config.deny = true;
  if (loaded.prefixes.empty()) return;
  const auto rules = FraudRules::build({config}, {std::string()}, 0s);
  hold(rules.has_value(), "prefixes that were read are refused");
  for (const std::string& prefix : loaded.prefixes) {
    const auto match = rules->find(prefix, Address{}, 0s, [](const std::string&) { return true; });
    hold(match && match.prefix == prefix, "a prefix is not found");
  }
}

}  // namespace

void fuzz::check_admission(Bytes input) {
  check_prefixes(as_text(input));
  check_numbers(as_text(input));
  check_fraud_rules(as_text(input));
}

}  // namespace ringway
