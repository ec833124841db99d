#include "gateway/filter/rules_file.h"

#include <string>

#include <gtest/gtest.h>

namespace ringway {
namespace {

std::string rule(std::string_view lines) {
  return "[[rule]]\n" + std::string(lines) + "\n";
}

TEST(RulesFile, TheBuiltInListLoads) {
  const LoadedRules loaded = parse_rules(built_in_rules());
  for (const Mistake& mistake : loaded.mistakes) {
    ADD_FAILURE() << mistake.position.line << ": " << mistake.text;
  }
  EXPECT_GT(loaded.rules.size(), 40u);
  EXPECT_LE(loaded.rules.size(), FilterRules::kRulesMax);
}

TEST(RulesFile, ARuleIsReadWithItsDefaults) {
  const LoadedRules loaded =
      parse_rules(rule("text = \"Abc\"\nfield = \"any\"\nmatch = "
                       "\"contains\"\naction = \"log\""));
  ASSERT_TRUE(loaded.mistakes.empty());
  ASSERT_EQ(loaded.rules.size(), 1u);
  EXPECT_EQ(loaded.rules[0].name, "Abc") << "the text, where no name is given";
  EXPECT_EQ(loaded.rules[0].field, FilterRules::Field::Any);
  EXPECT_EQ(loaded.rules[0].match, FilterRules::Match::Contains);
  EXPECT_EQ(loaded.rules[0].action, FilterRules::Action::Log);
}

TEST(RulesFile, EachMistakeIsReportedAtItsLine) {
  const struct {
    std::string_view name;
    std::string text;
    std::uint32_t line;
  } kCases[] = {
      {"syntax", "[[rule]]\ntext = \"ab\nfield", 2},
      {"unknown key", rule("text = \"ab\"\nfeild = \"any\""), 3},
      {"unknown field", rule("text = \"ab\"\nfield = \"via\""), 3},
      {"unknown match", rule("text = \"ab\"\n\nmatch = \"glob\""), 4},
      {"unknown action", rule("text = \"ab\"\naction = \"kick\""), 3},
      {"wrong kind", rule("text = 5"), 2},
      {"bad expression", rule("match = \"regex\"\ntext = \"a(b\""), 1},
      {"marks in an expression", rule("match = \"regex\"\ntext = \"a{source}\""), 1},
      {"code out of range", rule("text = \"ab\"\naction = \"reject\"\ncode = 200"), 4},
      {"too short", "\n" + rule("text = \"a\""), 2},
      {"too long", rule("text = \"" + std::string(129, 'a') + "\""), 1},
      {"nothing before a mark", rule("text = \"a{source}\""), 1},
      {"no text", rule("name = \"x\""), 1},
      {"same name", rule("text = \"ab\"") + rule("text = \"ab\""), 3},
      {"another table", "[rules]\ntext = \"ab\"", 1},
  };
  for (const auto& test : kCases) {
    const LoadedRules loaded = parse_rules(test.text);
    bool found = false;
    std::string all;
    for (const Mistake& mistake : loaded.mistakes) {
      found |= mistake.position.line == test.line;
      all += std::to_string(mistake.position.line) + ": " + mistake.text + "\n";
    }
    EXPECT_TRUE(found) << test.name << ": expected line " << test.line << ", got\n" << all;
  }
}

TEST(RulesFile, AThousandAndTwentyFourAndNoMore) {
  std::string text;
  for (int i = 0; i < 1024; ++i) text += rule("text = \"rule" + std::to_string(i) + "\"");
  EXPECT_TRUE(parse_rules(text).mistakes.empty());
  EXPECT_EQ(parse_rules(text + rule("text = \"one more\"")).mistakes.size(), 1u);
}

TEST(RulesFile, EveryShippedRuleNamesItsEvidence) {
  std::string_view text = built_in_rules();
  std::size_t rules = 0, evidence = 0;
  for (std::size_t at = 0; (at = text.find("\n[[rule]]", at)) != text.npos; ++at) ++rules;
  for (std::size_t at = 0; (at = text.find("\nevidence = \"", at)) != text.npos; ++at) ++evidence;
  EXPECT_EQ(rules, evidence);
  EXPECT_EQ(rules, parse_rules(text).rules.size());
}

TEST(RulesFile, AllKeysAreRead) {
  const LoadedRules loaded =
      parse_rules(rule("text = \"ab\"\nfield = \"via_host\"\nmatch = \"token\"\ncase = \"exact\"\n"
                       "action = \"reject\"\ncode = 480\npoints = 7\nevidence = \"seen\""));
  ASSERT_TRUE(loaded.mistakes.empty());
  const FilterRules::Rule& read = loaded.rules[0];
  EXPECT_EQ(read.field, FilterRules::Field::ViaHost);
  EXPECT_EQ(read.match, FilterRules::Match::Token);
  EXPECT_EQ(read.letter_case, FilterRules::Case::Exact);
  EXPECT_EQ(read.action, FilterRules::Action::Reject);
  EXPECT_EQ(read.code, 480);
  EXPECT_EQ(read.points, 7);
  EXPECT_EQ(text_of(read.action), "reject");
}

}  // namespace
}  // namespace ringway
