#include "gateway/filter/rules_file.h"

#include <algorithm>
#include <set>

#include "gateway/config/table_reader.h"
#include "gateway/filter/regex_rules.h"

namespace ringway {
namespace {

constexpr std::string_view kBuiltIn =
#include "gateway/filter/scanners_text.inc"
    ;

using Rule = FilterRules::Rule;
using Field = FilterRules::Field;
using Match = FilterRules::Match;
using Action = FilterRules::Action;
using Case = FilterRules::Case;

constexpr std::pair<std::string_view, Action> kActions[] = {
    {"log", Action::Log},       {"score", Action::Score}, {"reject", Action::Reject},
    {"tarpit", Action::Tarpit}, {"drop", Action::Drop},   {"ban", Action::Ban},
};

bool has_mark(std::string_view text) {
  return text.find("{source}") != text.npos || text.find("{local}") != text.npos;
}

// What is wrong with a rule's text; empty if nothing is.
std::string complaint_about_text(const Rule& rule) {
  if (rule.match == Match::Regex) {
    if (rule.text.size() < 2 || rule.text.size() > FilterRules::kRegexTextMax) {
      return "text must have 2 to " + std::to_string(FilterRules::kRegexTextMax) + " bytes";
    }
    if (has_mark(rule.text)) return "{source} and {local} have no meaning in a regular expression";
    if (const auto checked = RegexRules::check(rule.text); !checked) {
      return "text is no regular expression that RE2 takes: " + checked.error();
    }
    return {};
  }
  const std::size_t mark = std::min(rule.text.find("{source}"), rule.text.find("{local}"));
  if (std::min(mark, rule.text.size()) < 2 || rule.text.size() > FilterRules::kTextMax) {
    return "text must have 2 to " + std::to_string(FilterRules::kTextMax) +
           " bytes, and two in front of {source} or {local}";
  }
  return {};
}

Rule read_rule(const TomlNode* node, const std::string& path, ReadLog& log) {
  TableReader table(node, path, log);
  Rule rule;
  table.read("name", rule.name);
  table.read("field", rule.field,
             {{"user_agent", Field::UserAgent},
              {"server", Field::Server},
              {"from_uri", Field::FromUri},
              {"from_name", Field::FromName},
              {"to_uri", Field::ToUri},
              {"contact_uri", Field::ContactUri},
              {"via_host", Field::ViaHost},
              {"request_uri", Field::RequestUri},
              {"method", Field::Method},
              {"any", Field::Any}});
  table.read("match", rule.match,
             {{"exact", Match::Exact},
              {"prefix", Match::Prefix},
              {"contains", Match::Contains},
              {"token", Match::Token},
              {"regex", Match::Regex}});
  table.read("case", rule.letter_case, {{"ignored", Case::Ignored}, {"exact", Case::Exact}});
  table.read("action", rule.action,
             {kActions[0], kActions[1], kActions[2], kActions[3], kActions[4], kActions[5]});
  table.read("code", rule.code, 400, 699);
  table.read("points", rule.points, 1, FilterRules::kScoreMax);
  table.read("text", rule.text);
  std::string evidence;  // for people
  table.read("evidence", evidence);
  if (rule.name.empty()) rule.name = rule.text;
  if (const std::string complaint = complaint_about_text(rule); !complaint.empty()) {
    table.mistake(*node, complaint);
    rule.text = "  ";
    rule.match = Match::Exact;
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
  std::set<std::string> names;
  for (const auto& [node, path] : root.tables("rule")) {
    if (loaded.rules.size() == FilterRules::kRulesMax) {
      root.mistake(*node, "more than " + std::to_string(FilterRules::kRulesMax) + " rules");
      break;
    }
    FilterRules::Rule rule = read_rule(node, path, log);
    if (!names.insert(rule.name).second) {
      root.mistake(*node, "name \"" + rule.name + "\" is taken");
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
  for (const auto& [word, value] : kActions) {
    if (value == action) return word;
  }
  return {};
}

}  // namespace ringway
