#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Offer and answer (RFC 3264) of a phone that has one audio stream, G.711 and telephone events.

namespace ringway::lab {

enum class Direction { SendReceive, SendOnly, ReceiveOnly, Inactive };

enum class Codec { Pcmu, Pcma };
std::string_view codec_name(Codec codec);

// What the other side said about the stream that we use.
struct RemoteAudio {
  std::string address;  // literal IP address
  std::uint16_t port = 0;
  Codec codec = Codec::Pcmu;
  std::uint8_t payload_type = 0;
  std::optional<std::uint8_t> event_payload_type;  // telephone-event/8000
  Direction direction = Direction::SendReceive;    // as the other side wrote it
  std::uint32_t media_index = 0;                   // which m= line
  struct Media {
    std::string type;
    std::string transport;
    std::string formats;
  };
  std::vector<Media> media;  // all m= lines, for the answer
};

// The first usable audio line. nullopt if the body is not SDP or has no line with G.711, plain
// RTP/AVP, a port and a literal address.
[[nodiscard]] std::optional<RemoteAudio> parse_remote_audio(std::string_view body);

struct LocalAudio {
  std::string address;
  std::uint16_t port = 0;
  std::uint64_t session_id = 0;
  std::uint64_t version = 0;
  Direction direction = Direction::SendReceive;
};

std::string write_offer(const LocalAudio& local);
// Answers with the offered payload numbers; lines other than remote.media_index are refused with
// port zero (RFC 3264 6). The direction is the narrower of local.direction and what was offered.
std::string write_answer(const LocalAudio& local, const RemoteAudio& remote);

}  // namespace ringway::lab
