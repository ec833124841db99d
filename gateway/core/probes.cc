#include "gateway/core/probes.h"

#include "gateway/base/subject.h"
#include "protocol/transaction/key.h"

namespace ringway {

void Probes::start(Instant now) {
  if (timers_.empty()) next_hops_changed(now);
}

void Probes::next_hops_changed(Instant now) {
  const auto& next_hops = core_.config.next_hops;
  timers_.resize(next_hops.size(), 0);
  for (std::size_t i = 0; i < next_hops.size(); ++i) {
    if (timers_[i] == 0) arm(i, now);
  }
}

// Spread, so that shards and next hops do not probe all at once.
void Probes::arm(std::size_t next_hop, Instant now) {
  const NextHopConfig& config = core_.config.next_hops[next_hop];
  const Duration interval = config.probe_interval;
  if (config.removed || interval <= Duration::zero()) return;
  // Spread, so that shards and next hops do not probe all at once.
  const auto spread =
      static_cast<std::int64_t>(core_.random.below(static_cast<std::uint64_t>(interval.count())));
  // Nothing is chosen by what an only one says, so its first probe has time.
  const Duration first = core_.config.next_hops.size() < 2 ? interval : Duration{};
  timers_[next_hop] =
      core_.wheel.arm(now + first + Duration{spread} / 4,
                      subject_value(Subject::Probe, {static_cast<std::uint32_t>(next_hop), 1}));
}

BufferRef Probes::write(const NextHopConfig& next_hop, const Target& target, SlotId client) {
  BufferRef message = core_.buffers.take(1024);
  if (!message) return {};
  Writer out(message.space());
  const bool is_ipv6 = next_hop.host.find(':') != std::string::npos;
  out.text("OPTIONS sip:").text(is_ipv6 ? "[" : "").text(next_hop.host).text(is_ipv6 ? "]" : "");
  if (next_hop.port != 0) out.character(':').number(next_hop.port);
  const std::string_view sent_by = core_.own.sent_by(target.listener);
  out.text(" SIP/2.0\r\nVia: SIP/2.0/").text(via_token(target.transport)).character(' ');
  out.text(sent_by).text(";branch=");
  sip::write_branch(transactions_.branch_of(client), core_.branch_key, out);
  out.text("\r\nMax-Forwards: 70\r\nFrom: <sip:ringway@").text(sent_by);
  out.text(">;tag=").hex(core_.random.next(), 16);
  out.text("\r\nTo: <sip:").text(is_ipv6 ? "[" : "").text(next_hop.host).text(is_ipv6 ? "]" : "");
  out.text(">\r\nCall-ID: probe-").hex(core_.random.next(), 16).text("\r\nCSeq: 1 OPTIONS\r\n");
  out.text("Contact: <sip:").text(core_.own.host_port_transport(target.listener)).text(">\r\n");
  // Whoever is asked knows what we can do, and who asks.
  const std::string& name = core_.config.server_name;
  out.text("User-Agent: ").text(name.empty() ? "Ringway" : name).text("\r\n").text(kAllow);
  out.text("Accept: application/sdp\r\nContent-Length: 0\r\n\r\n");
  if (out.overflowed()) return {};
  message.set_size(out.size());
  return message;
}

void Probes::due(SlotId probe, Instant now, Outbox& outbox) {
  const auto next_hop = static_cast<std::uint16_t>(probe.slot);
  if (probe == once(next_hop)) return ask_now(next_hop, now, outbox);
  send(next_hop, now, outbox);
}

void Probes::send(std::uint16_t index, Instant now, Outbox& outbox) {
  const NextHopConfig& next_hop = core_.config.next_hops[index];
  timers_[index] = 0;
  if (next_hop.removed || next_hop.probe_interval <= Duration::zero()) return;
  timers_[index] =
      core_.wheel.arm(now + next_hop.probe_interval, subject_value(Subject::Probe, {index, 1}));
  ask_now(index, now, outbox);
}

void Probes::ask_now(std::uint16_t index, Instant now, Outbox& outbox) {
  const NextHopConfig& next_hop = core_.config.next_hops[index];
  TargetList list;
  next_hops_.select_for_probe(index, list);
  for (std::size_t i = 0; i < list.count; ++i) {
    const Target& target = list.targets[i];
    next_hops_.probe_sent(target, now);
    ask(index, target, now, outbox);
    if (target.transport == Transport::Udp &&
        next_hops_.wants_tcp_probe(target.remote, next_hop.probe_interval, now)) {
      ask_by_tcp(index, target, now, outbox);
    }
  }
}

void Probes::ask(std::uint16_t index, const Target& target, Instant now, Outbox& outbox) {
  const SlotId client = transactions_.reserve_client(sip::Method::Options, target, 0);
  if (!client) return;
  BufferRef message = write(core_.config.next_hops[index], target, client);
  if (!message) return transactions_.release_client(client);
  ClientTransaction& transaction = *transactions_.client(client);
  transaction.own = Subject::Probe;
  transaction.own_value = index;
  const auto outcome = transactions_.start_client(client, std::move(message), now, outbox);
  if (outcome.terminated) transactions_.release_client(client);
}

// Whether it takes TCP is asked again before that is forgotten, so that no call has to find out.
void Probes::ask_by_tcp(std::uint16_t index, const Target& target, Instant now, Outbox& outbox) {
  Target by_tcp = target;
  by_tcp.transport = Transport::Tcp;
  by_tcp.listener = next_hops_.listener_for(Transport::Tcp, target.remote.family(), index);
  by_tcp.tcp_for_size = true;
  if (by_tcp.listener == kNoListener) return;
  next_hops_.tcp_refused(target.remote, now);  // until the answer
  ask(index, by_tcp, now, outbox);
}

void Probes::tcp_refused(const Endpoint& remote, Instant now, Outbox& outbox) {
  if (!next_hops_.is_tcp_refused(remote, now)) announce_tcp(remote, false, outbox);
  next_hops_.tcp_refused(remote, now);
}

void Probes::announce_tcp(const Endpoint& remote, bool up, Outbox& outbox) {
  Output::Announcement& news = outbox.add(Output::Kind::Announce).announcement;
  news.kind = Output::Announcement::Kind::NextHopTcp;
  news.source.remote = remote;
  news.up = up;
}

void Probes::answered(const Target& target, sip::Status status, Instant now, Outbox& outbox) {
  if (status == 0) return;
  if (target.tcp_for_size) {
    next_hops_.tcp_works(target.remote);
    return announce_tcp(target.remote, true, outbox);
  }
  if (status == 503) {
    next_hops_.failed(target, now);
    next_hops_.probe_refused(target);
  } else if (sip::is_final(status)) {
    next_hops_.probe_answered(target);
  }
}

}  // namespace ringway
