"""Next hops: domains, DNS, failover, probes."""

import time

from lib import sip
from lib.agents import elapsed_ms
from lib.case import case
from lib.dns import NameServer
from lib.waiting import until


def gateway(t, names=None, network=("udp", "tcp"), **top):
    if names:
        t.at_end(names.close)
        top["dns"] = {"nameservers": [names.address]}
    return t.gateway("ws", network=network, start=False, **top)


def one_call(a, b, uri=None, status=486, timeout=8):
    sent = a.invite(uri)
    seen = b.expect("INVITE", timeout)
    b.reply(seen, status)
    assert a.final(sent, timeout).status == status
    return seen


@case("the request's domain chooses the next hop, else the default")
def domains(t):
    one, two, rest = t.backend(name="one"), t.backend(name="two"), t.backend(name="rest")
    g = gateway(t)
    g.next_hop(one.uri(), domains=["one.test"])
    g.next_hop(two.uri("tcp"), domains=["two.test", "zwei.test"])
    g.next_hop(rest.uri())
    g.start()
    a = t.client(g, "ws")
    for uri, b in (("sip:x@one.test", one), ("sip:x@ZWEI.test", two), ("sip:x@other.test", rest)):
        one_call(a, b, uri)


@case("NAPTR, SRV and A: order, port and transport come from DNS")
def naptr(t):
    b = t.backend()
    names = NameServer({
        ("pbx.test", "NAPTR"): [(10, 10, "s", "SIP+D2T", "_sip._tcp.pbx.test"),
                                (20, 10, "s", "SIP+D2U", "_sip._udp.pbx.test")],
        ("_sip._tcp.pbx.test", "SRV"): [(1, 0, b.port, "host.pbx.test")],
        ("_sip._udp.pbx.test", "SRV"): [(1, 0, 9, "host.pbx.test")],
        ("host.pbx.test", "A"): ["127.0.0.1"]})
    g = gateway(t, names)
    g.next_hop("pbx.test")
    g.start()
    a = t.client(g, "ws")
    assert one_call(a, b).flow.transport == "TCP"


@case("SRV priorities and failover: a dead target is passed over, then the next one serves")
def srv(t):
    b = t.backend()
    dead = t.backend(name="dead")
    dead_port = dead.port
    dead.close()
    names = NameServer({
        ("_sip._tcp.pbx.test", "SRV"): [(1, 0, dead_port, "host.pbx.test"), (2, 0, b.port, "host.pbx.test")],
        ("host.pbx.test", "A"): ["127.0.0.1"]})
    g = gateway(t, names)
    g.next_hop("sip:pbx.test;transport=tcp")
    g.start()
    a = t.client(g, "ws")
    begin = time.monotonic()
    one_call(a, b)
    assert elapsed_ms(begin) < 3000


@case("SRV weights share the calls")
def weights(t):
    heavy, light = t.backend(name="heavy"), t.backend(name="light")
    names = NameServer({
        ("_sip._udp.pbx.test", "SRV"): [(1, 90, heavy.port, "h.pbx.test"), (1, 10, light.port, "h.pbx.test")],
        ("h.pbx.test", "A"): ["127.0.0.1"]})
    g = gateway(t, names)
    g.next_hop("sip:pbx.test;transport=udp", probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    for _ in range(200):
        a.request("MESSAGE")
    until(lambda: heavy.inbox.count(lambda m: m.method == "MESSAGE")
          + light.inbox.count(lambda m: m.method == "MESSAGE") >= 200, 10, "200 messages")
    share = heavy.inbox.count(lambda m: m.method == "MESSAGE")
    assert 150 <= share <= 197, share


@case("DNS that dies: what was known is used on")
def stale(t):
    b = t.backend()
    names = NameServer({("pbx.test", "A"): ["127.0.0.1"]}, ttl=1)
    g = gateway(t, names)
    g.next_hop(f"sip:pbx.test:{b.port};transport=udp", probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    one_call(a, b)
    names.silent = True
    asked = len(names.asked)
    until(lambda: len(names.asked) > asked, 20, "the name is asked for again")
    for _ in range(3):
        begin = time.monotonic()
        one_call(a, b)
        assert elapsed_ms(begin) < 500


@case("a name that does not exist is refused at once, others are served")
def unknown_name(t):
    b = t.backend()
    names = NameServer({("other.test", "A"): ["127.0.0.1"]})
    g = gateway(t, names)
    g.next_hop("sip:absent.test;transport=udp", domains=["absent.test"])
    g.next_hop(b.uri())
    g.start()
    a = t.client(g, "ws")
    got = a.final(a.invite("sip:x@absent.test"), 8)
    assert got.status in (500, 502, 503, 404), got
    one_call(a, b)


@case("failover on 503, on silence and on a refused connection; priorities are kept")
def failover(t):
    first, second = t.backend(name="first"), t.backend(name="second")
    g = gateway(t, timers={"first_answer": "1s", "drain": "1s"})
    g.next_hop(first.uri(), priority=1, probe_interval="0s")
    g.next_hop(second.uri(), priority=2, probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    one_call(a, first)
    # Silence: after first_answer the next one gets the call.
    sent = a.invite()
    first.expect("INVITE")
    second.reply(second.expect("INVITE", 6), 486)
    assert a.final(sent, 5).status == 486


@case("failover on 503 with Retry-After: the next one serves, and the first rests")
def retry_after(t):
    first, second = t.backend(name="first"), t.backend(name="second")
    g = gateway(t)
    g.next_hop(first.uri(), priority=1, probe_interval="0s")
    g.next_hop(second.uri(), priority=2, probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    sent = a.invite()
    first.reply(first.expect("INVITE"), 503, headers=[("Retry-After", "3")])
    second.reply(second.expect("INVITE"), 486)
    assert a.final(sent).status == 486
    one_call(a, second)
    first.no_request("INVITE", 0.1)
    first.inbox.none(lambda m: m.is_request and m.method == "INVITE", 3.2)
    one_call(a, first)


@case("a 503 from all of them is one 500")
def all_503(t):
    first, second = t.backend(name="first"), t.backend(name="second")
    g = gateway(t)
    g.next_hop(first.uri(), priority=1, probe_interval="0s")
    g.next_hop(second.uri(), priority=2, probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    sent = a.invite()
    first.reply(first.expect("INVITE"), 503)
    second.reply(second.expect("INVITE"), 503)
    assert a.final(sent).status == 500


@case("OPTIONS probes notice a dead next hop, and its return")
def probes(t):
    first, second = t.backend(name="first"), t.backend(name="second")
    g = gateway(t, timers={"first_answer": "500ms", "drain": "1s"})
    g.next_hop(first.uri(), priority=1, probe_interval="1s")
    g.next_hop(second.uri(), priority=2, probe_interval="1s")
    g.start()
    for b in (first, second):
        b.reply(b.expect_probe(), 200)
    # The first goes silent; after some unanswered probes calls go straight to the second.
    a = t.client(g, "ws")

    def at_once():
        for b in (second,):
            for m in [m for m in b.inbox.items if m.is_request and m.method == "OPTIONS"]:
                b.reply(b.inbox.take(lambda x, m=m: x is m, 1), 200)
        begin = time.monotonic()
        sent = a.invite()
        try:
            seen = second.expect("INVITE", 3)
        except AssertionError:
            return False
        second.reply(seen, 486)
        a.final(sent, 3)
        return elapsed_ms(begin) < 300
    until(at_once, 30, "calls go straight to the second", every=0.5)


@case("weights among next hops of one priority")
def hop_weights(t):
    one, two = t.backend(name="one"), t.backend(name="two")
    g = gateway(t)
    g.next_hop(one.uri(), weight=3, probe_interval="0s")
    g.next_hop(two.uri(), weight=1, probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    for _ in range(200):
        a.request("MESSAGE")
    def count(b):
        return b.inbox.count(lambda m: m.is_request and m.method == "MESSAGE")
    until(lambda: count(one) + count(two) >= 200, 10, "200 messages")
    assert 115 <= count(one) <= 185, count(one)


@case("TCP and TLS connections to a next hop are reused, and made again when they die")
def reuse(t):
    b = t.backend()
    g = gateway(t)
    g.next_hop(b.uri("tcp"), probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    for _ in range(5):
        one_call(a, b)
    assert len(b.tcp.flows) == 1, len(b.tcp.flows)
    b.tcp.flows[0].close()
    until(lambda: g.metric("ringway_flows", transport="tcp") == 0, 5, "the dead connection is noticed")
    one_call(a, b)
    assert len(b.tcp.flows) == 2
