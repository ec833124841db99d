"""Calls beside those who mean no good: p99 of 100 calls a second in a usual second, to what it is without them.

The calls come from a generator that never sleeps and says how late it was itself; a round in which it was late is
done again. They come from an address of their own, so that what their neighbours do is not held against them.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

from . import measure, servers

LATE_US = 50  # of the generator itself, at most
HERE = os.path.dirname(os.path.abspath(__file__))
SCAN = os.path.join(HERE, "..", "..", "tests", "system", "lib", "scan.py")
CALLERS = "127.0.0.77"
NICE = ["nice", "-n", "19"]  # the attacker's own work must not take the calls' core


def p99_of(choose, seconds, begin, end):
    """What choose makes of the seconds between two moments of a run, in microseconds; None if none
    of them is whole."""
    inside = [s["p99_us"] for i, s in enumerate(seconds) if begin <= i and i + 1 <= end and
              s["completed"]]
    return choose(inside) if inside else None


def total(counters, pattern):
    return sum(value for name, value in counters.items() if re.fullmatch(pattern, name))


ARRIVED = (r"ringway_(messages|keepalives|framing_lost|flows_opened|silent_connections_dropped|handshakes|"
           r"filter_drops|kept_out)_total")
TURNED_AWAY = r"ringway_(filter_drops|kept_out|over_budget)_total"


def calls_beside(bench, name, attack, counted=ARRIVED):
    """attack(server, seconds, usual) happens for so long; usual: what is counted a second without it. It returns a text
    of what it did and, if that is not what was meant, why (else None)."""
    gate, aim = 1.5, 1.2
    reason = servers.Ringway.missing(bench.context)
    if reason:
        bench.table.gate(name, None, gate, aim, reason)
        return
    quiet_s, seconds = (4, 6) if bench.quick else (10, 20)
    sound, doubts = [], []
    for _ in range(3 * bench.rounds):
        if len(sound) == bench.rounds:
            break
        with servers.Ringway(bench.context, servers.Ports()) as server:
            server.go_first()
            calls = measure.Load("call", "wss", flows=50, rate=100, duration=quiet_s + seconds + 4, warmup=0,
                                 extra=("--engine", "own", "--register", "--from", CALLERS), spin=True)
            running = measure.start_generator(bench.context, server.ports, calls)
            began = time.time()
            time.sleep(3)  # its flows register
            before = total(server.counters(), counted)
            time.sleep(quiet_s - 1)
            usual = (total(server.counters(), counted) - before) / (quiet_s - 1)
            onset = time.time() - began
            did, doubt = attack(server, seconds, usual)
            gone = time.time() - began
            found = measure.finish_generator(*running, 120)
        shift = found["ready_s"]
        quiet = p99_of(statistics.median, found["intervals"], 1, onset - shift)
        busy = p99_of(statistics.median, found["intervals"], onset - shift, gone - shift)
        worst = p99_of(max, found["intervals"], onset - shift, gone - shift)
        late = found["late_us"]["p99"]
        if doubt is None and (quiet is None or busy is None):
            doubt = "no whole second of calls before or during it"
        elif doubt is None and late > LATE_US:
            doubt = f"cannot be judged: the generator was late itself ({late:.0f} us)"
        elif doubt is None and found["lost"] > 0:
            bench.table.gate(name, None, gate, aim, f"{found['lost']} running calls lost")
            return
        if quiet and busy:
            sound += [] if doubt else [busy / quiet]
            bench.table.note(f"{name}: {quiet:.0f} us quiet, {busy:.0f} us beside them, {worst:.0f} us in the worst "
                             f"second; generator late by {late:.0f} us; {did}")
        if doubt:
            doubts.append(doubt)
        if doubt and not doubt.startswith("cannot be judged"):
            break
    if doubts:
        bench.table.note(f"{name}: {len(sound)} rounds judged, {len(doubts)} not: {'; '.join(doubts)}")
    value = statistics.median(sound) if 2 * len(sound) > bench.rounds else None
    bench.table.gate(name, value, gate, aim, doubts[0] if doubts else None)


def hoarders(bench):
    """50 WebSockets that ask and never read, and 100 connections a second that say nothing."""
    def hoard(server, seconds, _):
        command = NICE + ["taskset", "-c", str(bench.context.cpu + 1), sys.executable, os.path.join(HERE, "hoard.py"),
                          "--to", f"127.0.0.1:{server.ports.wss}", "--seconds", str(seconds)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True,
                                          timeout=seconds + 60).stdout)
        closed = total(server.counters(),
                       r"ringway_(silent_connections_dropped|websocket_violations|flows_timed_out).*")
        short = found["silent"] < 90 * seconds or found["pings"] < 100 * seconds
        return (f"{found['readers_ended']} readers closed, {closed:.0f} connections that Ringway counts as closed for "
                "it",
                f"they did not hoard: {found['silent']} silent, {found['pings']} pings" if short else None)

    calls_beside(bench, "50 silent readers and 100 silent connections/s, p99 of running calls to quiet", hoard)


class Tools:
    """Commands that run beside each other, each again and again, until they are told to end."""

    def __init__(self, folder, commands):
        self.folder, self.runs, self.ending = folder, 0, threading.Event()
        self.processes = set()
        self.threads = [threading.Thread(target=self._repeat, args=(command,)) for command in commands]
        for thread in self.threads:
            thread.start()

    def _repeat(self, command):
        while not self.ending.is_set():
            process = subprocess.Popen(NICE + command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                       env={**os.environ, "TERM": "dumb"})
            self.processes.add(process)
            process.wait()
            self.processes.discard(process)
            self.runs += 1
            self.ending.wait(0.05)

    def end(self):
        self.ending.set()
        while any(thread.is_alive() for thread in self.threads):
            for process in list(self.processes):
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)


# sipp's scenario: a call of a stranger from an address of the list. It waits for no answer.
FLOOD = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="flood"><send><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [field0]:[local_port];branch=[branch]
From: <sip:100@[field0]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:100@[field0]:[local_port]>
Max-Forwards: 70
User-Agent: Grandstream GXP1625
Content-Length: 0

]]></send></scenario>
"""


def attacks(folder):
    """Name, what it needs, how many a second of which counters it is meant to bring at least, and its commands at a
    server's ports."""
    addresses, scenario = os.path.join(folder, "addresses.csv"), os.path.join(folder, "flood.xml")
    with open(addresses, "w", encoding="ascii") as file:
        file.write("SEQUENTIAL\n" + "".join(f"127.2.{i // 250}.{1 + i % 250};\n" for i in range(10_000)))
    with open(scenario, "w", encoding="ascii") as file:
        file.write(FLOOD)
    scripts = "+sip-methods,+sip-enum-users,+sip-brute,+sip-call-spoof"

    def slow(mode):
        return lambda ports: [["slowhttptest", *mode, "-c", "300", "-r", "150", "-l", "30", "-p", "3", "-u",
                               f"https://127.0.0.1:{ports.wss}/"]]

    return [
        # Told nothing, each run gives up after its first requests, and the next one begins.
        ("SIPVicious", "svmap", 2, TURNED_AWAY, lambda ports: [
            ["svmap", "-p", str(ports.udp), "-m", method, "127.0.0.1"] for method in ("OPTIONS", "REGISTER")] + [
            ["svwar", "-e100-9999", "--force", "--maximumtime=1", "-m", method, f"udp://127.0.0.1:{ports.udp}"]
            for method in ("OPTIONS", "REGISTER", "INVITE")] + [
            ["svcrack", "-u100", "-r1-99999", "--maximumtime=1", f"udp://127.0.0.1:{ports.udp}"]]),
        ("nmap's SIP scripts", "nmap", 2, ARRIVED, lambda ports: [
            ["nmap", "-n", "-Pn", kind, "-p", str(port), "--host-timeout", "10s", "--script", scripts, "127.0.0.1"]
            for kind, port in (("-sU", ports.udp), ("-sT", ports.tcp), ("-sT", ports.tls), ("-sT", ports.wss))]),
        ("lists of methods, 2,000/s from 200 sources", "python3", 1000, ARRIVED, lambda ports: [
            [sys.executable, SCAN, "--to", f"127.0.0.1:{ports.udp}", "--from", "127.3.0.1", "--sources", "200",
             "--rate", "2000", "--seconds", "60"]]),
        ("sipp, 2,000 INVITEs/s from 10,000 sources", "sipp", 1000, ARRIVED, lambda ports: [
            ["sipp", f"127.0.0.1:{ports.udp}", "-sf", scenario, "-inf", addresses, "-t", "ui", "-ip_field", "0", "-i",
             "127.2.0.1", "-r", "2000", "-m", "1000000", "-l", "1000000", "-max_socket", "12000", "-nostdin", "-s",
             "0044123456"]]),
        ("slowhttptest, heads by bytes", "slowhttptest", 10, ARRIVED, slow(["-H", "-i", "1"])),
        ("slowhttptest, bodies by bytes", "slowhttptest", 10, ARRIVED, slow(["-B", "-i", "1"])),
        ("slowhttptest, reading by bytes", "slowhttptest", 10, ARRIVED,
         slow(["-X", "-w", "1", "-y", "8", "-n", "1", "-z", "1"])),
    ]


def floods(bench):
    """What scanners and flooders of the trade do to the calls of others."""
    folder = os.path.join(bench.context.results, "floods")
    os.makedirs(folder, exist_ok=True)
    for title, tool, least, counted, commands in attacks(folder):
        name = f"{title}, p99 of running calls to quiet"
        if shutil.which(tool) is None:
            bench.table.gate(name, None, 1.5, 1.2, f"{tool} is not installed")
            continue

        def attack(server, seconds, usual, commands=commands, least=least, counted=counted):
            before = total(server.counters(), counted)
            began = time.time()
            tools = Tools(folder, commands(server.ports))
            try:
                time.sleep(seconds)
            finally:
                tools.end()
            lasted = time.time() - began
            brought = (total(server.counters(), counted) - before) / lasted - usual
            return (f"{brought:.0f} messages and connections a second of theirs",
                    None if brought >= least else f"it did not happen as meant: {brought:.0f} a second")

        calls_beside(bench, name, attack, counted)
