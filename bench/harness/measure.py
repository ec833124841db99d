"""One measurement: a server, a load, and what both sides say about it."""

import json
import os
import statistics
import subprocess
import tempfile
import time

from . import servers

GENERATOR_BUSY = 0.85  # share of its core from which on the generator may be the limit
SERVER_BUSY = 0.90
RATE_REACHED = 0.98    # of the offered rate: the load was what it was meant to be
LATE_US = 100          # at most, for 99 of 100 units that a spinning generator starts
WAITING = 0.05         # share of the time for which a side may lack its core to others


class Load:
    """Arguments of ringway-load beside address and answering side."""

    def __init__(self, mode="options", transport="udp", flows=1, concurrency=0, rate=0.0,
                 duration=4.0, warmup=0.5, extra=(), spin=False):
        self.mode, self.transport, self.flows = mode, transport, flows
        self.concurrency, self.rate = concurrency, rate
        self.duration, self.warmup, self.extra = duration, warmup, list(extra)
        self.spin = spin

    def at(self, rate, spin=False):
        """The same work in open loop. spin: the generator never sleeps, so that what it takes to
        wake it is no part of a latency."""
        return Load(self.mode, self.transport, self.flows, 0, rate, self.duration, self.warmup,
                    self.extra, spin)


def generator_command(context, ports, load, answer=True, sink="udp"):
    port = {"udp": ports.udp, "tcp": ports.tcp, "tls": ports.tls, "wss": ports.wss}[load.transport]
    command = [context.program("ringway-load"), load.mode, "--transport", load.transport,
               "--to", f"127.0.0.1:{port}", "--flows", str(load.flows), "--cpu",
               str(context.cpu + 1), "--duration", str(load.duration), "--warmup",
               str(load.warmup), "--quiet"]
    if load.concurrency:
        command += ["--concurrency", str(load.concurrency)]
    if load.rate:
        command += ["--rate", f"{load.rate:.1f}"]
    if answer and sink == "tls":
        command += ["--answer-tls", f"127.0.0.1:{ports.sink_tls}", "--certificate",
                    context.certificate, "--key", context.key]
    elif answer:
        command += ["--answer-udp", f"127.0.0.1:{ports.sink}"]
    if load.spin:
        command += ["--spin"]
    return command + load.extra


def start_generator(context, ports, load, pids=(), priority=servers.PRIORITY,
                    wait_for_flows=False, **answering):
    """Returns the process and the file its result will be in; wait_for_flows: only when it says
    that its flows are up (storm, idle), or that it is ready."""
    handle, path = tempfile.mkstemp(suffix=".json", dir=context.results)
    os.close(handle)
    command = generator_command(context, ports, load, **answering) + ["--json", path]
    for pid in pids:
        command += ["--server-pid", str(pid)]
    process = subprocess.Popen(priority + command, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    if wait_for_flows:
        process.stdout.readline()
    return process, path


def finish_generator(process, path, timeout):
    try:
        _, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError("the generator did not end")
    try:
        with open(path) as file:
            return json.load(file)
    except ValueError:
        raise RuntimeError(f"the generator gave no result: {errors[-300:]}") from None
    finally:
        os.unlink(path)


def idle_share(server, seconds=0.5):
    before = server.cpu_seconds()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / seconds


def run(server, load, **answering):
    """Runs load against a started server. The result has us (CPU microseconds of the server for
    each unit, its idle use taken off), rate, latencies, and whether it may be believed."""
    context, ports = server.context, server.ports
    if load.spin:
        server.go_first()
    idle = idle_share(server)
    before = server.counters()
    process, path = start_generator(context, ports, load, server.pids(), **answering)
    found = finish_generator(process, path, load.duration + load.warmup + 80)
    after = server.counters()
    duration = max(found["duration_s"], 1e-9)
    completed = found["completed"]
    spent = max(0.0, found["server_cpu_s"] - idle * duration)
    result = {
        "us": spent * 1e6 / completed if completed else None,
        "rate": found["rate"], "p50": found["latency_us"]["p50"],
        "p99": found["latency_us"]["p99"], "server_cpu": found["server_cpu_s"] / duration,
        "generator_cpu": found["generator_cpu"], "lost": found["lost"] + found["skipped"],
        "refused": found["refused"], "retransmissions": found["retransmissions"],
        "completed": completed, "raw": found,
        "counters": {name: after[name] - before.get(name, 0) for name in after},
    }
    result["server_wait"] = found["server_wait_s"] / duration
    result["generator_wait"] = found["generator_wait"]
    # The processes of one server may wait for each other; only what others took is a fault.
    alone = len(server.pids()) == 1
    result["doubt"] = cpu_doubt(result, load, alone)
    result["latency_doubt"] = latency_doubt(result, load)
    return result


def cpu_doubt(result, load, alone):
    """Why the CPU time for a unit says nothing about the server; None if it does.

    It is the kernel's account of the server's own threads, so that it does not matter how busy the
    generator was as long as the work was done. It does matter at which load: with fewer units in a
    turn each of them costs more. In open loop the load is what was offered, if it was reached; in
    closed loop it is saturation, and the server must have been the limit."""
    if not result["completed"]:
        return "nothing was completed"
    if result["lost"] > result["completed"] * 0.001:
        return f"{result['lost']} lost"
    if result["refused"] > result["completed"] * 0.001:
        return f"{result['refused']} refused: {result['raw']['statuses']}"
    if alone and result["server_wait"] > WAITING:
        return f"others used the server's core ({result['server_wait']:.0%})"
    if load.rate:
        reached = result["rate"] / load.rate
        return None if reached > RATE_REACHED else f"only {reached:.0%} of the offered rate"
    if result["server_cpu"] >= SERVER_BUSY:
        return None
    if result["generator_cpu"] > GENERATOR_BUSY:
        return "the generator was the limit"
    if result["generator_wait"] > WAITING:
        return f"others used the generator's core ({result['generator_wait']:.0%})"
    if load.concurrency and load.mode != "handshake":
        return f"not saturated ({result['server_cpu']:.0%} of its core)"
    return None


def latency_doubt(result, load):
    """Why its latencies are not the server's alone: whoever takes the time must have had some."""
    if result["doubt"]:
        return result["doubt"]
    if result["generator_wait"] > WAITING:
        return f"others used the generator's core ({result['generator_wait']:.0%})"
    if load.spin:
        late = result["raw"]["late_us"]["p99"]
        return f"the generator was late itself ({late:.0f} us)" if late > LATE_US else None
    if result["generator_cpu"] > GENERATOR_BUSY:
        return f"the generator was too busy to take the time ({result['generator_cpu']:.0%})"
    return None


def median_of(results):
    """The medians of several runs, with the range of the main figure; doubts are kept."""
    usable = [r for r in results if r["doubt"] is None] or results
    merged = {}
    for key in ("us", "rate", "p50", "p99", "server_cpu", "generator_cpu"):
        values = [r[key] for r in usable if r[key] is not None]
        merged[key] = statistics.median(values) if values else None
    values = [r["us"] for r in usable if r["us"] is not None]
    merged["us_range"] = [min(values), max(values)] if values else None
    for key in ("lost", "refused", "retransmissions", "completed"):
        merged[key] = sum(r[key] for r in results)
    # One bad round of several is noise, more are a finding.
    for key in ("doubt", "latency_doubt"):
        doubts = [r[key] for r in results if r[key] is not None]
        merged[key] = doubts[0] if len(doubts) * 2 > len(results) else None
    # What the machine's host takes from it only adds: a quarter of the seconds are about free of it.
    seconds = sorted(s["p99_us"] for r in usable for s in r["raw"]["intervals"] if s["completed"])
    merged["calm_p99"] = seconds[len(seconds) // 4] if seconds else None
    merged["counters"] = usable[-1]["counters"]
    merged["intervals"] = usable[-1]["raw"]["intervals"]
    return merged


def interleaved(context, make_ports, servers, load_of, rounds, **answering):
    """A B A B: every server once in each round. Returns name -> merged result, and what was
    skipped."""
    results, skipped = {}, {}
    for kind in servers:
        reason = kind.missing(context)
        if reason:
            skipped[kind.name] = reason
    for _ in range(rounds):
        for kind in servers:
            if kind.name in skipped:
                continue
            try:
                with kind(context, make_ports()) as server:
                    results.setdefault(kind.name, []).append(
                        run(server, load_of(kind.name), **answering))
            except RuntimeError as error:
                skipped[kind.name] = str(error)
                results.pop(kind.name, None)
    return {name: median_of(found) for name, found in results.items()}, skipped
