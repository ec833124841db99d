"""A small RFC 6455 client, so that tests can also break the protocol on purpose."""

import base64
import hashlib
import os
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def upgrade_request(host, path="/", *, protocol="sip", version="13", origin=None, key=None, extra=()):
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines.append(f"Sec-WebSocket-Key: {key}")
    if version is not None:
        lines.append(f"Sec-WebSocket-Version: {version}")
    if protocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    if origin is not None:
        lines.append(f"Origin: {origin}")
    lines += [f"{name}: {value}" for name, value in extra]
    return key, ("\r\n".join(lines) + "\r\n\r\n").encode()


def accept_for(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class HttpResponse:
    def __init__(self, data):
        head, _, self.rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()

    def __repr__(self):
        return f"<HTTP {self.status} {self.headers}>"


def read_http_response(connection):
    """Reads a response head, and with Content-Length its body, from a connected socket."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    if b"\r\n\r\n" not in data:
        raise AssertionError(f"connection ended without an HTTP response: {data!r}")
    answer = HttpResponse(data)
    return answer


def frame(opcode, payload, *, fin=True, masked=True, rsv=0, length_form=None):
    """Any frame, also forbidden ones. length_form forces 0, 2 or 8 bytes of extended length."""
    first = (0x80 if fin else 0) | (rsv << 4) | opcode
    size = len(payload)
    form = length_form if length_form is not None else 0 if size < 126 else 2 if size < 65536 else 8
    mask_bit = 0x80 if masked else 0
    head = bytes([first])
    if form == 0:
        head += bytes([mask_bit | size])
    elif form == 2:
        head += bytes([mask_bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    stretched = (mask * (size // 4 + 1))[:size]
    mixed = (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")
    return head + mask + mixed


class Frame:
    def __init__(self, fin, rsv, opcode, masked, payload):
        self.fin, self.rsv, self.opcode, self.masked, self.payload = fin, rsv, opcode, masked, payload

    @property
    def close_code(self):
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None

    def __repr__(self):
        return f"\n    <frame opcode={self.opcode} fin={self.fin} {self.payload[:60]!r}>"


class FrameReader:
    """Bytes in, frames out."""

    def __init__(self):
        self.data = b""

    def receive(self, piece):
        self.data += piece
        frames = []
        while True:
            one = self._take()
            if one is None:
                return frames
            frames.append(one)

    def _take(self):
        data = self.data
        if len(data) < 2:
            return None
        size, offset = data[1] & 0x7F, 2
        if size == 126:
            if len(data) < 4:
                return None
            size, offset = struct.unpack("!H", data[2:4])[0], 4
        elif size == 127:
            if len(data) < 10:
                return None
            size, offset = struct.unpack("!Q", data[2:10])[0], 10
        masked = bool(data[1] & 0x80)
        if masked:
            offset += 4
        if len(data) < offset + size:
            return None
        payload = data[offset:offset + size]
        self.data = data[offset + size:]
        return Frame(bool(data[0] & 0x80), (data[0] >> 4) & 7, data[0] & 15, masked, payload)
