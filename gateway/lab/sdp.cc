#include "gateway/lab/sdp.h"

#include <memory>

#include "gateway/lab/sofia.h"
#include "protocol/base/ascii.h"

namespace ringway::lab {
namespace {

std::string_view direction_name(Direction direction) {
  switch (direction) {
    case Direction::SendReceive:
      return "sendrecv";
    case Direction::SendOnly:
      return "sendonly";
    case Direction::ReceiveOnly:
      return "recvonly";
    case Direction::Inactive:
      return "inactive";
  }
  return "inactive";
}

bool sends(Direction direction) {
  return direction == Direction::SendReceive || direction == Direction::SendOnly;
}
bool receives(Direction direction) {
  return direction == Direction::SendReceive || direction == Direction::ReceiveOnly;
}
Direction make_direction(bool send, bool receive) {
  if (send) return receive ? Direction::SendReceive : Direction::SendOnly;
  return receive ? Direction::ReceiveOnly : Direction::Inactive;
}

Direction direction_of(const sdp_media_t& media) {
  return make_direction((media.m_mode & sdp_sendonly) != 0, (media.m_mode & sdp_recvonly) != 0);
}

RemoteAudio::Media describe(const sdp_media_t& media) {
  RemoteAudio::Media line{media.m_type_name, media.m_proto_name, ""};
  for (const sdp_rtpmap_t* map = media.m_rtpmaps; map != nullptr; map = map->rm_next) {
    line.formats += " " + std::to_string(map->rm_pt);
  }
  for (const sdp_list_t* format = media.m_format; format != nullptr; format = format->l_next) {
    line.formats += " " + std::string(format->l_text);
  }
  if (line.formats.empty()) line.formats = " 0";
  return line;
}

// Reads codec, events, address and direction; false if the line is of no use to us.
bool read_media(const sdp_session_t& session, const sdp_media_t& media, RemoteAudio& audio) {
  if (media.m_type != sdp_media_audio || media.m_port == 0 || media.m_port > 65535) return false;
  if (!ascii::equal_ignoring_case(media.m_proto_name, "RTP/AVP")) return false;
  const sdp_connection_t* connection =
      media.m_connections != nullptr ? media.m_connections : session.sdp_connection;
  if (connection == nullptr || connection->c_address == nullptr) return false;

  bool codec_found = false;
  audio.event_payload_type.reset();
  for (const sdp_rtpmap_t* map = media.m_rtpmaps; map != nullptr; map = map->rm_next) {
    if (map->rm_rate != 8000 || map->rm_encoding == nullptr) continue;
    const std::string_view name = map->rm_encoding;
    const bool pcmu = ascii::equal_ignoring_case(name, "PCMU");
    if ((pcmu || ascii::equal_ignoring_case(name, "PCMA")) && !codec_found) {
      codec_found = true;
      audio.codec = pcmu ? Codec::Pcmu : Codec::Pcma;
      audio.payload_type = static_cast<std::uint8_t>(map->rm_pt);
    } else if (ascii::equal_ignoring_case(name, "telephone-event") && !audio.event_payload_type) {
      audio.event_payload_type = static_cast<std::uint8_t>(map->rm_pt);
    }
  }
  audio.address = connection->c_address;
  audio.port = static_cast<std::uint16_t>(media.m_port);
  audio.direction = direction_of(media);
  // Hold as RFC 2543 wrote it.
  if (audio.address == "0.0.0.0" || audio.address == "::") {
    audio.direction = make_direction(sends(audio.direction), false);
  }
  return codec_found;
}

void append_session(std::string& out, const LocalAudio& local) {
  const std::string family = local.address.find(':') != std::string::npos ? "IP6 " : "IP4 ";
  out += "v=0\r\no=ringway-lab " + std::to_string(local.session_id) + " " +
         std::to_string(local.version) + " IN " + family + local.address + "\r\ns=-\r\nc=IN " +
         family + local.address + "\r\nt=0 0\r\n";
}

void append_map(std::string& out, std::uint8_t payload_type, std::string_view codec) {
  out += "a=rtpmap:" + std::to_string(payload_type) + " " + std::string(codec) + "/8000\r\n";
}

void append_events(std::string& out, std::uint8_t payload_type) {
  append_map(out, payload_type, "telephone-event");
  out += "a=fmtp:" + std::to_string(payload_type) + " 0-15\r\n";
}

}  // namespace

std::string_view codec_name(Codec codec) {
  return codec == Codec::Pcmu ? "PCMU" : "PCMA";
}

std::optional<RemoteAudio> parse_remote_audio(std::string_view body) {
  const std::unique_ptr<sdp_parser_t, void (*)(sdp_parser_t*)> parser(
      sdp_parse(nullptr, body.data(), static_cast<issize_t>(body.size()), 0), sdp_parser_free);
  const sdp_session_t* session = sdp_session(parser.get());
  if (session == nullptr) return std::nullopt;
  RemoteAudio audio;
  bool found = false;
  std::uint32_t index = 0;
  for (const sdp_media_t* media = session->sdp_media; media != nullptr; media = media->m_next) {
    audio.media.push_back(describe(*media));
    if (!found && read_media(*session, *media, audio)) {
      found = true;
      audio.media_index = index;
    }
    ++index;
  }
  if (!found) return std::nullopt;
  return audio;
}

std::string write_offer(const LocalAudio& local) {
  std::string out;
  append_session(out, local);
  out += "m=audio " + std::to_string(local.port) + " RTP/AVP 0 8 101\r\n";
  append_map(out, 0, "PCMU");
  append_map(out, 8, "PCMA");
  append_events(out, 101);
  out += "a=ptime:20\r\na=" + std::string(direction_name(local.direction)) + "\r\n";
  return out;
}

std::string write_answer(const LocalAudio& local, const RemoteAudio& remote) {
  std::string out;
  append_session(out, local);
  for (std::size_t index = 0; index < remote.media.size(); ++index) {
    const RemoteAudio::Media& media = remote.media[index];
    if (index != remote.media_index) {
      out += "m=" + media.type + " 0 " + media.transport + media.formats + "\r\n";
      continue;
    }
    out +=
        "m=audio " + std::to_string(local.port) + " RTP/AVP " + std::to_string(remote.payload_type);
    if (remote.event_payload_type) out += " " + std::to_string(*remote.event_payload_type);
    out += "\r\n";
    append_map(out, remote.payload_type, codec_name(remote.codec));
    if (remote.event_payload_type) append_events(out, *remote.event_payload_type);
    const Direction direction =
        make_direction(sends(local.direction) && receives(remote.direction),
                       receives(local.direction) && sends(remote.direction));
    out += "a=ptime:20\r\na=" + std::string(direction_name(direction)) + "\r\n";
  }
  return out;
}

}  // namespace ringway::lab
