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
  // From weak to strong; of all rules that match one message the strongest decides.
  enum class Action : std::uint8_t {
    Log,     // counted and logged; the message goes on
    Score,   // adds points to the source, which is banned at a sum of kScoreMax
    Reject,  // answered statelessly with the rule's code
    Tarpit,  // no answer; a stream stays open and is read no more
    Drop,    // no answer; a stream is closed
    Ban,     // no answer, and the source is banned
  };
  // Any: the whole value of each of User-Agent, Server, From, To and Contact.
  enum class Field : std::uint8_t {
    UserAgent,
    Server,
    FromUri,
    FromName,
    ToUri,
    ContactUri,
    ViaHost,
    RequestUri,
    Method,
    Any,
  };
  // Exact on a URI compares scheme, user and host; its port, parameters and headers are left out.
  // Token: the text with no token character (RFC 3261 25.1) beside it. Regex: RE2, anywhere.
  enum class Match : std::uint8_t { Exact, Prefix, Contains, Token, Regex };
  enum class Case : std::uint8_t { Ignored, Exact };
  struct Rule {
    std::string name;  // for logs and metrics
    Field field = Field::UserAgent;
    Match match = Match::Exact;
    Action action = Action::Drop;
    // {source} stands for the packet's address, {local} for each of our own hosts.
    std::string text;
    Case letter_case = Case::Ignored;
    std::uint16_t code = 403;  // Reject: 400 to 699
    std::uint8_t points = 1;   // Score: 1 to 100
  };
  static constexpr std::size_t kRulesMax = 1024;
  static constexpr std::size_t kTextMax = 128;
  static constexpr std::size_t kRegexTextMax = 512;
  static constexpr unsigned kScoreMax = 100;
  // Bytes of one value that are looked at, after unfolding.
  static constexpr std::size_t kValueMax = 1024;

  // At most kRulesMax rules with texts of 2 to kTextMax bytes, regexes that RE2 takes; the loader
  // (rules_file.h) has checked that. exempt: sources that are never judged. own_hosts: addresses
  // and names that we are reached by, as they stand in a URI.
  explicit FilterRules(std::vector<Rule> rules, std::vector<Prefix> exempt = {},
                       std::vector<std::string> own_hosts = {});
  const std::vector<Rule>& rules() const { return rules_; }

  // rules for one more shard: the same where nothing in them is written to, else a copy with
  // regular expressions of its own, so that two shards never wait for each other inside RE2. Null
  // stays null.
  static std::shared_ptr<const FilterRules> for_another_shard(
      const std::shared_ptr<const FilterRules>& rules);

  struct Verdict {
    int rule = -1;  // index of the rule that decided; -1: none matched
    Action action = Action::Log;
    std::uint16_t code = 0;    // Reject
    std::uint16_t points = 0;  // of all Score rules that matched
    bool matched() const { return rule >= 0; }
  };

  // Judges the raw bytes of one message before any parse: only requests match. source is the
  // packet's address, local the listener's (one more of our own hosts).
  // Each occurrence of a header counts, compact names (RFC 3261 7.3.3) and folded values (7.3.1)
  // too, and a colon with white space around it.
  // Cost: one pass over the header section. No allocation, save inside RE2 where rules have
  // regular expressions.
  Verdict judge(Bytes message, const Address& source, const Address& local) const;

  struct Compiled;  // filter.cc

 private:
  std::vector<Rule> rules_;
  std::vector<Prefix> exempt_;
  std::vector<std::string> own_hosts_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace ringway
