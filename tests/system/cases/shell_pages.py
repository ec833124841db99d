"""Pages beside WebSocket (RFC 9110): who reads them slowly takes nobody's place."""

import contextlib
import socket

from lib import flows
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.waiting import Timeout, until

HOARDERS, HONEST = ("127.0.0.2", "127.0.0.6"), "127.0.0.3"
PAGE = b"/* a page */\n" + b"j" * (3 << 20)


def reading(t, remote, source, take=0):
    """A connection that has asked for the page and read so much of it."""
    connection = socket.socket()
    t.at_end(connection.close)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(3)
    connection.bind((source, 0))
    connection.connect(remote)
    connection.sendall(b"GET /big.js HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    while take > 0:
        take -= len(connection.recv(min(take, 65536)))
    return connection


def whole(t, remote, source):
    connection = reading(t, remote, source)
    got = b""
    while piece := connection.recv(1 << 20):
        got += piece
    assert got.endswith(PAGE), len(got)


def hoard(reactor):
    @case(f"pages that are read slowly: their connections go where places are short, others are served ({reactor})",
          seconds=90)
    def run(t):
        b = t.backend()
        g = t.gateway("ws", next_hop=b.uri(), start=False, shards=2, reactor=reactor)
        directory = t.directory / "page"
        directory.mkdir()
        (directory / "big.js").write_bytes(PAGE)
        g.config["page"] = {"directory": str(directory)}
        g.config["limits"]["flows"] = 64
        g.start()
        remote = g.listeners["access-ws"]
        for _ in range(3):
            for source in HOARDERS:
                for _ in range(150):
                    with contextlib.suppress(OSError):
                        reading(t, remote, source)

            def comes_in():
                with contextlib.suppress(OSError, AssertionError, Timeout):
                    flow = flows.upgrade(flows.connect(remote, source=(HONEST, 0)), remote, "honest")
                    t.at_end(flow.close)
                    a = Client(flow, "honest")
                    _, theirs, _ = call(a, b)
                    hang_up(theirs, b, a)
                    flow.close()
                    return True
                return False
            for _ in range(5):
                until(comes_in, 3, "a client comes in beside those who read slowly")
            whole(t, remote, HONEST)
        assert g.metric("ringway_slow_readers_dropped_total") > 0
    return run


for one in ("io_uring", "epoll"):
    hoard(one)
