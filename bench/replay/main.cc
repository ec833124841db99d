#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gateway/admission/ban_judge.h"
#include "gateway/admission/budgets.h"
#include "gateway/admission/source_gate.h"
#include "gateway/filter/filter.h"
#include "gateway/filter/rules_file.h"
#include "protocol/sip/parse.h"

// Legitimate messages by the million through the filter and the admission: none may be dropped.
//
//   bench-replay FOLDER [COUNT] [SEED]
//
// FOLDER (tests/corpus/legitimate) has messages that user agents and servers really sent, one in a
// file of its own, user-agents.txt and display-names.txt. Each message goes out with another
// User-Agent, another display name and another user; each flow is one of an office's, registers as
// phones do, and goes on. Ends with 1 where one was not let through, and shows it.

namespace ringway {
namespace {

struct Corpus {
  std::vector<std::string> messages, agents, names;
};

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  }
  return lines;
}

Corpus load(const std::filesystem::path& folder) {
  Corpus corpus;
  corpus.agents = lines_of(folder / "user-agents.txt");
  corpus.names = lines_of(folder / "display-names.txt");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".sip") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.messages.emplace_back(std::istreambuf_iterator<char>(in),
                                 std::istreambuf_iterator<char>());
  }
  return corpus;
}

// The line that begins with name, in the header section: [begin, end) of its value; {0, 0}: none.
std::pair<std::size_t, std::size_t> value_at(const std::string& text, const std::string& name) {
  const std::size_t headers_end = text.find("\r\n\r\n");
  const std::size_t at = text.find("\r\n" + name + ":");
  if (at == text.npos || at > headers_end) return {0, 0};
  const std::size_t begin = at + 3 + name.size();
  return {begin, text.find("\r\n", begin)};
}

std::string varied(std::string text, const std::string& agent, const std::string& name,
                   std::uint64_t number) {
  for (const char* header : {"User-Agent", "Server"}) {
    const auto [begin, end] = value_at(text, header);
    if (begin != 0) text.replace(begin, end - begin, " " + agent);
  }
  if (value_at(text, "User-Agent").first == 0) {
    const std::size_t at = text.find("\r\n");
    text.insert(at + 2, "User-Agent: " + agent + "\r\n");
  }
  for (const char* header : {"From", "To"}) {
    const auto [begin, end] = value_at(text, header);
    if (begin == 0) continue;
    std::string value = text.substr(begin, end - begin);
    const std::size_t angle = value.find('<');
    if (angle == value.npos) continue;
    value = " \"" + name + "\" " + value.substr(angle);
    const std::size_t user = value.find("sip:", name.size() + 3),
                      host = value.find('@', name.size() + 3);
    if (user != value.npos && host != value.npos && user < host) {
      value.replace(user + 4, host - user - 4, std::to_string(number % 9'000 + 1'000));
    }
    text.replace(begin, end - begin, value);
  }
  return text;
}

struct Result {
  std::map<std::string, std::uint64_t> refused;  // by what
  std::map<std::string, std::uint64_t> logged;   // by rule
  std::uint64_t bytes = 0, requests = 0;
  double seconds = 0;
};

class Replay {
 public:
  Replay(const Corpus& corpus, unsigned seed) : corpus_(corpus), dice_(seed) {}

  Result run(std::uint64_t count) {
    Result result;
    for (std::uint64_t i = 0; i < count; ++i) one(i, result);
    return result;
  }

 private:
  static constexpr std::uint64_t kFlows = 20'000, kSources = 400;  // fifty phones behind an address

  template <typename List>
  const auto& any_of(const List& list) {
    return list[dice_() % list.size()];
  }

  void one(std::uint64_t i, Result& result) {
    const std::string text =
        varied(any_of(corpus_.messages), any_of(corpus_.agents), any_of(corpus_.names), i);
    const std::uint64_t flow = i % kFlows;
    Address address = *parse_address("198.18." + std::to_string(flow % kSources / 200) + "." +
                                     std::to_string(1 + flow % kSources % 200));
    now_ += 1ms;
    result.bytes += text.size();
    const auto began = std::chrono::steady_clock::now();
    const bool is_request = !text.starts_with("SIP/");
    const auto verdict = rules_.judge(as_bytes(text), address, local_);
    const bool open = gate_.ask(address, BanScope::Everything, now_) == SourceGate::Answer::Open;
    Budgets::Asker asker{source_key(address), flow + 1, 0, false, false, true};
    auto budget = Budgets::Verdict::Pass;
    if (is_request) {
      budget = budgets_.ask(asker, now_);
      if (i < kFlows) comes_on(asker);
    }
    result.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (is_request) ++result.requests;
    if (verdict.matched() && verdict.action == FilterRules::Action::Log) {
      ++result.logged[rules_.rules()[static_cast<std::size_t>(verdict.rule)].name];
    } else if (verdict.matched()) {
      show("rule " + rules_.rules()[static_cast<std::size_t>(verdict.rule)].name, text, result);
    }
    if (!open) show("banned", text, result);
    if (budget != Budgets::Verdict::Pass) show("over budget", text, result);
    sip::MessageView view;
    if (!sip::parse_message(as_bytes(text), sip::Framing::Datagram, view))
      show("unreadable", text, result);
  }

  // 401, credentials, 200.
  void comes_on(Budgets::Asker asker) {
    budgets_.began(asker, now_);
    budgets_.ended(asker, Budgets::End::Challenge, now_);
    asker.has_credentials = true;
    if (budgets_.ask(asker, now_) != Budgets::Verdict::Pass) std::puts("a phone could not come on");
    budgets_.began(asker, now_);
    budgets_.ended(asker, Budgets::End::Success, now_);
    gate_.report({Evidence::Kind::Success, true, 0, asker.source, 0});
  }

  void show(const std::string& what, const std::string& text, Result& result) {
    if (++result.refused[what] > 3) return;
    std::printf("%s:\n%s\n", what.c_str(), text.substr(0, text.find("\r\n\r\n")).c_str());
  }

  static constexpr HashKey kKey{1, 2};
  const Corpus& corpus_;
  std::mt19937_64 dice_;
  FilterRules rules_{parse_rules(built_in_rules()).rules, {}, {"gw.example.org"}};
  Bans bans_{65'536, kKey, 1};
  Counters counters_;
  SourceGate gate_{bans_, 0, counters_};
  BudgetsConfig settings_;
  Budgets budgets_{settings_, kKey};
  Address local_ = *parse_address("192.0.2.1");
  Instant now_ = Instant(1'000s);
};

int run(const std::string& folder, std::uint64_t count, unsigned seed) {
  const Corpus corpus = load(folder);
  if (corpus.messages.empty() || corpus.agents.empty() || corpus.names.empty()) {
    std::fprintf(stderr, "%s has no messages, or no user-agents.txt and display-names.txt\n",
                 folder.c_str());
    return 2;
  }
  Replay replay(corpus, seed);
  const Result result = replay.run(count);
  std::uint64_t refused = 0;
  for (const auto& [what, times] : result.refused) {
    std::printf("refused, %s: %llu\n", what.c_str(), static_cast<unsigned long long>(times));
    refused += times;
  }
  for (const auto& [rule, times] : result.logged) {
    std::printf("logged, rule %s: %llu\n", rule.c_str(), static_cast<unsigned long long>(times));
  }
  std::printf(
      "seed %u: %llu messages from %zu recorded, %zu User-Agents, %zu names: %llu refused; %.0f "
      "bytes and "
      "%.0f ns each\n",
      seed, static_cast<unsigned long long>(count), corpus.messages.size(), corpus.agents.size(),
      corpus.names.size(), static_cast<unsigned long long>(refused),
      static_cast<double>(result.bytes) / static_cast<double>(count),
      result.seconds * 1e9 / static_cast<double>(count));
  std::printf("replay: %d passed, %d failed, 0 skipped\n", refused == 0, refused != 0);
  return refused == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ringway

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench-replay FOLDER [COUNT] [SEED]\n");
    return 2;
  }
  return ringway::run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000,
                      argc > 3 ? static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)) : 1);
}
