#include "gateway/lab/audio_stream.h"

#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>

namespace ringway::lab {
namespace {

constexpr int kBindAttempts = 64;
constexpr int kSamplesPerPacket = 160;  // 20 ms

// Literal addresses only; nothing is resolved. Returns the size, 0 on failure.
socklen_t parse_address(const std::string& host, std::uint16_t port, sockaddr_storage& out) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return 0;
  const socklen_t size = found->ai_addrlen;
  std::memcpy(&out, found->ai_addr, size);
  freeaddrinfo(found);
  return size;
}

// A bound, non-blocking datagram socket, or -1. Stores the port that it got.
int bind_socket(const std::string& address, std::uint16_t port, std::uint16_t& bound) {
  sockaddr_storage local{};
  const socklen_t size = parse_address(address, port, local);
  if (size == 0) return -1;
  const int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  socklen_t bound_size = sizeof local;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&local), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&local), &bound_size) != 0) {
    ::close(fd);
    return -1;
  }
  bound = ntohs(local.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(local).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(local).sin_port);
  return fd;
}

}  // namespace

AudioStream::AudioStream(su_root_t* root, Listener listener)
    : root_(root), listener_(std::move(listener)) {
  std::random_device random;
  ssrc_ = random();
  next_sequence_ = static_cast<std::uint16_t>(random());
  next_timestamp_ = random();
}

AudioStream::~AudioStream() {
  close(rtp_);
  close(rtcp_);
}

void AudioStream::close(Socket& socket) {
  if (socket.registration > 0) su_root_deregister(root_, socket.registration);
  if (socket.fd >= 0) ::close(socket.fd);
  socket = Socket{};
}

std::unique_ptr<AudioStream> AudioStream::open(su_root_t* root, const std::string& address,
                                               PortRange ports, Listener listener) {
  std::unique_ptr<AudioStream> stream(new AudioStream(root, std::move(listener)));
  const int pairs = ports.first == 0 ? kBindAttempts : (ports.last - ports.first + 1) / 2;
  for (int pair = 0; pair < pairs; ++pair) {
    const int port = ports.first == 0 ? 0 : ports.first + 2 * pair;
    if (stream->bind_pair(address, static_cast<std::uint16_t>(port))) return stream;
  }
  return nullptr;
}

bool AudioStream::bind_pair(const std::string& address, std::uint16_t port) {
  std::uint16_t rtcp_port = 0;
  rtp_.fd = bind_socket(address, port, port_);
  if (rtp_.fd >= 0 && port_ % 2 == 0) {
    rtcp_.fd = bind_socket(address, static_cast<std::uint16_t>(port_ + 1), rtcp_port);
  }
  su_wait_t wait[2];
  if (rtcp_.fd < 0 || su_wait_create(&wait[0], rtp_.fd, SU_WAIT_IN) != 0 ||
      su_wait_create(&wait[1], rtcp_.fd, SU_WAIT_IN) != 0) {
    close(rtp_);
    close(rtcp_);
    return false;
  }
  rtp_.registration = su_root_register(root_, &wait[0], wake_rtp, this, 0);
  rtcp_.registration = su_root_register(root_, &wait[1], wake_rtcp, this, 0);
  return true;
}

int AudioStream::wake_rtp(void*, su_wait_t*, void* self) {
  auto* stream = static_cast<AudioStream*>(self);
  std::array<std::uint8_t, 2048> memory;
  for (;;) {
    const ssize_t size = recv(stream->rtp_.fd, memory.data(), memory.size(), 0);
    if (size < 0) return 0;
    stream->receive(Bytes(memory).first(static_cast<std::size_t>(size)));
  }
}

int AudioStream::wake_rtcp(void*, su_wait_t*, void* self) {
  auto* stream = static_cast<AudioStream*>(self);
  std::array<std::uint8_t, 2048> memory;
  while (recv(stream->rtcp_.fd, memory.data(), memory.size(), 0) >= 0) {
  }
  return 0;
}

bool AudioStream::set_remote(const RemoteAudio& remote, bool sending) {
  remote_address_size_ = parse_address(remote.address, remote.port, remote_address_);
  remote_ = remote;
  sending_ = sending && remote_address_size_ != 0;
  return remote_address_size_ != 0;
}

void AudioStream::set_source(Source source, int tone_hz) {
  source_ = source;
  generator_ = ToneGenerator(tone_hz, source == Source::Tone ? 8000 : 0);
}

void AudioStream::tick() {
  if (!sending_ || source_ == Source::Echo) return;
  std::array<std::int16_t, kSamplesPerPacket> samples;
  generator_.fill(samples);
  std::array<std::uint8_t, kSamplesPerPacket> payload;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = remote_->codec == Codec::Pcmu ? encode_pcmu(samples[i]) : encode_pcma(samples[i]);
  }
  RtpPacket packet;
  packet.payload_type = remote_->payload_type;
  packet.marker = counters_.packets_sent == 0;
  packet.sequence = next_sequence_++;
  packet.timestamp = next_timestamp_;
  packet.payload = payload;
  next_timestamp_ += kSamplesPerPacket;
  send(packet);
}

void AudioStream::receive(Bytes datagram) {
  const auto packet = parse_rtp(datagram);
  const bool event = packet && remote_ && remote_->event_payload_type == packet->payload_type;
  if (!packet || !remote_ || (!event && packet->payload_type != remote_->payload_type)) {
    ++counters_.packets_refused;
    return;
  }
  ++counters_.packets_received;
  counters_.octets_received += packet->payload.size();
  count_sequence(packet->sequence);
  if (event) {
    const auto digit = parse_telephone_event(packet->payload);
    // All packets of one event carry the time of its beginning (RFC 4733 2.5.1.2).
    if (digit && last_event_timestamp_ != packet->timestamp) {
      last_event_timestamp_ = packet->timestamp;
      if (listener_.digit) listener_.digit(digit_of_event(digit->event));
    }
  } else {
    hear(*packet);
  }
  if (source_ == Source::Echo && sending_) send(*packet);
}

void AudioStream::count_sequence(std::uint16_t sequence) {
  if (last_sequence_) {
    const auto step = static_cast<std::int16_t>(sequence - *last_sequence_);
    if (step <= 0) return;  // late or repeated
    counters_.sequence_gaps += static_cast<std::uint64_t>(step - 1);
  }
  last_sequence_ = sequence;
}

void AudioStream::hear(const RtpPacket& packet) {
  for (const std::uint8_t code : packet.payload) {
    const std::int16_t sample =
        remote_->codec == Codec::Pcmu ? decode_pcmu(code) : decode_pcma(code);
    if (detector_.add(sample) && listener_.tone) listener_.tone(detector_.tone_hz());
  }
}

void AudioStream::send(const RtpPacket& packet) {
  RtpPacket own = packet;
  own.ssrc = ssrc_;
  std::array<std::uint8_t, 2048> memory;
  const std::size_t size = write_rtp(own, memory);
  if (size == 0) return;
  const ssize_t sent =
      sendto(rtp_.fd, memory.data(), size, 0, reinterpret_cast<const sockaddr*>(&remote_address_),
             remote_address_size_);
  if (sent >= 0) ++counters_.packets_sent;
}

}  // namespace ringway::lab
