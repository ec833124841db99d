#include "protocol/sdp/for_browser.h"

#include "protocol/sdp/body.h"
#include "protocol/sdp/media_traits.h"

namespace ringway::sdp {
namespace {

bool names(std::string_view group, std::string_view mid) {
  while (!group.empty()) {
    const std::string_view word = take_word(group);
    if (!word.empty() && word == mid) return true;
  }
  return false;
}

// `IN IP4 192.0.2.1`: the address.
std::string_view address_of_connection(std::string_view value) {
  take_word(value);
  take_word(value);
  const std::string_view address = take_word(value);
  return address.substr(0, address.find('/'));
}

// `candidate:foundation component transport priority address port typ ...` (RFC 8839 5.1).
std::string_view address_of_candidate(std::string_view value) {
  for (int i = 0; i < 4; ++i) take_word(value);
  return take_word(value);
}

std::string_view connection_of(std::string_view part) {
  Lines lines(part);
  while (const auto line = lines.next()) {
    if (line->type == 'c') return address_of_connection(line->value);
  }
  return {};
}

std::string_view bundled_mid(const Traits& traits, const BrowserRules& rules) {
  std::string_view offered;
  if (!rules.offer.empty()) {
    const auto offer = Body::parse(rules.offer);
    if (offer) offered = bundle_group(offer->session());
  }
  const MediaTraits* found = nullptr;
  for (const MediaTraits& media : traits.media()) {
    if (media.port == 0 || media.mid.empty()) continue;
    if (!rules.offer.empty() && !names(offered, media.mid)) continue;
    if (media.kind == "audio") return media.mid;
    if (!found) found = &media;
  }
  return found ? found->mid : std::string_view{};
}

// `extmap:id[/direction] uri [attributes]` (RFC 8285 8).
bool is_mid_extension(const Line& line) {
  if (line.type != 'a') return false;
  const Attribute attribute = attribute_of(line);
  if (attribute.name != "extmap") return false;
  std::string_view value = attribute.value;
  take_word(value);
  return take_word(value) == "urn:ietf:params:rtp-hdrext:sdes:mid";
}

bool is_group(const Line& line) {
  return line.type == 'a' && attribute_of(line).name == "group";
}

void write_section(std::string_view section, std::string_view session_address,
                   const BrowserRules& rules, Writer& out) {
  std::string_view address = connection_of(section);
  if (address.empty()) address = session_address;
  const bool hide = rules.is_private && !address.empty() && !rules.is_private(address);
  Lines lines(section);
  while (const auto line = lines.next()) {
    if (is_mid_extension(*line)) continue;
    if (hide && line->type == 'a') {
      const Attribute attribute = attribute_of(*line);
      if (attribute.name == "candidate" &&
          rules.is_private(address_of_candidate(attribute.value))) {
        continue;
      }
    }
    out.text(line->raw);
  }
}

}  // namespace

std::string_view bundle_group(std::string_view session) {
  Lines lines(session);
  while (auto line = lines.next()) {
    if (!is_group(*line)) continue;
    std::string_view value = attribute_of(*line).value;
    if (take_word(value) == "BUNDLE") return value;
  }
  return {};
}

SlimResult write_for_browser(std::string_view text, const BrowserRules& rules, Writer& out) {
  const auto body = Body::parse(text);
  const auto traits = read_traits(text);
  if (!body || !traits) return SlimResult::NotSdp;
  Lines lines(body->session());
  while (const auto line = lines.next()) {
    if (!is_group(*line) && !is_mid_extension(*line)) out.text(line->raw);
  }
  const std::string_view mid = rules.bundle ? bundled_mid(*traits, rules) : std::string_view{};
  if (!mid.empty()) out.text("a=group:BUNDLE ").text(mid).text("\r\n");
  const std::string_view session_address = connection_of(body->session());
  for (std::size_t i = 0; i < body->media_count(); ++i) {
    write_section(body->media(i), session_address, rules, out);
  }
  return out.overflowed() ? SlimResult::Overflowed : SlimResult::Slimmed;
}

}  // namespace ringway::sdp
