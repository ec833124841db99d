#include "protocol/sdp/codec_name.h"

#include <algorithm>

#include "protocol/base/ascii.h"
#include "protocol/sdp/body.h"

namespace ringway::sdp {
namespace {

std::string_view static_name(std::string_view format) {
  if (format == "0") return "PCMU/8000";
  if (format == "3") return "GSM/8000";
  if (format == "4") return "G723/8000";
  if (format == "8") return "PCMA/8000";
  if (format == "9") return "G722/8000";
  if (format == "18") return "G729/8000";
  return {};
}

std::string_view name_of(std::string_view section, std::string_view format) {
  Lines lines(section);
  while (const auto line = lines.next()) {
    if (line->type != 'a') continue;
    const Attribute attribute = attribute_of(*line);
    std::string_view value = attribute.value;
    if (attribute.name == "rtpmap" && take_word(value) == format) return take_word(value);
  }
  return static_name(format);
}

bool is_speech(std::string_view name) {
  return !name.empty() && !ascii::starts_with_ignoring_case(name, "telephone-event/") &&
         !ascii::starts_with_ignoring_case(name, "CN/");
}

}  // namespace

CodecName first_codec(std::string_view text) {
  CodecName found;
  const auto body = Body::parse(text);
  if (!body) return found;
  for (std::size_t i = 0; i < body->media_count(); ++i) {
    const std::string_view section = body->media(i);
    Lines lines(section);
    const auto first = lines.next();
    MediaLine media = first ? media_line(first->value) : MediaLine{};
    if (media.kind != "audio" || media.port == "0") continue;
    while (true) {
      const std::string_view format = take_word(media.formats);
      if (format.empty()) break;
      const std::string_view name = name_of(section, format);
      if (!is_speech(name)) continue;
      found.size = static_cast<std::uint8_t>(std::min(name.size(), found.text.size()));
      std::copy_n(name.data(), found.size, found.text.data());
      return found;
    }
  }
  return found;
}

}  // namespace ringway::sdp
