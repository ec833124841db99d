"""Who is kept out: bans from what sources do, by command and by list, and what filter rules do.

The gateway is 127.0.0.1, its next hop 127.0.0.2; clients come from addresses of 127/8 of their own.
"""

import json
import subprocess

from lib import flows, sip
from lib.agents import Client, call
from lib.case import case
from lib.gateway import binary
from lib.waiting import until

NEXT_HOP = "127.0.0.2"


def door(t, *transports, admission="registered", start=True, **top):
    b = t.backend(NEXT_HOP)
    g = t.gateway(*(transports or ("udp", "tcp")), start=False, shards=2, **top)
    for listener in g.config["listen"]:
        if listener["side"] == "access":
            listener["admission"] = admission
    g.next_hop(b.uri())
    if start:
        g.start()
    return g, b


def client(t, g, transport, ip, user="alice"):
    remote = g.listeners[f"access-{transport}"]
    if transport == "udp":
        flow = flows.UdpPort(ip, name=ip).to(remote)
        t.at_end(flow.port.close)
    elif transport == "ws":
        flow = flows.upgrade(flows.connect(remote, source=(ip, 0)), remote, ip)
        t.at_end(flow.close)
    else:
        flow = getattr(flows, transport)(remote, ip, source=(ip, 0))
        t.at_end(flow.close)
    return Client(flow, user)


def register(a, b):
    sent = a.register(send_only=True)
    b.answer_register(b.expect("REGISTER"))
    return a.response(200, to=sent)


def ctl(g, *words):
    done = subprocess.run([str(binary()), "ctl", "--config", str(g.file), "--json", *words], capture_output=True,
                          text=True, timeout=20)
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else done.stderr


def bans(g):
    return {ban["source"]: ban for ban in ctl(g, "bans")[1]["bans"]}


def is_shut(t, g, ip, transport="tcp"):
    """A new connection of that address ends without a byte."""
    try:
        a = client(t, g, transport, ip)
        a.request("OPTIONS", f"sip:127.0.0.1:{g.listeners['access-' + transport][1]}")
    except OSError:
        return True
    a.flow.expect_end(5)
    a.silence(0.05)
    return True


def is_open(t, g, ip, transport="tcp"):
    a = client(t, g, transport, ip)
    sent = a.request("OPTIONS", f"sip:127.0.0.1:{g.listeners['access-' + transport][1]}", to_uri="sip:127.0.0.1")
    return a.final(sent).status == 200


def fail(t, g, ip, transport, count):
    """So many requests that are refused, each over a flow of its own."""
    for _ in range(count):
        a = client(t, g, transport, ip)
        try:
            sent = a.invite()
            assert a.final(sent).status == 403
        except (OSError, AssertionError):
            return


@case("bans: an address whose requests are refused again and again is kept out, its neighbour is not")
def failures(t):
    g, b = door(t)
    fail(t, g, "127.0.0.9", "tcp", 11)
    until(lambda: "127.0.0.9" in bans(g), 5, "the ban")
    ban = bans(g)["127.0.0.9"]
    assert ban["scope"] == "all" and ban["cause"] == "failures" and 30 < ban["seconds_left"] <= 60, ban
    for _ in range(4):  # whatever shard the kernel chooses
        assert is_shut(t, g, "127.0.0.9")
    a = client(t, g, "udp", "127.0.0.9")
    a.request("OPTIONS", "sip:127.0.0.1")
    a.silence(0.3)
    register(client(t, g, "tcp", "127.0.0.10"), b)
    assert is_open(t, g, "127.0.0.1")
    assert g.metric("ringway_kept_out_total", what="connection", by="ban") >= 4
    assert any(e["event"] == "banned" and e["source"] == "127.0.0.9" and e["scope"] == "all" for e in g.events())
    code, answer = ctl(g, "bans", "lift", "127.0.0.9")
    assert code == 0, answer
    assert is_open(t, g, "127.0.0.9") and is_open(t, g, "127.0.0.9", "udp")
    assert ctl(g, "bans", "lift", "127.0.0.9")[0] == 1, "there is none any more"


@case("bans: what came in datagrams bans datagrams only, since anybody may have sent them")
def datagrams(t):
    g, b = door(t, "udp", "tcp", "tls")
    fail(t, g, "127.0.0.9", "udp", 11)
    until(lambda: "127.0.0.9" in bans(g), 5, "the ban")
    assert bans(g)["127.0.0.9"]["scope"] == "udp"
    a = client(t, g, "udp", "127.0.0.9")
    a.request("OPTIONS", "sip:127.0.0.1")
    a.silence(0.3)
    for transport in ("tcp", "tls"):
        assert is_open(t, g, "127.0.0.9", transport)
        register(client(t, g, transport, "127.0.0.9"), b)


@case("bans: a registered address is not shut out by datagrams in its name")
def registered(t):
    g, b = door(t)
    phone = client(t, g, "udp", "127.0.0.9")
    register(phone, b)
    until(lambda: g.metric("ringway_evidence_total") == 1, 5, "its success is known")
    for _ in range(40):  # another port of that address
        a = client(t, g, "udp", "127.0.0.9", "mallory")
        assert a.final(a.invite()).status == 403
    until(lambda: g.metric("ringway_evidence_total") >= 41, 5, "all of it was told")
    assert bans(g) == {}
    sent = phone.invite()
    b.reply(b.expect("INVITE"), 486)
    assert phone.final(sent).status == 486


@case("bans: wrong passwords count, a challenge that is answered well does not; 404 counts like 403")
def passwords(t):
    g, b = door(t)
    for answer, headers, count in ((401, [("Authorization", 'Digest username="a"')], 10), (404, [], 10)):
        ip = f"127.0.0.{answer - 380}"
        for _ in range(count):
            a = client(t, g, "tcp", ip)
            sent = a.register(headers=headers, send_only=True)
            b.reply(b.expect("REGISTER"), answer, headers=[("WWW-Authenticate", 'Digest realm="x", nonce="y"')])
            assert a.final(sent).status == answer
        until(lambda: ip in bans(g), 5, f"the ban of {ip}")
    for _ in range(30):
        a = client(t, g, "tcp", "127.0.0.77")
        sent = a.register(send_only=True)
        b.reply(b.expect("REGISTER"), 401, headers=[("WWW-Authenticate", 'Digest realm="x", nonce="y"')])
        assert a.final(sent).status == 401
        sent = a.register(headers=[("Authorization", 'Digest username="a"')], cseq=2, send_only=True)
        b.answer_register(b.expect("REGISTER"))
        assert a.response(200, to=sent)
    assert "127.0.0.77" not in bans(g)


@case("bans: added and lifted by command, with a time; nonsense is refused in words")
def commands(t):
    g, b = door(t)
    code, answer = ctl(g, "bans", "add", "127.0.0.9", "--for", "2h")
    assert code == 0, answer
    assert 7190 < bans(g)["127.0.0.9"]["seconds_left"] <= 7200
    assert is_shut(t, g, "127.0.0.9")
    assert ctl(g, "bans", "add", "2001:db8::7")[0] == 0 and "2001:db8::/64" in bans(g)
    assert ctl(g, "bans", "add", "2001:db8::9")[0] == 0 and len(bans(g)) == 2
    for name in ("nobody", "127.0.0.0/8", "2001:db8::/32", "127.0.0.9:5060"):
        code, answer = ctl(g, "bans", "add", name)
        assert code == 1 and "block" in answer["error"], (name, answer)
    # A connection that is open ends with its next message.
    a = client(t, g, "tcp", "127.0.0.10")
    assert a.final(a.request("OPTIONS", "sip:127.0.0.1")).status in (200, 403)
    assert ctl(g, "bans", "add", "127.0.0.10", "--for", "1m")[0] == 0
    a.request("OPTIONS", "sip:127.0.0.1")
    a.flow.expect_end(5)


@case("bans: the second one lasts longer, and lasting says how long")
def escalation(t):
    g, b = door(t, bans={"failures": 3, "within": "1m", "lasting": ["1s", "1h"]})
    fail(t, g, "127.0.0.9", "tcp", 4)
    until(lambda: any(e["event"] == "banned" for e in g.events()), 5, "the first ban")
    until(lambda: not bans(g), 5, "its end")
    fail(t, g, "127.0.0.9", "tcp", 4)
    until(lambda: "127.0.0.9" in bans(g), 5, "the second ban")
    ban = bans(g)["127.0.0.9"]
    assert ban["times_before"] == 1 and ban["seconds_left"] > 3500, ban


@case("bans: connections that carry no SIP ban their address")
def framing(t):
    g, b = door(t, "tcp", bans={"failures": 3})
    for _ in range(40):
        try:
            flow = flows.tcp(g.listeners["access-tcp"], source=("127.0.0.9", 0))
            t.at_end(flow.close)
            flow.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            flow.expect_end(5)
        except OSError:
            break
    until(lambda: bans(g).get("127.0.0.9", {}).get("cause") == "framing", 5, "the ban")
    assert is_open(t, g, "127.0.0.10")


@case("bans: block-list files keep out whole prefixes, allow comes first, both are read again")
def lists(t):
    listed = t.directory / "apiban.txt"
    listed.write_text("# a list\n127.0.9.0/24\n127.0.8.7 # one\n\n2001:db8::/32\n")
    g, b = door(t, bans={"allow": ["127.0.9.5"], "block": ["127.0.7.0/24"], "block_files": [str(listed)]})
    for ip in ("127.0.9.1", "127.0.9.255", "127.0.8.7", "127.0.7.7"):
        assert is_shut(t, g, ip)
        a = client(t, g, "udp", ip)
        a.request("OPTIONS", "sip:127.0.0.1")
        a.silence(0.1)
    for ip in ("127.0.9.5", "127.0.8.8", "127.0.10.1"):
        assert is_open(t, g, ip)
    fail(t, g, "127.0.9.5", "tcp", 20)
    listed.write_text("127.0.8.8\n")
    until(lambda: any(e["event"] == "reloaded" for e in g.events()), 5, "the file is read again")
    assert is_shut(t, g, "127.0.8.8") and is_open(t, g, "127.0.9.1")
    assert bans(g) == {}, "whoever is allowed is never banned"
    listed.write_text("127.0.8.8\nwhat\n")
    until(lambda: any(e["event"] == "block_lists_kept" and ":2:" in e["reason"] for e in g.events()), 5, "the mistake")
    assert is_shut(t, g, "127.0.8.8")


RULES = """
[[rule]]
name = "ban"
field = "user_agent"
match = "exact"
action = "ban"
text = "ban me"

[[rule]]
name = "reject"
field = "user_agent"
match = "exact"
action = "reject"
code = 488
text = "reject me"

[[rule]]
name = "tarpit"
field = "user_agent"
match = "exact"
action = "tarpit"
text = "hold me"

[[rule]]
name = "score"
field = "user_agent"
match = "exact"
action = "score"
points = 40
text = "count me"
"""


def ruled(t, **top):
    rules = t.directory / "rules.toml"
    rules.write_text(RULES)
    return door(t, "udp", "tcp", "ws", admission="open", filter={"file": str(rules)}, **top)


@case("filter rules: ban takes one message on a connection, three datagrams, and leaves TLS alone then")
def rule_bans(t):
    g, b = ruled(t)
    for transport, ip in (("tcp", "127.0.0.9"), ("ws", "127.0.0.10")):
        a = client(t, g, transport, ip)
        a.request("OPTIONS", headers=[("User-Agent", "ban me")])
        a.flow.expect_end(5)
        until(lambda: bans(g).get(ip, {}).get("cause") == "signature", 5, "the ban")
        assert is_shut(t, g, ip)
    for count in (1, 2, 3):
        a = client(t, g, "udp", "127.0.0.11")
        a.request("OPTIONS", headers=[("User-Agent", "ban me")])
        until(lambda: g.metric("ringway_evidence_total") == 2 + count, 5, "it was told")
        if count < 3:
            a.silence(0.15)
            assert "127.0.0.11" not in bans(g), f"{count} datagrams are not enough"
    until(lambda: bans(g).get("127.0.0.11", {}).get("scope") == "udp", 5, "the ban")
    assert is_open(t, g, "127.0.0.11")
    b.silence(0.1, lambda m: m.is_request)


@case("filter rules: reject answers with its code and remembers nothing")
def rule_rejects(t):
    g, b = ruled(t)
    for transport in ("udp", "tcp", "ws"):
        a = t.client(g, transport)
        for method in ("OPTIONS", "INVITE", "REGISTER"):
            sent = a.request(method, headers=[("User-Agent", "reject me")])
            assert a.final(sent).status == 488, method
        a.request("ACK", headers=[("User-Agent", "reject me")])
        a.silence(0.1)
        sent = a.request("OPTIONS", headers=[("User-Agent", "good")])
        b.reply(b.expect("OPTIONS"), 200)
        assert a.final(sent).status == 200
    b.silence(0.1, lambda m: m.is_request)
    assert bans(g) == {}


@case("filter rules: tarpit holds a connection in silence; UDP is dropped, others are served")
def rule_tarpits(t):
    g, b = ruled(t)
    for transport in ("tcp", "ws"):
        a = t.client(g, transport)
        a.request("OPTIONS", headers=[("User-Agent", "hold me")])
        for _ in range(5):
            a.request("OPTIONS", headers=[("User-Agent", "good")])
        a.silence(0.5)
        assert not a.flow.closed.is_set(), "it is held, not closed"
    assert g.metric("ringway_tarpitted_total") == 2
    a = t.client(g, "udp")
    a.request("OPTIONS", headers=[("User-Agent", "hold me")])
    a.silence(0.2)
    sent = a.request("OPTIONS", headers=[("User-Agent", "good")])
    b.reply(b.expect("OPTIONS"), 200)
    assert a.final(sent).status == 200


@case("filter rules: points add up to a ban, and until then the request goes on")
def rule_scores(t):
    g, b = ruled(t)
    a = client(t, g, "tcp", "127.0.0.9")
    for _ in range(2):
        sent = a.request("OPTIONS", headers=[("User-Agent", "count me")])
        b.reply(b.expect("OPTIONS"), 200)
        assert a.final(sent).status == 200
    assert bans(g) == {}
    a.request("OPTIONS", headers=[("User-Agent", "count me")])
    until(lambda: bans(g).get("127.0.0.9", {}).get("cause") == "score", 5, "the ban")
    assert is_shut(t, g, "127.0.0.9")


@case("check: [bans] is refused in the user's words, with line and column")
def checked(t):
    g, b = door(t, start=False)
    for settings, said in (({"allow": ["0.0.0.0/0"]}, "everybody"), ({"block": ["x"]}, "no address or prefix"),
                           ({"lasting": ["1h", "1m"]}, "shorter"), ({"lasting": []}, "1 to 15"),
                           ({"lasting": ["soon"]}, "no time"), ({"failures": 1}, "failures"),
                           ({"faliures": 9}, "failures")):
        g.config["bans"] = settings
        g.write()
        done = subprocess.run([str(binary()), "check", "--config", str(g.file)], capture_output=True, text=True,
                              timeout=20)
        assert done.returncode == 1 and said in done.stdout + done.stderr, (settings, done)
