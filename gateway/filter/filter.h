#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/prefix.h"
#include "protocol/base/bytes.h"

namespace ringway {

// The scanner signatures of one published set (configs/scanners.toml), compiled. Immutable, shared
// by all shards, replaced whole on reload.
class FilterRules {
 public:
  enum class Action : std::uint8_t { Drop, Log };
  // Any: the whole value of each of the four headers.
  enum class Field : std::uint8_t { UserAgent, FromUri, FromName, ToUri, ContactUri, Any };
  // Exact on a URI compares scheme, user and host; its port, parameters and headers are left out.
  enum class Match : std::uint8_t { Exact, Prefix, Contains };
  struct Rule {
    std::string name;  // for logs and metrics
    Field field = Field::UserAgent;
    Match match = Match::Exact;
    Action action = Action::Drop;
    std::string text;  // matched ignoring case; {source} and {local} stand for addresses
  };
  static constexpr std::size_t kRulesMax = 64;
  static constexpr std::size_t kTextMax = 128;

  // At most kRulesMax rules with texts of 2 to kTextMax bytes; the loader (rules_file.h) has
  // checked that. exempt: sources that are never judged.
  explicit FilterRules(std::vector<Rule> rules, std::vector<Prefix> exempt = {});
  const std::vector<Rule>& rules() const { return rules_; }

  struct Verdict {
    int rule = -1;  // index of the rule that decided; -1: none matched
    Action action = Action::Log;
    bool matched() const { return rule >= 0; }
  };

  // Judges the raw bytes of one message before any parse: only requests match, and a rule that
  // drops goes before one that logs. source is the packet's address, local the listener's.
  // Looks at the first User-Agent, From, To and Contact (compact forms too), each at its first
  // line: who folds these lines is no known scanner.
  // Cost: one pass over the header section, no allocation, nothing written.
  Verdict judge(Bytes message, const Address& source, const Address& local) const;

  struct Compiled;  // filter.cc

 private:
  std::vector<Rule> rules_;
  std::vector<Prefix> exempt_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace ringway
