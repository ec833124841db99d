#include "gateway/filter/regex_rules.h"

#include <re2/re2.h>
#include <re2/set.h>

#include "gateway/base/check.h"

namespace ringway {
namespace {

// For the automaton of one set and of one expression: it is built as values come and begins anew
// when it has grown to this.
constexpr std::int64_t kSetBytesMax = 16 << 20, kExpressionBytesMax = 256 << 10;

re2::RE2::Options options_of(std::int64_t bytes_max) {
  re2::RE2::Options options(re2::RE2::Latin1);  // what comes need not be UTF-8
  options.set_log_errors(false);
  options.set_never_capture(true);
  options.set_max_mem(bytes_max);
  return options;
}

}  // namespace

struct RegexRules::Set {
  re2::RE2::Set set{options_of(kSetBytesMax), re2::RE2::UNANCHORED};
};

RegexRules::RegexRules() = default;
RegexRules::~RegexRules() = default;
RegexRules::RegexRules(RegexRules&&) noexcept = default;
RegexRules& RegexRules::operator=(RegexRules&&) noexcept = default;

RegexRules::RegexRules(const std::vector<Source>& sources) {
  if (sources.empty()) return;
  set_ = std::make_unique<Set>();
  for (const Source& source : sources) {
    const std::string text = source.ignores_case ? "(?i)" + source.text : source.text;
    expressions_.push_back(std::make_unique<re2::RE2>(text, options_of(kExpressionBytesMax)));
    CHECK(expressions_.back()->ok());
    CHECK(set_->set.Add(text, nullptr) >= 0);
    rules_.push_back(source.rule);
  }
  if (!set_->set.Compile()) set_.reset();
}

void RegexRules::find(std::string_view value, std::vector<std::uint16_t>& found) const {
  const re2::StringPiece text(value.data(), value.size());
  if (set_) {
    re2::RE2::Set::ErrorInfo error{};
    if (!set_->set.Match(text, nullptr, &error) && error.kind == re2::RE2::Set::kNoError) {
      return;
    }
  }
  for (std::size_t i = 0; i < expressions_.size(); ++i) {
    if (re2::RE2::PartialMatch(text, *expressions_[i])) found.push_back(rules_[i]);
  }
}

std::expected<void, std::string> RegexRules::check(const std::string& text) {
  const re2::RE2 expression("(?i)" + text, options_of(kExpressionBytesMax));
  if (!expression.ok()) return std::unexpected(expression.error());
  return {};
}

}  // namespace ringway
