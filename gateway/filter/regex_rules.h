#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace ringway {

// The regular expressions of one field (RE2: linear time), tried together in one pass over a
// value. Not for two threads at a time without waiting inside RE2: each shard has its own.
class RegexRules {
 public:
  struct Source {
    std::string text;
    bool ignores_case = true;
    std::uint16_t rule = 0;
  };

  RegexRules();
  ~RegexRules();
  RegexRules(RegexRules&&) noexcept;
  RegexRules& operator=(RegexRules&&) noexcept;

  // Every text has passed check().
  explicit RegexRules(const std::vector<Source>& sources);
  bool empty() const { return rules_.empty(); }

  // Appends the rules whose expression is found in value; found is not cleared.
  void find(std::string_view value, std::vector<std::uint16_t>& found) const;

  // Error: what RE2 says against text, in its words.
  [[nodiscard]] static std::expected<void, std::string> check(const std::string& text);

 private:
  struct Set;
  std::unique_ptr<Set> set_;                            // all at once: says which matched
  std::vector<std::unique_ptr<re2::RE2>> expressions_;  // one by one, should the set give up
  std::vector<std::uint16_t> rules_;
};

}  // namespace ringway
