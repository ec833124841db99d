#include "gateway/config/load_admission.h"

namespace ringway {
namespace {

void read_bans(TableReader& root, const std::string& file, BansConfig& bans, ReadLog& log) {
  TableReader table(root.find("bans"), "bans", log);
  table.read("enabled", bans.enabled);
  table.read("failures", bans.failures, 3, 100'000);
  table.read("within", bans.within, 1s, std::chrono::hours(24));
  table.read("lasting", bans.lasting);
  table.read("allow", bans.allow);
  table.read("block", bans.block);
  table.read("block_files", bans.block_files);
  const std::size_t slash = file.find_last_of('/');
  for (std::string& name : bans.block_files) {
    if (!name.starts_with('/') && slash != file.npos) name = file.substr(0, slash + 1) + name;
  }
  table.finish();
}

void read_budgets(TableReader& root, BudgetsConfig& budgets, ReadLog& log) {
  TableReader table(root.find("budgets"), "budgets", log);
  table.read("enabled", budgets.enabled);
  table.read("attempts", budgets.attempts, 2, 200);
  table.read("rate", budgets.rate, 1, 100'000);
  table.read("burst", budgets.burst, 1, 100'000);
  table.read("source_rate", budgets.source_rate, 1, 100'000);
  table.read("source_burst", budgets.source_burst, 1, 100'000);
  table.finish();
}

// "Nobody" and "everybody" are both near: what is meant has to be said.
void refuse_empty_list(TableReader& table, const char* key, const char* left_out) {
  const TomlNode* node = table.find(key);
  if (!node || node->kind != TomlNode::Kind::Array || !node->children.empty()) return;
  table.mistake(*node, std::string(key) + " is an empty list: leave it out, then the rule is for " +
                           left_out);
}

FraudConfig read_fraud(const TomlNode* node, const std::string& path, const std::string& file,
                       std::size_t number, ReadLog& log) {
  TableReader table(node, path, log);
  FraudConfig rule;
  rule.name = "fraud-" + std::to_string(number);
  table.read("name", rule.name);
  table.read("prefixes", rule.prefixes);
  table.read_path("prefix_file", rule.prefix_file, file);
  table.read("accounts", rule.accounts);
  table.read("sources", rule.sources);
  refuse_empty_list(table, "prefixes", "every number (or those of prefix_file)");
  refuse_empty_list(table, "accounts", "each account by itself");
  refuse_empty_list(table, "sources", "all sources");
  table.read("from", rule.from);
  table.read("to", rule.to);
  table.read("days", rule.days);
  table.read("deny", rule.deny);
  table.read("calls", rule.calls, 1, 1'000'000);
  table.read("calls_a_minute", rule.calls_a_minute, 1, 1'000'000);
  table.read("minutes_a_day", rule.minutes_a_day, 1, 10'000'000);
  table.read("longest", rule.longest, 1s, std::chrono::hours(24));
  table.finish();
  return rule;
}

void read_rest(TableReader& root, Config& config, ReadLog& log) {
  TableReader overload(root.find("overload"), "overload", log);
  overload.read("enabled", config.overload.enabled);
  overload.read("lag", config.overload.lag, 10ms, 10s);
  overload.finish();
  TableReader process(root.find("process"), "process", log);
  process.read("user", config.process.user);
  process.read("seccomp", config.process.seccomp);
  process.finish();
  TableReader answers(root.find("answers"), "answers", log);
  answers.read("alike", config.answers.alike);
  answers.read("refuse_after", config.answers.refuse_after, 0ms, 5s);
  answers.finish();
}

}  // namespace

void read_admission(TableReader& root, const std::string& file, Config& config, ReadLog& log) {
  read_bans(root, file, config.bans, log);
  read_budgets(root, config.budgets, log);
  read_rest(root, config, log);
  for (const auto& [node, path] : root.tables("fraud")) {
    config.fraud.push_back(read_fraud(node, path, file, config.fraud.size() + 1, log));
  }
}

void note_fraud_keys(ReadLog& log) {
  read_fraud(nullptr, "fraud[0]", "", 1, log);
}

std::vector<Duration> ban_durations(const BansConfig& bans) {
  std::vector<Duration> durations;
  for (const std::string& text : bans.lasting) {
    if (const auto duration = parse_duration(text)) durations.push_back(*duration);
  }
  if (durations.empty()) durations.push_back(60s);
  return durations;
}

}  // namespace ringway
