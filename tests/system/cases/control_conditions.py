"""Conditions with their reasons, from outside: status, health, metrics and log say the same (two shards).

libfaketime moves the program's calendar, so that ends that are weeks away can be waited for.
"""

import json
import os
import socket
import subprocess

from lib.agents import call
from lib.case import Skip, case
from lib.gateway import binary
from lib.waiting import until
from cases.control_reload import ctl, with_socket, with_two_relays

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def condition(g, name):
    status, body = g.http("/healthz")
    found = next(one for one in json.loads(body)["conditions"] if one["condition"] == name)
    return found["state"], found["reason"], status


def expect(g, name, state, *words, ready=None, timeout=20):
    """That condition, the same everywhere."""
    until(lambda: condition(g, name)[0] == state, timeout, f"{name} is {state}")
    _, reason, _ = condition(g, name)
    assert all(word in reason for word in words), (words, reason)
    assert g.metric("ringway_condition", condition=name) == ("ok", "degraded", "failed").index(state)
    shown = ctl(g, "status").stdout
    assert all(word in " ".join(shown.split()) for word in words if " " not in word), (words, shown)
    if ready is not None:
        until(lambda: (g.http("/healthz")[0] == 200) == ready, 10, f"ready: {ready}")
        assert (ctl(g, "status").returncode == 0) == ready


class Calendar:
    """The program's clock, some days ahead of ours."""

    def __init__(self, t, g):
        if not os.path.exists(FAKETIME):
            raise Skip("libfaketime is not installed")
        self.file = t.directory / "faketime"
        self.set("+0")
        g.prefix = ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={self.file}", "FAKETIME_CACHE_DURATION=1",
                    "DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]

    def set(self, text):
        new = self.file.with_suffix(".new")
        new.write_text(text + "\n")
        new.rename(self.file)


def said(g, event, file):
    return [one for one in g.events() if one["event"] == event and one["file"] == str(file)]


@case("certificate and revocation list: logged at 21, 7 and 1 days and at the end, conditions and gauges (RFC 5280 5.1.2.5)",
      seconds=120)
def ends(t):
    b = t.backend()
    pair = t.certificate("gateway.test", days=30)
    other = t.certificate("other.test", days=50)
    crl = t.directory / "clients.crl"
    t.authority.crl(crl, days=24)
    g = t.gateway("wss", "tls", next_hop=b.uri(), shards=2, start=False, certificate=pair)
    with_socket(t, g)
    for listen in g.config["listen"]:
        if listen["transport"] == "tls":
            listen.update(certificate=str(other[0]), key=str(other[1]), client_certificates="request",
                          client_ca=str(t.authority.certificate), client_crl=str(crl))
    calendar = Calendar(t, g)
    g.start()
    expect(g, "certificates", "ok", "days", ready=True)
    assert not said(g, "certificate_ends", pair[0]) and not said(g, "revocation_list_ends", crl)
    assert g.metric("ringway_revocation_list_end_seconds", file=str(crl)) > 0
    assert g.metric("ringway_certificate_end_seconds", file=str(pair[0])) > 0
    for days, certificate, revocation in ((4, 0, 1), (10, 1, 1), (18, 1, 2), (23.5, 2, 3), (29.5, 3, 4)):
        calendar.set(f"+{int(days * 86400)}")
        until(lambda: len(said(g, "certificate_ends", pair[0])) == certificate and
              len(said(g, "revocation_list_ends", crl)) == revocation, 20, f"{days} days later")
        if days == 10:
            expect(g, "certificates", "degraded", str(pair[0]), ready=True)
    expect(g, "certificates", "failed", "ended", str(crl))
    calendar.set(f"+{31 * 86400}")
    until(lambda: len(said(g, "certificate_ends", pair[0])) == 4, 20, "it has ended")
    expect(g, "certificates", "failed", "ended", str(pair[0]))
    days = [one["days_left"] for one in said(g, "certificate_ends", pair[0])]
    assert days[:3] == [19, 6, 0], days
    assert len(said(g, "certificate_ends", other[0])) == 1, "of the other one 19 days are left"
    rows = {row["file"]: row for row in ctl(g, "certificates", json_=True)["certificates"]}
    assert rows[str(crl)]["kind"] == "revocation list" and rows[str(pair[0])]["days_left"] < 0, rows


@case("the clock: before 2026 is a failed condition with its reason", seconds=60)
def clock(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    calendar = Calendar(t, g)
    g.start()
    expect(g, "clock", "ok", "set", ready=True)
    for text in ("@1970-01-02 00:00:00", "@2024-02-29 12:00:00", "@2025-12-30 12:00:00"):
        calendar.set(text)
        expect(g, "clock", "failed", "2026")
        calendar.set("+0")
        expect(g, "clock", "ok", "set", ready=True)


@case("a table above 90 % is named with its setting, and well again below: connections", seconds=90)
def tables(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    g.config["limits"]["flows"] = 64
    g.config["limits"]["flows_per_source"] = 64
    g.start()
    expect(g, "tables", "ok", "90", ready=True)
    held = []
    for _ in range(3):
        while condition(g, "tables")[0] == "ok" and len(held) < 140:
            held.append(socket.create_connection(g.listeners["access-tcp"], timeout=5))
        expect(g, "tables", "degraded", "limits.flows", ready=True)
        for one in held:
            one.close()
        held.clear()
        expect(g, "tables", "ok", "90", ready=True)


@case("no next hop: DNS gave none, all are silent, the only one is silent and probed all the same (RFC 3261 11)",
      seconds=120)
def next_hops(t):
    b, c = t.backend(), t.backend()
    g = t.gateway("udp", shards=2, start=False)
    with_socket(t, g)
    g.next_hop(b.uri(), name="one", probe_interval="1s")
    g.config["sip"] = {"server_name": "edge"}
    g.start()
    for _ in range(2):
        probe = b.expect_probe(10)
        assert probe.get("Allow") and probe.get("User-Agent") == "edge", probe
        b.reply(probe, 200)
    expect(g, "next_hops", "ok", "1", ready=True)
    # The only one says nothing any more: noticed by its probes, without a call.
    expect(g, "next_hops", "failed", "one", ready=False, timeout=60)
    assert g.http("/livez")[0] == 200
    b.reply(b.expect_probe(10), 200)

    def answering():
        b.reply(b.expect_probe(10), 200)
        return condition(g, "next_hops")[0] == "ok"
    until(answering, 60, "it is back")
    g.config["next_hop"] = []
    g.next_hop(c.uri(), name="two", probe_interval="0s")
    g.next_hop("sip:nobody.test", name="unknown")
    g.config["dns"] = {"nameservers": ["127.0.0.1:9"]}
    g.write()
    g.reload()
    expect(g, "next_hops", "degraded", "unknown", ready=True, timeout=40)
    g.config["next_hop"] = [{"address": "sip:nobody.test", "name": "unknown"}]
    g.write()
    g.reload()
    expect(g, "next_hops", "failed", "unknown", "DNS", ready=False, timeout=40)


@case("no relay: each that is not connected is named; one of two is degraded, none is failed", seconds=60)
def relays(t):
    g, b, one, two = with_two_relays(t)
    expect(g, "relays", "ok", "2", ready=True)
    one.kill()
    expect(g, "relays", "degraded", one.address, ready=True)
    two.kill()
    expect(g, "relays", "failed", one.address, two.address, ready=False)
    two.start()
    expect(g, "relays", "degraded", one.address, ready=True, timeout=40)


@case("three things broken at once: status and calls fit 80 columns, and say for each where to look", seconds=120)
def three(t):
    b = t.backend()
    pair = t.certificate("gateway.test", days=30)
    g = t.gateway("udp", "wss", shards=2, start=False, certificate=pair)
    with_socket(t, g)
    g.next_hop(b.uri(), name="one", probe_interval="1s")
    g.next_hop("sip:nobody.test", name="unknown")
    g.config["dns"] = {"nameservers": ["127.0.0.1:9"]}
    free = [g.ports.port() for _ in range(2)]
    g.config["media"] = {"rtpengine": [f"127.0.0.1:{port}" for port in free]}
    calendar = Calendar(t, g)
    calendar.set(f"+{31 * 86400}")

    def wait_ready(timeout=20):
        until(lambda: ctl(g, "status").stdout, timeout, "it answers")
    g.wait_ready = wait_ready
    g.start()
    client = t.client(g, "udp")
    call(client, b)
    for name in ("next_hops", "relays", "certificates"):
        until(lambda: condition(g, name)[0] == "failed", 60, f"{name} has failed")
    until(lambda: ctl(g, "status").returncode == 1, 20, "it is not ready")
    for words in (("status",), ("calls",), ("next-hops",), ("relays",), ("certificates",)):
        lines = ctl(g, *words).stdout.splitlines()
        assert lines and all(len(line) <= 80 for line in lines), lines
    shown = " ".join(ctl(g, "status").stdout.split())
    for words in ("is the SIP server running", "one is silent", "no address for unknown", "is rtpengine running",
                  f"127.0.0.1:{free[0]}, 127.0.0.1:{free[1]}", "renew it"):
        assert words in shown, (words, shown)
    # Who asks before he starts is told too.
    done = subprocess.run([*g.prefix, binary(), "check", "--config", g.file], capture_output=True, text=True)
    assert done.returncode == 0 and f"{pair[0]} (listener access-wss) has ended" in done.stderr, done.stderr
