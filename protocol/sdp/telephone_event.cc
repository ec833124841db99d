#include "protocol/sdp/telephone_event.h"

#include <bitset>

#include "protocol/base/ascii.h"
#include "protocol/sdp/body.h"

namespace ringway::sdp {
namespace {

constexpr std::uint32_t kPayloadTypeMax = 127;
using PayloadTypes = std::bitset<kPayloadTypeMax + 1>;

// Those of one audio section in use.
PayloadTypes event_numbers(std::string_view section) {
  PayloadTypes found;
  Lines lines(section);
  const auto first = lines.next();
  const MediaLine media = first ? media_line(first->value) : MediaLine{};
  if (media.kind != "audio" || media.port == "0") return found;
  while (const auto line = lines.next()) {
    if (line->type != 'a') continue;
    const Attribute attribute = attribute_of(*line);
    std::string_view value = attribute.value;
    if (attribute.name != "rtpmap") continue;
    const auto number = ascii::parse_number(take_word(value), kPayloadTypeMax);
    if (number && ascii::equal_ignoring_case(take_word(value), "telephone-event/8000")) {
      found.set(*number);
    }
  }
  return found;
}

}  // namespace

bool has_other_event_numbers(std::string_view offer, std::string_view answer) {
  const auto offered = Body::parse(offer), answered = Body::parse(answer);
  if (!offered || !answered) return false;
  for (std::size_t i = 0; i < offered->media_count() && i < answered->media_count(); ++i) {
    const PayloadTypes in_offer = event_numbers(offered->media(i));
    const PayloadTypes in_answer = event_numbers(answered->media(i));
    if (in_offer.any() && in_answer.any() && (in_offer & in_answer).none()) return true;
  }
  return false;
}

bool has_events(std::string_view description) {
  const auto body = Body::parse(description);
  for (std::size_t i = 0; body && i < body->media_count(); ++i) {
    if (event_numbers(body->media(i)).any()) return true;
  }
  return false;
}

}  // namespace ringway::sdp
