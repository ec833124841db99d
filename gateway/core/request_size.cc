#include "gateway/core/request_size.h"

#include <cstring>
#include <utility>

#include "protocol/base/writer.h"
#include "protocol/sip/compact.h"

namespace ringway {

// The next pass of a call is known by the port that it comes from.
bool RequestSize::is_to_ourselves(const Target& target) const {
  const Endpoint& local = core_.listeners[target.listener].local;
  return target.remote.port == local.port &&
         (target.remote.address == local.address ||
          (local.address.is_any() && target.remote.address.is_loopback()));
}

// True: message is one of at most 1,300 bytes now. Else it is what it was.
bool RequestSize::make_compact(BufferRef& message) {
  BufferRef other = core_.buffers.take(message.size());
  if (!other) return false;
  Writer out(other.space());
  if (!sip::write_compact(as_text(message.bytes()), out) || out.size() > kDatagramMax) {
    return false;
  }
  other.set_size(out.size());
  message = std::move(other);
  return true;
}

// Its Via says so. Our Record-Route stays as it is: only the size of this one message asks for TCP.
void RequestSize::switch_to_tcp(Target& target, BufferRef& message, Instant now) {
  if (next_hops_.is_tcp_refused(target.remote, now)) return;
  const ListenerIndex twin =
      next_hops_.listener_for(Transport::Tcp, target.remote.family(), target.next_hop);
  if (twin == kNoListener) return;
  const std::string_view text = as_text(message.bytes());
  constexpr std::string_view kByUdp = "Via: SIP/2.0/UDP ";
  const std::size_t via = text.find(kByUdp);
  const std::string_view by_udp = core_.own.sent_by(target.listener);
  if (via == text.npos || !text.substr(via + kByUdp.size()).starts_with(by_udp)) return;
  const std::string_view by_tcp = core_.own.sent_by(twin);
  if (by_tcp == by_udp) {
    std::memcpy(message.space().data() + via + 13, "TCP", 3);
  } else {
    BufferRef other = core_.buffers.take(message.size() + by_tcp.size());
    if (!other) return;
    Writer out(other.space());
    out.text(text.substr(0, via)).text("Via: SIP/2.0/TCP ").text(by_tcp);
    out.text(text.substr(via + kByUdp.size() + by_udp.size()));
    if (out.overflowed()) return;
    other.set_size(out.size());
    message = std::move(other);
  }
  target.transport = Transport::Tcp;
  target.listener = twin;
  target.tcp_for_size = true;
  core_.counters.switched_to_tcp.add();
}

}  // namespace ringway
