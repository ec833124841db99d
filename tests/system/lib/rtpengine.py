"""Debian's rtpengine in user space, controlled over its native TCP port."""

import socket
import time

from .ports import Reservation, range_of
from .programs import Program
from .waiting import until


def bencode(value):
    if isinstance(value, int):
        return f"i{value}e".encode()
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return str(len(value)).encode() + b":" + value
    if isinstance(value, list):
        return b"l" + b"".join(bencode(one) for one in value) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(one) for key, one in value.items()) + b"e"


def bdecode(data, offset=0):
    """Returns (value, offset behind it)."""
    first = data[offset:offset + 1]
    if first == b"i":
        end = data.index(b"e", offset)
        return int(data[offset + 1:end]), end + 1
    if first in (b"l", b"d"):
        items, offset = [], offset + 1
        while data[offset:offset + 1] != b"e":
            one, offset = bdecode(data, offset)
            items.append(one)
        if first == b"l":
            return items, offset + 1
        return {key.decode(): value for key, value in zip(items[::2], items[1::2])}, offset + 1
    colon = data.index(b":", offset)
    size = int(data[offset:colon])
    return data[colon + 1:colon + 1 + size], colon + 1 + size


class Rtpengine:
    def __init__(self, directory, *, ports=400, interface="127.0.0.1", port=None, name="rtpengine", udp=False,
                 control="127.0.0.1"):
        self.directory, self.interface, self.name, self.control = directory, interface, name, control
        self.lock, self.first, self.last = range_of(ports)
        self.port = port
        if port is None:
            reservation = Reservation()
            self.port = reservation.port()
            reservation.release()
        self.address = f"{control}:{self.port}"
        self.udp_address = None
        if udp:
            reservation = Reservation()
            self.udp_address = f"127.0.0.1:{reservation.port()}"
            reservation.release()
        self.program = None
        self.start()

    def start(self):
        self.program = Program(self.name, [
            "rtpengine", "--config-file=none", "--foreground", "--log-stderr",
            "--delete-delay=0", "--log-level=5", "--table=-1", "--no-fallback",
            f"--interface={self.interface}", f"--listen-tcp-ng={self.address}", f"--port-min={self.first}",
            f"--port-max={self.last}", "--num-threads=2",
            *([f"--listen-ng={self.udp_address}"] if self.udp_address else [])], self.directory)
        until(self._ready, 15, "rtpengine answers a ping")

    def _ready(self):
        if not self.program.running:
            raise AssertionError("rtpengine ended:\n" + self.program.tail())
        try:
            return self.command({"command": "ping"})["result"] == b"pong"
        except OSError:
            return False

    def command(self, dictionary, timeout=3):
        with socket.create_connection((self.control, self.port), timeout=timeout) as connection:
            cookie = f"test{time.monotonic_ns()}".encode()
            connection.sendall(cookie + b" " + bencode(dictionary))
            data = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    raise OSError("rtpengine closed the connection")
                data += piece
                try:
                    head, _, rest = data.partition(b" ")
                    if head == cookie:
                        return bdecode(rest)[0]
                except (ValueError, IndexError):
                    continue

    def sessions(self):
        """Call-IDs that rtpengine still holds."""
        return self.command({"command": "list", "limit": 10000}).get("calls", [])

    def kill(self):
        self.program.process.kill()
        self.program.process.wait(5)

    def end(self):
        self.program.end()
        self.lock.close()
