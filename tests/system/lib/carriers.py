"""What carries rtpengine's control between two hosts: `ringway tunnel`, or the two socats that it replaces."""

import socket
import subprocess
import threading

from .gateway import binary
from .ports import Reservation
from .programs import Program
from .waiting import Timeout, until


class Tunnel:
    """Both ends on loopback. far_end and near_end are Programs; address is where a controller sends."""

    name = "tunnel"

    def __init__(self, t, target, *, keys=True, relays=1, unix=None, near=(), far=(), user="root"):
        self.t, self.target, self.far, self.keys, self.user = t, target, tuple(far), None, user
        if keys:
            folder = t.directory / f"keys{id(self)}"
            made = subprocess.run([str(binary()), "tunnel", "keys", "--out", folder], capture_output=True, text=True)
            assert made.returncode == 0, made
            self.keys = folder
        ports = Reservation()
        self.address = ("127.0.0.1", ports.port())
        self.relay_ports = [ports.port() for _ in range(relays)]
        self.admin_port = ports.port()
        ports.release()
        self.far_ends = [None] * relays
        for index in range(relays):
            self.start_far(index)
        listen = ["--listen", "%s:%d" % self.address] + (["--listen", f"unix:{unix}"] if unix else [])
        places = [word for port in self.relay_ports for word in ("--relay", f"127.0.0.1:{port}")]
        self.near_end = Program("near", [
            binary(), "tunnel", "controller", *listen, *places, "--admin", f"127.0.0.1:{self.admin_port}",
            "--user", user, *self.key_of("controller"), *near], t.directory)
        t.at_end(self.stop, self.near_end)
        self.near_end.expect_line("connected to", 10)

    def key_of(self, end):
        return ["--keys", self.keys / end] if self.keys else []

    def start_far(self, index=0):
        far = Program(f"far{index}", [
            binary(), "tunnel", "relay", "--listen", f"127.0.0.1:{self.relay_ports[index]}", "--rtpengine",
            self.target, "--user", self.user, *self.key_of("relay"), *self.far], self.t.directory)
        self.far_ends[index] = far
        self.t.at_end(self.stop, far)
        far.expect_line("relay end,", 10)

    def kill_far(self, index=0):
        self.far_ends[index].process.kill()
        self.far_ends[index].process.wait(5)

    @staticmethod
    def stop(program):
        if program.running:
            code = program.stop()
            assert code == 0, f"{program.name} ended with {code}:\n{program.tail()}"
        text = program.text()
        assert "Sanitizer" not in text and "runtime error:" not in text and "CHECK failed" not in text, text


class Socats:
    """The two commands of the story, as they stand there."""

    name = "socat"

    def __init__(self, t, target):
        ports = Reservation()
        self.address = ("127.0.0.1", ports.port())
        self.port = ports.port()
        ports.release()
        self.t, self.target = t, target
        self.start_far()
        self.near_end = self.start("near-socat", f"UDP4-LISTEN:{self.address[1]},bind=127.0.0.1,fork,reuseaddr",
                                   f"TCP4:127.0.0.1:{self.port}")

    def start(self, name, one, other):
        program = Program(name, ["socat", one, other], self.t.directory)
        self.t.at_end(program.end)
        return program

    def start_far(self):
        self.far_end = self.start("far-socat", f"TCP4-LISTEN:{self.port},bind=127.0.0.1,fork,reuseaddr",
                                  f"UDP4:{self.target}")

        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        until(listening, 5, "socat listens")

    def kill_far(self):
        self.far_end.process.kill()
        self.far_end.process.wait(5)


class FakeEngine:
    """Takes rtpengine's place: keeps what came, and answers as it is told. answer(cookie, body) gives the reply's
    body, a list of replies' bodies, or None."""

    def __init__(self, t, answer=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.answer = answer or (lambda cookie, body: body)
        self.received, self.changed, self.closed = [], threading.Condition(), False
        threading.Thread(target=self._serve, daemon=True).start()
        t.at_end(self.close)

    def _serve(self):
        while True:
            try:
                data, source = self.socket.recvfrom(70000)
            except OSError:
                return
            if self.closed:
                return
            cookie, space, body = data.partition(b" ")
            if cookie.startswith(b"ringway-"):  # the relay end asks whether we serve
                self.socket.sendto(cookie + b" d6:result4:ponge", source)
                continue
            with self.changed:
                self.received.append(data)
                self.changed.notify_all()
            bodies = self.answer(cookie, body)
            for one in bodies if isinstance(bodies, list) else [bodies] if bodies is not None else []:
                self.socket.sendto(cookie + space + one, source)

    def wait_for(self, count, timeout):
        with self.changed:
            return self.changed.wait_for(lambda: len(self.received) >= count, timeout)

    def bodies(self):
        with self.changed:
            return [data.partition(b" ")[2] for data in self.received]

    def close(self):
        self.closed = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", self.socket.getsockname())
        self.socket.close()


class Controller:
    """One socket of a SIP server's worker."""

    def __init__(self, t, address, *, unix=None):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(str(unix) if unix else ("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        t.at_end(self.socket.close)

    def send(self, message):
        self.socket.sendto(message, self.address)

    def receive(self, timeout=3):
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(300000)
        except TimeoutError:
            raise Timeout(f"no answer within {timeout} s") from None

    def ask(self, message, timeout=3):
        self.send(message)
        return self.receive(timeout)

    def all_within(self, timeout, count):
        """Up to count messages, waiting for each."""
        found = []
        while len(found) < count:
            try:
                found.append(self.receive(timeout))
            except Timeout:
                break
        return found
