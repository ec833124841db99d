"""The program among the mistakes of others: descriptors that are closed, disks that are full, whatever answers at a
socket, files that cannot be right."""

import contextlib
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

from lib import flows, tunnel_frames
from lib.agents import serves
from lib.carriers import FakeEngine, Tunnel
from lib.case import case
from lib.gateway import binary
from lib.ports import Reservation
from lib.waiting import until

SHARDS = {"shards": 2}


@case("standard descriptors that the parent has closed do not become sockets, and nothing is logged into one")
def closed_descriptors(t):
    for closed in ("0<&-", "2>&-", "0<&- 1>&- 2>&-"):
        b = t.backend()
        g = t.gateway("tcp", next_hop=b.uri(), start=False, name=f"g{len(closed)}{closed[0]}", **SHARDS)
        g.prefix = ["sh", "-c", f'exec "$@" {closed}', "sh"]
        g.start()
        for number in range(3):
            assert not os.readlink(f"/proc/{g.program.pid}/fd/{number}").startswith("socket:"), (closed, number)
        serves(t.client(g, "tcp"), b)


class Oddity:
    """A socket at which something else than a gateway answers."""

    def __init__(self, t, answer):
        self.path = t.directory / f"{os.urandom(4).hex()}.sock"
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(self.path))
        self.server.listen(8)
        self.answer = answer
        t.at_end(self.server.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                with connection:
                    connection.recv(4000)
                    connection.sendall(self.answer)


def ctl(*words):
    done = subprocess.run([binary(), "ctl", *words], capture_output=True, timeout=20)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


@case("ctl: whatever answers at the socket, it ends with a sentence and an exit code of its own")
def odd_answers(t):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    for body, words in (
            ({"ready": "yes"}, "status"), ({"ready": True, "conditions": [1]}, "status"), ({"calls": [5]}, "calls"),
            ({"calls": [{"call_id": 5}]}, "calls"), ({"flows": [None]}, "flows"), ({"error": 5}, "bans"),
            ({"generation": "x", "applied": 5}, "reload"), ({"certificates": [{"file": None}]}, "certificates"),
            ([], "status"), ({"next_hops": [{}]}, "next-hops")):
        code, text = ctl(*words.split(), "--socket", Oddity(t, head + json.dumps(body).encode()).path)
        assert code in (0, 1) and text.strip() and "terminate" not in text, (body, code, text)
    for answer in (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200", head, head + b"\xff\xfe{", bytes(100)):
        code, text = ctl("status", "--socket", Oddity(t, answer).path)
        assert code in (1, 3) and text.startswith("ringway ctl: "), (answer, code, text)


@case("check refuses what run refuses: pages, accounts, sockets, lists; each with its line")
def check_like_run(t):
    folder = t.directory
    (folder / "plain").write_text("no list <html>\n")
    (folder / "page").mkdir()
    with open(folder / "page" / "huge.bin", "wb") as file:
        file.truncate(1 << 40)
    listener = ('[[listen]]\ntransport = "ws"\naddress = "127.0.0.1:0"\n%s\n'
                '[[listen]]\ntransport = "udp"\nside = "network"\naddress = "127.0.0.1:0"\n'
                '[[next_hop]]\naddress = "sip:127.0.0.1:9"\n')
    for more, line in (('[page]\ndirectory = "none"', 12), ('[page]\ndirectory = "page"', 12),
                       ('[page]\ndirectory = "plain"', 12), ('[process]\nuser = "no-such-user"', 12),
                       (f'[ctl]\nsocket = "{folder}/c"\ngroup = "no-such-group"', 13), (f'[ctl]\nsocket = "/{"x" * 120}"', 12),
                       ('[bans]\nblock_files = ["plain"]', 11), ('[bans]\nblock_files = ["none"]', 11),
                       ('[[fraud]]\ndeny = true\n[[fraud]]\nprefixes = ["+x"]\ndeny = true', 13),
                       ('[[fraud]]\ndays = ["Someday"]\ndeny = true', 11),
                       ('[[fraud]]\nprefix_file = "plain"\ndeny = true', 11),
                       ('[sip]\nserver_name = "a\\r\\nVia: x"', 12), ('origins = ["app.test"]', 4),
                       ('origins = ["https://app.test/"]', 4), ('hosts = ["gw.test:443"]', 4),
                       ('path = "/sip?x=1"', 4)):
        file = folder / "ringway.toml"
        file.write_text(listener % more if line == 4 else listener % "" + more + "\n")
        done = [subprocess.run([binary(), verb, "--config", file], capture_output=True, text=True, timeout=10)
                for verb in ("check", "run")]
        assert [one.returncode for one in done] == [1, 1], (more, done)
        assert f"ringway.toml:{line}:" in done[0].stderr, (more, done[0].stderr)


@case("tunnel: a log that nobody reads stops nothing: a relay end greets and answers behind a full pipe")
def unread_log(t):
    engine = FakeEngine(t)
    keys = Tunnel(t, engine.address).keys
    reader, writer = os.pipe()
    t.at_end(os.close, reader)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    ports = Reservation()
    port = ports.port()
    ports.release()
    end = subprocess.Popen([binary(), "tunnel", "relay", "--listen", f"127.0.0.1:{port}", "--rtpengine", engine.address,
                            "--user", "root", "--keys", keys / "relay"], stdout=writer, stderr=writer)
    os.close(writer)
    t.at_end(end.wait, 5)
    t.at_end(end.terminate)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    until(listens, 5, "it listens")
    for _ in range(30):  # each is worth a line
        with flows.connect(("127.0.0.1", port)) as visitor, contextlib.suppress(OSError):
            visitor.sendall(b"no TLS at all")
            visitor.recv(100)
    with tunnel_frames.connect(("127.0.0.1", port), keys / "controller") as controller:
        controller.sendall(tunnel_frames.hello())
        assert controller.recv(100)[:1] == bytes([tunnel_frames.HELLO])


@case("tunnel: a pipe, a device or a folder where its file should be is refused at once")
def odd_tunnel_file(t):
    os.mkfifo(t.directory / "pipe")
    for file in (t.directory / "pipe", Path("/dev/zero"), t.directory, t.directory / "none"):
        done = subprocess.run([binary(), "tunnel", "--config", file], capture_output=True, text=True, timeout=5)
        assert done.returncode == 1 and str(file) in done.stderr, done
