"""HTTP at the web ports and at the admin address, from clients that read the RFCs closely."""

import socket

from lib import flows, sip
from lib.case import case

SHARDS = {"shards": 2}


def answer(remote, data, *, tls=None, ends=False):
    """All that comes until the other side ends; ends: ours is closed behind what was sent."""
    with flows.connect(remote, tls=tls) as connection:
        connection.sendall(data)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        got = b""
        while piece := connection.recv(65536):
            got += piece
        return got


def get(remote, line, **options):
    head, _, body = answer(remote, f"{line} HTTP/1.1\r\nHost: gw.test\r\n\r\n".encode(), **options).partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def pages(t, **files):
    folder = t.directory / "page"
    folder.mkdir()
    for name, size in {"index.html": 3_000_000, "my phone.js": 10, **files}.items():
        (folder / name).write_bytes(b"x" * size)
    return {"directory": str(folder)}


@case("a client that ends its side behind its request has its answer (RFC 9293 3.6): OPTIONS, 400, a page, an admin table")
def half_closed(t):
    g = t.gateway("tcp", "ws", next_hop=t.backend().uri(), page=pages(t), **SHARDS)
    remote = g.listeners["access-tcp"]
    request = sip.request("OPTIONS", f"sip:{remote[0]}:{remote[1]}",
                          via=f"SIP/2.0/TCP 127.0.0.1:9;branch={sip.branch()}").to_bytes()
    for _ in range(8):  # over both shards
        assert answer(remote, request, ends=True).startswith(b"SIP/2.0 200 ")
        assert answer(remote, request.replace(b"1 OPTIONS", b"x OPTIONS"), ends=True).startswith(b"SIP/2.0 400 ")
    status, _, body = get(g.listeners["access-ws"], "GET /", ends=True)
    assert status == 200 and len(body) == 3_000_000
    for path in ("/calls", "/flows", "/agents", "/next-hops", "/bans", "/metrics", "/livez"):
        asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        assert answer(g.admin, asked, ends=True).startswith(b"HTTP/1.1 200 "), path


@case("a page by HEAD is its head alone, other methods get 405 with Allow (RFC 9110 9.3.2, 15.5.6)")
def head(t):
    g = t.gateway("ws", "wss", next_hop=t.backend().uri(), page=pages(t), **SHARDS)
    for transport in ("ws", "wss"):
        options = {"tls": flows.client_context()} if transport == "wss" else {}
        remote = g.listeners[f"access-{transport}"]
        for path, status in (("/", 200), ("/none", 404)):
            got, ours, body = get(remote, f"HEAD {path}", **options)
            assert (got, body) == (status, b""), (path, got, body)
            assert ours == get(remote, f"GET {path}", **options)[1], "the same as for GET"
        for method in ("POST", "DELETE", "OPTIONS", "TRACE"):
            got, ours, body = get(remote, f"{method} /", **options)
            assert got == 405 and b"Allow: GET, HEAD" in ours, (method, ours)


@case("escapes in a page's path are what they mean, and lead nowhere else (RFC 3986 2.1)")
def escapes(t):
    g = t.gateway("ws", next_hop=t.backend().uri(), page=pages(t), **SHARDS)
    (t.directory / "secret").write_text("secret")
    remote = g.listeners["access-ws"]
    for path, status in (("/my%20phone.js", 200), ("/%6dy%20phone%2Ejs", 200), ("/my phone.js", 400),
                         ("/%2e%2e/secret", 404), ("/..%2fsecret", 404), ("/../secret", 404), ("/%", 404),
                         ("/index.html%00", 404), ("http://gw.test/my%20phone.js?x=%zz", 200)):
        assert get(remote, f"GET {path}")[0] == status, path


@case("a host's name may have an underscore, as in container networks (RFC 3986 3.2.2)")
def underscore(t):
    g = t.gateway(next_hop=t.backend().uri(), start=False, page=pages(t), **SHARDS)
    remote = g.listen("ws", hosts=["my_gateway"])
    g.start()
    for host, status in (("my_gateway", 200), ("MY_gateway:8443", 200), ("other_gateway", 403), ("my gateway", 400)):
        got = answer(remote, f"GET /my%20phone.js HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert got.startswith(f"HTTP/1.1 {status} ".encode()), (host, got[:40])
