#include "gateway/core/assembly.h"

#include <utility>

namespace ringway {

Assembly::Assembly(CoreEnvironment& environment)
    : core(make_services(environment)),
      flows(core.shard),
      transactions(core.config, core.shard, core.wheel, core.counters),
      next_hops(core.config, core.listeners, core.counters, core.log, core.random),
      contexts(core, flows),
      peers(core.config, core.listeners),
      places(core.config, core.listeners, peers),
      header_rules(core.config),
      registrations(core, flows, contexts, next_hops),
      relays(core.config, core.shard, core.epoch, core.wheel, core.buffers, core.counters, core.log,
             core.random),
      calls(core, flows, registrations, relays),
      relay_watch(core, relays, calls),
      media(core, contexts, calls, relays),
      dtmf(core, contexts, calls),
      probes(core, transactions, next_hops),
      replies(core, transactions, registrations),
      router(core, flows, registrations, next_hops, peers, places),
      peer_check(core, flows, registrations, peers),
      gate(environment.gate ? *environment.gate : open_gate),
      admission(core, gate, flows, registrations),
      fraud(core, registrations, calls, environment.caps),
      cancels(core, contexts, transactions),
      response_sender({core, contexts, transactions, registrations, calls, media, replies, router,
                       header_rules, admission, fraud, cancels}),
      results({core, contexts, transactions, next_hops, calls, cancels, response_sender}),
      askers(core, contexts, transactions, results, response_sender),
      response_steps({core, contexts, calls, media, response_sender}),
      responses({core, contexts, transactions, next_hops, calls, media, probes, cancels, results,
                 response_steps, response_sender}),
      routes(core),
      owner(core, peer_check, routes),
      checks(core, peer_check, admission, routes, replies),
      request_sender({core, contexts, transactions, next_hops, registrations, router, routes,
                      responses, response_sender, header_rules}),
      request_steps({core, contexts, registrations, calls, fraud, media, dtmf, router, routes,
                     results, response_sender, request_sender}),
      release({core, contexts, cancels, results, response_sender, request_steps, request_sender}),
      requests({core, contexts, transactions, peer_check, admission, fraud, replies, routes, owner,
                checks, request_steps, results}),
      stun(core, peer_check),
      tarpit(core, flows),
      filter(core, next_hops, admission, replies, tarpit),
      intake({core, gate, registrations, admission, peer_check, stun, replies, tarpit, filter,
              requests, responses}),
      recovery({core, flows, contexts, registrations, calls, request_steps, request_sender, results,
                askers, cancels, response_sender}),
      transport_errors({core, transactions, probes, recovery, askers, responses}),
      relay_events({relays, relay_watch, contexts, calls, request_steps, response_steps}),
      deadlines({core, contexts, transactions, registrations, calls, relay_watch, relay_events,
                 probes, fraud, tarpit, replies, responses, results, response_sender}),
      commands({core, next_hops, relays, calls, relay_watch, probes}) {}

void Assembly::settle(Instant now, Outbox& outbox) {
  for (;;) {
    if (const auto retry = results.next_retry()) {
      request_steps.retry(*retry, now, outbox);
    } else if (const auto result = calls.next_media()) {
      relay_events.media_done(*result, now, outbox);
    } else if (const auto watch = calls.next_unwatched()) {
      fraud.ended(*watch, now);
    } else if (auto over = calls.next_release()) {
      release.perform(std::move(*over), now, outbox);
    } else if (const auto change = registrations.next_change()) {
      recovery.agent_changed(*change, now, outbox);
    } else {
      return media.let_go();
    }
  }
}

}  // namespace ringway
