"""`ringway tunnel` and those who mean it harm: what they do costs nothing but their own connection."""

import contextlib
import itertools
import os
import random
import signal
import socket
import ssl
import subprocess
import threading
import time

from lib import tunnel_frames as frames
from lib.carriers import Controller, FakeEngine, Tunnel
from lib.case import case
from lib.gateway import binary
from lib.waiting import Timeout, until


def resident_kb(program):
    with open(f"/proc/{program.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def silent(controller, seconds=0.2):
    try:
        raise AssertionError(controller.receive(seconds))
    except Timeout:
        pass


def ends(connection, seconds=5):
    """The far end closes it."""
    connection.settimeout(seconds)
    with contextlib.suppress(ConnectionError, BrokenPipeError, ssl.SSLError):
        while connection.recv(65536):
            pass


@case("tunnel hostile: a relay end with the right key that sends nonsense, floods, stalls or never reads hurts nobody",
      seconds=120, sanitize=True)
def hostile_relay(t):
    engine = FakeEngine(t)

    def greeted(work):
        def does(connection):
            connection.sendall(frames.hello())
            work(connection)
        return does

    def flood(connection):
        # Answers that nobody asked for, to streams that there are and are not, with pings between.
        piece = b"".join(frames.frame(frames.DATA, b"AAAAAAAA.1_%d d" % number, flags=3, stream=number % 3 << 16 | 1,
                                      message=number + 1) + frames.frame(frames.PING, b"12345678")
                         for number in range(500))
        for _ in range(200):
            connection.sendall(piece)

    def refuse(connection):
        piece = b"".join(frames.frame(frames.REFUSED, b"\1", stream=stream << 16 | 1) for stream in range(200))
        for _ in range(100):
            connection.sendall(piece)

    def stall(connection):
        connection.sendall(frames.frame(frames.DATA, b"x" * 100, flags=3, claimed=9000))
        connection.recv(1 << 20)
        threading.Event().wait(3)
    deeds = [(name, greeted(lambda connection, deed=deed: (connection.sendall(deed), ends(connection))))
             for name, deed in frames.BROKEN.items()]
    deeds += [("flood", greeted(flood)), ("refusals", greeted(refuse)), ("stall", greeted(stall)),
              ("no greeting", lambda connection: ends(connection)),
              ("another version", lambda connection: (connection.sendall(frames.hello(version=9)), ends(connection))),
              ("garbage", lambda connection: connection.sendall(os.urandom(200_000)))]
    turn, done = itertools.count(), []

    def does(connection):
        name, deed = deeds[next(turn) % len(deeds)]
        try:
            deed(connection)
        finally:
            done.append(name)
    hostile = frames.HostileRelayEnd(t, does)
    hostile.folder = t.directory / "keys" / "relay"
    subprocess.run([str(binary()), "tunnel", "keys", "--out", t.directory / "keys"], check=True, capture_output=True)
    tunnel = Tunnel(t, engine.address, more_relays=[hostile.address], keys=t.directory / "keys")
    # Only now: requests go to the relay end that was the first to be there.
    hostile.begin.set()
    one, other = Controller(t, tunnel.address), Controller(t, tunnel.address)
    assert one.ask(b"0_1 d") == b"0_1 d" and other.ask(b"0_1 e") == b"0_1 e"
    before, asked = resident_kb(tunnel.near_end), 0
    end = time.monotonic() + 60
    while set(done) != {name for name, _ in deeds}:
        assert time.monotonic() < end, set(done) ^ {name for name, _ in deeds}
        asked += 1
        message = b"1_%d d" % asked
        assert one.ask(message) == message and other.ask(message) == message
    silent(one)
    silent(other)
    grown = resident_kb(tunnel.near_end) - before
    print(f"{asked} requests beside {len(done)} hostile connections, {grown} kB more")
    assert grown < 40_000 or "san" in str(binary()), grown
    assert tunnel.counters()["failovers_total"] == 0


@case("tunnel hostile: a controller end with the right key that sends nonsense or never reads hurts no other one",
      seconds=90, sanitize=True)
def hostile_controller(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address)
    controller = Controller(t, tunnel.address)
    folder, far = tunnel.keys / "controller", ("127.0.0.1", tunnel.relay_ports[0])

    def ask(number, limit=1):
        message = b"1_%d d" % number
        began = time.monotonic()
        assert controller.ask(message) == message
        assert time.monotonic() - began < limit
    for number, (name, deed) in enumerate(frames.BROKEN.items()):
        connection = frames.connect(far, folder)
        with contextlib.suppress(OSError):
            connection.sendall(frames.hello() + deed)
        ends(connection)
        ask(number)
    # TLS is there and no Hello comes; or half of one.
    connections = [frames.connect(far, folder) for _ in range(2)]
    connections[1].sendall(frames.hello()[:9])
    ask(100)
    for connection in connections:
        ends(connection, 6)
    # More streams than there are sockets for: refused beyond a quarter, and others are served.
    greedy = frames.connect(far, folder)
    greedy.sendall(frames.hello() + b"".join(
        frames.frame(frames.DATA, b"c_%d d" % stream, flags=3, stream=stream, message=1) for stream in range(6000)))
    until(lambda: tunnel.counters(far=True)["sources"] >= 4096, 30, "it takes its quarter")
    other = Controller(t, tunnel.address)
    assert other.ask(b"2_1 d") == b"2_1 d"
    assert tunnel.counters(far=True)["sources"] <= 4096 + 4
    # It asks for large answers and never reads one.
    before = resident_kb(tunnel.far_ends[0])
    greedy.settimeout(1)
    with contextlib.suppress(OSError):
        for number in range(400):
            greedy.sendall(frames.frame(frames.DATA, b"L_%d " % number + b"x" * 15_000, flags=3, stream=number % 100,
                                        message=number + 2))
    ask(200)
    grown = resident_kb(tunnel.far_ends[0]) - before
    assert grown < 60_000 or "san" in str(binary()), grown
    greedy.close()
    until(lambda: tunnel.counters(far=True)["sources"] < 10, 10, "its sockets are closed")
    ask(300)
    assert tunnel.near_end.text().count("connected to") == 1


@case("tunnel hostile: who keeps a handshake half done does not hold a place", seconds=60)
def half_handshakes(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address)
    controller = Controller(t, tunnel.address)
    far = ("127.0.0.1", tunnel.relay_ports[0])
    # More than there are places for: each new one ends the oldest that has not greeted.
    idle = [socket.create_connection(far) for _ in range(200)]
    for one in idle[::2]:
        with contextlib.suppress(OSError):
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for number in range(20):
        assert controller.ask(b"1_%d d" % number) == b"1_%d d" % number
    # A controller end that lost its connection gets in again beside them.
    tunnel.near_end.stop()
    tunnel.start_near()
    assert controller.ask(b"2_1 d") == b"2_1 d"
    for one in idle:
        ends(one, 6)
        one.close()


@case("tunnel hostile: cookies and messages that a controller should not send", sanitize=True)
def odd_cookies(t):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address)
    one, other = Controller(t, tunnel.address), Controller(t, tunnel.address)
    # What is no cookie is carried as it is; what is one belongs to its controller, however long.
    for cookie in (b"c" * 129, b"c" * 4096, b"c" * 4097, b"c" * 65_000, b"a\nb", b"a\tb", b"\0", b"\xff\xfe", b"a\rb"):
        for controller in (one, other):
            assert controller.ask(cookie + b" d") == cookie + b" d", cookie[:20]
    reached = {}
    for controller, letter in ((one, b"a"), (other, b"b")):
        for cookie in (b"1", b"x" * 128, b"x" * 129, b"y" * 4096, b"d41d8cd9-8f00-b204-e980-0998ecf8427e"):
            assert controller.ask(cookie + b" d" + letter) == cookie + b" d" + letter
            sent = engine.received[-1].split(b" ")[0]
            assert reached.setdefault(sent, letter + cookie) == letter + cookie, "two controllers met"
    assert len(reached) == 10
    for message in (b"", b" ", b"  ", b"no-space", b"1_1", b"1_1 "):
        assert one.ask(message) == message
    dice = random.Random(seed)
    for size in (1, 7, 300, 5000, 65_507):
        message = dice.randbytes(size).replace(b" ", b"_")
        assert one.ask(message) == message
    silent(one)
    silent(other)
    assert tunnel.near_end.text().count("connected to") == 1


@case("tunnel hostile: answers that come twice, late, for another, or after the retransmission", sanitize=True)
def odd_answers(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address, near=["--timeout", "300ms"])
    one, other = Controller(t, tunnel.address), Controller(t, tunnel.address)
    engine.answer = lambda cookie, body: [b"answer of " + body] * 5
    assert one.ask(b"1_1 da") == b"1_1 answer of da" and other.ask(b"1_1 db") == b"1_1 answer of db"
    assert one.ask(b"1_1 da") == b"1_1 answer of da", "the same again is a retransmission"
    silent(one)
    silent(other)
    # Too late: the error was the answer.
    held = []
    engine.answer = lambda cookie, body: held.append(cookie)
    began = time.monotonic()
    assert b"error" in one.ask(b"2_1 d") and 0.25 < time.monotonic() - began < 1
    engine.answer = lambda cookie, body: body
    controller_socket = engine.sources[held[0]]
    engine.socket.sendto(held[0] + b" late", controller_socket)
    silent(one)
    # And asked again it is answered again.
    assert one.ask(b"2_1 d") == b"2_1 d"
    # For a request of another one, and for none at all.
    engine.socket.sendto(b"nobody asked", controller_socket)
    engine.socket.sendto(b"", controller_socket)
    assert one.receive() == b"", "what has no cookie goes to whose socket it came to"
    silent(one)
    silent(other)
    assert tunnel.counters()["timeouts_total"] == 1


@case("tunnel hostile: the relay end restarted in the middle of many requests: each is answered exactly once",
      seconds=90)
def restarts(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address)
    controller = Controller(t, tunnel.address)
    asked, answered = set(), {}

    def read(until_all=False):
        controller.socket.settimeout(6 if until_all else 0)
        with contextlib.suppress(TimeoutError, BlockingIOError):
            while not until_all or len(answered) < len(asked):
                cookie, body = controller.socket.recv(300_000).split(b" ", 1)
                answered[cookie] = answered.get(cookie, 0) + 1
                assert body.startswith(b"d6:result5:error") or body == b"d" + cookie + b"x" * 3000, body[:60]
    for round_number in range(3):
        for number in range(300):
            cookie = b"%d_%d" % (round_number, number)
            asked.add(cookie)
            controller.send(cookie + b" d" + cookie + b"x" * 3000)
            read()
            if number == 150:
                tunnel.far_ends[0].process.send_signal(signal.SIGTERM if round_number == 1 else signal.SIGKILL)
                tunnel.far_ends[0].process.wait(5)
            if number == 250:
                tunnel.start_far()
        until(lambda: tunnel.counters()["connections"] == 2, 5, "both connections are back")
    read(until_all=True)
    assert set(answered) == asked, len(asked) - len(answered)
    assert set(answered.values()) == {1}, [cookie for cookie, times in answered.items() if times != 1]
    silent(controller)
