"""The control thread from outside, with two shards: it waits for nobody, and says what is the matter."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time

from lib.agents import call, hang_up
from lib.case import case
from lib.gateway import binary
from lib.waiting import until


def raw(g, data, timeout=5):
    """Sends bytes to the admin port and reads until it closes."""
    with socket.create_connection(g.admin, timeout=timeout) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def health(g):
    status, body = g.http("/healthz")
    return status, json.loads(body)


def reason(g, name):
    return next(one for one in health(g)[1]["conditions"] if one["condition"] == name)


@case("a log pipe that nobody reads stops nothing: health, calls, reload and SIGTERM go on")
def log_pipe(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    g.enable_admin()
    g.write()
    g.ports.release()
    reader, writer = os.pipe()
    program = subprocess.Popen([str(binary()), "run", "--config", str(g.file)], stdout=writer, stderr=writer)
    os.close(writer)
    try:
        until(lambda: _answers(g), 20, "/healthz answers")
        before = time.monotonic()
        # Each event is a line; the pipe takes 64 KiB, the writer's queue 8,192 lines.
        for _ in range(400):
            assert g.http("/calls")[0] == 200
            raw(g, b"POST /drain HTTP/1.1\r\nHost: localhost\r\n\r\n")
            raw(g, b"POST /undrain HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert g.http("/healthz")[0] == 200
        a = t.client(g, "udp")
        ours, _, _ = call(a, b)
        hang_up(ours, a, b)
        assert time.monotonic() - before < 60
        program.terminate()
        assert program.wait(10) == 0, "SIGTERM is served"
    finally:
        program.kill()
        program.wait()
        os.close(reader)


def _answers(g):
    try:
        return g.http("/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@case("the only next hop or relay is down: 503 with the reason, alive all the same, and back")
def conditions(t):
    relay = socket.socket()
    relay.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its connections inherit it
    relay.bind(("127.0.0.1", 0))
    relay.listen()
    held = []
    accepting = threading.Thread(target=_accept, args=(relay, held), daemon=True)
    accepting.start()
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    g.config["media"] = {"rtpengine": "127.0.0.1:%d" % relay.getsockname()[1]}
    g.start()
    until(lambda: reason(g, "relays")["state"] == "ok", 10, "the relay is connected")
    assert health(g)[0] == 200
    port = relay.getsockname()[1]
    relay.shutdown(socket.SHUT_RDWR)
    relay.close()
    for connection in held:
        connection.close()
    until(lambda: health(g)[0] == 503, 15, "not ready without the only relay")
    assert str(port) in reason(g, "relays")["reason"], health(g)
    assert g.http("/livez")[0] == 200, "a process without a relay is not to be killed"
    assert g.metric("ringway_condition", condition="relays") == 2
    assert g.metric("ringway_ready") == 0
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
        again.listen()
        held.clear()
        threading.Thread(target=_accept, args=(again, held), daemon=True).start()
        until(lambda: health(g)[0] == 200, 30, "ready again")
        again.shutdown(socket.SHUT_RDWR)


def _accept(listener, held):
    try:
        while True:
            held.append(listener.accept()[0])
    except OSError:
        pass


@case("HEAD has no body, other methods get 405 with Allow (RFC 9110 9.3.2, 15.5.6)")
def methods(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2)
    for path in ("/healthz", "/metrics", "/version", "/calls"):
        answer = raw(g, f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and body == b"", (path, answer)
        assert int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) > 0, head
    for method in ("DELETE", "PUT", "POST", "OPTIONS", "PATCH"):
        answer = raw(g, f"{method} /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 405") and b"\r\nallow: get, head\r\n" in answer.lower(), answer
    answer = raw(g, b"GET /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405") and b"\r\nallow: post\r\n" in answer.lower(), answer
    assert raw(g, b"DELETE /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 404")
    # A page of another site, shown by a browser on this machine.
    answer = raw(g, b"POST /drain HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403"), answer
    assert health(g)[0] == 200


@case("half requests keep nobody out of the admin port: 120 of them, silent, begun or dripping")
def half_requests(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2)
    for begin in (b"", b"GET /healthz HTTP/1.1\r\nHo", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nA: "):
        halves = []
        for _ in range(120):
            connection = socket.create_connection(g.admin, timeout=5)
            connection.sendall(begin)
            halves.append(connection)
        before = time.monotonic()
        assert g.http("/healthz")[0] == 200
        assert time.monotonic() - before < 1, "answered at once"
        # A head has two seconds, however it drips.
        last = halves[-1]
        last.settimeout(0.2)
        ended = time.monotonic() + 6
        while time.monotonic() < ended:
            try:
                last.send(b"x")
                if last.recv(100) == b"":
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        assert time.monotonic() < ended, "a head that drips is cut"
        for connection in halves:
            connection.close()
