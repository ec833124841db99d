#include "gateway/filter/rules_file.h"

#include <algorithm>

#include "gateway/config/table_reader.h"

namespace ringway {
namespace {

constexpr std::string_view kBuiltIn =
#include "gateway/filter/scanners_text.inc"
    ;

FilterRules::Rule read_rule(const TomlNode* node, const std::string& path, ReadLog& log) {
  TableReader table(node, path, log);
  FilterRules::Rule rule;
  using Field = FilterRules::Field;
  using Match = FilterRules::Match;
  table.read("name", rule.name);
  table.read("field", rule.field,
             {{"user_agent", Field::UserAgent},
              {"from_uri", Field::FromUri},
              {"from_name", Field::FromName},
              {"to_uri", Field::ToUri},
              {"contact_uri", Field::ContactUri},
              {"any", Field::Any}});
  table.read("match", rule.match,
             {{"exact", Match::Exact}, {"prefix", Match::Prefix}, {"contains", Match::Contains}});
  table.read("action", rule.action,
             {{"drop", FilterRules::Action::Drop}, {"log", FilterRules::Action::Log}});
  table.read("text", rule.text);
  if (rule.name.empty()) rule.name = rule.text;
  const std::string before =
      rule.text.substr(0, std::min(rule.text.find("{source}"), rule.text.find("{local}")));
  if (before.size() < 2 || rule.text.size() > FilterRules::kTextMax) {
    table.mistake(*node, "text must have 2 to " + std::to_string(FilterRules::kTextMax) +
                             " bytes, and two in front of {source} or {local}");
    rule.text = "  ";
  }
  table.finish();
  return rule;
}

}  // namespace

LoadedRules parse_rules(std::string_view text) {
  LoadedRules loaded;
  ReadLog log;
  const TomlNode document = parse_document(text, log.mistakes);
  TableReader root(&document, "", log);
  for (const auto& [node, path] : root.tables("rule")) {
    if (loaded.rules.size() == FilterRules::kRulesMax) {
      root.mistake(*node, "more than " + std::to_string(FilterRules::kRulesMax) + " rules");
      break;
    }
    FilterRules::Rule rule = read_rule(node, path, log);
    for (const FilterRules::Rule& other : loaded.rules) {
      if (other.name == rule.name) root.mistake(*node, "name \"" + rule.name + "\" is taken");
    }
    loaded.rules.push_back(std::move(rule));
  }
  if (log.mistakes.empty()) root.finish();
  loaded.mistakes = std::move(log.mistakes);
  return loaded;
}

std::string_view built_in_rules() {
  return kBuiltIn;
}

std::string_view text_of(FilterRules::Action action) {
  switch (action) {
    case FilterRules::Action::Drop:
      return "drop";
    case FilterRules::Action::Log:
      return "log";
  }
  return {};
}

}  // namespace ringway
