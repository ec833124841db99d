"""STUN Binding requests on UDP listeners (RFC 5626 4.4.2): who is answered, and with how much."""

from lib import flows, stun
from lib.case import case
from lib.waiting import until

from .defence_bans import NEXT_HOP, client, ctl, door
from .defence_budgets import sign_on

PHONES, STRANGER, FLOODER = "127.0.0.30", "127.0.0.31", "127.0.0.32"


def udp_port(t, ip):
    port = flows.UdpPort(ip)
    t.at_end(port.close)
    return port


def asked(port, remote, software=0):
    """True once the answer to a new request has come."""
    identity, request = stun.binding_request(software)
    port.to(remote).write(request)
    data, source = port.raw.take(lambda item: item[0][8:20] == identity, 3, "STUN answer")
    assert source[1] == remote[1] and stun.mapped_address(data, identity) == port.local
    return True


def unanswered(g, port, remote, reason, count=1):
    """So many requests are dropped for that reason, and nothing has come back."""
    before = g.metric("ringway_drops_total", reason=reason)
    for _ in range(count):
        port.to(remote).write(stun.binding_request()[1])
    until(lambda: g.metric("ringway_drops_total", reason=reason) >= before + count, 5, reason)
    port.raw.none(lambda item: item[0][:1] < b"\2", 0, "STUN answer")


@case("STUN: phones and strangers are answered with their address alone, whatever they have sent (RFC 5626 8)")
def strangers(t):
    g, b = door(t, "udp")
    remote = g.listeners["access-udp"]
    for number in range(8):  # whatever shard the kernel chooses
        a = client(t, g, "udp", PHONES, f"phone{number}")
        assert asked(a.flow.port, remote)
        sign_on(a, b)
        assert asked(a.flow.port, remote) and asked(a.flow.port, remote)
    for number in range(4):  # at the same address as the phones, and elsewhere
        for ip in (PHONES, STRANGER):
            port = udp_port(t, ip)
            assert all(asked(port, remote, software) for software in (0, 4, 200))


@case("STUN: a flood is cut at the budget of its source; the phones of that address have their own")
def flood(t):
    g, b = door(t, "udp")
    remote = g.listeners["access-udp"]
    phones = [client(t, g, "udp", FLOODER, f"phone{number}") for number in range(6)]
    for a in phones:
        sign_on(a, b)
    ports = [udp_port(t, FLOODER) for _ in range(8)]
    for _ in range(500):
        for port in ports:
            port.to(remote).write(stun.binding_request()[1])
    total = len(ports) * 500
    done = lambda: g.metric("ringway_stun_total") + g.metric("ringway_drops_total", reason="budget") >= total
    until(done, 10, "the whole flood")
    answered = g.metric("ringway_stun_total")
    assert 50 <= answered < total / 4, answered  # a burst of 50 and 10 a second, on each of two shards
    for a in phones:
        assert asked(a.flow.port, remote)
    assert asked(udp_port(t, STRANGER), remote)


@case("STUN: an address that is banned or blocked gets nothing, its neighbour is answered")
def banned(t):
    g, _ = door(t, "udp")
    remote = g.listeners["access-udp"]
    ports = [udp_port(t, STRANGER) for _ in range(6)]
    assert all(asked(port, remote) for port in ports)
    code, answer = ctl(g, "bans", "add", STRANGER)
    assert code == 0, answer
    for port in ports:
        unanswered(g, port, remote, "banned")
    assert asked(udp_port(t, PHONES), remote)
    assert ctl(g, "bans", "lift", STRANGER)[0] == 0
    assert all(asked(port, remote) for port in ports)


@case("STUN: on the network side next hops are answered and strangers are not")
def network_side(t):
    g, _ = door(t, "udp")
    remote = g.listeners["network-udp"]
    for _ in range(4):
        assert asked(udp_port(t, NEXT_HOP), remote)
        unanswered(g, udp_port(t, STRANGER), remote, "stranger")
