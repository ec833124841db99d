#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.h"
#include "protocol/base/bytes.h"

namespace ringway {

// The scanner signatures of one published set (configs/scanners.toml), compiled. Immutable, shared
// by all shards, replaced whole on reload.
class FilterRules {
 public:
  enum class Action : std::uint8_t { Drop, Log };
  enum class Field : std::uint8_t { UserAgent, FromUri, FromName, ToUri, ContactUri, Any };
  enum class Match : std::uint8_t { Exact, Prefix, Contains };
  struct Rule {
    std::string name;  // for logs and metrics
    Field field = Field::UserAgent;
    Match match = Match::Exact;
    Action action = Action::Drop;
    std::string text;  // matched ignoring case; {source} and {local} stand for addresses
  };

  // At most 64 rules; the rest are an error of the loader.
  explicit FilterRules(std::vector<Rule> rules);
  const std::vector<Rule>& rules() const { return rules_; }

  struct Verdict {
    int rule = -1;  // index of the rule that decided; -1: none matched
    Action action = Action::Log;
    bool matched() const { return rule >= 0; }
  };

  // Judges the raw bytes of one message before any parse: only requests match. source is the
  // packet's address, local the listener's. Cost: reads the header section up to the headers
  // it needs, no allocation, nothing written.
  Verdict judge(Bytes message, const Address& source, const Address& local) const;

 private:
  std::vector<Rule> rules_;
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace ringway
