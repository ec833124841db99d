#include "gateway/core/parts.h"
#include "protocol/sip/parse.h"

// OPTIONS to next hops, so that a dead one is known before a call finds out. Only where there is a
// choice: a single next hop is asked by calls alone.

namespace ringway {

void ProxyCore::Parts::start_probes(Instant now, Outbox&) {
  if (!probe_timers.empty()) return;
  probe_timers.resize(config.next_hops.size(), 0);
  if (config.next_hops.size() < 2) return;
  for (std::size_t i = 0; i < config.next_hops.size(); ++i) {
    const Duration interval = config.next_hops[i].probe_interval;
    if (interval <= Duration::zero()) continue;
    // Spread, so that shards and next hops do not probe all at once.
    const auto spread =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(interval.count())));
    probe_timers[i] = wheel.arm(now + Duration{spread} / 4,
                                subject_value(Subject::Probe, {static_cast<std::uint32_t>(i), 1}));
  }
}

void ProxyCore::Parts::send_probe(std::uint16_t index, Instant now, Outbox& outbox) {
  const NextHopConfig& next_hop = config.next_hops[index];
  probe_timers[index] =
      wheel.arm(now + next_hop.probe_interval, subject_value(Subject::Probe, {index, 1}));
  TargetList list;
  next_hops.select_for_probe(index, list);
  for (std::size_t i = 0; i < list.count; ++i) {
    const Target& target = list.targets[i];
    next_hops.probe_sent(target, now);
    const SlotId client = transactions.reserve_client(sip::Method::Options, target, 0);
    if (!client) return;
    BufferRef message = buffers.take(1024);
    if (!message) return transactions.release_client(client);
    Writer out(message.space());
    out.text("OPTIONS sip:").text(next_hop.host.find(':') == std::string::npos ? "" : "[");
    out.text(next_hop.host).text(next_hop.host.find(':') == std::string::npos ? "" : "]");
    if (next_hop.port != 0) out.character(':').number(next_hop.port);
    out.text(" SIP/2.0\r\nVia: SIP/2.0/").text(via_token(target.transport)).character(' ');
    out.text(own.sent_by(target.listener)).text(";branch=");
    sip::write_branch(transactions.branch_of(client), out);
    out.text("\r\nMax-Forwards: 70\r\nFrom: <sip:ringway@").text(own.sent_by(target.listener));
    out.text(">;tag=").hex(random.next(), 16).text("\r\nTo: <sip:").text(next_hop.host);
    out.text(">\r\nCall-ID: probe-").hex(random.next(), 16).text("\r\nCSeq: 1 OPTIONS\r\n");
    out.text("Contact: <sip:").text(own.host_port_transport(target.listener)).text(">\r\n");
    if (!config.server_name.empty()) out.text("User-Agent: ").text(config.server_name).text("\r\n");
    out.text("Accept: application/sdp\r\nContent-Length: 0\r\n\r\n");
    if (out.overflowed()) return transactions.release_client(client);
    message.set_size(out.size());
    ClientTransaction& transaction = *transactions.client(client);
    transaction.own = Subject::Probe;
    transaction.own_value = index;
    const auto outcome = transactions.start_client(client, std::move(message), now, outbox);
    if (outcome.terminated) transactions.release_client(client);
  }
}

// status 0: no answer.
void ProxyCore::Parts::probe_answered(std::uint64_t, const Target& target, sip::Status status,
                                      Instant now) {
  if (status == 0) return;  // counted as failed already
  if (status == 503) {
    next_hops.failed(target, now);
  } else if (sip::is_final(status)) {
    next_hops.succeeded(target);
  }
}

}  // namespace ringway
