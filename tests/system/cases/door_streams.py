"""Bytes at the stream ports in unusual pieces, orders and amounts."""

import contextlib
import random
import socket
import ssl
import struct
import time

from lib import flows, sip, websocket
from lib.case import case
from lib.waiting import Timeout, until

SHARDS = {"shards": 2}
frame = websocket.frame


def options(remote):
    return sip.request("OPTIONS", f"sip:{remote[0]}:{remote[1]}",
                       via=f"SIP/2.0/TCP 127.0.0.1:9;branch={sip.branch()};rport").to_bytes()


@case("400 kB of requests right behind a client's last flight are answered, in TLS 1.2 and 1.3 (RFC 8446 2)")
def behind_the_handshake(t):
    g = t.gateway("tls", next_hop=t.backend().uri(), **SHARDS)
    remote = g.listeners["access-tls"]
    many = [options(remote) for _ in range(1500)]
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        for _ in range(4):
            context = flows.client_context()
            context.minimum_version = context.maximum_version = version
            flow = flows.StreamFlow(flows.connect(remote, tls=context), "burst").start()
            t.at_end(flow.close)
            flow.write(b"".join(many))
            until(lambda flow=flow: len(flow.inbox.seen) == len(many) or flow.closed.is_set(), 10, "answers")
            assert len(flow.inbox.seen) == len(many), (version, len(flow.inbox.seen), flow.other.seen)


class CutTls:
    """A TLS client whose bytes leave in pieces of its own choice."""

    def __init__(self, remote, dice):
        self.dice = dice
        self.input, self.output = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = flows.client_context().wrap_bio(self.input, self.output)
        self.socket = flows.connect(remote)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                return
            self.push()
            self.input.write(self.socket.recv(65536))

    def push(self):
        data, largest = self.output.read(), self.dice.choice((3, 50, 5_000, 100_000))
        while data:
            size = self.dice.randrange(1, largest + 1)
            self.socket.sendall(data[:size])
            data = data[size:]

    def read(self):
        data = self.socket.recv(65536)
        self.input.write(data)
        got = b""
        with contextlib.suppress(ssl.SSLError):
            while piece := self.tls.read(65536):
                got += piece
        return data, got


@case("TLS records cut anywhere: each request is answered, one right before close_notify, too (RFC 8446 5.1, 6.1)")
def cut_records(t):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    g = t.gateway("tls", next_hop=t.backend().uri(), **SHARDS)
    remote = g.listeners["access-tls"]
    for _ in range(12):
        client = CutTls(remote, dice)
        wanted, got = 0, b""
        for _ in range(10):
            for _ in range(dice.randrange(1, 4)):
                data = options(remote)
                wanted += 1
                while data:
                    size = dice.randrange(1, 400)
                    client.tls.write(data[:size])
                    data = data[size:]
            client.push()
        while got.count(b"SIP/2.0 200") < wanted:
            data, more = client.read()
            assert data, f"ended after {got.count(b'SIP/2.0 200')} of {wanted}"
            got += more
        client.tls.write(options(remote))
        with contextlib.suppress(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.push()
        client.socket.shutdown(socket.SHUT_WR)
        last = b""
        while True:
            data, more = client.read()
            last += more
            if not data:
                break
        assert b"SIP/2.0 200" in last
        client.socket.close()


def proxy2(command=1, family=1, transport=1, payload=None, more=b"", claimed=None):
    payload = payload if payload is not None else (
        socket.inet_aton("203.0.113.7") + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 40000, 5060))
    size = claimed if claimed is not None else len(payload + more)
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family << 4 | transport]) + struct.pack("!H", size)
            + payload + more)


ONE = b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5060\r\n"
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::5") * 2 + struct.pack("!HH", 40000, 5060)
OWN = "127.0.0.9"
HEADERS = {  # whose address it names; None: refused
    ONE: "203.0.113.7", b"PROXY UNKNOWN\r\n": OWN, b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n": OWN,
    b"PROXY TCP6 2001:db8::5 ::1 40000 5060\r\n": "2001:db8::5", ONE.replace(b"\r\n", b"\n"): None, ONE + ONE: None,
    ONE.replace(b"40000", b"70000"): None, ONE.lower(): None, ONE.replace(b"TCP4 ", b"TCP4  "): None,
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n": None, ONE.replace(b"203.0", b"203.00"): None,
    proxy2(): "203.0.113.7", proxy2(command=0): OWN, proxy2(0, 0, 0, b""): OWN, proxy2(family=3, payload=bytes(216)): OWN,
    proxy2(family=2, payload=SIX): "2001:db8::5", proxy2(more=b"\4\x0b\xb8" + bytes(3000)): "203.0.113.7",
    proxy2(more=b"\4\x13\x88" + bytes(5000)): None, proxy2(payload=b"abc"): None, proxy2(command=2): None,
    proxy2(family=4): None, b"": None,
}


@case("PROXY headers of both versions, whole and in pieces: whom they name, or an end of the connection")
def proxy_headers(t):
    g = t.gateway(next_hop=t.backend().uri(), start=False, **SHARDS)
    remote = g.listen("tcp", proxy_protocol_from=[f"{OWN}/32"])
    g.start()
    for header, named in HEADERS.items():
        for size in (1 << 20, 700, 1) if len(header) < 300 else (1 << 20, 700):
            with flows.connect(remote, source=(OWN, 0)) as connection:
                data, got = header + options(remote), b""
                with contextlib.suppress(OSError):
                    for at in range(0, len(data), size):
                        connection.sendall(data[at:at + size])
                    got = connection.recv(65536)
            if named is None:
                assert got == b"", (header[:60], size, got)
            else:
                assert f";received={named};".encode() in got, (header[:60], size, got)


@case("PROXY header, TLS and upgrade have one time together (timers.handshake)")
def one_time(t):
    g = t.gateway(next_hop=t.backend().uri(), start=False, timers={"handshake": "2s", "drain": "1s"}, **SHARDS)
    pair = t.certificate("gateway.test")
    g.listen("ws", name="ws", proxy_protocol_from=[OWN])
    g.listen("wss", name="wss", certificate=str(pair[0]), key=str(pair[1]), proxy_protocol_from=[OWN])
    g.start()
    for name in ("ws", "wss"):
        with flows.connect(g.listeners[name], source=(OWN, 0)) as connection:
            began = time.monotonic()
            until(lambda: time.monotonic() - began > 1.4, 3, "most of the time is over")
            connection.sendall(ONE)
            with contextlib.suppress(OSError):
                while connection.recv(1000):
                    pass
            assert time.monotonic() - began < 2.8, name


@case("a message in as many as 64 frames, empty ones and control frames between, is one; in 65 it is 1008 (RFC 6455 5.4)")
def fragments(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), **SHARDS)
    body = "\u00e4\u20ac\U0001f600".encode() * 20

    def whole(a):
        return a.build("MESSAGE", body=body, content_type="text/plain").to_bytes()

    def pieces(data, count):
        size = len(data) // count
        cuts = [data[at * size:(at + 1) * size] for at in range(count - 1)] + [data[(count - 1) * size:]]
        return b"".join(frame(1 if at == 0 else 0, piece, fin=at == count - 1) for at, piece in enumerate(cuts))
    def between(data):
        controls = frame(9, b"p" * 125) + frame(10, b"unasked") + frame(9, b"")
        return frame(1, b"", fin=False) + controls + frame(0, data[:-3], fin=False) + controls + frame(0, data[-3:])
    a = t.client(g, "ws")
    for sent, size in ((pieces(whole(a), 2), 1 << 20), (pieces(whole(a), 64), 1 << 20), (between(whole(a)), 1 << 20),
                       (between(whole(a)), 1)):
        for at in range(0, len(sent), size):
            a.flow.raw(sent[at:at + size])
        seen = b.expect("MESSAGE")
        assert seen.body == body
        b.reply(seen, 200)
    other = t.client(g, "ws")
    other.flow.raw(pieces(whole(other), 65))
    assert other.flow.expect_close() == 1008
    b.no_request("MESSAGE", 0.2)


@case("close codes that may be on the wire are echoed, the others are 1002 (RFC 6455 7.4), and what follows is not read")
def close_codes(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), **SHARDS)
    for code, expected in ((1000, 1000), (1003, 1003), (1007, 1007), (1014, 1014), (3000, 3000), (4999, 4999), (0, 1002),
                           (999, 1002), (1004, 1002), (1005, 1002), (1006, 1002), (1015, 1002), (2999, 1002),
                           (5000, 1002), (65535, 1002)):
        a = t.client(g, "ws")
        inside = frame(1, b"MESSAGE", fin=False) if code % 2 else b""
        behind = frame(1, a.build("MESSAGE").to_bytes())
        a.flow.raw(inside + frame(8, struct.pack("!H", code)) + behind)
        assert a.flow.expect_close() == expected, code
        a.flow.expect_end()
    b.no_request("MESSAGE", 0.2)


@case("of two SIP messages in one WebSocket message the first is taken (RFC 7118 5); frames may follow the upgrade at once")
def one_message(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), **SHARDS)
    a = t.client(g, "ws")
    first, second, third = (a.build("MESSAGE", body=word, content_type="text/plain").to_bytes()
                            for word in (b"first", b"second", b"third"))
    a.flow.raw(frame(1, first + second))
    seen = b.expect("MESSAGE")
    b.reply(seen, 200)
    assert seen.body == b"first"
    b.no_request("MESSAGE", 0.3)
    _, request = websocket.upgrade_request("gw.test")
    data = frame(1, third)
    for cut in (0, 1, 2, 5, 9, len(data)):
        with flows.connect(g.listeners["access-ws"]) as connection:
            connection.sendall(request + data[:cut])
            connection.sendall(data[cut:] + frame(9, b"early"))
            got = b""
            while b"early" not in got:
                got += connection.recv(65536)
            with contextlib.suppress(Timeout):
                b.reply(b.expect("MESSAGE", 0.3), 200)  # its branch is the same each time
