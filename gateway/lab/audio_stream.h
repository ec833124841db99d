#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/lab/rtp.h"
#include "gateway/lab/sdp.h"
#include "gateway/lab/sofia.h"
#include "gateway/lab/tone.h"

namespace ringway::lab {

enum class Source { Silence, Echo, Tone };

struct AudioCounters {
  std::uint64_t packets_received = 0;
  std::uint64_t octets_received = 0;  // payload only
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_refused = 0;  // not RTP, or of a payload type that was not agreed
  std::uint64_t sequence_gaps = 0;    // packets missing between the first and the last
};

struct PortRange {
  std::uint16_t first = 0;  // 0: any free port
  std::uint16_t last = 0;
};

// One RTP stream of a phone: an even port for RTP, the odd one above it for RTCP, which is read
// and dropped. Belongs to one call, runs on the su_root given.
class AudioStream {
 public:
  struct Listener {
    std::function<void(int hz)> tone;  // the tone that arrives changed; 0 is none
    std::function<void(char)> digit;   // a telephone event began
  };

  // nullptr if no pair of ports is free. address is a literal of the local address.
  static std::unique_ptr<AudioStream> open(su_root_t* root, const std::string& address,
                                           PortRange ports, Listener listener);
  ~AudioStream();
  AudioStream(const AudioStream&) = delete;
  AudioStream& operator=(const AudioStream&) = delete;

  // Where to and in which codec to send from now on. sending: what the signalling allows us.
  // false if the address is not a literal one.
  bool set_remote(const RemoteAudio& remote, bool sending);
  void set_source(Source source, int tone_hz);

  // To be called each 20 ms: sends one packet if the source is a tone or silence.
  void tick();

  std::uint16_t port() const { return port_; }
  const AudioCounters& counters() const { return counters_; }
  const ToneDetector& detector() const { return detector_; }

 private:
  struct Socket {
    int fd = -1;
    int registration = 0;
  };

  explicit AudioStream(su_root_t* root, Listener listener);
  bool bind_pair(const std::string& address, std::uint16_t port);
  void close(Socket& socket);
  static int wake_rtp(void* magic, su_wait_t* wait, void* self);
  static int wake_rtcp(void* magic, su_wait_t* wait, void* self);
  void receive(Bytes datagram);
  void count_sequence(std::uint16_t sequence);
  void hear(const RtpPacket& packet);
  void send(const RtpPacket& packet);

  su_root_t* root_;
  Listener listener_;
  Socket rtp_;
  Socket rtcp_;
  std::uint16_t port_ = 0;
  AudioCounters counters_;
  ToneDetector detector_;
  ToneGenerator generator_{1000};
  Source source_ = Source::Silence;

  std::optional<RemoteAudio> remote_;
  sockaddr_storage remote_address_{};
  socklen_t remote_address_size_ = 0;
  bool sending_ = false;

  std::uint32_t ssrc_;
  std::uint16_t next_sequence_;
  std::uint32_t next_timestamp_;
  std::optional<std::uint16_t> last_sequence_;
  std::optional<std::uint32_t> last_event_timestamp_;
};

}  // namespace ringway::lab
