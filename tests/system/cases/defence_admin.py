"""The admin address as a hostile web page sees it: a browser on this machine, or behind its firewall, asks
for the page, and the page's name resolves to us (DNS rebinding), or it sends what changes something."""

import json
import os
import socket
import subprocess

from lib.case import case
from lib.gateway import binary
from lib.waiting import until

PAGES = ("/", "/healthz", "/readyz", "/livez", "/metrics", "/version", "/status", "/calls", "/agents", "/flows", "/bans",
         "/next-hops", "/relays", "/certificates", "/nothing")
COMMANDS = ("/reload", "/drain", "/undrain", "/log-level?level=debug", "/bans/add?name=192.0.2.1", "/calls/end?name=x")


def raw(address, data, path=None):
    """Sends bytes to the admin address or to the control socket, and reads until it closes."""
    with socket.socket(socket.AF_UNIX) if path else socket.create_connection(address, timeout=5) as connection:
        if path:
            connection.settimeout(5)
            connection.connect(str(path))
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def asked(address, target, host, *fields, method="GET", version="1.1", path=None):
    """Status and body."""
    lines = [f"{method} {target} HTTP/{version}", *([] if host is None else [f"Host: {host}"]), *fields]
    head, _, body = raw(address, ("\r\n".join(lines) + "\r\n\r\n").encode(), path).partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def door(t, address=None, **admin):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    g.enable_admin()
    g.config["admin"].update(admin)
    if address:
        g.config["admin"]["address"] = f"{address}:{g.admin[1]}"
    g.start()
    return g


def events(g, name):
    return [one for one in g.events() if one["event"] == name]


@case("a page whose name resolves to us reads nothing: 421 for each page and command (RFC 9110 15.5.20)")
def rebinding(t):
    g = door(t)
    port = g.admin[1]
    own = {target: asked(g.admin, target, f"127.0.0.1:{port}") for target in PAGES}
    assert own["/calls"] == (200, '{"calls":[]}\n'), own["/calls"]
    evil = ("evil.test", f"evil.test:{port}", f"EVIL.test.:{port}", f"localhost.evil.test:{port}", f"evil.localhost:{port}",
            f"127.0.0.1.evil.test:{port}", f"127-0-0-1.nip.io:{port}", f"203.0.113.7:{port}", f"0.0.0.0:{port}", "x",
            f"[::]:{port}", f"[2001:db8::1]:{port}")
    for host in evil:
        for target in PAGES:
            status, body = asked(g.admin, target, host)
            assert status == 421 and "admin.names" in body, (host, target, status, body)
            assert not any(word in body for word in ("ringway_", "{", "/calls")), body
    for target in COMMANDS:
        for method in ("POST", "GET", "PUT"):
            assert asked(g.admin, target, evil[1], method=method)[0] == 421, (target, method)
    assert asked(g.admin, "/calls", evil[1], method="HEAD") == (421, "")
    # Neither by the form of the request (RFC 9112 3.2, 3.2.2), nor by a second Host, nor without one.
    for target, host in ((f"http://evil.test:{port}/calls", f"evil.test:{port}"), (f"http://evil.test:{port}/calls", None)):
        assert asked(g.admin, target, host, version="1.1" if host else "1.0")[0] == 421, (target, host)
    for target, host, *fields in ((f"http://127.0.0.1:{port}/calls", "evil.test"), ("/calls", "127.0.0.1", "Host: evil.test"),
                                  (f"http://evil.test:{port}/calls", f"127.0.0.1:{port}"), ("/calls", None),
                                  ("/calls", "evil.test@127.0.0.1"), ("/calls", "127.0.0.1:1:2"), ("/calls", "127.0.0.1/x"),
                                  ("/calls", "127.0.0.1 evil.test"), ("/calls", ""), ("//evil.test/calls", "evil.test")):
        status, body = asked(g.admin, target, host, *fields)
        assert status in (400, 421) or (host == "" and status == 200), (target, host, status, body)
    assert {target: asked(g.admin, target, f"127.0.0.1:{port}")[0] for target in PAGES} == \
        {target: status for target, (status, _) in own.items()}
    count = g.metric("ringway_admin_misdirected_total")
    assert count >= len(evil) * len(PAGES), count
    until(lambda: events(g, "admin_misdirected"), 5, "a line in the log")
    line = events(g, "admin_misdirected")
    assert len(line) == 1 and line[0]["host"] and "admin.names" in line[0]["meaning"], line


@case("the admin address knows itself by its addresses, as localhost, and without Host (HTTP/1.0)")
def own_hosts(t):
    g = door(t)
    port = g.admin[1]
    for host in (f"127.0.0.1:{port}", "127.0.0.1", f"localhost:{port}", "LocalHost", "localhost.", f"[::1]:{port}",
                 "127.0.0.1:1", socket.gethostname()):
        assert asked(g.admin, "/livez", host)[0] == 200, host
    assert asked(g.admin, "/livez", None, version="1.0")[0] == 200, "a balancer's health check"
    assert asked(g.admin, f"http://localhost:{port}/livez", f"localhost:{port}")[0] == 200
    done = subprocess.run([str(binary()), "ctl", "--admin", f"127.0.0.1:{port}", "status"], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 0, done


@case("names of the admin address are configured, by a reload too; a wrong one is explained with its place")
def names(t):
    g = door(t, names=["Edge.Example.org", "198.51.100.7"])
    port = g.admin[1]
    for host in (f"edge.example.org:{port}", "EDGE.example.ORG.", f"198.51.100.7:{port}"):
        assert asked(g.admin, "/calls", host)[0] == 200, host
    assert asked(g.admin, "/calls", "other.example.org")[0] == 421
    g.config["admin"]["names"] = ["other.example.org"]
    g.write()
    assert asked(g.admin, "/reload", "localhost", method="POST")[0] == 200
    assert asked(g.admin, "/calls", "other.example.org")[0] == 200
    assert asked(g.admin, "/calls", "edge.example.org")[0] == 421
    for wrong in ("edge.example.org:8080", "http://edge.example.org", "*", "", "a b", "edge/x"):
        g.config["admin"]["names"] = ["edge.example.org", wrong]
        g.write()
        done = subprocess.run([str(binary()), "check", "--config", str(g.file)], capture_output=True, text=True, timeout=20)
        said = done.stdout + done.stderr
        assert done.returncode != 0 and f"{g.file}:" in said and "is no host" in said and ".example.org" in said, (wrong, said)


@case("a page of another site changes nothing: Origin, Sec-Fetch-Site and Referer are a browser's (Fetch Metadata 2)")
def cross_site(t):
    g = door(t)
    host = f"127.0.0.1:{g.admin[1]}"
    generation = g.metric("ringway_config_generation")
    signs = ("Origin: https://evil.test", "Origin: null", f"Origin: http://{host}", "Sec-Fetch-Site: cross-site",
             "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: same-origin", "sec-fetch-site:cross-site", "Sec-Fetch-Site: ",
             "Referer: https://evil.test/page", "origin:https://evil.test")
    for sign in signs:
        for target in COMMANDS:
            status, body = asked(g.admin, target, host, sign, method="POST")
            assert status == 403 and "web page" in body, (sign, target, status, body)
    assert asked(g.admin, "/drain", host, "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site", method="POST")[0] == 403
    for target in COMMANDS:  # neither do links and images
        assert asked(g.admin, target, host)[0] == 405, target
    assert asked(g.admin, "/healthz", host)[0] == 200, "still in service"
    assert g.metric("ringway_config_generation") == generation
    # What a page may embed is not read by it: no header lets it.
    answer = raw(g.admin, f"GET /calls HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.test\r\n\r\n".encode()).lower()
    assert b"access-control" not in answer and b"x-content-type-options: nosniff" in answer, answer
    answer = raw(g.admin, f"OPTIONS /drain HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.test\r\n"
                          "Access-Control-Request-Method: POST\r\n\r\n".encode()).lower()
    assert b"access-control" not in answer and not answer.startswith(b"http/1.1 20"), answer
    assert asked(g.admin, "/undrain", host, method="POST")[0] == 200, "who is no browser may"
    assert asked(g.admin, "/undrain", host, "Sec-Fetch-Site: none", method="POST")[0] == 200


@case("an admin address that is not loopback wants its names, too, and a page without them meets 421 before 401")
def every_address(t):
    token = t.directory / "token"
    token.write_text("0123456789abcdef\n")
    os.chmod(token, 0o600)
    g = door(t, "0.0.0.0", token_file=str(token), names=["edge.example.org"])
    port = g.admin[1]
    for host, status in ((f"127.0.0.1:{port}", 200), (f"edge.example.org:{port}", 200), (f"evil.test:{port}", 421)):
        assert asked(g.admin, "/metrics", host)[0] == status, host
        assert asked(g.admin, "/calls", host)[0] == {200: 401, 421: 421}[status], host
        assert asked(g.admin, "/calls", host, "Authorization: Bearer 0123456789abcdef")[0] == status, host


@case("the control socket asks for no name: no page reaches it")
def control_socket(t):
    path = t.directory / "control.sock"
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    g.config["ctl"] = {"socket": str(path)}
    g.start()
    assert json.loads(asked(None, "/calls", "anything", path=path)[1]) == {"calls": []}
