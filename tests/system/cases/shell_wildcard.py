"""UDP listeners on all addresses of the host: answers leave from the address that was asked, and requests from the one
to which their peer last spoke (RFC 3261 18.2.2, RFC 3581 4)."""

import socket

from lib import flows, sip, stun
from lib.agents import Client, call, hang_up, serves
from lib.case import case
from lib.ports import Reservation
from lib.waiting import until

from .contacts import invite_by_path, register

ADDRESSES = {"0.0.0.0": ("127.0.0.2", "127.0.0.3", "127.0.0.9"), "::": ("::1",)}
PHONES = {"0.0.0.0": "127.0.0.40", "::": "::1"}
EACH = 4  # phones for each address: whatever shard the kernel chooses


def connected_port(t, ip, remote):
    """A socket that hears nothing but what comes from there, as behind a NAT that filters."""
    port = flows.UdpPort(ip)
    t.at_end(port.close)
    port.socket.connect(remote)
    return port


def door(t, any_address, reactor, **more):
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False, shards=2, reactor=reactor, bans={"enabled": False})
    advertised = ADDRESSES[any_address][0]
    g.listen("udp", ip=any_address, name="wildcard", advertise=sip.host(advertised), **more)
    dead = Reservation().port("127.0.0.1")
    g.next_hop(f"sip:127.0.0.1:{dead};transport=tcp", domains=["dead.test"])
    g.start()
    return g, b


def phone(t, g, any_address, address, user):
    port = connected_port(t, PHONES[any_address], (address, g.listeners["wildcard"][1]))
    return Client(port.to((address, g.listeners["wildcard"][1])), user)


def asks(t, g, any_address):
    """Everybody in turn: (his address of ours, he)."""
    for number in range(EACH):
        for address in ADDRESSES[any_address]:
            yield address, phone(t, g, any_address, address, f"phone{number}")


def stun_answered(a):
    identity, request = stun.binding_request()
    a.flow.write(request)
    data, _ = a.flow.port.raw.take(lambda item: item[0][8:20] == identity, 3, "STUN answer")
    assert stun.mapped_address(data, identity) == a.flow.port.local


def refused(a, status, method="OPTIONS", uri=None, **options):
    got = a.final(a.request(method, uri, **options))
    assert got.status == status, got


def own_answers(any_address, reactor):
    @case(f"{any_address}: what we answer ourselves leaves from the address that was asked, under {reactor}")
    def run(t):
        g, b = door(t, any_address, reactor)
        for address, a in asks(t, g, any_address):
            stun_answered(a)
            refused(a, 483, max_forwards=0)
            refused(a, 503, "MESSAGE", "sip:bob@dead.test")
            refused(a, 420, headers=[("Proxy-Require", "nothing-we-know")])
            sent = a.request("MESSAGE")
            seen = b.expect("MESSAGE")
            b.reply(seen, 200)
            assert a.final(sent).status == 200
            a.flow.send(sent)  # a retransmission: the answer that was sent, once more
            assert a.final(sent).status == 200


def strict(any_address, reactor):
    @case(f"{any_address}: a refusal to somebody who has not registered comes from there, under {reactor}")
    def run(t):
        g, _ = door(t, any_address, reactor, admission="registered")
        for _, a in asks(t, g, any_address):
            refused(a, 403, "INVITE", body=sip.sdp())
            stun_answered(a)


def calls(any_address, reactor):
    @case(f"{any_address}: calls both ways, and what the other side asks in them, under {reactor}", seconds=60)
    def run(t):
        g, b = door(t, any_address, reactor)
        phones = list(asks(t, g, any_address))
        dialogs = []
        for _, a in phones:
            ours, theirs, _ = call(a, b)
            dialogs.append((a, ours, theirs))
            again = theirs.request("INVITE", body=sip.sdp(b.ip))
            seen = a.expect("INVITE")
            answer = a.reply(seen, 200, body=sip.sdp())
            b.response(200, to=again)
            del answer
            theirs.request("ACK", cseq=again.cseq[0])
            a.expect("ACK")
        for a, _, theirs in dialogs:
            hang_up(theirs, b, a)
        for _, a in phones:
            seen, answer = register(a, b)
            assert answer.status == 200, answer
            asked = invite_by_path(b, seen, body=sip.sdp(b.ip))
            a.reply(a.expect("INVITE"), 486)
            assert b.final(asked).status == 486


def moves(reactor):
    @case(f"a phone that speaks to another of our addresses is reached from that one, under {reactor}")
    def run(t):
        g, b = door(t, "0.0.0.0", reactor)
        a = phone(t, g, "0.0.0.0", "127.0.0.2", "mobile")
        seen, answer = register(a, b)
        assert answer.status == 200
        for address in ("127.0.0.3", "127.0.0.9", "127.0.0.2"):
            remote = (address, g.listeners["wildcard"][1])
            a.flow.port.socket.connect(remote)
            a.flow.remote = remote
            stun_answered(a)
            asked = invite_by_path(b, seen, body=sip.sdp(b.ip))
            a.reply(a.expect("INVITE"), 486)
            assert b.final(asked).status == 486


def two_at_once(reactor):
    @case(f"one port that asks three of our addresses gets each answer from its own, under {reactor}")
    def run(t):
        g, b = door(t, "0.0.0.0", reactor)
        port = flows.UdpPort(PHONES["0.0.0.0"])
        t.at_end(port.close)
        asked = {}
        for address in ADDRESSES["0.0.0.0"]:
            a = Client(port.to((address, g.listeners["wildcard"][1])), "probe")
            sent = a.request("MESSAGE")
            asked[sent.call_id] = address
        seen = [b.expect("MESSAGE") for _ in asked]
        for one in seen:  # all have been asked before the first is answered
            b.reply(one, 200)
        for _ in asked:
            data, source = port.raw.take(lambda item: item[0].startswith(b"SIP/2.0 200"), 3, "answer")
            found = [address for call_id, address in asked.items() if call_id.encode() in data]
            assert found == [source[0]], (found, source)


def network_side(reactor):
    @case(f"a next hop that asks one of our addresses is answered from there, under {reactor}")
    def run(t):
        b = t.backend()
        g = t.gateway("udp", network=(), next_hop=b.uri(), start=False, shards=2, reactor=reactor)
        g.listen("udp", side="network", ip="0.0.0.0", name="inner", advertise="127.0.0.1")
        g.start()
        a = t.client(g, "udp")
        seen, answer = register(a, b)
        assert answer.status == 200
        serves(a, b)
        for address in ADDRESSES["0.0.0.0"]:
            for _ in range(EACH):
                port = connected_port(t, b.ip, (address, g.listeners["inner"][1]))
                other = Client(port.to((address, g.listeners["inner"][1])), "pbx")
                refused(other, 483, max_forwards=0)
        until(lambda: g.metric("ringway_local_addresses_lost_total") == 0, 1, "no address is lost")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


for kernel in ("io_uring", "epoll"):
    for one in ADDRESSES if has_ipv6() else ("0.0.0.0",):
        own_answers(one, kernel)
        strict(one, kernel)
        calls(one, kernel)
    moves(kernel)
    two_at_once(kernel)
    network_side(kernel)
