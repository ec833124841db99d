"""What is measured, one function for each work. Each adds to the table what it found."""

import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

from . import beside, measure, plots, servers, tunnel
from .beside import p99_of, total
from .table import figure, short

# The disturbance shares the generator's core by design, at the lowest priority.
DISTURBED_WAITING = 0.15

COLUMNS = ["server", "CPU us", "range", "units/s", "p50 us", "p99 us", "server", "generator",
           "lost", ""]


class Bench:
    def __init__(self, context, table, quick, full):
        self.context, self.table, self.quick, self.full = context, table, quick, full
        self.rounds = 1 if quick else 3
        self.duration = 1.5 if quick else 4.0
        self.raw = {}

    def load(self, *args, **kwargs):
        return measure.Load(*args, duration=self.duration, **kwargs)

    def compare(self, title, kinds, load_of, **answering):
        """Interleaved rounds of all kinds; prints and returns name -> result."""
        print(title, flush=True)
        found, skipped = measure.interleaved(self.context, servers.Ports, kinds, load_of,
                                             self.rounds, **answering)
        rows = self.table.section(title, COLUMNS)
        for kind in kinds:
            if kind.name in skipped:
                reason = "skipped: " + short(skipped[kind.name])
                rows.append([kind.name] + ["-"] * 8 + [reason])
                print(f"  {kind.name}: {reason}", flush=True)
                continue
            r = found[kind.name]
            span = "-" if r["us_range"] is None else "{:.1f}-{:.1f}".format(*r["us_range"])
            rows.append([kind.name, figure(r["us"], 2), span, figure(r["rate"], 0),
                         figure(r["p50"], 0), figure(r["p99"], 0),
                         f"{r['server_cpu']:.0%}", f"{r['generator_cpu']:.0%}", str(r["lost"]),
                         doubt_text(r)])
            print("  " + "  ".join(rows[-1]), flush=True)
        self.raw[title] = found
        return found

    def ratio_gate(self, name, found, of, to, gate, aim, key="us"):
        for part in (of, to):
            if part not in found or found[part][key] is None:
                self.table.gate(name, None, gate, aim, f"no figure for {part}")
                return
            if found[part]["doubt"]:
                self.table.gate(name, None, gate, aim, f"CPU of {part}: {found[part]['doubt']}")
                return
        self.table.gate(name, found[of][key] / found[to][key], gate, aim)


def doubt_text(result):
    """What of a row may not be believed."""
    if result["doubt"]:
        return short(result["doubt"])
    return "latency: " + short(result["latency_doubt"]) if result["latency_doubt"] else ""


def stateful(bench, label, load, kinds, floor, gates):
    """Saturation of each, then shares of Ringway's own saturation beside the floor. The floor is
    cheaper than any generator on one core, so only equal offered load gives a ratio to it; the
    peers are compared where they are saturated. Latencies are taken by a generator that never
    sleeps, CPU at 80 % by one that does, as all but generators do."""
    saturated = bench.compare(f"{label}: closed loop, saturated", kinds, lambda _: load)
    ours = saturated.get("ringway")
    if ours is not None and ours["doubt"]:
        bench.table.note(f"{label}: Ringway's own saturation is not known ({ours['doubt']}); the "
                         "shares below are of the rate it reached")
    bench.ratio_gate(f"{label}, CPU to Kamailio", saturated, "ringway", "kamailio", *gates["kamailio"])
    if ours is None or not ours["rate"]:
        bench.table.gate(f"{label}, CPU to the raw forwarder", None, *gates["floor"],
                         "no figure for ringway")
        return saturated
    if floor is None:
        return saturated
    pair = [floor, servers.Ringway]
    curves = {kind.name: [] for kind in pair}
    rate = ours["rate"] * 0.8
    found = bench.compare(f"{label}: 80% of saturation, {rate:.0f} a second offered", pair,
                          lambda _: load.at(rate))
    bench.ratio_gate(f"{label}, CPU to the raw forwarder at 80 % load", found, "ringway",
                     floor.name, *gates["floor"])
    for share in (0.25, 0.5, 0.8):
        rate = ours["rate"] * share
        found = bench.compare(f"{label}: latency at {share:.0%}, {rate:.0f} a second offered",
                              pair, lambda _, rate=rate: load.at(rate, spin=True))
        for name, result in found.items():
            curves[name].append((rate, result["calm_p99"]))
        if share == 0.5 and "latency" in gates and len(found) == 2:
            doubts = [f"latency of {name}: {found[name]['latency_doubt']}"
                      for name in ("ringway", floor.name) if found[name]["latency_doubt"]]
            added = found["ringway"]["calm_p99"] - found[floor.name]["calm_p99"]
            bench.table.note(f"{label}, p99 at half load: " + ", ".join(
                f"{name} {r['calm_p99']:.0f} us in the calmest quarter of seconds, "
                f"{r['p99']:.0f} in all" for name, r in found.items()))
            bench.table.gate(f"{label}, p99 added at half load, us",
                             None if doubts else added, *gates["latency"],
                             doubts[0] if doubts else None)
    plots.line_plot(os.path.join(bench.context.results, f"p99-{label.split(':')[0]}.svg"),
                    f"{label}: p99 of calm seconds over offered load", "units a second",
                    "p99 us", curves)
    return saturated


def udp(bench):
    load = bench.load("options", "udp", flows=4, concurrency=200)
    found = stateful(bench, "UDP to UDP OPTIONS", load,
                     [servers.Floor, servers.Kamailio, servers.Ringway], servers.Floor,
                     {"floor": (1.6, 1.35), "kamailio": (0.25, 0.2), "latency": (150, 100)})
    counted(bench, "UDP to UDP OPTIONS", found.get("ringway"))
    # Ringway and the generator send messages of one length to one peer as one.
    mixed = bench.load("options", "udp", flows=4, concurrency=200, extra=("--vary", "40"))
    found = bench.compare("UDP to UDP OPTIONS, lengths differ by up to 40 bytes: saturated",
                          [servers.Floor, servers.Kamailio, servers.Ringway], lambda _: mixed)
    bench.ratio_gate("UDP to UDP OPTIONS of mixed lengths, CPU to Kamailio", found, "ringway",
                     "kamailio", 0.25, 0.2)


def udp_calls(bench):
    for mode in ("call", "register"):
        found = bench.compare(f"UDP to UDP {mode}: closed loop, saturated",
                              [servers.Kamailio, servers.Ringway],
                              lambda _, mode=mode: bench.load(mode, "udp", flows=4,
                                                              concurrency=200))
        bench.ratio_gate(f"UDP to UDP {mode}, CPU to Kamailio", found, "ringway", "kamailio", 0.25,
                         0.2)


def tcp(bench):
    # The floor takes a read for a message, so a flow should have one request in flight.
    load = bench.load("options", "tcp", flows=400, concurrency=100)
    stateful(bench, "TCP to UDP OPTIONS", load,
             [servers.FloorTcp, servers.KamailioWss, servers.Ringway], servers.FloorTcp,
             {"floor": (1.6, 1.35), "kamailio": (0.25, 0.2)})


def tls(bench):
    class KamailioTls(servers.KamailioWss):
        """Its TLS port is the one that WebSocket uses too."""

        def __init__(self, context, ports):
            ports.tls = ports.wss
            super().__init__(context, ports)

    bench.compare("TLS to UDP OPTIONS: closed loop, saturated", [KamailioTls, servers.Ringway],
                  lambda _: bench.load("options", "tls", flows=50, concurrency=50))


def wss(bench):
    load = bench.load("options", "wss", flows=50, concurrency=50, extra=("--engine", "own"))
    found = stateful(bench, "WSS to UDP OPTIONS", load,
                     [servers.FloorWss, servers.KamailioWss, servers.Ringway], servers.FloorWss,
                     {"floor": (1.35, 1.2), "kamailio": (0.25, 0.2), "latency": (150, 100)})
    counted(bench, "WSS to UDP OPTIONS", found.get("ringway"))
    bench.compare("WSS to UDP OPTIONS: libwebsockets as the client, 4,000 a second",
                  [servers.FloorWss, servers.KamailioWss, servers.Ringway],
                  lambda _: bench.load("options", "wss", flows=50, rate=4000,
                                       extra=("--engine", "libwebsockets")))


def wss_calls(bench):
    for mode in ("call", "register"):
        found = bench.compare(
            f"WSS to UDP {mode}: closed loop, saturated", [servers.KamailioWss, servers.Ringway],
            lambda _, mode=mode: bench.load(mode, "wss", flows=50, concurrency=50,
                                            extra=("--engine", "own", "--register")))
        bench.ratio_gate(f"WSS to UDP {mode}, CPU to Kamailio", found, "ringway", "kamailio", 0.25,
                         0.2)


def wss_tls(bench):
    bench.compare("WSS to TLS OPTIONS: closed loop, saturated",
                  [servers.KamailioWssTls, servers.RingwayTls],
                  lambda _: bench.load("options", "wss", flows=50, concurrency=50,
                                       extra=("--engine", "own")), sink="tls")


def messages_in(counters):
    """Received messages, each once: ringway_messages_total counts both directions."""
    return total(counters, r"ringway_(requests|responses)(_total)?")


def counted(bench, label, result):
    """What Ringway counts of itself, for each message."""
    counters = (result or {}).get("counters") or {}
    messages = messages_in(counters)
    if not messages:
        bench.table.note(f"{label}: no message counters to be read, so no enters for a message")
        return
    bench.table.gate(f"{label}, io_uring enters for a message",
                     total(counters, r"ringway_ring_enters(_total)?") / messages, 0.1, 0.05)


def allocations(bench):
    """What a shard asks of the heap while messages pass, counted by a library in front of malloc."""
    library = bench.context.program("libringway-count-allocations.so")
    path = os.path.join(bench.context.results, "allocations")

    class Counted(servers.Ringway):
        environment = {"LD_PRELOAD": library or "", "RINGWAY_ALLOCATIONS": path}

    def counted_so_far():
        with open(path, "rb") as file:
            return int.from_bytes(file.read(8), "little")

    for mode, transport in (("options", "udp"), ("call", "udp"), ("options", "wss"),
                            ("call", "wss")):
        name = f"{transport.upper()} {mode}, heap allocations of shards for a message"
        reason = Counted.missing(bench.context)
        if reason or not library:
            bench.table.gate(name, None, 0, 0, reason or "the counting library was not built")
            continue
        with open(path, "wb") as file:
            file.write(bytes(8))
        with Counted(bench.context, servers.Ports()) as server:
            found = []
            for duration in (1, 1, 3):  # what is asked for once is asked for in the first
                load = measure.Load(mode, transport, flows=10, rate=400, duration=duration,
                                    warmup=0, extra=("--engine", "own") if transport == "wss" else ())
                asked, messages = counted_so_far(), messages_in(server.counters())
                measure.run(server, load)
                found.append((counted_so_far() - asked, messages_in(server.counters()) - messages))
        # Opening ten flows may allocate; messages do not if more of them ask for nothing more.
        (less, fewer), (asked, messages) = found[1:]
        bench.table.gate(name, max(0, asked - less) / (messages - fewer) if messages > fewer else None,
                         0, 0, f"{asked} for {messages:.0f} messages, {less} for {fewer:.0f}")


def handshake_command(bench, cpu, count, *extra):
    return [bench.context.program("ringway-handshake-floor"), "--certificate",
            bench.context.certificate, "--key", bench.context.key, "--cpu", str(cpu), "--count",
            str(count), *extra]


def handshake_floor(bench, count, *extra):
    """What ringway-handshake-floor says of count handshakes."""
    command = handshake_command(bench, bench.context.cpu, count, *extra)
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def openssl_alone(bench):
    """Beside a core that does the same: servers are measured beside a busy generator, and where two
    cores share one's execution units that alone makes half as much again."""
    neighbour = subprocess.Popen(handshake_command(bench, bench.context.cpu + 1, 1_000_000),
                                 stdout=subprocess.DEVNULL)
    try:
        found = [handshake_floor(bench, 200 if bench.quick else 800) for _ in range(bench.rounds)]
    finally:
        neighbour.kill()
        neighbour.wait()
    return {key: statistics.median(f[key] for f in found)
            for key in ("full_us", "resumed_us", "idle_session_bytes")}


def handshakes(bench):
    alone = openssl_alone(bench)
    bench.raw["openssl alone"] = alone
    rows = bench.table.section("OpenSSL alone, in memory", ["figure", "value"])
    rows += [["full handshake, CPU us", figure(alone["full_us"])],
             ["resumed handshake, CPU us", figure(alone["resumed_us"])],
             ["idle session, bytes", figure(alone["idle_session_bytes"], 0)]]
    for kind, extra in (("full", ()), ("resumed", ("--resume",))):
        def load_of(name, extra=extra):
            transport = "tls" if name == "haproxy" else "wss"
            return bench.load("handshake", transport, concurrency=16, extra=extra)

        class HaproxyTls(servers.Haproxy):
            def __init__(self, context, ports):
                ports.tls = ports.wss
                super().__init__(context, ports)

        found = bench.compare(
            f"{kind} TLS 1.3 handshake with upgrade (haproxy: without)",
            [HaproxyTls, servers.KamailioWss, servers.FloorWss, servers.Ringway], load_of)
        found["openssl"] = {"us": alone["full_us" if kind == "full" else "resumed_us"],
                            "doubt": None, "latency_doubt": None}
        # CPU of the server for each handshake is what it is, whoever waited for whom.
        for result in found.values():
            if result["doubt"] == "the generator was the limit":
                result["doubt"] = None
                bench.table.note(f"{kind} handshakes: the client's half costs about as much, so "
                                 "the rate is the generator's; the CPU figure is the server's own")
        gates = ((1.4, 1.2), (1.0, 0.85)) if kind == "full" else ((2.0, 1.6), (1.0, 0.85))
        bench.ratio_gate(f"{kind} handshake, CPU to OpenSSL alone", found, "ringway", "openssl",
                         *gates[0])
        bench.ratio_gate(f"{kind} handshake, CPU to HAProxy without upgrade", found, "ringway",
                         "haproxy", *gates[1])


def hold_flows(bench, server, count):
    """So many registered WSS flows that say nothing: bytes (PSS) before and with them, the share of a
    core meanwhile, and what the generator found."""
    before = server.pss_bytes()
    load = measure.Load("idle", "wss", flows=count, duration=8, warmup=0, extra=("--engine", "own"))
    # Returns when every flow is up and registered.
    process, path = measure.start_generator(bench.context, server.ports, load, wait_for_flows=True)
    time.sleep(1)
    after = server.pss_bytes()
    share = measure.idle_share(server, 2)
    return before, after, share, measure.finish_generator(process, path, 120)


def idle(bench):
    flows = 500 if bench.quick else 8000
    alone = openssl_alone(bench)["idle_session_bytes"]
    rows = bench.table.section(f"{flows} idle, registered WSS flows (PSS)",
                               ["server", "bytes a flow", "MB in all", "idle CPU", ""])
    held = {}
    for kind in (servers.KamailioIdle, servers.RingwayIdle):
        reason = kind.missing(bench.context)
        if reason:
            rows.append([kind.name, "-", "-", "-", "skipped: " + short(reason)])
            continue
        try:
            with kind(bench.context, servers.Ports()) as server:
                before, after, share, found = hold_flows(bench, server, flows)
        except RuntimeError as error:
            rows.append([kind.name, "-", "-", "-", short(str(error))])
            continue
        up = found["open_flows"]
        if up == flows:
            held[kind.name] = (after - before) / up
        rows.append([kind.name, figure(held.get(kind.name), 0), figure((after - before) / 1e6),
                     f"{share:.1%}", "" if up == flows else f"only {up} flows came up"])
        print("  " + "  ".join(rows[-1]), flush=True)
    bench.raw["idle flows"] = held
    ours, peer = held.get("ringway"), held.get("kamailio")
    # What a program touches once would be spread over too few flows.
    few = "too few flows to tell" if flows < 4000 else None
    bench.table.gate("idle WSS flow, bytes to OpenSSL's own",
                     None if few or not ours else ours / alone, 1.2, 1.1,
                     few or (None if ours else "no figure for ringway"))
    bench.table.gate("idle WSS flow, bytes to Kamailio",
                     None if few or not ours or not peer else ours / peer, 0.2, 0.15,
                     few or (None if ours and peer else "no figure for one of them"))


def disturbed(bench, name, gate, aim, other_load, seconds, proof):
    """p99 of running calls, in the worst second of what else happens to a usual one before. The
    disturbance waits quietly for quiet_s (its warm-up), then begins. proof(result) says why it
    did not happen as meant, or None."""
    reason = servers.Ringway.missing(bench.context)
    if reason:
        bench.table.gate(name, None, gate, aim, reason)
        return
    quiet_s = 4 if bench.quick else 8
    ratios, doubts, curves = [], [], {}
    for number in range(bench.rounds):
        with servers.Ringway(bench.context, servers.Ports()) as server:
            calls = measure.Load("call", "wss", flows=50, rate=100, duration=180, warmup=0,
                                 extra=("--engine", "own", "--register"))
            running = measure.start_generator(bench.context, server.ports, calls)
            began = time.time()
            time.sleep(2)  # its flows register
            # Nice: the other's clients must not take the running calls' core.
            load = other_load(quiet_s, seconds)
            other, path = measure.start_generator(bench.context, server.ports, load,
                                                  priority=["nice", "-n", "19"], answer=False,
                                                  wait_for_flows=True)
            up = time.time() - began
            result = measure.finish_generator(other, path, quiet_s + seconds + 60)
            time.sleep(1)
            running[0].send_signal(signal.SIGINT)
            found = measure.finish_generator(*running, 60)
        shift = found["ready_s"]  # the calls' window began when their flows were up
        from_second, onset = up - shift, up - shift + quiet_s
        lasted = result["recovered_s"] or seconds
        quiet = p99_of(statistics.median, found["intervals"], from_second, onset)
        busy = p99_of(max, found["intervals"], onset - 1, onset + lasted + 1)
        waited = found["generator_wait"]
        doubt = proof(result)
        if doubt is None and (quiet is None or busy is None):
            doubt = "no whole second of calls before or during it"
        if doubt is None and waited > DISTURBED_WAITING:
            doubt = f"others used the generator's core ({waited:.0%})"
        if doubt is None and found["lost"] > 0:
            doubt = f"{found['lost']} running calls lost"
        curves[f"round {number + 1}"] = [(i, s["p99_us"]) for i, s in enumerate(found["intervals"])]
        if doubt is None:
            ratios.append(busy / quiet)
            bench.table.note(f"{name}: {quiet:.0f} us in a quiet second, {busy:.0f} us in the worst "
                             "during it")
        else:
            doubts.append(doubt)
    plots.line_plot(os.path.join(bench.context.results, f"{name.split(',')[0]}.svg"), name,
                    "second", "p99 us", curves)
    value = statistics.median(ratios) if len(ratios) > len(doubts) else None
    bench.table.gate(name, value, gate, aim, doubts[0] if doubts else None)


def storm(bench):
    flows = 500 if bench.quick else 5000

    def proof(result):
        if result["recovered_s"] <= 0:
            return f"the storm did not finish: {result['completed']} of {flows} came back"
        return None

    disturbed(bench, f"reconnect storm of {flows}, p99 of running calls to quiet", 3, 1.5,
              lambda quiet_s, s: measure.Load("storm", "wss", flows=flows, duration=s,
                                              warmup=quiet_s), 30, proof)


def scanner(bench):
    rate, seconds = 20000, 4 if bench.quick else 8

    def proof(result):
        sent = result["started"] / rate
        return None if sent > seconds * 0.9 else f"only {sent / seconds:.0%} of the flood was sent"

    disturbed(bench, "scanner flood of 20,000/s, p99 of running calls to quiet", 3, 1.5,
              lambda quiet_s, s: measure.Load("scanner", "udp", rate=rate, duration=s,
                                              warmup=0, extra=("--delay", str(quiet_s))),
              seconds, proof)


def epoll(bench):
    """Where containers forbid the ring: the rate that is left, of the same work in the same run."""
    for label, load in (("UDP to UDP", bench.load("options", "udp", flows=4, concurrency=200)),
                        ("WSS to UDP", bench.load("options", "wss", flows=50, concurrency=50,
                                                  extra=("--engine", "own")))):
        found = bench.compare(f"{label} OPTIONS, ring and epoll: closed loop, saturated",
                              [servers.Ringway, servers.RingwayEpoll], lambda _, load=load: load)
        name = f"{label}, rate under epoll to the ring's"
        both = [found.get("ringway-epoll"), found.get("ringway")]
        doubt = next((f"no figure for {kind}" if r is None else r["doubt"]
                      for kind, r in zip(("ringway-epoll", "ringway"), both)
                      if r is None or r["doubt"]), None)
        value = None if doubt or not both[1]["rate"] else both[0]["rate"] / both[1]["rate"]
        bench.table.gate(name, value, 0.5, 0.7, doubt, at_least=True)


def cores(bench):
    """The generator needs a core too, so two cores cannot be filled here. What counts is what a
    transaction costs the busiest shard: with perfect scaling half of what it costs alone. The load
    comes in bursts of the same size for each shard, so that it has as much in one turn as near
    saturation, and over many flows, so that the kernel's hash gives each shard its half."""
    def busiest(kind, rate):
        with kind(bench.context, servers.Ports()) as server:
            load = measure.Load("options", "wss", flows=2000, rate=rate, duration=bench.duration,
                                warmup=0, extra=("--engine", "own", "--burst", "0.005",
                                                 "--delay", "1"))
            # Not to be cut short by the shard that shares its core.
            process, path = measure.start_generator(bench.context, server.ports, load,
                                                    priority=["chrt", "--fifo", "1"],
                                                    wait_for_flows=True)
            before = server.thread_seconds()  # connecting is not what is asked
            found = measure.finish_generator(process, path, 60)
            after = server.thread_seconds()
        spent = [after[t] - before.get(t, 0) for t in after]
        return max(spent) / max(found["completed"], 1), found

    name = "two cores against one, by CPU of the busiest shard at 6,000/s each"
    reason = servers.Ringway.missing(bench.context)
    if reason:
        bench.table.gate(name, None, 1.85, 1.95, reason, at_least=True)
        return
    one, two, doubt = [], [], None
    for _ in range(2 * bench.rounds + 1):
        spent, found = busiest(servers.Ringway, 6000)
        one.append(spent)
        spent, _ = busiest(servers.RingwayTwo, 12000)  # one shard shares the generator's core
        two.append(spent)
        if found["generator_wait"] > measure.WAITING:
            doubt = f"others used the generator's core ({found['generator_wait']:.0%})"
    bench.table.note(f"{name}: {1e6 * statistics.median(one):.1f} us alone, "
                     f"{1e6 * statistics.median(two):.1f} us of each transaction with two")
    bench.table.gate(name, None if doubt else statistics.median(one) / statistics.median(two),
                     1.85, 1.95, doubt, at_least=True)


def parse(bench):
    program = bench.context.program("bench-micro")
    if program is None:
        bench.table.gate("parse of an 800-byte INVITE to a newline pass", None, 5, 3.5,
                         "Google Benchmark is not installed")
        return
    command = ["taskset", "-c", str(bench.context.cpu), program, "--benchmark_format=json",
               "--benchmark_filter=parse|newline|edit|filter|core",
               f"--benchmark_repetitions={2 * bench.rounds + 1}"]
    runs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    medians = {b["run_name"]: b["cpu_time"] for b in runs["benchmarks"]
               if b.get("aggregate_name") == "median"}
    rows = bench.table.section("Parsing", ["what", "ns"])
    rows += [[name, figure(value)] for name, value in medians.items()]
    bench.raw["parse"] = medians
    if "parse_invite" in medians and "newline_pass" in medians:
        bench.table.gate("parse of an 800-byte INVITE to a newline pass",
                         medians["parse_invite"] / medians["newline_pass"], 5, 3.5)
    if "filter_invite" not in medians:
        return
    # A call is six messages for us; INVITE is the dearest of them, so the share is rather less.
    found = bench.compare("UDP to UDP call, 500 a second: what a message costs", [servers.Ringway],
                          lambda _: bench.load("call", "udp", flows=4, rate=500)).get("ringway")
    name = "filter, for a legitimate INVITE, of a message's whole cost"
    if found is None or found["doubt"] or not found["us"]:
        bench.table.gate(name, None, 0.05, 0.03, f"CPU of ringway: {(found or {}).get('doubt')}")
    else:
        bench.table.gate(name, medians["filter_invite"] / (found["us"] * 1000 / 6), 0.05, 0.03)


def flows(bench):
    """As many idle WSS flows over four shards as the limit of descriptors permits, and the
    arithmetic for 100,000. Generator and gateway have one descriptor a flow each."""
    wanted, spared = 100_000, 200  # spared: listeners, rings, logs and what is kept free
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # A source has 28,000 ports by default.
    count = 500 if bench.quick else min(wanted, limit - spared, 28_000)
    rows = bench.table.section(
        f"{count} idle, registered WSS flows over 4 shards (PSS; {limit} descriptors a process)",
        ["server", "bytes a flow", "MB before", "MB with them", "idle CPU", f"{wanted} would take"])
    with servers.RingwayManyFlows(bench.context, servers.Ports()) as server:
        before, after, share, found = hold_flows(bench, server, count)
    up = found["open_flows"]
    each = (after - before) / max(up, 1)
    rows.append(["ringway", figure(each, 0), figure(before / 1e6), figure(after / 1e6),
                 f"{share:.1%}", f"{(before + wanted * each) / 1e6:.0f} MB, "
                                 f"LimitNOFILE={wanted + spared}"])
    bench.raw["flows over four shards"] = {"flows": up, "bytes a flow": each, "before": before}
    doubt = "too few flows to tell" if count < 4000 else None
    if up != count:
        doubt = f"only {up} of {count} flows came up"
    bench.table.gate("idle WSS flow over four shards, kB", None if doubt else each / 1e3, 20, 17,
                     doubt)


WORKS = {"udp": udp, "udp-calls": udp_calls, "tcp": tcp, "tls": tls, "wss": wss,
         "wss-calls": wss_calls, "wss-tls": wss_tls, "handshakes": handshakes, "idle": idle,
         "flows": flows, "storm": storm, "scanner": scanner, "hoarders": beside.hoarders, "floods": beside.floods, "epoll": epoll,
         "cores": cores, "parse": parse, "allocations": allocations, "tunnel": tunnel.tunnel}
