#include "protocol/sdp/media_traits.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway::sdp {
namespace {

constexpr std::uint16_t kDiscardPort = 9;  // RFC 8839 4.2.1.1, RFC 8840 4.1.1: no address yet

// `IN IP4 0.0.0.0` (RFC 3264 8.4) or `IN IP6 ::`.
bool is_zero_address(std::string_view connection) {
  take_word(connection);
  take_word(connection);
  const std::string_view address = take_word(connection);
  return address == "0.0.0.0" || address == "::";
}

Setup setup_of(std::string_view value) {
  if (value == "active") return Setup::Active;
  if (value == "passive") return Setup::Passive;
  if (value == "actpass") return Setup::ActPass;
  if (value == "holdconn") return Setup::HoldConnection;
  return Setup::None;
}

bool names_trickle(std::string_view options) {
  while (true) {
    const std::string_view option = take_word(options);
    if (option.empty()) return false;
    if (option == "trickle") return true;
  }
}

void apply_attribute(const Attribute& attribute, MediaTraits& media, Traits& traits) {
  const auto [name, value] = attribute;
  if (name == "sendrecv") {
    media.direction = Direction::SendReceive;
  } else if (name == "sendonly") {
    media.direction = Direction::SendOnly;
  } else if (name == "recvonly") {
    media.direction = Direction::ReceiveOnly;
  } else if (name == "inactive") {
    media.direction = Direction::Inactive;
  } else if (name == "ice-ufrag") {
    media.ice = true;
  } else if (name == "candidate") {
    media.ice = media.has_candidate = true;
  } else if (name == "ice-options") {
    traits.trickle = traits.trickle || names_trickle(value);
  } else if (name == "fingerprint") {
    media.dtls = true;
  } else if (name == "setup") {
    media.setup = setup_of(value);
  } else if (name == "crypto") {
    media.sdes = true;
  } else if (name == "rtcp-mux") {
    media.rtcp_mux = true;
  } else if (name == "bundle-only") {
    media.bundle_only = true;
  } else if (name == "mid") {
    media.mid = value;
  } else if (name == "group") {
    traits.bundle = traits.bundle || value == "BUNDLE" || value.starts_with("BUNDLE ");
  }
}

void apply_section(std::string_view section, MediaTraits& media, Traits& traits) {
  Lines lines(section);
  while (const auto line = lines.next()) {
    if (line->type == 'c') media.zero_address = is_zero_address(line->value);
    if (line->type == 'a') apply_attribute(attribute_of(*line), media, traits);
    if (line->type != 'm') continue;
    const MediaLine parts = media_line(line->value);
    media.kind = parts.kind;
    media.protocol = parts.protocol;
    const std::string_view port = parts.port.substr(0, parts.port.find('/'));
    media.port = static_cast<std::uint16_t>(ascii::parse_number(port, 65535).value_or(0));
  }
}

}  // namespace

bool Traits::is_webrtc() const {
  return std::ranges::any_of(media(), [](const MediaTraits& one) {
    return one.ice && (one.dtls || one.protocol.ends_with("RTP/SAVPF"));
  });
}

bool Traits::has_zero_address() const {
  return std::ranges::any_of(media(), [](const MediaTraits& one) {
    return one.zero_address && (one.port != 0 || one.bundle_only);
  });
}

std::expected<Traits, BodyError> read_traits(std::string_view text) {
  const auto body = Body::parse(text);
  if (!body) return std::unexpected(body.error());
  Traits traits;
  MediaTraits session;
  apply_section(body->session(), session, traits);
  traits.media_count = body->media_count();
  for (std::size_t i = 0; i < traits.media_count; ++i) {
    MediaTraits& media = traits.media_storage[i];
    media = session;
    apply_section(body->media(i), media, traits);
    if (media.port == kDiscardPort && !media.has_candidate) media.zero_address = true;
  }
  return traits;
}

}  // namespace ringway::sdp
