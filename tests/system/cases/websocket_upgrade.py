"""The HTTP request that asks for a WebSocket: whom it is for, where it comes from, who stands before us."""

import ssl

from lib import flows, websocket
from lib.agents import Client
from lib.case import case

SHARDS = {"shards": 2}


def answer(t, remote, *, target="/", host="gw.test", headers=(), source=None):
    """The status of the answer to an upgrade written like this."""
    connection = flows.connect(remote, source=source)
    t.at_end(connection.close)
    lines = [f"GET {target} HTTP/1.1", *([f"Host: {host}"] if host else []), "Upgrade: websocket",
             "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
             "Sec-WebSocket-Protocol: sip", *headers]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return websocket.read_http_response(connection).status


def gateway(t, **settings):
    g = t.gateway(next_hop=t.backend().uri(), start=False, **SHARDS)
    remote = g.listen("ws", **settings)
    g.start()
    return g, remote


@case("two Origin headers are refused, whichever comes first (RFC 6454 7.3)")
def two_origins(t):
    _, remote = gateway(t, origins=["https://app.example.org"])
    good, evil = "Origin: https://app.example.org", "Origin: https://evil.example"
    assert answer(t, remote, headers=[good]) == 101
    for pair in ((good, evil), (evil, good), (good, good)):
        assert answer(t, remote, headers=pair) in (400, 403), pair
    assert answer(t, remote, headers=["Origin: null"]) == 403
    assert answer(t, remote, headers=["Origin: HTTPS://APP.example.org:443"]) == 101
    assert answer(t, remote, headers=["Origin: https://app.example.org:8443"]) == 403


@case("a request names one host, in a form that can be read (RFC 9112 3.2)")
def one_host(t):
    _, remote = gateway(t, hosts=["gw.test"])
    assert answer(t, remote) == 101
    assert answer(t, remote, host="GW.test:8080") == 101
    assert answer(t, remote, target="http://gw.test/") == 101
    for wrong in ({"target": "http://evil.test/"}, {"target": "http://gw.test@evil.test/"}, {"host": "gw.test:evil"},
                  {"host": "gw.test:99999"}, {"host": "evil.test"}, {"host": ""}, {"target": "*"},
                  {"headers": ["Host: evil.test"]}, {"headers": ["Host: gw.test"]}):
        assert answer(t, remote, **wrong) in (400, 403), wrong


@case("the client behind a listed web proxy is the one that it names (RFC 7239)")
def forwarded(t):
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False, **SHARDS)
    remote = g.listen("ws", name="access-ws", forwarded_from=["127.0.0.2"])
    g.start()

    def received(source, headers):
        connection = flows.connect(remote, source=(source, 0))
        flow = flows.upgrade(connection, remote, "behind a proxy", extra=headers)
        t.at_end(flow.close)
        a = Client(flow)
        sent = a.request("OPTIONS")
        seen = b.expect("OPTIONS")
        b.reply(seen, 200)
        assert a.final(sent).status == 200
        return seen.vias[1].params.get("received")

    assert received("127.0.0.2", [("X-Forwarded-For", "203.0.113.1, 198.51.100.7")]) == "198.51.100.7"
    assert received("127.0.0.2", [("Forwarded", 'for="[2001:db8::7]:4711"')]).strip("[]") == "2001:db8::7"
    assert received("127.0.0.3", [("X-Forwarded-For", "198.51.100.7")]) == "127.0.0.3"
    assert received("127.0.0.3", [("Forwarded", "for=198.51.100.7")]) == "127.0.0.3"


@case("line ends in one WebSocket message are keepalives, however many (RFC 5626 4.4.1)")
def line_ends(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), **SHARDS)
    a = t.client(g, "ws")
    for text in (b"\r\n\r\n\r\n", b"\r\n\r\n\r\n\r\n", b"\n", b"\0\0", b"  "):
        a.flow.write(text)
        sent = a.request("OPTIONS")
        seen = b.expect("OPTIONS")
        b.reply(seen, 200)
        assert a.final(sent).status == 200, text


@case("a client certificate for servers counts as one for clients, unless told otherwise (RFC 5280 4.2.1.12)")
def client_purpose(t):
    def outcome(usage, **settings):
        g = t.gateway(next_hop=t.backend().uri(), start=False, name=f"gateway-{usage}-{len(settings)}", **SHARDS)
        pair = t.certificate("gateway.test")
        remote = g.listen("tls", certificate=str(pair[0]), key=str(pair[1]), client_certificates="require",
                          client_ca=str(t.authority.certificate), **settings)
        g.start()
        shown = t.certificate("peer.test", usage=usage)
        context = flows.client_context(certificate=shown[0], key=shown[1])
        try:
            flow = flows.tls(remote, context=context)
            t.at_end(flow.close)
            flow.write(b"\r\n\r\n")
            flow.other.take(lambda item: item == b"\r\n", 5, "CRLF")
            return True
        except (ssl.SSLError, OSError, AssertionError):
            return False

    assert outcome("serverAuth")
    assert outcome("clientAuth")
    assert not outcome("emailProtection")
    assert not outcome("serverAuth", client_certificate_purpose="client")
