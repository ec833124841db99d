#include "tls/identity.h"

#include "protocol/base/ascii.h"

namespace ringway::tls {
namespace {

std::string_view without_final_dot(std::string_view name) {
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool is_address(std::string_view name) {
  if (name.find(':') != name.npos) return true;
  return ascii::all(name, ascii::kDigit | ascii::kHostname) &&
         name.find_first_not_of("0123456789.") == name.npos;
}

}  // namespace

std::vector<std::string_view> effective_identities(const CertificateIdentities& identities) {
  if (!identities.sip_domains.empty()) {
    return {identities.sip_domains.begin(), identities.sip_domains.end()};
  }
  if (!identities.dns_names.empty()) {
    return {identities.dns_names.begin(), identities.dns_names.end()};
  }
  if (!identities.has_alternative_names && !identities.common_name.empty()) {
    return {identities.common_name};
  }
  return {};
}

bool matches(const CertificateIdentities& identities, std::string_view name, NamePolicy policy) {
  if (policy == NamePolicy::None) return true;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (is_address(name)) {
    for (const std::string& address : identities.addresses) {
      if (ascii::equal_ignoring_case(address, name)) return true;
    }
    return false;
  }
  for (const std::string_view identity : effective_identities(identities)) {
    if (name_matches(identity, name, policy)) return true;
  }
  return false;
}

bool name_matches(std::string_view pattern, std::string_view name, NamePolicy policy) {
  if (policy == NamePolicy::None) return true;
  pattern = without_final_dot(pattern);
  name = without_final_dot(name);
  if (pattern.empty() || name.empty()) return false;
  if (policy == NamePolicy::AllowWildcards && pattern.starts_with("*.")) {
    const std::string_view parent = pattern.substr(1);  // with its dot
    if (parent.find('.', 1) == parent.npos) return false;
    const std::size_t dot = name.find('.');
    return dot != name.npos && dot != 0 && ascii::equal_ignoring_case(name.substr(dot), parent);
  }
  // A name asked for never holds a wildcard; a pattern with one matches nothing then.
  return pattern.find('*') == pattern.npos && ascii::equal_ignoring_case(pattern, name);
}

std::string_view sip_domain_of_uri(std::string_view uri) {
  constexpr std::string_view kScheme = "sip:";
  if (!ascii::starts_with_ignoring_case(uri, kScheme)) return {};
  uri.remove_prefix(kScheme.size());
  if (uri.find('@') != uri.npos) return {};
  const std::size_t end = uri.find_first_of(":;?");
  const std::string_view host = uri.substr(0, end);
  return ascii::all(host, ascii::kHostname) ? host : std::string_view();
}

}  // namespace ringway::tls
