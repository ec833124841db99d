"""`ringway tunnel` beside two socats and a raw forwarder: CPU of both ends for each round trip, and latency."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import time

from .servers import free_port
from .table import figure

COLUMNS = ["ends", "offered/s", "answered/s", "CPU us of both ends", "p50 us", "p99 calm us", "p99 us", "late us", "lost"]
# Above this lateness of the generator itself, microseconds, p99 over all seconds says nothing.
LATE = 50


def ends_of(bench, kind, folder):
    """Commands of the far end and the near end, given the ports."""
    program = bench.context.program
    if kind == "raw forwarder":
        floor = program("ringway-tunnel-floor")
        return lambda near, between, engine: ([floor, "far", between, engine], [floor, "near", near, between])
    if kind == "two socats":
        return lambda near, between, engine: (
            ["socat", f"TCP4-LISTEN:{between},bind=127.0.0.1,fork,reuseaddr", f"UDP4:127.0.0.1:{engine}"],
            ["socat", f"UDP4-LISTEN:{near},bind=127.0.0.1,fork,reuseaddr", f"TCP4:127.0.0.1:{between}"])
    tls = kind.endswith("TLS")

    def keys(end):
        return ["--keys", os.path.join(folder, end)] if tls else []
    ringway = program("ringway")
    return lambda near, between, engine: (
        [ringway, "tunnel", "relay", "--listen", f"127.0.0.1:{between}", "--rtpengine", f"127.0.0.1:{engine}",
         "--ping", "off", "--user", "root", *keys("relay")],
        [ringway, "tunnel", "controller", "--listen", f"127.0.0.1:{near}", "--relay", f"127.0.0.1:{between}",
         "--connections", "1", "--user", "root", *keys("controller")])


def cpu_seconds(pid):
    """Of the process and of the children that it has now."""
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            pids += [int(child) for child in file.read().split()]
    total = 0
    for one in pids:
        # Nanoseconds on a core, exact where utime and stime are sampled.
        for task in os.listdir(f"/proc/{one}/task"):
            with open(f"/proc/{one}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def one_round(bench, commands, rate, seconds):
    near, between, engine = (free_port() for _ in range(3))
    pinned = ["taskset", "-c", str(bench.context.cpu)]
    running = []
    try:
        for command in commands(near, between, engine):
            running.append(subprocess.Popen([*pinned, *map(str, command)], stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL, start_new_session=True))
            time.sleep(0.5)
        load = [str(word) for word in ("taskset", "-c", bench.context.cpu + 1,
                                       bench.context.program("ringway-tunnel-load"), near, engine)]
        subprocess.run([*load, "200", "0.5"], check=True, capture_output=True)  # socat forks, pages are touched
        before = sum(cpu_seconds(one.pid) for one in running)
        done = subprocess.run([*load, str(rate), str(seconds)], check=True, capture_output=True, text=True)
        used = sum(cpu_seconds(one.pid) for one in running) - before
    finally:
        for one in running:
            os.killpg(one.pid, signal.SIGTERM)  # what socat has forked too
        for one in running:
            one.wait(5)
    result = json.loads(done.stdout)
    result["us"] = used * 1e6 / max(result["answered"], 1)
    return result


def latency_gates(bench, name, own, floor):
    bench.table.gate(f"{name}: p99 added in calm tenths, us", own["calm"] - floor["calm"], 100, 50)
    late = max(own["late"], floor["late"])
    why = None
    if late > LATE:
        why = f"the generator itself was {late:.0f} us late"
    elif floor["p99"] > 3 * floor["calm"]:
        why = f"the raw forwarder's own went from {floor['calm']:.0f} to {floor['p99']:.0f}: the machine"
    if why:
        bench.table.gate(f"{name}: p99 added, us", None, 100, 50, why)
    else:
        bench.table.gate(f"{name}: p99 added, us", own["p99"] - floor["p99"], 100, 50)


def tunnel(bench):
    folder = os.path.join(bench.context.results, "tunnel-keys")
    subprocess.run([bench.context.program("ringway"), "tunnel", "keys", "--out", folder], check=True,
                   capture_output=True)
    kinds = ["raw forwarder", "ringway tunnel, plain", "ringway tunnel, TLS"]
    if shutil.which("socat"):
        kinds.append("two socats")
    for rate in (1000, 10_000):
        title = f"Tunnel: {rate} requests a second of 400 bytes, echoed"
        print(title, flush=True)
        found = {kind: [] for kind in kinds}
        for _ in range(bench.rounds):
            for kind in kinds:
                found[kind].append(one_round(bench, ends_of(bench, kind, folder), rate, bench.duration))
        rows = bench.table.section(title, COLUMNS)
        median = {}
        for kind in kinds:
            value = {key: statistics.median(one[key] for one in found[kind])
                     for key in ("us", "p50", "p99", "calm", "late", "answered", "sent", "seconds")}
            median[kind] = value
            rows.append([kind, str(rate), figure(value["answered"] / value["seconds"], 0), figure(value["us"], 2),
                         figure(value["p50"], 0), figure(value["calm"], 0), figure(value["p99"], 0),
                         figure(value["late"], 0), str(int(value["sent"] - value["answered"]))])
            print("  " + "  ".join(rows[-1]), flush=True)
        bench.raw[title] = found
        for kind in kinds[1:3]:
            bench.table.gate(f"{kind}, {rate}/s: CPU to the raw forwarder",
                             median[kind]["us"] / median["raw forwarder"]["us"], 1.5, 1.2)
            if rate == 10_000:
                latency_gates(bench, f"{kind}, {rate}/s", median[kind], median["raw forwarder"])
        if "two socats" in median:
            bench.table.gate(f"ringway tunnel, TLS, {rate}/s: CPU to two socats",
                             median["ringway tunnel, TLS"]["us"] / median["two socats"]["us"], 1.0, 0.5)
