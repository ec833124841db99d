"""`ringway tunnel` at its bounds: many sockets, full sockets, ends that stop, links that fall silent, wrong folders."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from lib import far_link
from lib.carriers import Controller, FakeEngine, Tunnel
from lib.case import Skip, case
from lib.gateway import binary
from lib.ports import Reservation
from lib.programs import Program
from lib.waiting import Timeout, until


def program(t, name, *words):
    made = Program(name, [binary(), "tunnel", *words, "--user", "root"], t.directory)
    t.at_end(Tunnel.stop, made)
    return made


def free_port():
    ports = Reservation()
    port = ports.port()
    ports.release()
    return port


def make_keys(t, name):
    folder = t.directory / name
    subprocess.run([str(binary()), "tunnel", "keys", "--out", folder], check=True, capture_output=True)
    return folder


@case("tunnel edges: a controller that opens a port for each request is served, in both kinds", seconds=60)
def new_ports(t):
    for kind in ("control", "datagrams"):
        tunnel = Tunnel(t, FakeEngine(t).address, near=["--kind", kind], far=["--kind", kind])
        for number in range(6000):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.settimeout(3)
                message = b"1_%d d" % number
                one.sendto(message, tunnel.address)
                assert one.recv(1000) == message, (kind, number)
        assert tunnel.counters()["sources"] <= 4096 and tunnel.counters(far=True)["sources"] <= 4096
        assert 'reason="full"} 0\n' in tunnel.page("/metrics")


@case("tunnel edges: more sockets at once than there are places: some are served, the others hear of it", seconds=60)
def many_at_once(t):
    engine = FakeEngine(t, lambda cookie, body: None)
    tunnel = Tunnel(t, engine.address, near=["--timeout", "60s"])
    regular = Controller(t, tunnel.address)
    sockets = [Controller(t, tunnel.address) for _ in range(4200)]
    for number, one in enumerate(sockets):
        one.send(b"1_%d d" % number)
        if number % 50 == 49:
            until(lambda: tunnel.counters()["messages_in_total"] == number + 1, 5, "all was read", every=0.002)
    now = tunnel.counters()
    assert now["sources"] == now["pending"] == 4096 and now["errors_answered_total"] == 104, now
    assert b"too many controllers" in sockets[-1].receive()
    assert b"too many controllers" in regular.ask(b"2_1 d")
    # The waiting ones have their errors when the far end goes, and there is room again.
    tunnel.kill_far()
    assert all(b"error" in one.receive() for one in sockets[:4096])
    engine.answer = lambda cookie, body: body
    tunnel.start_far()
    until(lambda: regular.ask(b"2_2 d") == b"2_2 d", 3, "service is back", every=0.02)


@case("tunnel edges: a Unix socket that is read late has all its answers, and one never read holds up nobody")
def late_reader(t):
    engine = FakeEngine(t)
    path = t.directory / "ng.sock"
    tunnel = Tunnel(t, engine.address, unix=path)
    late, never, other = (Controller(t, str(path), unix=t.directory / name) for name in ("late", "never", "other"))
    for number in range(100):
        late.send(b"1_%d d" % number)
        never.send(b"1_%d d" % number)
    assert engine.wait_for(200, 5)
    for number in range(20):
        assert other.ask(b"2_%d d" % number) == b"2_%d d" % number
    # In their order, and each once.
    assert late.all_within(2, 100) == [b"1_%d d" % number for number in range(100)]
    until(lambda: re.search(r'reason="socket"} [1-9]', tunnel.page("/metrics")), 5, "what was never read is counted")


@case("tunnel edges: a controller end that is stopped answers what waits, and leaves no Unix socket behind")
def stopped(t):
    engine = FakeEngine(t, lambda cookie, body: None)
    path = t.directory / "ng.sock"
    tunnel = Tunnel(t, engine.address, unix=path)
    for number, which in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)):
        udp = Controller(t, tunnel.address)
        unix = Controller(t, str(path), unix=t.directory / f"mine{number}")
        udp.send(b"1_1 d7:command4:pinge")
        unix.send(b'1_2 {"command": "ping"}')
        assert engine.wait_for(2 * number + 2, 3)
        tunnel.near_end.process.send_signal(which)
        assert udp.receive(1).startswith(b"1_1 d6:result5:error") and b'"result":"error"' in unix.receive(1)
        assert tunnel.near_end.process.wait(5) == 0, which
        assert not path.exists()
        tunnel.start_near()


@case("tunnel edges: listening on all addresses, it answers from the one that was asked", sanitize=True)
def asked_address(t):
    engine = FakeEngine(t)
    for listen, addresses in (("0.0.0.0", ("127.0.0.1", "127.0.0.2", "127.9.9.9")),
                              ("[::]", ("::1", "127.0.0.1", "127.0.0.3"))):
        tunnel, port = Tunnel(t, engine.address), free_port()
        near = program(t, "wide", "controller", "--listen", f"{listen}:{port}", "--relay",
                       "127.0.0.1:%d" % tunnel.relay_ports[0], *tunnel.key_of("controller"))
        near.expect_line("connected to", 5)
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as one:
                one.connect((address, port))
                one.settimeout(3)
                one.send(b"1_1 d")
                assert one.recv(100) == b"1_1 d", address
        near.stop()


@case("tunnel edges: idle visitors do not keep others from the admin address, and a question mark is no other page")
def admin(t):
    tunnel = Tunnel(t, FakeEngine(t).address)
    idle = [socket.create_connection(("127.0.0.1", tunnel.admin_port)) for _ in range(100)]
    for _ in range(3):
        assert "ringway_tunnel_messages_in_total" in tunnel.page("/metrics?name[]=x")
        assert tunnel.page("/healthz") == "ok\n"
    for one in idle:
        one.close()


@case("tunnel edges: wrong, other and expired folders and another kind: both ends say why, and the relay end once")
def wrong_folders(t):
    engine, other = FakeEngine(t), make_keys(t, "other")
    tunnel = Tunnel(t, engine.address)
    far, words = tunnel.far_ends[0], ("controller", "--listen", "127.0.0.1:0", "--relay",
                                      "127.0.0.1:%d" % tunnel.relay_ports[0])
    said = "a connection from 127.0.0.1 is closed: "
    for name, more, line in (("stranger", ["--keys", other / "controller"], "ringway tunnel keys"),
                             ("swapped", ["--keys", tunnel.keys / "relay"], "the controller folder"),
                             ("plain", [], "--keys"),
                             ("kind", [*tunnel.key_of("controller"), "--kind", "datagrams"], "--kind")):
        near = program(t, name, *words, *more)
        # A reset may overtake the reason; the next attempt says it.
        until(lambda: any("no connection to" in one and line in one for one in near.text().splitlines()), 10, name)
        until(lambda: "TLS" in far.text() if name == "plain" else said in far.text(), 5, f"the relay end says: {name}")
        # Four attempts, each of which is one more reason to say it again.
        refused = near.text()
        assert refused.count("no connection to") <= 3, refused
        near.stop()
    lines = [line for line in far.text().splitlines() if said in line]
    assert 3 <= len(lines) == len(set(lines)), lines
    expired = make_keys(t, "expired")
    expire(t, expired)
    port = free_port()
    program(t, "far", "relay", "--listen", f"127.0.0.1:{port}", "--rtpengine", engine.address, "--keys",
            expired / "relay").expect_line("relay end,", 5)
    near = program(t, "near", "controller", "--listen", "127.0.0.1:0", "--relay", f"127.0.0.1:{port}", "--keys",
                   expired / "controller")
    line = near.expect_line("no connection to", 5)
    assert "clocks" in line and "ringway tunnel keys" in line, line


def expire(t, folder):
    """The same keys with certificates that ended in 2021."""
    settings = t.directory / "ca.cnf"
    settings.write_text(f"[ca]\ndefault_ca=d\n[d]\nnew_certs_dir={t.directory}\ndatabase={t.directory}/index\n"
                        f"serial={t.directory}/serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    for end, far in (("controller", "relay"), ("relay", "controller")):
        (t.directory / "index").write_text("")
        (t.directory / "serial").write_text("01\n")
        key, request, made = folder / end / "key.pem", t.directory / "request", folder / end / "certificate.pem"
        for command in (["req", "-new", "-key", key, "-subj", f"/CN=ringway-tunnel-{end}", "-out", request],
                        ["ca", "-batch", "-notext", "-config", settings, "-selfsign", "-keyfile", key, "-in", request,
                         "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", made]):
            done = subprocess.run(["openssl", *map(str, command)], capture_output=True, text=True)
            assert done.returncode == 0, done
        (folder / far / "peer.pem").write_text(made.read_text())


@case("tunnel edges: rtpengine dies with requests in flight: each has its error within two seconds")
def dies_in_flight(t):
    port = free_port()
    engine = Program("engine", [sys.executable, "-c", PINGS_ONLY, port], t.directory)
    t.at_end(engine.end)
    engine.expect_line("ready", 10)
    tunnel = Tunnel(t, f"127.0.0.1:{port}", near=["--timeout", "30s"])
    asking = [Controller(t, tunnel.address) for _ in range(4)]
    for one in asking:
        one.send(b"1_1 d7:command4:pinge")
    until(lambda: engine.text().count("1_1") == 4, 3, "they are at rtpengine")
    engine.process.kill()
    began = time.monotonic()
    for one in asking:
        assert one.receive(3).startswith(b"1_1 d6:result5:error")
    assert time.monotonic() - began < 2


@case("tunnel edges: rtpengine closes one TCP connection: who asked on it is told, and others notice nothing")
def one_connection_ends(t):
    server = socket.create_server(("127.0.0.1", 0))
    t.at_end(server.close)

    def serve(connection):
        while data := connection.recv(100_000):
            if b"goodbye" in data:
                connection.close()
                return
            if b"wait" not in data:
                connection.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    tunnel = Tunnel(t, "tcp:127.0.0.1:%d" % server.getsockname()[1])
    one, other, waiting = (Controller(t, tunnel.address) for _ in range(3))
    assert other.ask(b"1_1 de") == b"1_1 de"
    waiting.send(b"1_1 d4:waitdee")
    for number in range(20):
        answer = one.ask(b"1_%d d7:goodbyedee" % number)
        assert b"error" in answer and b"closed its connection" in answer, answer
        assert other.ask(b"2_%d de" % number) == b"2_%d de" % number
    try:
        raise AssertionError(waiting.receive(0.1))
    except Timeout:
        pass


PINGS_ONLY = """\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, source = s.recvfrom(70000)
    cookie = data.split(b" ")[0].decode()
    print(cookie, flush=True)
    if cookie.startswith("ringway-"):
        s.sendto(cookie.encode() + b" d6:result4:ponge", source)
"""
ECHO = """\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, source = s.recvfrom(70000)
    cookie, space, body = data.partition(b" ")
    s.sendto(cookie + space + b"d4:from%d:%se" % (len(sys.argv[1]), sys.argv[1].encode()), source)
"""
ASKER = """\
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", 2223))
s.settimeout(10)
for line in sys.stdin:
    began = time.monotonic()
    s.send(line.strip().encode() + b" d7:command4:pinge")
    print(s.recv(70000).decode(), round(1000 * (time.monotonic() - began)), flush=True)
"""


@case("tunnel edges: a link that swallows everything: an error within the silence, then at once, or the next relay end",
      seconds=90)
def silent_link(t):
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        raise Skip("network namespaces need root and /dev/net/tun")
    link, keys = far_link.FarLink(t), make_keys(t, "keys")

    def start(name, line, space, *command):
        made = Program(name, link.run(space, *command), t.directory)
        t.at_end(made.end)
        made.expect_line(line, 10)
        return made
    for space, port, listen in ((link.far, 2223, "0.0.0.0:2225"), (link.near, 2224, "127.0.0.1:2226")):
        start(f"echo{port}", "ready", space, sys.executable, "-c", ECHO, port)
        start(f"relay{port}", "relay end,", space, binary(), "tunnel", "relay", "--listen", listen, "--rtpengine",
              f"127.0.0.1:{port}", "--keys", keys / "relay")
    for others in ([], ["--relay", "127.0.0.1:2226"]):
        near = start("controller", f"connected to {far_link.FAR}", link.near, binary(), "tunnel", "controller", "--listen",
                     "127.0.0.1:2223", "--relay", f"{far_link.FAR}:2225", *others, "--keys", keys / "controller",
                     "--silence", "600ms")
        asker = subprocess.Popen([str(word) for word in link.run(link.near, sys.executable, "-c", ASKER)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        t.at_end(asker.kill)

        def ask(cookie):
            asker.stdin.write(cookie + "\n")
            asker.stdin.flush()
            answer, _, passed = asker.stdout.readline().rpartition(" ")
            assert answer.startswith(cookie + " "), answer
            return answer, int(passed)
        # Right behind an answer: the far end was heard a moment ago.
        assert "2223" in ask("1_1")[0]
        link.program.process.send_signal(signal.SIGSTOP)
        try:
            answer, passed = ask("1_2")
            assert "error" in answer and passed < 600 + 200 + 300, (answer, passed)
            for number in range(5):
                answer, passed = ask(f"2_{number}")
                assert ("2224" if others else "error") in answer and passed < 100, (answer, passed)
        finally:
            link.program.process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        until(lambda: "error" not in ask(f"3_{time.monotonic_ns()}")[0], 5, "service is back", every=0.02)
        assert time.monotonic() - began < 1
        near.stop()
        asker.kill()
        asker.wait(5)


@case("tunnel edges: a page whose name resolves to the admin address reads nothing of it (421, RFC 9110 15.5.20)")
def rebinding(t):
    tunnel = Tunnel(t, FakeEngine(t).address)

    def status(port, target, host, version="1.1"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            one.sendall(f"GET {target} HTTP/{version}\r\n{f'Host: {host}' if host else 'A: b'}\r\n\r\n".encode())
            answer = b""
            while piece := one.recv(65536):
                answer += piece
        return int(answer.split()[1])
    for port in (tunnel.admin_port, tunnel.far_admin_port):
        for target in ("/metrics", "/status", "/healthz"):
            for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST.", "[::1]"):
                assert status(port, target, host) == 200, (target, host)
            assert status(port, target, None, "1.0") == 200
            for host in (f"evil.test:{port}", "localhost.evil.test", "127.0.0.1.evil.test", "203.0.113.7", "x"):
                assert status(port, target, host) == 421, (target, host)
            assert status(port, f"http://evil.test{target}", "evil.test") == 421
            assert status(port, target, None) == 400
