"""What carries rtpengine's control between two hosts: `ringway tunnel`, or the two socats that it replaces."""

import re
import socket
import subprocess
import threading
import urllib.request

from .gateway import binary
from .ports import Reservation
from .programs import Program
from .rtpengine import bdecode
from .waiting import Timeout, until


class Tunnel:
    """Both ends on loopback. far_end and near_end are Programs; address is where a controller sends, admin_port and
    far_admin_port are of the controller end and of the first relay end. keys: a folder of them, or whether to make some.
    more_relays: ADDRESS:PORT of others."""

    name = "tunnel"

    def __init__(self, t, target, *, keys=True, relays=1, unix=None, near=(), far=(), user="root", ip="127.0.0.1",
                 more_relays=()):
        self.t, self.target, self.far, self.keys, self.user = t, target, tuple(far), None, user
        self.ip, self.host = ip, f"[{ip}]" if ":" in ip else ip
        if keys and keys is not True:
            self.keys = keys
        elif keys:
            folder = t.directory / f"keys{id(self)}"
            made = subprocess.run([str(binary()), "tunnel", "keys", "--out", folder], capture_output=True, text=True)
            assert made.returncode == 0, made
            self.keys = folder
        ports = Reservation()
        self.address = (ip, ports.port(ip))
        self.relay_ports = [ports.port(ip) for _ in range(relays)]
        self.admin_port, self.far_admin_port = ports.port(ip), ports.port(ip)
        ports.release()
        self.far_ends = [None] * relays
        for index in range(relays):
            self.start_far(index)
        listen = ["--listen", f"{self.host}:{self.address[1]}"] + (["--listen", f"unix:{unix}"] if unix else [])
        relays_at = [f"{self.host}:{port}" for port in self.relay_ports] + list(more_relays)
        places = [word for place in relays_at for word in ("--relay", place)]
        self.near_command = [
            binary(), "tunnel", "controller", *listen, *places, "--admin", f"{self.host}:{self.admin_port}",
            "--user", user, *self.key_of("controller"), *near]
        self.start_near()

    def start_near(self):
        self.near_end = Program("near", self.near_command, self.t.directory)
        self.t.at_end(self.stop, self.near_end)
        self.near_end.expect_line("connected to", 10)

    def key_of(self, end):
        return ["--keys", self.keys / end] if self.keys else []

    def start_far(self, index=0):
        far = Program(f"far{index}", [
            binary(), "tunnel", "relay", "--listen", f"{self.host}:{self.relay_ports[index]}", "--rtpengine",
            self.target, "--user", self.user, *self.key_of("relay"), *self.far,
            *(["--admin", f"{self.host}:{self.far_admin_port}"] if index == 0 else [])], self.t.directory)
        self.far_ends[index] = far
        self.t.at_end(self.stop, far)
        far.expect_line("relay end,", 10)

    def kill_far(self, index=0):
        self.far_ends[index].process.kill()
        self.far_ends[index].process.wait(5)

    def page(self, path, *, far=False):
        """What the admin address says."""
        port = self.far_admin_port if far else self.admin_port
        with urllib.request.urlopen(f"http://{self.host}:{port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def counters(self, *, far=False):
        """{name without its common front: value}, of those without a second label."""
        return {name: float(value) for name, value in re.findall(
            r'^ringway_tunnel_(\w+)\{end="\w+"\} (\S+)$', self.page("/metrics", far=far), re.M)}

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

    def __init__(self, t, answer=None, ip="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        self.socket.bind((ip, 0))
        self.address = (f"[{ip}]" if ":" in ip else ip) + ":%d" % self.socket.getsockname()[1]
        self.answer = answer or (lambda cookie, body: body)
        self.received, self.changed, self.closed = [], threading.Condition(), False
        self.sources = {}  # where the request with a cookie came from
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
            self.sources[cookie] = source
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
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", self.socket.getsockname())
        self.socket.close()


class TcpEngine:
    """rtpengine's TCP port: says back each message; a message ends where its bencode ends."""

    def __init__(self, t):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "tcp:127.0.0.1:%d" % self.server.getsockname()[1]
        t.at_end(self.server.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                connection, _ = self.server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def _serve(connection):
        pending = b""
        while data := connection.recv(1 << 20):
            pending += data
            while pending:
                try:
                    end = bdecode(pending, pending.index(b" ") + 1)[1]
                except ValueError:
                    break  # the end is not there yet
                if end > len(pending):
                    break
                connection.sendall(pending[:end])
                pending = pending[end:]


class Controller:
    """One socket of a SIP server's worker."""

    def __init__(self, t, address, *, unix=None):
        self.address = address
        family = socket.AF_UNIX if unix else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(str(unix) if unix else ("::1" if ":" in address[0] else "127.0.0.1", 0))
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
