"""`ringway tunnel` beside the two socats that it replaces, and what else may happen to it."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import time

from lib.carriers import Controller, FakeEngine, Socats, Tunnel
from lib.case import Skip, case
from lib.gateway import ROOT, binary
from lib.rtpengine import bdecode, bencode
from lib.waiting import Timeout, until

PONG = b"d6:result4:ponge"


def carriers(t, engine):
    """The tunnel, which has to hold, and the socats, which do not."""
    if subprocess.run(["which", "socat"], capture_output=True).returncode != 0:
        raise Skip("there is no socat")
    return Tunnel(t, engine), Socats(t, engine)


def fails(check, *arguments):
    try:
        check(*arguments)
    except (AssertionError, OSError, ValueError, IndexError) as error:
        return str(error) or type(error).__name__
    return ""


def command(**fields):
    return bencode({key.replace("_", "-"): value for key, value in fields.items()})


def body(seed, size):
    return b"d" + random.Random(seed).randbytes(size - 1).replace(b" ", b"_")


@case("tunnel: one datagram in is one datagram out, both ways, in bursts and up to 65,507 bytes", seconds=90)
def integrity(t):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    engine = FakeEngine(t)

    def burst(carrier, sizes):
        controller = Controller(t, carrier.address)
        before = len(engine.bodies())
        sent = {}
        for number, size in enumerate(sizes):
            cookie = b"%d_%d" % (os.getpid(), number + 100)
            sent[cookie] = body(seed + number, size - len(cookie) - 1)
            controller.send(cookie + b" " + sent[cookie])
        engine.wait_for(before + len(sizes), 3)
        arrived = engine.bodies()[before:]
        assert sorted(arrived) == sorted(sent.values()), \
            f"{len(sizes)} of {sum(sizes)} bytes went, {len(arrived)} of {sum(map(len, arrived))} came"
        answers = dict(one.split(b" ", 1) for one in controller.all_within(3, len(sizes)))
        assert answers == sent, f"{len(answers)} answers of {len(sent)}"
    bursts = ([200, 220], [200] * 20, [12000], [60000], [65507], [60000, 30, 60000, 40, 8193], [1500] * 40)
    tunnel, socats = carriers(t, engine.address)
    for sizes in bursts:
        burst(tunnel, sizes)
    for sizes in ([200] * 20, [12000], [60000]):
        problem = next(filter(None, (fails(burst, socats, sizes) for _ in range(5))), "")
        print("socat,", sizes[:3], problem)
        assert problem, f"socat carried {sizes}"


@case("tunnel: a retransmitted offer has two identical answers and makes one call")
def retransmission(t):
    engine = t.rtpengine(udp=True)
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

    def twice(carrier, call, back_to_back):
        controller = Controller(t, carrier.address)
        offer = b"77_1" + call.encode() + b" " + command(command="offer", call_id=call, from_tag="a", sdp=sdp)
        if back_to_back:
            controller.send(offer)
            controller.send(offer)
            answers = controller.all_within(2, 2)
        else:
            answers = [controller.ask(offer), controller.ask(offer)]
        assert len(answers) == 2 and answers[0] == answers[1], answers
        assert bdecode(answers[0].split(b" ", 1)[1])[0]["result"] == b"ok", answers[0]
        assert [one.decode() for one in engine.sessions()].count(call) == 1
    tunnel, socats = carriers(t, engine.udp_address)
    twice(tunnel, "one", False)
    twice(tunnel, "two", True)
    # Whether socat reads the two in one go is a matter of moments.
    assert any(fails(twice, socats, f"again{number}", True) for number in range(8))


@case("tunnel: two controllers with the same cookie each get their own answer")
def cookie_clash(t):
    engine = t.rtpengine(udp=True)

    def clash(carrier, cookie):
        one, other = Controller(t, carrier.address), Controller(t, carrier.address)
        first = one.ask(cookie + b" " + command(command="ping"))
        second = other.ask(cookie + b" " + command(command="list"))
        assert first == cookie + b" " + PONG, first
        assert second.startswith(cookie + b" ") and b"calls" in second, second
    tunnel, socats = carriers(t, engine.udp_address)
    for cookie in (b"5323_1", b"1", b"c" * 128):
        clash(tunnel, cookie)
    problem = fails(clash, socats, b"5323_9")
    print("socat:", problem)
    assert problem
    # Two controller ends in front of one rtpengine, as two SIP servers have them.
    second = Tunnel(t, engine.udp_address)
    pair = [Controller(t, tunnel.address), Controller(t, second.address)]
    assert pair[0].ask(b"9_9 " + command(command="ping")) == b"9_9 " + PONG
    assert b"calls" in pair[1].ask(b"9_9 " + command(command="list"))


@case("tunnel: down, it answers with an error within 100 ms in each encoding; back, it serves within a second",
      seconds=90)
def down(t):
    engine = FakeEngine(t, lambda cookie, text: PONG if text.startswith(b"d") else text)
    requests = {b"1_1 " + command(command="ping"): lambda text: bdecode(text)[0]["result"] == b"error",
                b'1_2 {"command": "ping"}': lambda text: json.loads(text)["result"] == "error",
                b"1_3 VF 20040107": lambda text: re.match(rb"E\d+", text)}

    def refused(carrier):
        carrier.kill_far()
        controller = Controller(t, carrier.address)
        for request, is_error in requests.items():
            began = time.monotonic()
            cookie, text = controller.ask(request, 1).split(b" ", 1)
            passed = time.monotonic() - began
            assert cookie == request.split(b" ")[0] and is_error(text), text
            assert passed < 0.1, f"{passed * 1000:.0f} ms"
    tunnel, socats = carriers(t, engine.address)
    for _ in range(3):
        refused(tunnel)
        tunnel.start_far()
        began = time.monotonic()
        controller = Controller(t, tunnel.address)
        until(lambda: controller.ask(b"2_1 d7:command4:pinge") == b"2_1 " + PONG, 3, "service is back", every=0.02)
        assert time.monotonic() - began < 1, f"{time.monotonic() - began:.2f} s"
    assert fails(refused, socats)
    # What was under way when the far end went gets its error too.
    engine.answer = lambda cookie, text: None
    before = len(engine.bodies())
    controller.send(b"3_1 d7:command4:pinge")
    assert engine.wait_for(before + 1, 3)
    began = time.monotonic()
    tunnel.kill_far()
    assert b"error" in controller.receive(1) and time.monotonic() - began < 0.5


@case("tunnel: a far end that stands still is noticed, and its requests get their error")
def stands_still(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address, near=["--silence", "500ms"])
    controller = Controller(t, tunnel.address)
    far = tunnel.far_ends[0].process
    far.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert b"error" in controller.ask(b"1_1 d7:command4:pinge", 3)
        assert time.monotonic() - began < 1.5
        began = time.monotonic()
        assert b"error" in controller.ask(b"1_2 d7:command4:pinge", 3)
        assert time.monotonic() - began < 0.1
    finally:
        far.send_signal(signal.SIGCONT)
    until(lambda: b"error" not in controller.ask(b"1_3 d7:command4:pinge"), 3, "service is back")


@case("tunnel: rtpengine away is an error at once, and it serves within a second of its return", seconds=90)
def engine_away(t):
    engine = t.rtpengine(udp=True)
    tunnel = Tunnel(t, engine.udp_address)
    controller = Controller(t, tunnel.address)
    assert controller.ask(b"1_1 d7:command4:pinge") == b"1_1 " + PONG
    engine.kill()
    until(lambda: b"error" in controller.ask(b"1_2 d7:command4:pinge"), 5, "an error")
    began = time.monotonic()
    assert b"error" in controller.ask(b"1_3 d7:command4:pinge") and time.monotonic() - began < 0.1
    engine.start()
    began = time.monotonic()
    until(lambda: controller.ask(b"1_4%d d7:command4:pinge" % time.monotonic_ns()).endswith(PONG), 3, "service",
          every=0.02)
    assert time.monotonic() - began < 1


@case("tunnel: garbage, JSON, text, no space, nothing: passed or refused, and the connection stays", sanitize=True)
def odd_input(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address)
    controller = Controller(t, tunnel.address)
    odd = [b"", b" ", b"garbage", b" d7:command4:pinge", b"\0\xff\xfe", b"1_1", b"1_1 ", b"1_1  ", b'1_1 {"a": 1}',
           b"1_1 d", b"1_1 VF 20040107", b"c" * 5000 + b" d", "ä_1 d".encode(), b"\r\n\r\n", b"x" * 65507]
    for message in odd:
        controller.send(message)
        assert controller.receive(3) == message, message[:40]
    assert tunnel.near_end.text().count("connected to") == 1, tunnel.near_end.text()
    # From the far side: nobody asked for these, and nobody hears of them.
    engine.answer = lambda cookie, text: [b"first", b"second"]
    assert controller.ask(b"2_1 d") == b"2_1 first"
    try:
        raise AssertionError(controller.receive(0.3))
    except Timeout:
        pass


@case("tunnel: several relay ends: the next one takes over, and calls are not torn back")
def failover(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address, relays=2)
    controller = Controller(t, tunnel.address)
    until(lambda: status(tunnel).count("up") == 2, 5, "both are up")
    for number in (1, 2):
        assert controller.ask(b"1_%d d" % number) == b"1_%d d" % number
    tunnel.kill_far(0)
    until(lambda: controller.ask(b"1_3 d7") == b"1_3 d7", 2, "the second one serves", every=0.02)
    tunnel.start_far(0)
    until(lambda: status(tunnel).count("up") == 2, 5, "both are up again")
    assert re.search(rf"{tunnel.relay_ports[1]}: up, in use", status(tunnel)), status(tunnel)
    assert controller.ask(b"1_4 d") == b"1_4 d"


def status(tunnel):
    return tunnel.page("/status")


@case("tunnel: a Unix socket carries a request of 120,000 bytes to rtpengine's TCP port")
def unix_and_tcp(t):
    engine = t.rtpengine()
    path = t.directory / "ng.sock"
    tunnel = Tunnel(t, "tcp:" + engine.address, unix=path)
    controller = Controller(t, str(path), unix=t.directory / "mine")
    assert controller.ask(b"1_1 d7:command4:pinge") == b"1_1 " + PONG
    large = b"1_2 " + command(command="ping", filler="x" * 120_000)
    assert controller.ask(large) == b"1_2 " + PONG
    assert controller.ask(b"9a1c4d2e-5b7f-4c3a-8d61-0f2e7b9c5a34 d7:command4:pinge").endswith(PONG)
    refusal = controller.ask(b'1_3 {"command": "ping"}')
    assert json.loads(refusal.split(b" ", 1)[1])["result"] == "error" and b"bencode" in refusal, refusal


@case("tunnel: kind datagrams carries anything as it is, and says nothing of its own")
def datagrams(t):
    engine = FakeEngine(t)
    kind = ["--kind", "datagrams"]
    tunnel = Tunnel(t, engine.address, near=kind, far=kind)
    controller = Controller(t, tunnel.address)
    for message in (b"a b", b"5323_1 d7:command4:pinge", b"", b"\0" * 65507):
        controller.send(message)
        assert controller.receive() == message
    assert set(engine.received) >= {b"a b", b"5323_1 d7:command4:pinge"}
    tunnel.kill_far()
    controller.send(b"lost")
    try:
        raise AssertionError(controller.receive(0.3))
    except Timeout:
        pass


@case("tunnel: who has not the other end's key is not let in, and costs nothing but its own connection", sanitize=True)
def strangers(t):
    engine = FakeEngine(t)
    tunnel, other = Tunnel(t, engine.address), Tunnel(t, engine.address)
    controller = Controller(t, tunnel.address)
    far = ("127.0.0.1", tunnel.relay_ports[0])
    noise = [socket.create_connection(far) for _ in range(100)]
    for number, one in enumerate(noise):
        try:
            one.sendall((b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"", b"\0" * 9)[number % 4])
        except OSError:
            pass  # it was refused already
    for number in range(50):
        assert controller.ask(b"1_%d d" % number) == b"1_%d d" % number
    wrong = t.start(_program(t, "wrong", "controller", "--listen", "127.0.0.1:0", "--relay", "%s:%d" % far, "--keys",
                             other.keys / "controller"))
    line = wrong.expect_line("no connection to", 5)
    assert "ringway tunnel keys" in line, line
    plain = t.start(_program(t, "plain", "controller", "--listen", "127.0.0.1:0", "--relay", "%s:%d" % far))
    line = plain.expect_line("no connection to", 5)
    assert "--keys" in line, line
    assert controller.ask(b"2_1 d") == b"2_1 d"
    for one in noise:
        one.close()


def _program(t, name, *words):
    from lib.programs import Program
    return Program(name, [binary(), "tunnel", *words, "--user", "root"], t.directory)


@case("tunnel: started as root it becomes an ordinary user, and its keys stay root's")
def drops_root(t):
    if os.geteuid() != 0:
        raise Skip("needs root")
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address, user="nobody")
    for program in (tunnel.near_end, tunnel.far_ends[0]):
        text = open(f"/proc/{program.pid}/status").read()
        assert not re.search(r"^[UG]id:.*\b0\b", text, re.M), text
        assert re.search(r"^CapEff:\s*0+$", text, re.M), text
    assert Controller(t, tunnel.address).ask(b"1_1 d") == b"1_1 d"
    assert (tunnel.keys / "controller/key.pem").stat().st_mode & 0o777 == 0o600


@case("tunnel: help names the two commands, and each mistake is one line that says what to do")
def words(t):
    def run(*words, timeout=10):
        return subprocess.run([str(binary()), "tunnel", *map(str, words)], capture_output=True, text=True,
                              timeout=timeout)
    help_text = run("--help").stdout
    assert all(word in help_text for word in ("ringway tunnel keys", "ringway tunnel relay --listen",
                                              "ringway tunnel controller --listen")), help_text
    assert run("controller").returncode not in (0, 99)
    both = t.directory / "both"
    printed = run("keys", "--out", os.path.relpath(both)).stdout
    for line in (f"mkdir -p {both}", f"scp -rp {both}/relay RTPENGINE_HOST:{both}/", f"--keys {both}/controller"):
        assert line in printed, printed
    for arguments, word in (
            (("controller", "--listen", "127.0.0.1:0", "--relay", "192.0.2.7:1"), "--keys"),
            (("relay", "--listen", "0.0.0.0:0", "--rtpengine", "127.0.0.1:1"), "--keys"),
            (("relay", "--listen", "127.0.0.1:0", "--rtpengine", "127.0.0.1:1", "--plain", "8.0.0.0/8"), "private"),
            (("relay", "--listen", "127.0.0.1:0", "--rtpengine", "127.0.0.1:1", "--keys", t.directory / "no"),
             "ringway tunnel keys"),
            (("controller", "--listen", "127.0.0.1:0", "--relay", "127.0.0.1:1", "--keys", both), "both/controller"),
            (("keys", "--out", both), "another folder"),
            (("controller", "--listen", "::1:2223", "--relay", "127.0.0.1:1"), "brackets"),
            (("--config", t.directory / "absent.toml"), "absent.toml")):
        done = run(*arguments)
        assert done.returncode == 1 and word in done.stderr, (arguments, done)
    file = t.directory / "tunnel.toml"
    file.write_text('end = "relay"\nlisten = "127.0.0.1:0"\nrtpengin = "127.0.0.1:1"\n')
    done = run("--config", file)
    assert f"{file}:3:1" in done.stderr and "rtpengine" in done.stderr, done
    for name in ("controller", "relay"):
        lines = [line for line in (ROOT / f"configs/tunnel-{name}.toml").read_text().splitlines()
                 if line and not line.startswith("#")]
        assert len(lines) <= 12, lines
