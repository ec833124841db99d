#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringway::sip {

// The header fields that a proxy looks at; every other one is Other and passes untouched.
enum class HeaderName : std::uint8_t {
  Other,
  Via,
  MaxForwards,
  From,
  To,
  CallId,
  CSeq,
  Contact,
  Route,
  RecordRoute,
  Path,
  ContentLength,
  ContentType,
  ContentEncoding,
  ContentDisposition,
  Supported,
  Require,
  ProxyRequire,
  Unsupported,
  Expires,
  Allow,
  Event,
  UserAgent,
  Server,
  Authorization,
  ProxyAuthorization,
  WwwAuthenticate,
  ProxyAuthenticate,
  RetryAfter,
  Date,
  MinSe,
  SessionExpires,
  MaxBreadth,
  FlowTimer,
  RAck,
  RSeq,
  Warning,
  Replaces,
  ReferTo,
  FeatureCaps,
  Identity,
};

// Long and compact forms, ignoring case (RFC 3261 7.3.1, 7.3.3). Cost: length and a few bytes
// select one candidate, which is then compared.
HeaderName parse_header_name(std::string_view name);
// The same for the name text[begin .. begin + size): cheaper, since what follows it may be read.
HeaderName parse_header_name(std::string_view text, std::size_t begin, std::size_t size);

// The compact form (RFC 3261 7.3.3), a letter in lower case; 0 where there is none.
char compact_form(HeaderName name);
// The long form; "" for Other.
std::string_view to_text(HeaderName name);

}  // namespace ringway::sip
