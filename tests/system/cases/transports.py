"""What travels over each transport, and how (RFC 3261 18, 3581, 6455, 7118)."""

import base64
import json
import socket
import time

from lib import flows, sip, stun, websocket
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.waiting import Timeout

from cases.contacts import invite_by_path, register

BIG = [("Subject", "x" * 2000)]


@case("above 1,300 bytes a request leaves by TCP (RFC 3261 18.1.1)", sanitize=True)
def above_1300_bytes_request_leaves(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=f"sip:{b.ip}:{b.port}")
    a = t.client(g, "wss")
    sent = a.invite(headers=BIG)
    seen = b.expect("INVITE")
    assert seen.flow.transport == "TCP" and seen.via.transport == "TCP", seen
    assert len(seen.raw) > 1300 and seen.get("Content-Length") == str(len(seen.body))
    answer = b.reply(seen, 200, body=sip.sdp())
    a.ack(sent, a.response(200, to=sent))
    b.expect("ACK")
    hang_up(b.dialog(seen, answer), b, a)
    a.invite()
    assert b.expect("INVITE").flow.transport == "UDP"


@case("above 1,300 bytes, and back to UDP where TCP is refused (RFC 3261 18.1.1)")
def above_1300_bytes_back_udp(t):
    b = t.backend(tcp=False)
    g = t.gateway("wss", next_hop=f"sip:{b.ip}:{b.port}")
    a = t.client(g, "wss")
    sent = a.invite(headers=BIG)
    seen = b.expect("INVITE")
    assert seen.flow.transport == "UDP" and seen.via.transport == "UDP", seen
    b.reply(seen, 486)
    assert a.final(sent).status == 486


@case("datagrams of up to 65,000 bytes arrive whole (RFC 3261 18.1.1)")
def big_datagram(t):
    b = t.backend(tcp=False)
    g = t.gateway("udp", next_hop=f"sip:{b.ip}:{b.port}")
    a = t.client(g, "udp")
    for size in (1400, 9000, 30000, 60000):
        body = bytes(65 + index % 26 for index in range(size))
        sent = a.request("MESSAGE", body=body, content_type="text/plain")
        try:
            seen = b.expect("MESSAGE", 2)
        except Timeout:
            got = a.final(sent, 1)
            # A message above the product's own limit may be refused, in words.
            assert got.status == 513 and size > 32000, f"{size} bytes: {got}"
            continue
        assert seen.body == body, f"{size} bytes: body differs"
        b.reply(seen, 200)
        a.response(200, to=sent)


@case("each UDP port is open for TCP too (RFC 3261 18.2.1)")
def udp_port_open_for_tcp(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    for name in ("access-udp", "network-udp"):
        flow = flows.tcp(g.listeners[name])
        t.at_end(flow.close)
        flow.write(b"\r\n\r\n")
        flow.other.take(lambda item: item == b"\r\n", 3, "CRLF")
    a = Client(flows.tcp(g.listeners["access-udp"]))
    t.at_end(a.flow.close)
    ours, theirs, seen = call(a, b)
    hang_up(theirs, b, a)


@case("Content-Length is added where a stream needs it (RFC 3261 18.3, 20.14)")
def content_length_added_where_stream(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri("tcp"), network=("tcp",))
    a = t.client(g, "ws")
    a.flow.write(a.build("INVITE", body=sip.sdp()).to_bytes(content_length=False))
    seen = b.expect("INVITE")
    assert seen.flow.transport == "TCP" and seen.get("Content-Length") == str(len(sip.sdp())), seen
    assert seen.body == sip.sdp()


@case("on UDP a surplus is cut, a short body is 400 (RFC 3261 18.3)")
def udp_surplus_cut_short_body(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    long = a.build("MESSAGE", body=b"abc", content_type="text/plain", headers=[("Content-Length", "10")])
    a.flow.write(long.to_bytes())
    assert a.final(long).status == 400
    b.no_request("MESSAGE", 0.2)
    short = a.build("MESSAGE", body=b"abcdefgh", content_type="text/plain", headers=[("Content-Length", "3")])
    a.flow.write(short.to_bytes())
    seen = b.expect("MESSAGE")
    assert seen.body == b"abc" and seen.get("Content-Length", "3") == "3", seen


@case("received and rport; the response leaves from the port that was asked (RFC 3581 4)")
def received_and_rport(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    via = f"SIP/2.0/UDP 10.1.2.3:5060;branch={sip.branch()};rport"
    sent = a.request("OPTIONS", via=via)
    seen = b.expect("OPTIONS")
    via_seen = seen.vias[1]
    assert via_seen.params.get("rport") == str(a.flow.local[1]), via_seen.text
    assert via_seen.params.get("received") == "127.0.0.1", via_seen.text
    b.reply(seen, 200)
    got = a.final(sent)
    assert got.flow.remote == g.listeners["access-udp"], got.flow.remote
    assert got.via.params.get("rport") == str(a.flow.local[1]) and got.via.params.get("received") == "127.0.0.1"


@case("rport is filled on streams too (RFC 3581 4)")
def rport_filled_streams_too(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", next_hop=b.uri())
    for transport in ("tcp", "tls"):
        a = t.client(g, transport)
        sent = a.request("OPTIONS")
        b.reply(b.expect("OPTIONS"), 200)
        got = a.final(sent)
        assert got.via.params.get("rport") == str(a.flow.local[1]), got.via.text
        assert got.via.params.get("received") == "127.0.0.1", got.via.text


def answer_to(remote, request):
    with flows.connect(remote) as connection:
        connection.sendall(request)
        return websocket.read_http_response(connection)


@case("the WebSocket upgrade (RFC 6455 4.2, 7118 4)", sanitize=True)
def websocket_upgrade(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), start=False)
    g.listen("ws", name="strict", origins=["https://app.example.test"])
    g.start()
    remote, strict = g.listeners["access-ws"], g.listeners["strict"]
    host = f"{remote[0]}:{remote[1]}"
    key, request = websocket.upgrade_request(host)
    got = answer_to(remote, request)
    assert got.status == 101 and got.headers["sec-websocket-accept"] == websocket.accept_for(key), got
    assert got.headers.get("sec-websocket-protocol") == "sip", got
    got = answer_to(remote, websocket.upgrade_request(host, protocol="chat, sip")[1])
    assert got.status == 101 and got.headers.get("sec-websocket-protocol") == "sip", got
    for protocol in (None, "chat"):
        got = answer_to(remote, websocket.upgrade_request(host, protocol=protocol)[1])
        assert got.status == 400, (protocol, got)
    got = answer_to(remote, websocket.upgrade_request(host, version="8")[1])
    assert got.status == 426 and got.headers.get("sec-websocket-version") == "13", got
    got = answer_to(remote, websocket.upgrade_request(host, key="short")[1])
    assert got.status == 400, got
    for origin, status in (("https://evil.test", 403), ("https://app.example.test", 101), (None, None)):
        got = answer_to(strict, websocket.upgrade_request(host, origin=origin)[1])
        if status:
            assert got.status == status, (origin, got)


@case("path and Host rules of the upgrade; a plain GET gets a page or 404, never a hang (RFC 6455 4.2.2)")
def upgrade_rules(t):
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("ws", name="ruled", path="/sip", hosts=["gateway.test"])
    g.listen("ws", name="plain")
    g.start()
    remote = g.listeners["ruled"]
    assert answer_to(remote, websocket.upgrade_request("gateway.test", "/sip")[1]).status == 101
    assert answer_to(remote, websocket.upgrade_request("gateway.test", "/other")[1]).status in (403, 404)
    assert answer_to(remote, websocket.upgrade_request("other.test", "/sip")[1]).status in (400, 403, 404, 421)
    for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"):
        got = answer_to(g.listeners["plain"], request)
        assert got.status in (200, 404), got
    got = answer_to(g.listeners["plain"], b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert 400 <= got.status < 500, got


@case("the upgrade cut at every byte (RFC 6455 4.2.1)")
def upgrade_cut(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri())
    remote = g.listeners["access-ws"]
    _, request = websocket.upgrade_request("x")
    open_ones = []
    for cut in range(1, len(request)):
        connection = flows.connect(remote)
        connection.sendall(request[:cut])
        open_ones.append((cut, connection))
    for cut, connection in open_ones:
        connection.sendall(request[cut:])
    for cut, connection in open_ones:
        got = websocket.read_http_response(connection)
        assert got.status == 101, (cut, got)
        connection.close()


def expect_close_code(t, g, data, codes, transport="ws"):
    flow = g.flow(transport)
    try:
        flow.raw(data)
        code = flow.expect_close(5)
        assert code in codes, f"close code {code}, wanted {codes}"
        if code is not None:  # None: the end itself was what came
            flow.expect_end(5)
    finally:
        flow.close()


@case("WebSocket frames that break the protocol close with their codes (RFC 6455 5, 7.4.1)", sanitize=True)
def websocket_frames_that_break_protocol(t):
    b = t.backend()
    g = t.gateway("ws", "wss", next_hop=b.uri())
    frame = websocket.frame
    for transport in ("ws", "wss"):
        expect_close_code(t, g, frame(1, b"x", masked=False), (1002, None), transport)
        expect_close_code(t, g, frame(1, b"x", rsv=4), (1002,), transport)
        expect_close_code(t, g, frame(9, b"x" * 126), (1002,), transport)
        expect_close_code(t, g, frame(9, b"x", fin=False), (1002,), transport)
        expect_close_code(t, g, frame(3, b"x"), (1002, 1008, 1003), transport)
        expect_close_code(t, g, frame(0, b"x"), (1002,), transport)
        expect_close_code(t, g, frame(1, b"\xff\xfe broken"), (1007,), transport)
        expect_close_code(t, g, frame(1, b"x", length_form=2), (1002,), transport)
        expect_close_code(t, g, bytes([0x81, 0xFF]) + b"\x80" + bytes(7) + bytes(4), (1002, 1009), transport)
        expect_close_code(t, g, bytes([0x81, 0xFF]) + (1 << 30).to_bytes(8, "big") + bytes(4), (1009,), transport)
        expect_close_code(t, g, frame(1, b"OPTIONS", fin=False) + frame(1, b"x"), (1002,), transport)
        expect_close_code(t, g, frame(8, b"\x03"), (1002,), transport)


@case("a fragmented INVITE with a ping between is one INVITE and a pong (RFC 6455 5.4, 5.5.2)")
def fragmented_invite_with_ping_between(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    invite = a.build("INVITE", body=sip.sdp())
    data = invite.to_bytes()
    third = len(data) // 3
    a.flow.raw(websocket.frame(websocket.TEXT, data[:third], fin=False))
    a.flow.raw(websocket.frame(websocket.PING, b"between"))
    a.flow.raw(websocket.frame(websocket.CONTINUATION, data[third:2 * third], fin=False))
    a.flow.raw(websocket.frame(websocket.CONTINUATION, data[2 * third:]))
    pong = a.flow.frames.take(lambda item: item.opcode == websocket.PONG, 5, "pong")
    assert pong.payload == b"between"
    assert b.expect("INVITE").body == invite.body
    b.no_request("INVITE", 0.2)
    # Every byte a frame of its own: as many fragments as the product allows, or a clean refusal.
    options = a.build("OPTIONS").to_bytes()
    pieces = [options[index:index + 16] for index in range(0, len(options), 16)]
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        a.flow.raw(websocket.frame(websocket.TEXT if index == 0 else 0, piece, fin=last))
    b.expect("OPTIONS")


@case("the close handshake is echoed; the server's frames are unmasked (RFC 6455 5.1, 5.5.1)")
def close_handshake(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    a.flow.raw(websocket.frame(websocket.CLOSE, (1000).to_bytes(2, "big") + b"bye"))
    assert a.flow.expect_close() == 1000
    a.flow.expect_end()
    assert not any(item.masked for item in a.flow.frames.seen)


@case("text frames, and binary where the message is no UTF-8 (RFC 7118 5)")
def text_frames_binary_where_message(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    seen, _ = register(a, b)
    for body, opcode in ((b"plain", websocket.TEXT), (b"odd \xff byte", websocket.BINARY)):
        invite_by_path(b, seen, "MESSAGE", body=body, content_type="text/plain")
        at_a = a.expect("MESSAGE")
        assert at_a.body == body
        frames = [f for f in a.flow.frames.seen if body in f.payload]
        assert frames and frames[-1].opcode == opcode, frames
        a.reply(at_a, 200)
    # And what comes in a binary frame is as good.
    message = a.build("MESSAGE", body=b"\xff\x00\x01", content_type="application/octet-stream")
    a.flow.raw(websocket.frame(websocket.BINARY, message.to_bytes()))
    assert b.expect("MESSAGE").body == b"\xff\x00\x01"


@case("CRLF CRLF is answered by one CRLF, a lone CRLF by nothing (RFC 5626 3.5.1, 4.4.1)")
def crlf_crlf_answered_by_one(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", "ws", "wss", next_hop=b.uri())
    for transport in ("tcp", "tls", "ws", "wss"):
        a = t.client(g, transport)
        a.flow.write(b"\r\n\r\n")
        a.flow.other.take(lambda item: item == b"\r\n", 3, f"CRLF on {transport}")
        a.flow.write(b"\r\n")
        a.flow.other.none(lambda item: True, 0.3)
        sent = a.request("OPTIONS")
        b.reply(b.expect("OPTIONS"), 200)
        a.final(sent)


@case("STUN on each UDP port; the same bytes close a TCP connection (RFC 5626 4.4.2)")
def stun_each_udp_port_same(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), start=False)
    g.listen("udp", ip="::1", name="six")
    g.start()
    for name in ("access-udp", "network-udp", "six"):
        remote = g.listeners[name]
        port = flows.UdpPort(remote[0])
        t.at_end(port.close)
        identity, request = stun.binding_request()
        port.to(remote).write(request)
        data, _ = port.raw.take(lambda item: True, 3, "STUN answer")
        assert stun.mapped_address(data, identity) == port.local
    flow = flows.tcp(g.listeners["access-udp"])
    t.at_end(flow.close)
    flow.write(stun.binding_request()[1])
    flow.expect_end(15)
    # A zero-length datagram must not end the port's life.
    a = t.client(g, "udp")
    a.flow.write(b"")
    a.flow.write(b"\0")
    sent = a.request("OPTIONS")
    b.reply(b.expect("OPTIONS"), 200)
    a.final(sent)


@case("a stream that lost its framing is closed; the next connection works")
def lost_framing(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", next_hop=b.uri(), timers={"message": "2s", "drain": "1s"})
    for transport in ("tcp", "tls"):
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello\r\n\r\n",
                     b"OPTIONS sip:x SIP/2.0\r\nContent-Length: x\r\n\r\n", b"x" * 100000):
            flow = g.flow(transport)
            t.at_end(flow.close)
            try:
                flow.write(junk)
            except OSError:
                pass
            flow.expect_end(6)
        a = t.client(g, transport)
        ours, _, _ = call(a, b)
        hang_up(ours, a, b)


@case("two messages in one segment, and one message in many")
def segments(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri())
    a = t.client(g, "tcp")
    first, second = a.build("OPTIONS"), a.build("MESSAGE", body=b"two", content_type="text/plain")
    a.flow.write(first.to_bytes() + b"\r\n\r\n" + second.to_bytes())
    b.reply(b.expect("OPTIONS"), 200)
    b.reply(b.expect("MESSAGE"), 200)
    a.final(first)
    a.final(second)
    third = a.build("MESSAGE", body=b"in single bytes", content_type="text/plain")
    for byte in third.to_bytes():
        a.flow.write(bytes([byte]))
    assert b.expect("MESSAGE").body == b"in single bytes"


@case("PROXY protocol v1 and v2 from listed sources name the real client; from others it is refused")
def proxy_protocol(t):
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("tcp", name="behind", proxy_protocol_from=["127.0.0.9/32"])
    g.start()
    remote = g.listeners["behind"]
    two = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + socket.inet_aton("203.0.113.7")
           + socket.inet_aton("127.0.0.1") + (40000).to_bytes(2, "big") + (5060).to_bytes(2, "big"))
    for header in (b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5060\r\n", two):
        flow = flows.tcp(remote, source=("127.0.0.9", 0))
        t.at_end(flow.close)
        a = Client(flow)
        flow.write(header)
        a.request("OPTIONS", via=f"SIP/2.0/TCP 10.0.0.1;branch={sip.branch()};rport")
        via = b.expect("OPTIONS").vias[1]
        assert via.params.get("received") == "203.0.113.7" and via.params.get("rport") == "40000", via.text
    # From a listed source without a header: refused. From another source with a header: not SIP, so closed.
    for source, data in (("127.0.0.9", a.build("OPTIONS").to_bytes()),
                         ("127.0.0.8", b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5060\r\n\r\n")):
        flow = flows.tcp(remote, source=(source, 0))
        t.at_end(flow.close)
        flow.write(data)
        flow.expect_end(15)


@case("a slow client does not hold up another")
def slow_client(t):
    b = t.backend()
    g = t.gateway("wss", "tls", next_hop=b.uri())
    idle = [flows.connect(g.listeners["access-wss"]) for _ in range(20)]
    half = g.flow("tls")
    half.write(b"OPTIONS sip:x SIP")
    a = t.client(g, "wss")
    begin = time.monotonic()
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)
    assert time.monotonic() - begin < 1
    for connection in idle:
        connection.close()
    half.close()


@case("handshakes and upgrades that never finish are dropped in time")
def handshake_timeouts(t):
    b = t.backend()
    g = t.gateway("wss", "ws", "tls", next_hop=b.uri(), timers={"handshake": "1s", "drain": "1s"})
    for transport in ("wss", "ws", "tls"):
        connection = flows.connect(g.listeners[f"access-{transport}"])
        connection.settimeout(4)
        connection.sendall(b"G" if transport == "ws" else b"\x16")
        begin = time.monotonic()
        try:
            while connection.recv(1000):
                pass
        except ConnectionResetError:
            pass
        assert 0.5 < time.monotonic() - begin < 3, transport
        connection.close()
