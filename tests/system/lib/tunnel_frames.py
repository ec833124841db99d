"""Frames of `ringway tunnel`, and a far end that holds the right key and means harm."""

import contextlib
import socket
import ssl
import struct
import threading

HELLO, DATA, REFUSED, TARGET, PING, PONG, FORGET = range(1, 8)
FIRST, LAST = 1, 2
PAYLOAD_MAX = 16_000


def frame(kind, payload=b"", *, flags=0, stream=0, message=0, claimed=None):
    """claimed: the length that it says it has."""
    return struct.pack(">BBHII", kind, flags, len(payload) if claimed is None else claimed, stream, message) + payload


def hello(bytes_max=256 * 1024, version=1, carries=1):
    return frame(HELLO, b"RWtn" + struct.pack(">BBHI", version, carries, 0, bytes_max))


# Each of these ends a connection, whichever end gets it after the greeting.
BROKEN = {
    "no such kind": frame(0) + frame(99),
    "unknown flags": frame(DATA, b"x", flags=0xf0),
    "a length above the bound": frame(DATA, claimed=PAYLOAD_MAX + 1, flags=FIRST | LAST) + b"x" * 70_000,
    "a second greeting": hello(),
    "a part of a message that never began": frame(DATA, b"x", flags=LAST, stream=1, message=7),
    "a message that begins twice": frame(DATA, b"x", flags=FIRST, stream=1, message=7) * 2,
    "a message without end": frame(DATA, b"x" * PAYLOAD_MAX, flags=FIRST, stream=1, message=7) +
    frame(DATA, b"x" * PAYLOAD_MAX, stream=1, message=7) * 40,
    "beginnings without end": b"".join(frame(DATA, b"x", flags=FIRST, stream=1, message=number)
                                       for number in range(1, 400)),
    "a ping of the wrong size": frame(PING, b"x"),
    "a refusal that there is not": frame(REFUSED, b"\xff"),
    "bytes of another program": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


def context(folder, server):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    made.load_verify_locations(folder / "peer.pem")
    return made


def connect(address, folder):
    """As a controller end with its keys."""
    return context(folder, False).wrap_socket(socket.create_connection(address, timeout=5))


class HostileRelayEnd:
    """Takes connections as a relay end with its keys, once begin is set; does(connection) for each, after TLS."""

    def __init__(self, t, does):
        self.does, self.begin = does, threading.Event()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        self.folder = None
        t.at_end(self.server.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError):
            self.begin.wait(10)
            connection.settimeout(10)
            connection = context(self.folder, True).wrap_socket(connection, server_side=True)
            self.does(connection)
        connection.close()
