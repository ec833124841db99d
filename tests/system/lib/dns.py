"""A name server for tests: answers from a table, remembers what was asked."""

import socket
import struct
import threading

from . import flows

TYPES = {"A": 1, "AAAA": 28, "SRV": 33, "NAPTR": 35}
NAMES = {value: key for key, value in TYPES.items()}


def _name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.rstrip(".").split(".") if part) + b"\0"


def _text(value):
    return bytes([len(value)]) + value.encode()


def _data(kind, value):
    if kind in ("A", "AAAA"):
        return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)
    if kind == "SRV":
        priority, weight, port, target = value
        return struct.pack("!HHH", priority, weight, port) + _name(target)
    order, preference, flags, service, replacement = value
    return struct.pack("!HH", order, preference) + _text(flags) + _text(service) + _text("") + _name(replacement)


class NameServer:
    """records: {(name, kind): [value, ...]}; silent makes it drop all questions."""

    def __init__(self, records, ttl=60, ip="127.0.0.1", port=0):
        self.records = {(name.lower(), kind): values for (name, kind), values in records.items()}
        self.ttl, self.silent = ttl, False
        self.asked = []
        self.reply = lambda data, source: self.socket.sendto(data, source)  # a case may put another one here
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, port))
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.server = threading.Thread(target=self._serve, daemon=True)
        self.server.start()

    def _serve(self):
        while True:
            try:
                question, source = self.socket.recvfrom(4096)
            except OSError:
                return
            if source is None:
                return
            name, offset = [], 12
            while question[offset]:
                size = question[offset]
                name.append(question[offset + 1:offset + 1 + size].decode().lower())
                offset += size + 1
            kind = NAMES.get(struct.unpack("!H", question[offset + 1:offset + 3])[0], "?")
            text = ".".join(name)
            self.asked.append((text, kind))
            if self.silent:
                continue
            values = self.records.get((text, kind), [])
            known = any(key[0] == text for key in self.records)
            code = 0 if known else 3
            head = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(values), 0, 0)
            body = question[12:offset + 5]
            for value in values:
                data = _data(kind, value)
                body += b"\xc0\x0c" + struct.pack("!HHIH", TYPES[kind], 1, self.ttl, len(data)) + data
            self.reply(head + body, source)

    def close(self):
        flows.end(self.socket, self.server)
