"""Faults that a gateway survives. tests/system/FAULTS.md says which other cases show which fault."""

import os
import random
import shutil
import ssl
import subprocess
import threading
import time
from pathlib import Path

from lib import flows
from lib.agents import call, hang_up
from lib.case import Skip, case
from lib.waiting import Timeout, until

from .defence_bans import client, door, register
from .defence_tools import cpu_seconds

CLOCK = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def quick_call(a, b):
    """Seconds from the INVITE to the 486 of a server that refuses at once."""
    began = time.monotonic()
    sent = a.invite()
    b.reply(b.expect("INVITE", where=lambda m: m.call_id == sent.call_id), 486)
    assert a.final(sent).status == 486
    return time.monotonic() - began


@case("killed at any moment, again and again: serving at once, and the calls of before can be ended by either side",
      seconds=180)
def killed(t):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g, b = door(t, "udp", "tcp", admission="open", key_file=str(key))
    a = client(t, g, "udp", "127.0.0.9")
    times = []
    for _ in range(10):
        first, second = call(a, b), call(a, b)
        for _ in range(dice.randrange(20)):  # it may be in the middle of anything
            a.invite()
        g.kill()
        began = time.monotonic()
        g.start()
        times.append(time.monotonic() - began)
        with b.inbox.changed:  # what was under way when it died is nobody's business any more
            b.inbox.items = [m for m in b.inbox.items if m.call_id in (first[2].call_id, second[2].call_id)]
        # What a and b hold of the calls is all that is needed (RFC 3261 16.12.1.1, signed in Record-Route).
        bye = first[0].request("BYE")
        b.reply(b.expect("BYE", where=lambda m, bye=bye: m.call_id == bye.call_id), 200)
        assert a.final(bye).status == 200
        bye = second[1].request("BYE")
        a.reply(a.expect("BYE", where=lambda m, bye=bye: m.call_id == bye.call_id), 200)
        assert b.final(bye).status == 200
    print(f"serving again within {max(times):.2f} s")
    assert max(times) < 3


@case("a server that takes two seconds for each answer: others' calls are as quick as ever; what is under way is bounded")
def slow_server(t):
    slow = t.backend("127.0.0.3", name="slow")
    g, b = door(t, "udp", "tcp", admission="open", start=False)
    g.config["limits"]["contexts"] = 64
    g.next_hop(slow.uri(), name="slow", domains=["slow.test"], probe_interval="0s")
    g.start()
    a, other = client(t, g, "tcp", "127.0.0.9"), client(t, g, "tcp", "127.0.0.10")
    waiting = [a.invite("sip:x@slow.test") for _ in range(40)]
    seen = [slow.expect("INVITE") for _ in waiting]
    times = [quick_call(other, b) for _ in range(20)]
    assert max(times) < 1, times
    more = [a.invite("sip:x@slow.test") for _ in range(120)]
    refused = [a.final(sent) for sent in more[-40:]]
    assert all(m.status == 503 and m.get("Retry-After") for m in refused), refused[0]
    until(lambda: time.monotonic() - seen[0].at > 2, 5, "two seconds")
    for request in seen:
        slow.reply(request, 486)
    assert all(a.final(sent).status == 486 for sent in waiting)


@case("the only server falls silent: once probes have missed it new calls get 503 with Retry-After at once, and its "
      "return is noticed within two seconds", seconds=120)
def falls_silent(t):
    for transport in ("udp", "tcp"):
        silent = threading.Event()
        b = t.backend(name=transport)
        g = t.gateway("tcp", next_hop=b.uri(transport), network=("udp", "tcp"), start=False, shards=2, name=transport)
        g.config["next_hop"][0]["probe_interval"] = "500ms"
        g.config["timers"]["t1"] = "100ms"
        g.start()

        def answer_probes(b=b, silent=silent):
            while True:
                try:
                    probe = b.expect_probe(60)
                except (Timeout, OSError):
                    return
                if not silent.is_set():
                    b.reply(probe, 200)
        threading.Thread(target=answer_probes, daemon=True).start()
        clients = [t.client(g, "tcp", user=f"u{number}") for number in range(6)]  # over both shards
        until(lambda: b.inbox.count(lambda m: m.method == "OPTIONS") >= 6, 10, "it was probed")
        for a in clients:
            quick_call(a, b)
        silent.set()
        until(lambda: g.metric("ringway_next_hops_down") >= 2, 20, "each shard has noticed")
        for a in clients:
            began = time.monotonic()
            refused = a.final(a.invite(), 5)
            assert refused.status == 503 and 5 <= int(refused.get("Retry-After")) <= 15, refused
            assert time.monotonic() - began < 0.5
        b.no_request("INVITE", 0.1)
        silent.clear()
        began = time.monotonic()

        def served(a):
            sent = a.invite()
            try:
                b.reply(b.expect("INVITE", 0.2, where=lambda m: m.call_id == sent.call_id), 486)
            except Timeout:
                return False
            return a.final(sent).status == 486
        for a in clients:
            until(lambda a=a: served(a), 5, "it is tried again")
        assert time.monotonic() - began < 5


@case("the only server is dead: each call is refused in the time of Timer B (RFC 3261 17.1.1.2), connections stay, "
      "nothing spins", seconds=120)
def all_dead(t):
    g, b = door(t, "tcp", "udp", admission="open", start=False)
    g.config["next_hop"][0]["probe_interval"] = "1s"
    g.config["timers"]["t1"] = "100ms"
    g.start()
    a = client(t, g, "tcp", "127.0.0.9")
    quick_call(a, b)
    b.close()
    cpu, began = cpu_seconds(g), time.monotonic()
    asked = [a.invite() for _ in range(20)]
    for sent in asked:
        assert a.final(sent, 12).status in (408, 503)
    used = cpu_seconds(g) - cpu
    assert used < 0.5 + (time.monotonic() - began) * 0.2, used
    assert not a.flow.closed.is_set()


@case("certificates change twenty times while clients connect: no handshake fails, each sees one of them, the last is served")
def certificates(t):
    pairs = [t.certificate("gateway.test"), t.authority.issue("other", common="gateway.test", names=["DNS:gateway.test"])]
    chain, key = t.directory / "live.pem", t.directory / "live.key"

    def place(pair):
        for source, target in ((pair[1], key), (pair[0], chain)):
            shutil.copy(source, str(target) + ".new")
            os.replace(str(target) + ".new", target)
    place(pairs[0])
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("wss", certificate=str(chain), key=str(key))
    g.start()
    remote = g.listeners["access-wss"]
    known = {ssl.PEM_cert_to_DER_cert(Path(pair[0]).read_text()): number for number, pair in enumerate(pairs)}
    done, failures, seen = threading.Event(), [], []

    def connect_on_and_on():
        while not done.is_set():
            try:
                with flows.connect(remote, tls=flows.client_context(), server_name="gateway.test") as connection:
                    seen.append(known[connection.getpeercert(binary_form=True)])
            except (OSError, KeyError) as error:
                failures.append(repr(error))
    a = t.client(g, "wss")
    threads = [threading.Thread(target=connect_on_and_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            place(pairs[(number + 1) % 2])
            g.reload()
            count = len(seen)
            until(lambda number=number, count=count: (number + 1) % 2 in seen[count:], 10, "the new one is served")
    finally:
        done.set()
        for thread in threads:
            thread.join(10)
    print(f"{len(seen)} handshakes, {len(failures)} failed")
    assert not failures, failures[:3]
    ours, _, _ = call(a, b)  # a connection of before the first change
    hang_up(ours, a, b)


@case("tables that are full refuse (503) and recover; nothing ends the program")
def tables_full(t):
    g, b = door(t, "udp", "tcp", admission="open", start=False)
    g.config["limits"].update(contexts=64, transactions=128, client_transactions=64, dialogs=64, buffer_bytes=1 << 22)
    g.config["timers"]["t1"] = "100ms"
    g.start()
    a = client(t, g, "tcp", "127.0.0.9")
    sent = [a.invite() for _ in range(300)]
    statuses = [m.status for m in (a.response(None, 5, to=one) for one in sent[-100:])]
    assert set(statuses) <= {503, 500, 408}, statuses
    for _ in range(20):  # those that did go on are given up by their server
        try:
            b.reply(b.expect("INVITE", 1), 486)
        except AssertionError:
            break
    until(lambda: g.metric("ringway_transactions", kind="invite_client", state="calling") == 0, 30, "all of it ends")
    assert quick_call(client(t, g, "tcp", "127.0.0.10"), b) < 2


@case("no descriptor is left: accepting rests without spinning, UDP goes on, and connections come in again")
def descriptors(t):
    g, b = door(t, "udp", "tcp", admission="open", start=False)
    g.config["limits"]["flows"] = 1_024
    g.prefix = ["prlimit", "--nofile=90:90"]
    g.start()
    held = []
    for _ in range(150):
        held.append(flows.connect(g.listeners["access-tcp"], source=("127.0.0.9", 0)))
    a = client(t, g, "udp", "127.0.0.10")
    quick_call(a, b)
    cpu, began = cpu_seconds(g), time.monotonic()
    until(lambda: time.monotonic() - began > 1.5, 3, "a while")
    assert cpu_seconds(g) - cpu < 0.5, "it spins"
    quick_call(a, b)
    for connection in held:
        connection.close()

    def comes_in():
        other = client(t, g, "tcp", "127.0.0.11")
        other.request("OPTIONS", f"sip:127.0.0.1:{g.listeners['access-tcp'][1]}")
        try:
            return other.response(None, 1)
        except AssertionError:
            return None
    until(comes_in, 20, "a connection is served again")


@case("the wall clock jumps by an hour and back: calls, registrations and their tokens stay, no timer fires")
def clock_jumps(t):
    if not os.path.exists(CLOCK):
        raise Skip("libfaketime is not installed (tests/install)")
    offset = t.directory / "offset"
    offset.write_text("+0")
    g, b = door(t, "udp", "tcp", start=False)
    g.prefix = ["env", f"LD_PRELOAD={CLOCK}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_DONT_FAKE_MONOTONIC=1",
                "FAKETIME_NO_CACHE=1", "FAKETIME_DISABLE_SHM=1"]
    g.start()
    phones = [client(t, g, transport, "127.0.0.9", transport) for transport in ("udp", "tcp")]
    for phone in phones:
        register(phone, b)
    dialogs = [call(phone, b) for phone in phones]
    timeouts = g.metric("ringway_transaction_timeouts_total") if "ringway_transaction_timeouts_total" in g.metrics().text else None
    for jump in ("+3600", "-3600", "+0"):
        offset.write_text(jump)
        for phone, (ours, theirs, _) in zip(phones, dialogs):
            info = ours.request("INFO")
            b.reply(b.expect("INFO"), 200)
            assert phone.final(info).status == 200, jump
            info = theirs.request("INFO")
            phone.reply(phone.expect("INFO"), 200)
            assert b.final(info).status == 200, jump
            quick_call(phone, b)
        assert g.http("/healthz")[0] == 200
    for phone, (ours, _, _) in zip(phones, dialogs):
        hang_up(ours, phone, b)
    if timeouts is not None:
        assert g.metric("ringway_transaction_timeouts_total") == timeouts


@case("a log that cannot be written (disk full): calls go on, what was lost is counted")
def log_full(t):
    g, b = door(t, "udp", "tcp", admission="open", start=False)
    g.prefix = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh"]
    g.start()
    a = client(t, g, "tcp", "127.0.0.9")
    for _ in range(50):
        quick_call(a, b)
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)
    until(lambda: g.metric("ringway_log_lines_dropped_total") >= 51, 5, "what was lost is counted")


@case("a broken configuration is read twenty times under calls: refused whole each time, and no call is lost")
def broken_reloads(t):
    g, b = door(t, "udp", "tcp", admission="open")
    a = client(t, g, "tcp", "127.0.0.9")
    good = g.file.read_text()
    for number in range(20):
        g.file.write_text(good + ("\n[nonsense\n" if number % 2 else "\n[bans]\nfailures = \"many\"\n"))
        g.reload()
        for _ in range(5):
            quick_call(a, b)
    until(lambda: len([e for e in g.events() if "reload" in e["event"] and e["event"] != "reloaded"]) >= 1, 10, "it is told")
    assert not [e for e in g.events() if e["event"] == "reloaded"]
    g.file.write_text(good)
    g.reload()
    until(lambda: [e for e in g.events() if e["event"] == "reloaded"], 10, "the good one is taken")


@case("a core file: a gateway that crashes leaves none, so no key is in one")
def no_core(t):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|") or "/" in pattern:
        raise Skip(f"core files go elsewhere here ({pattern})")
    g, b = door(t, "tls", "udp", start=False)
    g.prefix = ["prlimit", "--core=unlimited"]
    g.start()
    register(client(t, g, "tls", "127.0.0.9"), b)
    directory = os.readlink(f"/proc/{g.program.pid}/cwd")
    limit = [line for line in open(f"/proc/{g.program.pid}/limits") if line.startswith("Max core file size")][0]
    assert limit.split()[4:6] == ["0", "0"], limit
    subprocess.run(["kill", "-SEGV", str(g.program.pid)], check=True)
    g.program.wait(10)
    g.program = None
    assert not [name for name in os.listdir(directory) if name.startswith("core")]
