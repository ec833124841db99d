#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::tls {

// Whom a certificate speaks for, as far as SIP cares. Not yet a statement about trust.
struct CertificateIdentities {
  std::vector<std::string> sip_domains;  // SAN URI sip:host without user part: the host
  std::vector<std::string> dns_names;    // SAN DNS
  std::vector<std::string> addresses;    // SAN IP, as text
  std::string common_name;
  bool has_alternative_names = false;  // any SAN at all: then the common name counts for nothing
};

enum class NamePolicy : std::uint8_t {
  Strict,          // RFC 5922 7.2: whole names only, a wildcard matches nothing
  AllowWildcards,  // `*.example.org` also matches one label: what public CAs often sell
  None,            // any name will do; the chain is still verified
};

// The identities that count (RFC 5922 7.1): sip: URIs; DNS names only without such a URI; the
// common name only without any SAN. Borrows.
std::vector<std::string_view> effective_identities(const CertificateIdentities& identities);

// Does the certificate speak for name, the domain that was asked for (not the SRV target)? A name
// that is an IP address is compared with the addresses.
bool matches(const CertificateIdentities& identities, std::string_view name, NamePolicy policy);

// Compares one name with one pattern, without regard to case or a final dot. With wildcards, `*.`
// stands for exactly one label in front of at least two.
bool name_matches(std::string_view pattern, std::string_view name, NamePolicy policy);

// The host of a SAN URI of the form sip:host[:port]; empty if it has a user part or another scheme.
std::string_view sip_domain_of_uri(std::string_view uri);

}  // namespace ringway::tls
