#include "protocol/sip/dtmf_info.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/session_description.h"

namespace ringway::sip {
namespace {

constexpr std::uint8_t kFlash = 16;  // RFC 4733 has no such digit; gateways write it as "16" or "!"

// The events by their keys, or by the numbers 10 to 16 that some write for what is no number.
std::optional<std::uint8_t> event_of(std::string_view key) {
  constexpr std::string_view kKeys = "0123456789*#abcd!";
  if (key.size() == 1) {
    const std::size_t at = kKeys.find(ascii::to_lower(key[0]));
    if (at == kKeys.npos) return std::nullopt;
    return static_cast<std::uint8_t>(at);
  }
  if (ascii::equal_ignoring_case(key, "hf") || ascii::equal_ignoring_case(key, "flash")) {
    return kFlash;
  }
  const auto number = key.size() == 2 ? ascii::parse_number(key, kFlash) : std::nullopt;
  if (!number || *number < 10) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

// A whole number of milliseconds, brought within the bounds.
std::optional<std::uint16_t> duration_of(std::string_view text) {
  if (!ascii::all(text, ascii::kDigit)) return std::nullopt;
  const auto value = ascii::parse_number(text, DtmfInfo::kLongestMs);
  if (!value) return DtmfInfo::kLongestMs;
  return std::max(static_cast<std::uint16_t>(*value), DtmfInfo::kShortestMs);
}

bool has_package(const MessageView& info) {
  return std::ranges::any_of(info.headers(), [&](const Header& header) {
    return header.name == HeaderName::Other &&
           ascii::equal_ignoring_case(info.text(header.name_text), "info-package");
  });
}

// Advances rest behind the line end.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find_first_of("\r\n");
  const std::string_view line = lexical::trim(rest.substr(0, end));
  rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  return line;
}

DtmfInfo digit(std::optional<std::uint8_t> event, std::uint16_t milliseconds) {
  DtmfInfo info;
  info.milliseconds = milliseconds;
  if (!event) {
    info.kind = DtmfInfo::Kind::Malformed;
  } else if (*event != kFlash) {
    info.kind = DtmfInfo::Kind::Digit;
    info.event = *event;
  }
  return info;
}

DtmfInfo read_relay_body(std::string_view body) {
  const DtmfInfo malformed = digit(std::nullopt, DtmfInfo::kDefaultMs);
  std::optional<std::uint8_t> event;
  std::optional<std::uint16_t> milliseconds;
  while (!body.empty()) {
    const std::string_view line = take_line(body);
    const std::size_t equals = line.find('=');
    if (equals == line.npos) {
      if (!line.empty()) return malformed;
      continue;
    }
    const std::string_view name = lexical::trim(line.substr(0, equals));
    const std::string_view value = lexical::trim(line.substr(equals + 1));
    if (ascii::equal_ignoring_case(name, "signal")) {
      if (event) return malformed;
      event = event_of(value);
      if (!event) return malformed;
    } else if (ascii::equal_ignoring_case(name, "duration")) {
      if (milliseconds) return malformed;
      milliseconds = duration_of(value);
      if (!milliseconds) return malformed;
    }
  }
  return digit(event, milliseconds.value_or(DtmfInfo::kDefaultMs));
}

}  // namespace

DtmfInfo read_dtmf_info(const MessageView& info) {
  if (info.has(HeaderName::ContentEncoding) || has_package(info)) return {};
  const MediaType type = parse_media_type(info.value(HeaderName::ContentType));
  if (type.is("application", "dtmf-relay")) return read_relay_body(info.body());
  if (!type.is("application", "dtmf")) return {};
  const std::string_view key = lexical::trim(info.body());
  const bool is_key = key.size() == 1;  // two digits are two keys here, and no number
  return digit(is_key ? event_of(key) : std::nullopt, DtmfInfo::kDefaultMs);
}

}  // namespace ringway::sip
