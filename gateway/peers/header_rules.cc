#include "gateway/peers/header_rules.h"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

using sip::Header;
using sip::HeaderName;
using sip::MessageView;

// The network side's to write.
constexpr std::string_view kNetworkOnly[] = {"P-Asserted-Identity", "P-Asserted-Service",
                                             "Remote-Party-ID", "P-Served-User", "Path"};
// What says who a user is, and is withheld on request (RFC 3325 7).
constexpr std::string_view kAsserted[] = {"p-asserted-identity", "remote-party-id"};

// Compact forms that the parser has no name for (the IANA registry of header fields).
constexpr std::pair<char, std::string_view> kCompact[] = {
    {'a', "accept-contact"}, {'b', "referred-by"},   {'d', "request-disposition"},
    {'j', "reject-contact"}, {'n', "identity-info"}, {'s', "subject"},
    {'u', "allow-events"},
};

std::string_view long_form(std::string_view name) {
  if (name.size() != 1) return name;
  for (const auto& [letter, text] : kCompact) {
    if (ascii::to_lower(name.front()) == letter) return text;
  }
  return name;
}

// With the folds that a value may have inside.
std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::uint64_t bit(std::size_t index) {
  return std::uint64_t{1} << std::min<std::size_t>(index, 63);
}

// Privacy = priv-value *(";" priv-value) (RFC 3323 4.2), in any number of fields; a comma is read
// as the semicolon that was meant.
bool asks_for_id(const MessageView& message) {
  for (const Header& header : message.headers()) {
    if (header.name != HeaderName::Other) continue;
    if (!ascii::equal_ignoring_case(message.text(header.name_text), "privacy")) continue;
    std::string_view rest = message.text(header.value);
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find_first_of(";,"), rest.size());
      const std::string_view value = trim(rest.substr(0, end));
      if (ascii::equal_ignoring_case(value, "id")) return true;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return false;
}

bool is_asserted(const MessageView& message, const Header& header) {
  if (header.name != HeaderName::Other) return false;
  const std::string_view name = message.text(header.name_text);
  return std::ranges::any_of(kAsserted, [&](std::string_view asserted) {
    return ascii::equal_ignoring_case(name, asserted);
  });
}

}  // namespace

HeaderRules::Name HeaderRules::name_of(std::string_view text) {
  Name name{sip::parse_header_name(text), {}};
  if (name.known == HeaderName::Other) {
    for (const char c : long_form(text)) name.text += ascii::to_lower(c);
  }
  return name;
}

void HeaderRules::remove_name(Rules& rules, std::string_view text) {
  Name name = name_of(text);
  if (name.known != HeaderName::Other) {
    rules.known |= bit(static_cast<std::size_t>(name.known));
  } else {
    rules.lengths |= bit(name.text.size());
    if (name.text.size() > 1) rules.lengths |= bit(1);  // it may have a compact form
  }
  rules.remove.push_back(std::move(name));
}

HeaderRules::HeaderRules(const Config& config) {
  const auto same = [](std::string_view a, std::string_view b) {
    const Name one = name_of(a), other = name_of(b);
    return one.known == other.known && one.text == other.text;
  };
  for (const std::string_view name : kNetworkOnly) {
    const bool kept = std::ranges::any_of(config.header_rules, [&](const HeaderRuleConfig& rule) {
      return rule.side == Side::Access &&
             std::ranges::any_of(rule.keep,
                                 [&](const std::string& keep) { return same(keep, name); });
    });
    if (!kept) remove_name(from_access_, name);
  }
  for (const HeaderRuleConfig& rule : config.header_rules) {
    Rules& rules = rule.side == Side::Access ? from_access_ : from_network_;
    for (const std::string& name : rule.remove) remove_name(rules, name);
    for (const std::string& line : rule.add) {
      // Ours alone: what the sender wrote under that name goes.
      remove_name(rules, trim(std::string_view(line).substr(0, line.find(':'))));
      rules.add += line + "\r\n";
    }
  }
}

bool HeaderRules::removes(const Rules& rules, const MessageView& message, const Header& header) {
  if (header.name != HeaderName::Other) {
    return (rules.known & bit(static_cast<std::size_t>(header.name))) != 0;
  }
  if ((rules.lengths & bit(header.name_text.size)) == 0) return false;
  const std::string_view name = long_form(message.text(header.name_text));
  return std::ranges::any_of(rules.remove, [&](const Name& rule) {
    return rule.known == HeaderName::Other && ascii::equal_ignoring_case(rule.text, name);
  });
}

void HeaderRules::apply(const MessageView& message, Side from, Side to,
                        sip::EditList& edits) const {
  const Rules& rules = from == Side::Access ? from_access_ : from_network_;
  const bool to_access = from == Side::Network && to == Side::Access;
  bool asked = false, withhold = false;  // Privacy is read once, and only if it matters
  const auto goes = [&](const Header& header) {
    if (removes(rules, message, header)) return true;
    if (!to_access || !is_asserted(message, header)) return false;
    if (!std::exchange(asked, true)) withhold = asks_for_id(message);
    return withhold;
  };
  for (const Header& header : message.headers()) {
    if (goes(header)) edits.remove(header);
  }
  if (message.is_request() && !rules.add.empty()) edits.insert(message.headers_end(), rules.add);
}

}  // namespace ringway
