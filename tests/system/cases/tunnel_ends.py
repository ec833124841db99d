"""`ringway tunnel`: address families, Unix sockets, two controllers at once, counters, units."""

import random
import re
import shutil
import signal
import subprocess
import threading

from lib import flows, sip
from lib.carriers import Controller, FakeEngine, TcpEngine, Tunnel
from lib.case import Skip, case
from lib.gateway import ROOT, binary
from lib.kamailio import MODULES
from lib.ports import Reservation
from lib.programs import Program
from lib.rtpengine import bdecode, bencode
from lib.waiting import until

PONG = b"d6:result4:ponge"


@case("tunnel ends: IPv6 to the controller end, between the ends and to rtpengine, by flags and by file", sanitize=True)
def ipv6(t):
    for engine_ip in ("::1", "127.0.0.1"):
        engine = FakeEngine(t, ip=engine_ip)
        for keys in (True, False):
            tunnel = Tunnel(t, engine.address, ip="::1", keys=keys)
            one, other = Controller(t, tunnel.address), Controller(t, tunnel.address)
            for controller in (one, other):
                for size in (10, 1500, 65_400):
                    message = b"1_1 d" + b"x" * size
                    assert controller.ask(message) == message
            assert tunnel.counters()["messages_out_total"] == 6
            tunnel.kill_far()
            assert b"error" in one.ask(b"1_2 d")
            tunnel.start_far()
            until(lambda: one.ask(b"1_3 d") == b"1_3 d", 3, "service is back", every=0.02)
    # Both families at one end, by file; rtpengine with the other one.
    ports = Reservation()
    near6, near4, between, admin = ports.port("::1"), ports.port(), ports.port("::1"), ports.port("::1")
    ports.release()
    engine = FakeEngine(t)
    relay, controller = t.directory / "relay.toml", t.directory / "controller.toml"
    relay.write_text(f'end = "relay"\nlisten = "[::1]:{between}"\nrtpengine = "{engine.address}"\nuser = "root"\n')
    controller.write_text(f'end = "controller"\nlisten = ["[::1]:{near6}", "127.0.0.1:{near4}"]\n'
                          f'relay = ["[::1]:{between}"]\nadmin = "[::1]:{admin}"\nuser = "root"\n')
    for file, line in ((relay, "relay end,"), (controller, "connected to")):
        program = Program(file.stem + "-file", [binary(), "tunnel", "--config", file], t.directory)
        t.at_end(Tunnel.stop, program)
        program.expect_line(line, 10)
    for address in (("::1", near6), ("127.0.0.1", near4)):
        assert Controller(t, address).ask(b"1_1 d") == b"1_1 d", address


@case("tunnel ends: a relay end given by name is found at whichever of its addresses it listens")
def by_name(t):
    engine = FakeEngine(t)
    ports = Reservation()
    near, between = ports.port(), ports.port()
    ports.release()
    programs = (
        ("far", "relay end,", "relay", "--listen", f"127.0.0.1:{between}", "--rtpengine", engine.address),
        ("near", "connected to", "controller", "--listen", f"127.0.0.1:{near}", "--relay", f"localhost:{between}"))
    for name, line, *words in programs:
        program = Program(name, [binary(), "tunnel", *words, "--user", "root"], t.directory)
        t.at_end(Tunnel.stop, program)
        program.expect_line(line, 10)
    assert Controller(t, ("127.0.0.1", near)).ask(b"1_1 d") == b"1_1 d"


@case("tunnel ends: a Unix socket carries 256 KiB both ways, several at once, and says what is longer", seconds=90,
      sanitize=True)
def unix_256k(t):
    engine = TcpEngine(t)
    path = t.directory / "ng.sock"
    tunnel = Tunnel(t, engine.address, unix=path)

    def message(cookie, size):
        """Of exactly that size: cookie, space, a dictionary with one string."""
        frame = len(cookie) + len(b" d1:s200000:e")
        assert size - frame >= 100_000
        return cookie + b" " + bencode({"s": "x" * (size - frame)})
    controllers = [Controller(t, str(path), unix=t.directory / f"mine{number}") for number in range(3)]
    for size in (100_200, 200_000, 262_143, 262_144):
        sent = message(b"1_1", size)
        assert len(sent) == size
        assert controllers[0].ask(sent, 10) == sent, size
    for number, controller in enumerate(controllers):
        controller.send(message(b"2_%d" % number, 262_144))
    small = Controller(t, tunnel.address)
    assert small.ask(b"3_1 d7:command4:pinge") == b"3_1 d7:command4:pinge"
    for number, controller in enumerate(controllers):
        assert controller.receive(10) == message(b"2_%d" % number, 262_144)
    # One byte more than a tunnel carries: lost with a counter, or refused; the connection stays.
    controllers[0].send(message(b"4_1", 262_145))
    until(lambda: 'reason="too_long"} 1\n' in tunnel.page("/metrics"), 5, "it is counted")
    # The answer is too long for the datagram socket of who asked over UDP: it is told so.
    engine_udp = FakeEngine(t, lambda cookie, body: b"d" + b"x" * (65_507 - len(cookie) - 2))
    over_udp = Tunnel(t, engine_udp.address)
    answer = Controller(t, over_udp.address).ask(b"c" * 200 + b" d")
    assert b"error" in answer and b"too long" in answer and answer.startswith(b"c" * 200 + b" "), answer[:300]
    assert tunnel.near_end.text().count("connected to") == 1


@case("tunnel ends: a Unix socket that a dead process left is taken over; one in use and a plain file are not")
def unix_path(t):
    engine = FakeEngine(t)
    path = t.directory / "ng.sock"
    tunnel = Tunnel(t, engine.address, unix=path)
    controller = Controller(t, str(path), unix=t.directory / "mine")
    assert controller.ask(b"1_1 d") == b"1_1 d"

    def second(place):
        return subprocess.run([str(binary()), "tunnel", "controller", "--listen", f"unix:{place}", "--relay",
                               f"127.0.0.1:{tunnel.relay_ports[0]}", "--user", "root", *tunnel.key_of("controller")],
                              capture_output=True, text=True, timeout=10)
    done = second(path)
    assert done.returncode == 1 and str(path) in done.stderr and "another tunnel" in done.stderr, done
    assert controller.ask(b"1_2 d") == b"1_2 d"
    plain = t.directory / "plain"
    plain.write_text("not a socket")
    done = second(plain)
    assert done.returncode == 1 and str(plain) in done.stderr and plain.read_text() == "not a socket", done
    assert second("x" * 120).returncode == 1
    done = second(t.directory / "absent" / "ng.sock")
    assert done.returncode == 1 and "absent" in done.stderr, done
    tunnel.near_end.process.kill()
    tunnel.near_end.process.wait(5)
    assert path.exists()
    tunnel.start_near()
    assert controller.ask(b"1_3 d") == b"1_3 d"
    tunnel.near_end.stop()
    assert not path.exists()


KAMAILIO = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=3
fork=yes
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:{engine}")
request_route {{
  if (is_method("INVITE") && rtpengine_offer("replace-origin")) sl_send_reply("200", "offered");
  else if (is_method("BYE") && rtpengine_delete()) sl_send_reply("200", "deleted");
  else if (is_method("OPTIONS")) sl_send_reply("200", "here");
  else sl_send_reply("500", "no rtpengine");
}}
"""
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class SipServer:
    """A Kamailio whose rtpengine is at engine, and one user agent that asks it."""

    def __init__(self, t, engine, name):
        directory = t.directory / name
        (directory / "run").mkdir(parents=True)
        ports = Reservation()
        self.address = ("127.0.0.1", ports.port())
        ports.release()
        file = directory / "kamailio.cfg"
        file.write_text(KAMAILIO.format(port=self.address[1], modules=MODULES, engine="%s:%d" % engine))
        self.program = Program(name, ["kamailio", "-DD", "-E", "-f", file, "-Y", directory / "run", "-P",
                                      directory / "run/pid", "-m", "64", "-M", "8", "-u", "root", "-g", "root"],
                               t.directory)
        t.at_end(self.program.end)
        self.flow = flows.UdpPort("127.0.0.1").to(self.address)
        until(lambda: self.ask("OPTIONS", "ready", 0.5) == "here", 15, "kamailio answers")

    def ask(self, method, call, timeout=8, body=b""):
        """The answer's reason phrase, or None."""
        self.flow.send(sip.request(method, "sip:x@%s:%d" % self.address, via=self.flow.via(), call_id=call,
                                   from_tag="a", body=body))
        try:
            answer = self.flow.inbox.take(
                lambda message: not message.is_request and message.get("Call-ID") == call, timeout)
        except AssertionError:
            return None
        return answer.reason

    def workers(self):
        return [int(pid) for pid in subprocess.run(["pgrep", "-P", str(self.program.pid)], capture_output=True,
                                                   text=True).stdout.split()]


@case("tunnel ends: a Kamailio and another controller at once over one tunnel, with the same cookies", seconds=120)
def two_controllers(t):
    if not shutil.which("kamailio"):
        raise Skip("there is no kamailio")
    engine = t.rtpengine(udp=True)
    tunnel = Tunnel(t, engine.udp_address)
    server = SipServer(t, tunnel.address, "kamailio")
    # Kamailio's cookies are PID_NUMBER, counted up by each of its processes.
    cookies = [b"%d_%d" % (pid, number) for pid in server.workers() for number in range(1, 12)]
    random.shuffle(cookies)
    problems, over = [], threading.Event()

    def other():
        controller, asked = Controller(t, tunnel.address), 0
        while not over.is_set():
            cookie = cookies[asked % len(cookies)]
            call = f"other-{asked}"
            answer = controller.ask(cookie + b" " + bencode(
                {"command": "offer", "call-id": call, "from-tag": "a", "sdp": SDP}), 8)
            if not answer.startswith(cookie + b" ") or bdecode(answer.split(b" ", 1)[1])[0]["result"] != b"ok":
                problems.append((call, answer))
            # The same cookie with other words is a new request here as it is there: another port asks it.
            ping = Controller(t, tunnel.address).ask(cookie + b" d7:command4:pinge", 8)
            if ping != cookie + b" " + PONG:
                problems.append((call, ping))
            asked += 1
        problems.append(asked)
    thread = threading.Thread(target=other)
    thread.start()
    try:
        results = [server.ask("INVITE", f"call-{number}", body=SDP) for number in range(20)]
        assert results == ["offered"] * 20, results
        made = {one.decode() for one in engine.sessions()}
        assert {f"call-{number}" for number in range(20)} <= made, made
        assert [server.ask("BYE", f"call-{number}") for number in range(20)] == ["deleted"] * 20
    finally:
        over.set()
        thread.join(30)
    assert problems[:-1] == [] and problems[-1] > 3, problems
    left = {one.decode() for one in engine.sessions()}
    assert left and all(one.startswith("other-") for one in left), left


@case("tunnel ends: both admin addresses count messages, bytes, queue, round trip and reconnects")
def counters(t):
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address, near=["--silence", "30s", "--timeout", "20s", "--connections", "1"])
    controller = Controller(t, tunnel.address)
    sizes = [20, 300, 40_000]
    for number, size in enumerate(sizes):
        message = b"1_%d d" % number + b"x" * (size - 5)
        assert controller.ask(message) == message
    near, far = tunnel.counters(), tunnel.counters(far=True)
    assert near["messages_in_total"] == near["messages_out_total"] == len(sizes), near
    assert near["bytes_in_total"] == near["bytes_out_total"] == sum(sizes), near
    assert near["answer_seconds_count"] == len(sizes) and near["answer_seconds_sum"] > 0, near
    assert far["messages_in_total"] == far["messages_out_total"] == len(sizes), far
    # A prefix of nine bytes keeps its cookies apart from others' at rtpengine.
    assert far["bytes_in_total"] == far["bytes_out_total"] == sum(sizes) + 9 * len(sizes), far
    assert near["connections"] == near["connections_made_total"] == 1 and near["pending"] == 0, near
    assert near["sources"] == far["sources"] == 1 and far["target_serves"] == 1
    until(lambda: tunnel.counters()["round_trip_microseconds"] > 0, 5, "a round trip is measured")
    # A far end that does not read: what waits is counted, and so is who waits.
    stopped = tunnel.far_ends[0].process
    stopped.send_signal(signal.SIGSTOP)
    try:
        # The queue holds 8 MiB; what does not fit is refused with an error.
        for number in range(200):
            controller.send(b"2_%d d" % number + b"x" * 60_000)
            if number % 5 == 4:
                waiting = until(lambda: (lambda now: now if now["messages_in_total"] == number + 4 else None)(
                    tunnel.counters()), 5, "all was read", every=0.005)
        assert waiting["pending"] > 100 and 7 << 20 < waiting["queued_bytes"] <= 8 << 20, waiting
        assert waiting["errors_answered_total"] == 200 - waiting["pending"] > 0, waiting
    finally:
        stopped.send_signal(signal.SIGCONT)
    until(lambda: tunnel.counters()["queued_bytes"] == 0 and tunnel.counters()["pending"] == 0, 20, "it is empty")
    before = tunnel.counters()
    for times in (1, 2):
        tunnel.kill_far()
        until(lambda: tunnel.counters()["connections"] == 0, 5, "it is noticed")
        tunnel.start_far()
        after = until(lambda: (lambda now: now if now["connections"] == 1 else None)(tunnel.counters()), 5, "back")
        assert after["connections_broken_total"] == before["connections_broken_total"] + times
        assert after["connections_made_total"] == before["connections_made_total"] + times
    tunnel.kill_far()
    assert b"error" in Controller(t, tunnel.address).ask(b"9_1 d")
    assert tunnel.counters()["errors_answered_total"] >= 1
    assert tunnel.page("/healthz") == "ok\n"


@case("tunnel ends: the units for systemd are sound, and leave an intruder little")
def units(t):
    if not shutil.which("systemd-analyze"):
        raise Skip("there is no systemd-analyze")
    for name in ("controller", "relay"):
        text = (ROOT / f"configs/ringway-tunnel-{name}.service").read_text()
        file = t.directory / f"ringway-tunnel-{name}.service"
        file.write_text(text.replace("/usr/bin/ringway", str(binary())))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--generators=no", file], capture_output=True,
                              text=True)
        lines = [line for line in done.stderr.splitlines() if file.name in line]
        assert not lines, lines
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", file], capture_output=True, text=True)
        found = re.search(r"exposure level for .*: ([\d.]+)", done.stdout)
        assert found, done
        print(name, found.group(0))
        assert float(found.group(1)) <= 2.5, done.stdout
        # systemd gives up after five starts in ten seconds unless it is told not to.
        assert "StartLimitIntervalSec=0" in text
