#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/sip/message.h"
#include "protocol/sip/method.h"

namespace ringway::sip {

struct CSeq {
  std::uint32_t number = 0;
  Method method = Method::Other;
  std::string_view method_text;
};
std::optional<CSeq> parse_cseq(std::string_view value);  // number at most kCSeqMax
std::optional<std::uint32_t> parse_max_forwards(std::string_view value);
std::optional<std::uint32_t> parse_seconds(
    std::string_view value);  // Expires, Retry-After, Min-SE,
                              // Session-Expires before ";"

// True if any header of that name in message lists token (comma list, ignoring case).
bool lists_token(const MessageView& message, HeaderName name, std::string_view token);

// Tag of a From or To value without parsing the rest of it; empty if there is none.
std::string_view find_tag(std::string_view name_addr);

}  // namespace ringway::sip
