"""Each `ringway ctl` command from outside, with two shards; and how its output looks on a terminal."""

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

from lib import sip
from lib.agents import call, hang_up
from lib.case import case
from lib.gateway import ROOT, binary
from lib.waiting import until
from cases.control_reload import ctl, run, with_socket, with_two_relays
from cases.contacts import register


def gateway(t, *transports, **options):
    g = t.gateway(*transports, shards=2, start=False, **options)
    with_socket(t, g)
    g.start()
    return g


def rows(g, *words):
    answer = ctl(g, *words, json_=True)
    return next(value for value in answer.values() if isinstance(value, list))


@case("ctl calls end: an answered call gets BYE on both sides, one that rings CANCEL and 487 (RFC 3261 9, 15)")
def end_calls(t):
    b = t.backend()
    g = gateway(t, "udp", "wss", next_hop=b.uri())
    for transport in ("wss", "udp", "wss"):
        a = t.client(g, transport)
        _, _, seen = call(a, b)
        assert [row["call_id"] for row in rows(g, "calls")] == [seen.call_id]
        done = ctl(g, "calls", "end", seen.call_id)
        assert done.returncode == 0, done
        for side in (a, b):
            side.reply(side.expect("BYE"), 200)
        until(lambda: not rows(g, "calls"), 5, "no call is left")
        ringing = a.invite()
        b.reply(b.expect("INVITE"), 180)
        a.response(180, to=ringing)
        assert ctl(g, "calls", "end", ringing.call_id).returncode == 0
        b.reply(b.expect("CANCEL"), 200)
        invite = next(m for m in b.inbox.seen if m.is_request and m.method == "INVITE" and m.call_id == ringing.call_id)
        b.reply(invite, 487)
        assert a.final(ringing).status == 487
    reasons = [event["reason"] for event in g.events() if event["event"] == "call_ended"]
    assert reasons.count("ended by command") >= 3, reasons
    done = ctl(g, "calls", "end", "nobody@nowhere")
    assert done.returncode == 1 and "nobody@nowhere" in done.stderr, done


@case("ctl agents: who is registered from where, on whichever shard; remove forgets it (RFC 3261 10)")
def agents(t):
    b = t.backend()
    g = gateway(t, "udp", "wss", next_hop=b.uri())
    clients = [t.client(g, transport, f"{transport}{index}") for index in range(4) for transport in ("wss", "udp")]
    for a in clients:
        assert register(a, b)[1].status == 200
    found = {row["aor"]: row for row in rows(g, "agents")}
    assert set(found) == {f"{a.user}@example.test" for a in clients}, found
    for a in clients:
        row = found[f"{a.user}@example.test"]
        ip, port = a.flow.local
        assert row["source"] == f"{ip}:{port}" and row["state"] == "here", row
        assert 200 < row["expires_seconds"] <= 305, row
    assert len(rows(g, "agents")) == len(clients), "once each, however many shards know it"
    for a, name in ((clients[0], "sip:wss0@example.test"), (clients[1], "udp0@example.test")):
        assert ctl(g, "agents", "remove", name).returncode == 0
        until(lambda: f"{a.user}@example.test" not in {row["aor"] for row in rows(g, "agents")}, 5, "it is forgotten")
    assert ctl(g, "agents", "remove", "nobody@example.test").returncode == 1
    clients[2].flow.close()
    until(lambda: {row["aor"]: row["state"] for row in rows(g, "agents")}.get("wss1@example.test") in ("away", None), 5,
          "it is away")


@case("ctl flows: connections with their age; kick closes one and no other (RFC 6455 7.4.1)")
def flows(t):
    b = t.backend()
    g = gateway(t, "wss", "tcp", next_hop=b.uri())
    clients = [t.client(g, transport, f"{transport}{index}") for index in range(4) for transport in ("wss", "tcp")]
    for a in clients:
        a.request("OPTIONS")
        b.reply(b.expect("OPTIONS"), 200)
        a.response(200)
    found = rows(g, "flows")
    assert len([row for row in found if row["opened_by"] == "peer"]) == len(clients), found
    for a in clients[:4]:
        ip, port = a.flow.local
        name = next(row["flow"] for row in found if row["source"] == f"{ip}:{port}")
        assert ctl(g, "flows", "kick", name).returncode == 0
        a.flow.expect_end()
        assert ctl(g, "flows", "kick", name).returncode == 1, "its number is never another's"
    ip, port = clients[4].flow.local
    assert ctl(g, "flows", "kick", f"{ip}:{port}").returncode == 0, "by its address"
    clients[4].flow.expect_end()
    for a in clients[5:]:
        a.request("OPTIONS")
        b.reply(b.expect("OPTIONS"), 200)
        a.response(200)


@case("ctl next-hops: hold and drain send new calls elsewhere, those that run go on; release, probe, states")
def next_hops(t):
    b, c = t.backend(), t.backend()
    g = t.gateway("udp", "wss", shards=2, start=False)
    with_socket(t, g)
    g.next_hop(b.uri(), name="first", priority=0, probe_interval="0s")
    g.next_hop(c.uri(), name="second", priority=1, probe_interval="0s")
    g.start()
    a = t.client(g, "wss")
    ours, _, _ = call(a, b)
    assert {row["name"]: row["state"] for row in rows(g, "next-hops")} == {"first": "up", "second": "up"}
    for verb, word in (("hold", "held"), ("drain", "draining")):
        assert ctl(g, "next-hops", verb, "first").returncode == 0
        assert {row["name"]: row["state"] for row in rows(g, "next-hops")} == {"first": word, "second": "up"}
        for index in range(4):
            hang_up(call(client := t.client(g, "udp", f"{verb}{index}"), c)[0], client, c)
        g.reload()
        until(lambda: any(event["event"] == "reloaded" for event in g.events()), 5, "reloaded")
        assert {row["name"]: row["state"] for row in rows(g, "next-hops")}["first"] == word, "a reload changes nothing"
        assert ctl(g, "next-hops", "release", "first").returncode == 0
        hang_up(call(client := t.client(g, "udp", f"{verb}back"), b)[0], client, b)
    hang_up(ours, a, b)
    for name in ("first", "second"):
        assert ctl(g, "next-hops", "hold", name).returncode == 0
    refused = a.invite()
    assert a.final(refused).status == 503
    for name in ("first", "second"):
        assert ctl(g, "next-hops", "release", name).returncode == 0
    assert ctl(g, "next-hops", "probe", "second").returncode == 0
    c.reply(c.expect_probe(), 200)
    b.no_request("OPTIONS", 0.2)
    assert ctl(g, "next-hops", "hold", "third").returncode == 1


@case("ctl relays: hold and drain keep new sessions away, release and probe; the sessions that run stay", seconds=60)
def relays(t):
    g, b, one, two = with_two_relays(t)
    states = lambda: {row["address"]: row["state"] for row in rows(g, "relays")}  # noqa: E731
    until(lambda: set(states().values()) == {"connected"}, 10, "both are connected")

    def place():
        a = t.client(g, "wss")
        a.invite(body=sip.webrtc_sdp())
        return b.expect("INVITE")
    for verb, word in (("hold", "held"), ("drain", "draining")):
        assert ctl(g, "relays", verb, one.address).returncode == 0
        assert states()[one.address] == word
        before = len(one.sessions())
        for _ in range(6):
            place()
        assert len(one.sessions()) == before, "nothing new"
        assert ctl(g, "relays", "release", one.address).returncode == 0
        until(lambda: place() and len(one.sessions()) > before, 20, "it has its share again")
    assert ctl(g, "relays", "probe", two.address).returncode == 0
    assert ctl(g, "relays", "hold", "192.0.2.1:1").returncode == 1


@case("ctl log level, bans and certificates; --json of every table is one JSON object")
def the_rest(t):
    b = t.backend()
    g = gateway(t, "udp", "wss", next_hop=b.uri())
    assert ctl(g, "log", "level", "debug").returncode == 0
    assert ctl(g, "log", "level", "loud").returncode == 1
    assert ctl(g, "bans", "add", "192.0.2.7", "--for", "10m").returncode == 0
    assert [row["source"] for row in rows(g, "bans")] == ["192.0.2.7"]
    assert ctl(g, "bans", "lift", "192.0.2.7").returncode == 0 and not rows(g, "bans")
    (row,) = rows(g, "certificates")
    assert row["days_left"] > 0 and row["used_by"].startswith("listener") and row["kind"] == "certificate", row
    for name in ("status", "calls", "agents", "flows", "bans", "next-hops", "relays", "certificates"):
        assert isinstance(ctl(g, name, json_=True), dict)
        status, body = g.http("/" + name)
        assert status == 200 and isinstance(json.loads(body), dict)


def on_terminal(command, columns=80):
    """What a person sees on a terminal of that width, line by line."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=slave, check=True)
    child = subprocess.Popen([str(word) for word in command], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    text = b""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
    child.wait(5)
    os.close(master)
    return child.returncode, text.decode().splitlines()


@case("ctl on a terminal of 80 columns with three things broken: no line is longer, each reason is readable",
      seconds=90)
def terminal(t):
    b = t.backend()
    certificate = t.certificate("gateway.test", days=5)
    g = t.gateway("udp", "wss", shards=2, start=False, certificate=certificate)
    with_socket(t, g)
    g.next_hop("sip:a-server-with-quite-a-long-name.example.test", name="a-server-with-quite-a-long-name", priority=5)
    g.next_hop(b.uri(), name="pbx")
    g.config["media"] = {"rtpengine": ["127.0.0.1:9", "127.0.0.1:19"]}
    g.config["dns"] = {"nameservers": ["127.0.0.1:9"]}
    g.start(wait=False)
    until(lambda: _answers(g), 20, "the socket answers")
    socket = g.config["ctl"]["socket"]
    until(lambda: "FAILED" in run("ctl", "--socket", socket, "status").stdout, 20, "it has noticed")
    a = t.client(g, "udp", "a-user-with-a-rather-long-name-that-goes-on")
    sent = a.invite("sip:somebody-else-with-a-long-name@a-domain-that-is-long.example.test",
                    call_id="a-call-id-of-more-than-sixty-characters-" + "x" * 40)
    b.expect("INVITE")
    for words in (("status",), ("calls",), ("calls", "show", sent.call_id), ("agents",), ("flows",), ("next-hops",),
                  ("relays",), ("certificates",), ("bans",), ("reload", "--dry-run"), ("--help",), ("calls", "nonsense")):
        code, lines = on_terminal([binary(), "ctl", "--socket", socket, *words])
        print("\n".join([f"$ ringway ctl {' '.join(words)}    -> {code}", *lines]))
        assert lines and all(len(line) <= 80 for line in lines), [line for line in lines if len(line) > 80]
    # It stays ready for two seconds after a failure that may pass.
    until(lambda: run("ctl", "--socket", socket, "status").returncode == 1, 10, "it is not ready")
    code, lines = on_terminal([binary(), "ctl", "--socket", socket, "status"])
    text = " ".join(" ".join(lines).split())
    assert code == 1 and "NOT ready" in lines[0], lines
    for wanted in ("a-server-with-quite-a-long-name", "127.0.0.1:9", "ends in"):
        assert wanted in text, (wanted, lines)


def _answers(g):
    return run("ctl", "--socket", g.config["ctl"]["socket"], "status").returncode in (0, 1)


@case("completion in bash: commands, verbs, and the names that the running gateway gives")
def completion(t):
    b = t.backend()
    g = gateway(t, "udp", next_hop=b.uri())
    ours, _, seen = call(a := t.client(g, "udp"), b)

    (t.directory / "bin").mkdir()
    (t.directory / "bin/ringway").symlink_to(Path(binary()).resolve())

    def complete(*words):
        script = (f"PATH={t.directory}/bin:$PATH; . {ROOT}/configs/completion/ringway; "
                  f"COMP_WORDS=(ringway {' '.join(words)}); [ {int(bool(words and words[-1]))} = 1 ] || COMP_WORDS+=(''); "
                  f"COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ringway; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20).stdout.split()
    assert {"run", "check", "ctl"} <= set(complete("")), complete("")
    assert {"status", "calls", "next-hops", "log"} <= set(complete("ctl", "")), complete("ctl", "")
    assert {"show", "end"} <= set(complete("ctl", "calls", "")), complete("ctl", "calls", "")
    assert complete("ctl", "sta") == ["status"]
    assert {"hold", "release", "drain", "probe"} <= set(complete("ctl", "relays", ""))
    where = ("ctl", "--socket", g.config["ctl"]["socket"])
    assert complete(*where, "calls", "end", "") == [seen.call_id]
    assert set(complete("ctl", "log", "level", "")) == {"debug", "info", "warning", "error"}
    hang_up(ours, a, b)
