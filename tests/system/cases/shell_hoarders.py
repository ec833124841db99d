"""Who holds places and memory without finishing anything gives way to who comes next."""

import contextlib
import threading

from lib import flows, sip, websocket
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.waiting import Timeout, until

SHARDS = {"shards": 2}
HOARDER, HONEST = "127.0.0.2", "127.0.0.3"


def connected(t, g, transport, source):
    """A flow that is open: handshake and upgrade are done."""
    remote = g.listeners[f"access-{transport}"]
    context = flows.client_context() if transport in ("tls", "wss") else None
    connection = flows.connect(remote, tls=context, source=(source, 0))
    if transport in ("ws", "wss"):
        key, request = websocket.upgrade_request(f"{remote[0]}:{remote[1]}")
        connection.sendall(request)
        assert websocket.read_http_response(connection).status == 101
    t.at_end(connection.close)
    return connection


def speak(t, g, b, transport):
    """An honest client comes, and a call of its works."""
    remote = g.listeners[f"access-{transport}"]
    secure = {"tls": flows.client_context()} if transport in ("tls", "wss") else {}
    connection = flows.connect(remote, source=(HONEST, 0), **secure)
    if transport in ("ws", "wss"):
        flow = flows.upgrade(connection, remote, "honest")
    else:
        flow = flows.StreamFlow(connection, "honest").start()
        flow.write(b"\r\n\r\n")
        until(lambda: flow.other.seen, 3, "it is let in, or not")
        assert flow.other.seen[0] == b"\r\n", "there was no place"
    t.at_end(flow.close)
    a = Client(flow, "honest")
    _, theirs, _ = call(a, b)
    hang_up(theirs, b, a)


def silent(transport):
    @case(f"places that run short: flows over {transport} that never send a message go, who speaks comes in")
    def run(t):
        b = t.backend()
        g = t.gateway(transport, next_hop=b.uri(), limits={"flows": 64}, **SHARDS)
        for _ in range(200):
            with contextlib.suppress(OSError, AssertionError):
                connected(t, g, transport, HOARDER)

        def comes_in():
            with contextlib.suppress(OSError, AssertionError, Timeout):
                speak(t, g, b, transport)
                return True
            return False
        for _ in range(20):
            until(comes_in, 5, "an honest client comes in")
        # They come faster than they go.
        stop = threading.Event()

        def come():
            while not stop.wait(0.01):
                with contextlib.suppress(OSError, AssertionError):
                    connected(t, g, transport, HOARDER)
        crowd = threading.Thread(target=come, daemon=True)
        crowd.start()
        try:
            for _ in range(10):
                until(comes_in, 5, "an honest client comes in beside them")
        finally:
            stop.set()
            crowd.join(10)
    return run


for one in ("tcp", "tls", "ws"):
    silent(one)

BODY = 32_000
HEAD = (f"MESSAGE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bKx\r\nContent-Length: {BODY}\r\n"
        "\r\n").encode()
PIECE = bytes(BODY - 200)


def unfinished(kind):
    if kind == "ws frame":
        return websocket.frame(websocket.BINARY, HEAD + PIECE)[:-1]
    if kind == "ws fragments":
        size = 2000
        whole = HEAD + PIECE
        return b"".join(websocket.frame(websocket.BINARY if at == 0 else websocket.CONTINUATION,
                                        whole[at:at + size], fin=False) for at in range(0, len(whole), size))
    return HEAD + PIECE


@case("messages that are never finished: their memory is bounded, who holds most of it goes, others are served",
      seconds=120)
def unfinished_messages(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", "ws", next_hop=b.uri(), start=False, **SHARDS)
    g.config["limits"]["buffer_bytes"] = 16 << 20
    g.start()
    for kind, transport in (("body", "tcp"), ("body", "tls"), ("ws frame", "ws"), ("ws fragments", "ws")):
        before = g.metric("ringway_hoarders_closed_total")
        data = unfinished(kind)
        held = []
        for _ in range(400):  # 12 MB at least, of which 8 may be
            with contextlib.suppress(OSError):
                connection = connected(t, g, transport, HOARDER)
                connection.sendall(data)
                held.append(connection)
        until(lambda: g.metric("ringway_hoarders_closed_total") > before, 5, f"those who hold most are closed: {kind}")
        speak(t, g, b, transport)
        for connection in held:
            connection.close()
