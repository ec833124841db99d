#include "gateway/config/validate_admission.h"

#include <string>

#include "gateway/base/prefix.h"
#include "gateway/config/table_reader.h"

namespace ringway {
namespace {

void check_prefixes(const std::vector<std::string>& texts, const std::string& path,
                    std::string_view everybody, const AddMistake& add) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto prefix = parse_prefix(texts[i]);
    const std::string at = path + "[" + std::to_string(i) + "]";
    if (!prefix) add(at, "\"" + texts[i] + "\" is no address or prefix like \"192.0.2.0/24\"");
    if (prefix && prefix->bits == 0) {
      add(at, "\"" + texts[i] + "\" means everybody: " + std::string(everybody));
    }
  }
}

void check_bans(const BansConfig& bans, const AddMistake& add) {
  check_prefixes(bans.allow, "bans.allow", "set enabled = false instead", add);
  check_prefixes(bans.block, "bans.block", "nobody could speak any more", add);
  for (std::size_t i = 0; i < bans.block.size(); ++i) {
    const auto prefix = parse_prefix(bans.block[i]);
    if (!prefix || prefix->bits == 0 || !is_too_wide(*prefix)) continue;
    add("bans.block[" + std::to_string(i) + "]",
        "\"" + bans.block[i] + "\" would keep out a large part of the world: is it mistyped?");
  }
  constexpr std::size_t kLastingMax = 15, kFilesMax = 32;
  if (bans.lasting.empty() || bans.lasting.size() > kLastingMax) {
    add("bans.lasting", "lasting has 1 to 15 times, like [\"1m\", \"10m\", \"1h\", \"24h\"]");
  }
  Duration before{};
  for (const std::string& text : bans.lasting) {
    const auto duration = parse_duration(text);
    if (!duration || *duration < 1s || *duration > 366 * std::chrono::hours(24)) {
      add("bans.lasting", "\"" + text + "\" is no time between 1s and a year, like \"10m\"");
    } else if (*duration < before) {
      add("bans.lasting", "\"" + text + "\" is shorter than the time before it");
    } else {
      before = *duration;
    }
  }
  if (bans.block_files.size() > kFilesMax) {
    add("bans.block_files", "there are more than 32 files: put some together");
  }
}

void check_fraud(const FraudConfig& rule, const std::string& path, const AddMistake& add) {
  const bool caps = rule.calls != 0 || rule.calls_a_minute != 0 || rule.minutes_a_day != 0 ||
                    rule.longest != Duration{};
  if (!rule.deny && !caps) {
    add(path, "this rule does nothing: deny = true, calls, calls_a_minute, minutes_a_day or "
              "longest is missing");
  }
  if (rule.deny && caps) add(path + ".deny", "what is denied has no other limits: take them out");
  if (rule.from.empty() != rule.to.empty()) {
    add(path, "from and to belong together, like from = \"18:00\" and to = \"08:00\"");
  }
  if (!rule.from.empty() && rule.from == rule.to) {
    add(path + ".to", "from and to are the same, so the rule is never in force: leave both out for "
                      "a rule that always is");
  }
  check_prefixes(rule.sources, path + ".sources", "leave sources out instead", add);
  for (const std::string& account : rule.accounts) {
    if (account.find('@') == account.npos) {
      add(path + ".accounts",
          "\"" + account + "\" is no address-of-record like \"sip:bob@example.org\"");
    }
  }
}

}  // namespace

void validate_admission(const Config& config, const AddMistake& add) {
  constexpr std::size_t kFraudMax = 1'000;
  if (config.fraud.size() > kFraudMax) add("fraud[1000]", "there are more than 1000 [[fraud]]");
  for (std::size_t i = 0; i < config.fraud.size(); ++i) {
    const std::string path = "fraud[" + std::to_string(i) + "]";
    check_fraud(config.fraud[i], path, add);
    for (std::size_t j = 0; j < i; ++j) {
      if (config.fraud[j].name == config.fraud[i].name) {
        add(path + ".name", "name \"" + config.fraud[i].name + "\" is taken");
        break;
      }
    }
  }
  check_bans(config.bans, add);
}

}  // namespace ringway
