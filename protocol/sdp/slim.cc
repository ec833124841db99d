#include "protocol/sdp/slim.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>

#include "protocol/base/ascii.h"
#include "protocol/sdp/body.h"

namespace ringway::sdp {
namespace {

constexpr std::size_t kPayloadTypes = 128;  // RFC 3551 6: seven bits
constexpr std::uint32_t kStaticComfortNoise = 13;

constexpr std::array<std::string_view, 26> kBallast = {"bundle-only",
                                                       "candidate",
                                                       "end-of-candidates",
                                                       "extmap",
                                                       "extmap-allow-mixed",
                                                       "fingerprint",
                                                       "group",
                                                       "ice-lite",
                                                       "ice-mismatch",
                                                       "ice-options",
                                                       "ice-pacing",
                                                       "ice-pwd",
                                                       "ice-ufrag",
                                                       "mid",
                                                       "msid",
                                                       "msid-semantic",
                                                       "remote-candidates",
                                                       "rid",
                                                       "rtcp-mux",
                                                       "rtcp-mux-only",
                                                       "rtcp-rsize",
                                                       "setup",
                                                       "simulcast",
                                                       "ssrc",
                                                       "ssrc-group",
                                                       "tls-id"};

bool is_ballast(std::string_view attribute) {
  return std::ranges::find(kBallast, attribute) != kBallast.end();
}

bool is_plain_rtp(const MediaLine& media) {
  return media.protocol == "RTP/AVP" || media.protocol == "RTP/AVPF" ||
         media.protocol == "RTP/SAVP" || media.protocol == "RTP/SAVPF";
}
bool has_feedback(const MediaLine& media) {
  return media.protocol.ends_with("F");
}

MediaLine media_line_of(std::string_view section) {
  Lines lines(section);
  const auto line = lines.next();
  return line ? media_line(line->value) : MediaLine{};
}

using Formats = std::bitset<kPayloadTypes>;

std::optional<std::uint32_t> payload_type(std::string_view word) {
  return ascii::parse_number(word, kPayloadTypes - 1);
}

// What the rtpmap lines of one audio section say, reduced to what the choice needs.
struct FormatTable {
  Formats listed;       // in m=
  Formats useless;      // RED, FEC, retransmission, comfort noise
  Formats events;       // telephone-event at 8000
  Formats fast_events;  // telephone-event at another rate
  Formats opus;
  bool valid = true;  // every format is a payload type

  explicit FormatTable(std::string_view section);
  Formats dropped() const;

 private:
  void add(std::string_view rtpmap);
};

FormatTable::FormatTable(std::string_view section) {
  std::string_view formats = media_line_of(section).formats;
  while (true) {
    const std::string_view word = take_word(formats);
    if (word.empty()) break;
    const auto type = payload_type(word);
    if (!type) {
      valid = false;
      return;
    }
    listed.set(*type);
  }
  useless.set(kStaticComfortNoise);  // needs no rtpmap
  Lines lines(section);
  while (const auto line = lines.next()) {
    if (line->type != 'a') continue;
    const Attribute attribute = attribute_of(*line);
    if (attribute.name == "rtpmap") add(attribute.value);
  }
}

// `111 opus/48000/2`
void FormatTable::add(std::string_view rtpmap) {
  const auto type = payload_type(take_word(rtpmap));
  if (!type) return;
  const std::string_view encoding = take_word(rtpmap);
  const std::size_t slash = encoding.find('/');
  const std::string_view name = encoding.substr(0, slash);
  const std::string_view rate = slash == encoding.npos ? "" : encoding.substr(slash + 1);
  const auto is = [name](std::string_view other) {
    return ascii::equal_ignoring_case(name, other);
  };
  useless.set(*type, is("red") || is("ulpfec") || is("flexfec-03") || is("rtx") || is("CN"));
  opus.set(*type, is("opus"));
  events.set(*type, is("telephone-event") && rate == "8000");
  fast_events.set(*type, is("telephone-event") && rate != "8000");
}

Formats FormatTable::dropped() const {
  if (!valid) return {};
  const Formats codecs = listed & ~(useless | events | fast_events);
  if (codecs.none()) return {};
  Formats result = listed & useless;
  const bool slow_codec = (codecs & ~opus).any();
  if (slow_codec && (listed & events).any()) result |= listed & fast_events;
  return result;
}

// `audio 4000 RTP/AVP 0 8`, without the formats that are dropped.
void write_media_line(const Line& line, const Formats& dropped, Writer& out) {
  const MediaLine media = media_line(line.value);
  out.text("m=").text(media.kind).character(' ').text(media.port).character(' ');
  out.text(media.protocol);
  std::string_view formats = media.formats;
  while (true) {
    const std::string_view word = take_word(formats);
    if (word.empty()) break;
    const auto type = payload_type(word);
    if (!type || !dropped[*type]) out.character(' ').text(word);
  }
  const std::size_t end = 2 + line.value.size();
  out.text(line.raw.substr(end));  // the line end as it was
}

bool describes_dropped(const Attribute& attribute, const Formats& dropped) {
  if (attribute.name != "rtpmap" && attribute.name != "fmtp") return false;
  std::string_view value = attribute.value;
  const auto type = payload_type(take_word(value));
  return type && dropped[*type];
}

// Reports beyond RTCP's own, and the port that RTCP has anyway (RFC 3605 2.1).
bool says_nothing_of_rtcp(const Attribute& attribute, const MediaLine& media) {
  if (attribute.name == "rtcp-xr") return true;
  if (attribute.name != "rtcp") return false;
  const auto port = ascii::parse_number(media.port, 65'534);
  return port && ascii::parse_number(attribute.value, 65'535) == *port + 1;
}

void write_plain_section(std::string_view section, Writer& out) {
  const MediaLine media = media_line_of(section);
  const bool audio = media.kind == "audio";
  // Video phones do use feedback under RTP/AVP; for audio there is none worth its bytes.
  const bool drop_feedback = audio && !has_feedback(media);
  const Formats dropped = audio ? FormatTable(section).dropped() : Formats();
  Lines lines(section);
  while (const auto line = lines.next()) {
    if (line->type == 'm' && dropped.any()) {
      write_media_line(*line, dropped, out);
      continue;
    }
    if (line->type == 'a') {
      const Attribute attribute = attribute_of(*line);
      if (is_ballast(attribute.name) || (drop_feedback && attribute.name == "rtcp-fb") ||
          describes_dropped(attribute, dropped) ||
          (audio && says_nothing_of_rtcp(attribute, media))) {
        continue;
      }
    }
    out.text(line->raw);
  }
}

// True if no section in use needs what the session part says about ICE, DTLS or BUNDLE.
bool session_is_plain(const Body& body) {
  for (std::size_t i = 0; i < body.media_count(); ++i) {
    const MediaLine media = media_line_of(body.media(i));
    if (!is_plain_rtp(media) && media.port != "0") return false;
  }
  return true;
}

void write_session(std::string_view session, Writer& out) {
  Lines lines(session);
  while (const auto line = lines.next()) {
    if (line->type == 'a' && is_ballast(attribute_of(*line).name)) continue;
    out.text(line->raw);
  }
}

}  // namespace

SlimResult slim_for_plain(std::string_view text, Writer& out) {
  const auto body = Body::parse(text);
  if (!body) return SlimResult::NotSdp;
  if (session_is_plain(*body)) {
    write_session(body->session(), out);
  } else {
    out.text(body->session());
  }
  for (std::size_t i = 0; i < body->media_count(); ++i) {
    const std::string_view section = body->media(i);
    if (is_plain_rtp(media_line_of(section))) {
      write_plain_section(section, out);
    } else {
      out.text(section);
    }
  }
  return out.overflowed() ? SlimResult::Overflowed : SlimResult::Slimmed;
}

}  // namespace ringway::sdp
