"""Whose name stands in a datagram or a header is not who pays for it; and a server that goes mad."""

import socket

from lib import flows, sip
from lib.agents import hang_up
from lib.case import case
from lib.waiting import Timeout

from .defence_bans import client, door
from .defence_budgets import customer, refused, sign_on

OFFICE, ELSEWHERE = "127.0.0.20", "127.0.0.21"


def forged(remote, ip, count, **options):
    """Datagrams that anybody may have written, from another port each of that address."""
    for _ in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((ip, 0))
            via = f"SIP/2.0/UDP {ip}:{one.getsockname()[1]};branch={sip.branch()}"
            message = sip.request("REGISTER", "sip:example.test", via=via, to_uri="sip:alice@example.test", **options)
            one.sendto(message.to_bytes(), remote)


@case("budgets: datagrams in an office's name do not keep its connections from registering")
def spent_by_datagrams(t):
    g, b = door(t, "udp", "tcp", "ws", budgets={"source_rate": 5, "source_burst": 20}, bans={"enabled": False})
    remote = g.listeners["access-udp"]
    for transport in ("tcp", "ws"):
        forged(remote, OFFICE, 300)
        for number in range(8):
            sign_on(client(t, g, transport, OFFICE, f"{transport}{number}"), b)
    assert g.metric("ringway_over_budget_total", verdict="wait") >= 100


@case("budgets: guesses in datagrams do not shut a user out over connections")
def shut_out_by_datagrams(t):
    g, b = door(t, "udp", "tcp", bans={"enabled": False})
    forged(g.listeners["access-udp"], ELSEWHERE, 200, headers=[("Authorization", 'Digest username="alice"')])
    while True:
        try:
            b.reply(b.expect("REGISTER", 0.5), 403)
        except Timeout:
            break
    sign_on(client(t, g, "tcp", "127.0.0.22", "alice"), b)


@case("fraud: a local number with a phone-context (RFC 3966 5.1.5) is judged as the global one that it means")
def phone_context(t):
    g, b, a = customer(t, {"name": "far", "prefixes": ["+882"], "deny": True})
    for uri in ("sip:1612345;phone-context=+882@example.test", "sip:161-2345;Phone-Context=%2B882@example.test",
                "tel:1612345;phone-context=+882", "sip:+882/161x2345@example.test", "sip:++8821612345@example.test"):
        assert refused(a, uri) == 403, uri
    b.no_request("INVITE", 0.1)
    for uri in ("sip:1612345;phone-context=example.test@example.test", "sip:1612345;phone-context=+49@example.test"):
        sent = a.invite(uri)
        b.reply(b.expect("INVITE"), 486)
        assert a.final(sent).status == 486, uri


@case("PROXY header: an IPv4 address that is mapped into IPv6 (RFC 4291 2.5.5.2) is that IPv4 address")
def mapped(t):
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False, shards=2, bans={"block": ["203.0.113.0/24"]})
    g.listen("tcp", proxy_protocol_from=["127.0.0.2"])
    g.start()
    for address, known in (("::ffff:198.51.100.7", "198.51.100.7"), ("2001:db8::7", "2001:db8::7"),
                           ("::ffff:203.0.113.7", None)):
        connection = flows.connect(g.listeners["access-tcp"], source=("127.0.0.2", 0))
        t.at_end(connection.close)
        connection.sendall(f"PROXY TCP6 {address} ::1 4000 5060\r\n".encode())
        flow = flows.StreamFlow(connection, address).start()
        if known is None:
            flow.expect_end()
            continue
        flow.send(sip.request("OPTIONS", "sip:bob@example.test", via=flow.via()))
        seen = b.expect("OPTIONS", where=lambda m: len(m.vias) == 2)
        assert seen.vias[1].params["received"].strip("[]") == known, seen
        b.reply(seen, 200)


@case("a server that sends provisional responses without end (RFC 3261 16.7): a few go on, and the call is made")
def provisional_flood(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri("tcp"), network=("tcp",), shards=2)
    a = t.client(g, "tcp")
    sent = a.invite()
    seen = b.expect("INVITE")
    for number in range(1000):
        b.reply(seen, 183, to_tag=f"t{number}", body=sip.sdp())
    answer = b.reply(seen, 200, to_tag="t5", body=sip.sdp())
    ours = a.ack(sent, a.response(200, to=sent))
    b.expect("ACK")
    assert 1 <= a.inbox.count(lambda m: m.status == 183) <= 65
    hang_up(b.dialog(seen, answer), b, a)
    assert ours.call_id == sent.call_id
    assert g.metric("ringway_drops_total", reason="budget") >= 900
