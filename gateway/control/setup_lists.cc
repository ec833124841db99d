#include <ctime>
#include <string>
#include <vector>

#include "gateway/admission/prefix_list.h"
#include "gateway/config/load.h"
#include "gateway/control/setup.h"

// Lists that others publish: who is kept out, and which numbers cost money.

namespace ringway {
namespace {

// Room for as many entries as they may have.
constexpr std::size_t kListBytesMax = 32 << 20;

// Whom a list should hardly name: networks that are everybody's own, and the servers that we work
// with. What bans.allow has is let in whatever the lists say.
class Doubts {
 public:
  explicit Doubts(const Config& config, const PrefixSet& allow) : allow_(allow) {
    for (const char* own :
         {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
          "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"}) {
      watched_.push_back({*parse_prefix(own), std::string("of the private network ") + own});
    }
    for (const ListenConfig& listen : config.listen) {
      if (listen.removed || listen.address.address.is_any()) continue;
      watch(text_of(listen.address.address), "this gateway's own listener " + listen.name);
    }
    for (const NextHopConfig& next_hop : config.next_hops) {
      if (next_hop.removed) continue;
      watch(next_hop.host, "the next hop " + next_hop.name);
      for (const std::string& member : next_hop.members)
        watch(member, "a member of the next hop " + next_hop.name);
    }
    for (const TrustedConfig& trusted : config.trusted) {
      for (const std::string& prefix : trusted.prefixes)
        watch(prefix, "trusted as " + trusted.name);
    }
  }

  // One sentence for each kind of them that the list names.
  void judge(const std::string& file, const std::vector<Prefix>& prefixes,
             std::vector<std::string>& doubts) const {
    const PrefixSet set(prefixes);
    for (const Watched& watched : watched_) {
      if (!set.touches(watched.prefix) || allow_.covers(watched.prefix)) continue;
      doubts.push_back(file + " keeps out what is " + watched.meaning +
                       ": on the access side nobody hears from there; list in bans.allow who is "
                       "to be heard");
    }
  }

 private:
  struct Watched {
    Prefix prefix;
    std::string meaning;
  };
  void watch(const std::string& text, std::string meaning) {
    if (const auto prefix = parse_list_entry(text)) {
      watched_.push_back({*prefix, std::move(meaning)});
    }
  }

  const PrefixSet& allow_;
  std::vector<Watched> watched_;
};

}  // namespace

std::expected<std::shared_ptr<const SourceLists>, std::string> make_source_lists(
    const Config& config, ListUse use) {
  SourceLists lists;
  lists.allow = PrefixSet(parse_prefixes(config.bans.allow));
  const Doubts doubts(config, lists.allow);
  std::vector<Prefix> block = parse_prefixes(config.bans.block);
  doubts.judge("bans.block", block, lists.doubts);
  for (const std::string& file : config.bans.block_files) {
    const FileText read = read_text_file(file, kListBytesMax);
    if (!read.error.empty()) {
      return std::unexpected("bans.block_files: " + file + ": " + read.error);
    }
    const LoadedPrefixes loaded = parse_prefix_list(read.text);
    if (loaded.is_empty && use == ListUse::First) {
      lists.doubts.push_back(file + ": " + loaded.mistake);
      continue;
    }
    if (!loaded.mistake.empty()) {
      return std::unexpected(file + ":" + std::to_string(loaded.wrong_line) + ": " +
                             loaded.mistake);
    }
    if (!loaded.doubt.empty()) lists.doubts.push_back(file + ": " + loaded.doubt);
    doubts.judge(file, loaded.prefixes, lists.doubts);
    block.insert(block.end(), loaded.prefixes.begin(), loaded.prefixes.end());
  }
  lists.block = PrefixSet(block);
  return std::make_shared<const SourceLists>(std::move(lists));
}

Duration utc_offset() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::seconds(local.tm_gmtoff);
}

std::expected<std::shared_ptr<const FraudRules>, std::string> make_fraud_rules(
    const Config& config) {
  std::vector<std::string> files;
  for (const FraudConfig& rule : config.fraud) {
    std::string& text = files.emplace_back();
    if (rule.prefix_file.empty()) continue;
    FileText read = read_text_file(rule.prefix_file, kListBytesMax);
    if (!read.error.empty()) {
      return std::unexpected("fraud " + rule.name + ": " + rule.prefix_file + ": " + read.error);
    }
    text = std::move(read.text);
  }
  auto rules = FraudRules::build(config.fraud, files, utc_offset());
  if (!rules) return std::unexpected("fraud " + rules.error());
  return std::make_shared<const FraudRules>(std::move(*rules));
}

}  // namespace ringway
