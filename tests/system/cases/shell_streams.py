"""Connections and their bounds from outside: who is admitted, who has to go, what becomes of requests."""

import contextlib
import signal
import socket
import time

from lib import flows, sip, websocket
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.relay import StandInRelay
from lib.waiting import until

SHARDS = {"shards": 2}


def silent(t, remote, count, source, first=b""):
    """Connections from one address that send first, and then nothing."""
    made = []
    for _ in range(count):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.bind((source, 0))
        connection.connect(remote)
        if first:
            connection.sendall(first)
        t.at_end(connection.close)
        made.append(connection)
    return made


def handshake(t, remote, source):
    """How long an honest client needs for TLS and the upgrade."""
    begun = time.monotonic()
    flow = flows.upgrade(flows.connect(remote, tls=flows.client_context(), source=(source, 0)), remote, "honest")
    t.at_end(flow.close)
    return time.monotonic() - begun


def crowd(t, first):
    g = t.gateway("wss", next_hop=t.backend().uri(), limits={"handshakes": 64, "flows": 4096}, **SHARDS)
    remote = g.listeners["access-wss"]
    silent(t, remote, 200, "127.0.0.2", first)
    for _ in range(5):
        taken = handshake(t, remote, "127.0.0.3")
        assert taken < 4, f"an honest client waited {taken:.1f} s"


@case("connections that say nothing do not keep others out (RFC 6455 4.2)")
def silent_connections(t):
    crowd(t, b"")


@case("nor do those that say one byte")
def one_byte_connections(t):
    crowd(t, b"\x16")


@case("nor half a request")
def half_requests(t):
    g = t.gateway("ws", next_hop=t.backend().uri(), limits={"handshakes": 64, "flows": 4096}, **SHARDS)
    remote = g.listeners["access-ws"]
    silent(t, remote, 200, "127.0.0.2", b"GET / HTTP/1.1\r\nHost: gw")
    begun = time.monotonic()
    flow = flows.upgrade(flows.connect(remote, source=("127.0.0.3", 0)), remote, "honest")
    t.at_end(flow.close)
    assert time.monotonic() - begun < 4


@case("pings that nobody reads the answers of do not fill the send queues (RFC 6455 5.5.3)")
def unread_pongs(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), **SHARDS)
    remote = g.listeners["access-ws"]
    for payload in (b"", b"x" * 125):
        for _ in range(2):
            connection = flows.connect(remote)
            t.at_end(connection.close)
            key, request = websocket.upgrade_request(f"{remote[0]}:{remote[1]}")
            connection.sendall(request)
            websocket.read_http_response(connection)
            frame = bytes([0x89, 0x80 | len(payload)]) + bytes(4) + payload
            try:
                connection.sendall(frame * 20000)
            except OSError:
                pass  # it was closed for it
    a = t.client(g, "ws")
    _, theirs, _ = call(a, b)
    hang_up(theirs, b, a)


def behind(t, transport, *listeners, **settings):
    """A backend that is reached over TCP or TLS, and the gateway before it."""
    if transport == "tcp":
        b = t.backend()
        return b, t.gateway(*listeners, next_hop=b.uri("tcp"), network=("tcp",), **settings, **SHARDS)
    pair = t.certificate("b.test", names=["IP:127.0.0.1", "DNS:b.test"])
    b = t.backend(tls=flows.server_context(pair[0], pair[1]))
    g = t.gateway(*listeners, network=("tls",), start=False, **settings, **SHARDS)
    g.next_hop(b.uri("tls"), tls_ca=str(t.authority.certificate), probe_interval="0s")
    g.start()
    return b, g


def ended_by_the_next_hop(t, transport, how):
    b, g = behind(t, transport, "ws")
    a = t.client(g, "ws")
    sent = a.request("OPTIONS")
    seen = b.expect("OPTIONS")
    b.reply(seen, 200)
    assert a.final(sent).status == 200
    # Without a close_notify where it is TLS: the segment alone says that no answer can come.
    socket.socket.shutdown(seen.flow.socket, how)
    until(lambda: g.metric("ringway_flows", transport=transport) == 0, 5, "the connection's end is known")
    sent = a.request("OPTIONS")
    again = b.expect("OPTIONS")
    assert again.flow is not seen.flow
    b.reply(again, 200)
    assert a.final(sent).status == 200


@case("requests on a connection that the next hop has half closed take a new one (RFC 3261 18.1.1)")
def half_closed(t):
    ended_by_the_next_hop(t, "tcp", socket.SHUT_WR)


@case("the same where the next hop is reached over TLS")
def half_closed_tls(t):
    ended_by_the_next_hop(t, "tls", socket.SHUT_WR)


@case("the same where the next hop has closed both directions")
def closed_wholly(t):
    ended_by_the_next_hop(t, "tcp", socket.SHUT_RDWR)


def full_of_user_agents(t, transport):
    b, g = behind(t, transport, "ws", "tcp", limits={"flows": 16})
    clients = [t.client(g, "ws", user=f"u{number}") for number in range(4)]
    for number in range(100):
        connection = flows.connect(g.listeners["access-tcp"])
        t.at_end(connection.close)
    for _ in range(3):
        for a in clients:
            sent = a.request("OPTIONS")
            seen = b.expect("OPTIONS")
            b.reply(seen, 200)
            assert a.final(sent).status == 200
        for flow in getattr(b, transport).flows:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(flow.socket, socket.SHUT_RDWR)
        # The admin port answers, too: its connections are nobody's flows.
        until(lambda: g.metric("ringway_flows", transport="ws") == 4, 5, "the clients stay")


@case("with the flow table full of user agents a next hop is still reached")
def reserved_places(t):
    full_of_user_agents(t, "tcp")


@case("with the flow table full of user agents a next hop is still reached over TLS")
def reserved_places_tls(t):
    full_of_user_agents(t, "tls")


@case("with the flow table full of user agents a media relay whose connections are cut is connected again")
def reserved_places_relay(t):
    relay = StandInRelay()
    t.at_end(relay.end)
    b = t.backend()
    g = t.gateway("ws", "tcp", next_hop=b.uri(), limits={"flows": 16}, media=relay.address, **SHARDS)
    a = t.client(g, "ws")
    for _ in range(100):
        t.at_end(flows.connect(g.listeners["access-tcp"]).close)
    for _ in range(3):
        before = g.metric("ringway_ng_connections_total")
        relay.cut_all()
        until(lambda before=before: g.metric("ringway_ng_connections_total") >= before + 2, 10, "each shard is back")
        _, theirs, _ = call(a, b, body=sip.webrtc_sdp())
        hang_up(theirs, b, a)
        relay.expect("offer")


@case("NUL, LF and spaces on a stream are keepalives (RFC 5626 3.5.1)")
def padding(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", next_hop=b.uri(), **SHARDS)
    for transport in ("tcp", "tls"):
        a = t.client(g, transport)
        for piece in (b"\0", b"\n", b"   ", b"\0\0\n \0", b"\r\n"):
            a.flow.write(piece)
            sent = a.request("OPTIONS")
            seen = b.expect("OPTIONS")
            b.reply(seen, 200)
            assert a.final(sent).status == 200, piece
        flood = flows.tcp(g.listeners["access-tcp"])
        t.at_end(flood.close)
        flood.write(b"\0" * 4096)
        flood.expect_end()


def drained(t, **timers):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), timers={"drain": "8s", **timers}, **SHARDS)
    return b, g


@case("service drain: a running call may end by itself, idle flows are closed, then 1001 (RFC 6455 7.4.1)")
def drain_running_call(t):
    b, g = drained(t)
    idle, busy = t.client(g, "ws", user="idle"), t.client(g, "ws", user="busy")
    _, theirs, _ = call(busy, b)
    g.program.process.send_signal(signal.SIGTERM)
    assert idle.flow.expect_close(5) == 1001
    hang_up(theirs, b, busy)
    assert busy.flow.expect_close(15) == 1001
    g.program.process.wait(10)


@case("service drain without calls is quick, and every WebSocket hears 1001")
def drain_without_calls(t):
    _, g = drained(t)
    clients = [t.client(g, "ws", user=f"u{number}") for number in range(30)]
    begun = time.monotonic()
    g.program.process.send_signal(signal.SIGTERM)
    for a in clients:
        assert a.flow.expect_close(10) == 1001
    g.program.process.wait(10)
    assert time.monotonic() - begun < 7
