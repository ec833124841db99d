#!/usr/bin/env python3
"""Those who hoard, as one process: WebSocket clients that ask and never read, and connections that
say nothing, so many a second. Prints as JSON what it managed.

    hoard.py --to ADDRESS:PORT --source ADDRESS --readers N --silent PER_SECOND --seconds N
"""

import argparse
import base64
import contextlib
import json
import os
import socket
import ssl
import time

PING = bytes([0x89, 0x80 | 125]) + bytes(4) + bytes(125)  # RFC 6455 5.5.2, masked with zeros
PING_EVERY = 0.12  # seconds: as often as nobody is closed for it
SILENT_KEPT = 2000   # connections that say nothing, at one time


def reader(to, source, context):
    """An upgraded WSS connection that will not be read from again; its answers fill the window."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.bind((source, 0))
    plain.settimeout(10)
    plain.connect(to)
    secure = context.wrap_socket(plain)
    key = base64.b64encode(os.urandom(16)).decode()
    secure.sendall((f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Origin: https://localhost\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                    "Sec-WebSocket-Protocol: sip\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = secure.recv(4096)
        if not piece:
            raise OSError("no upgrade")
        answer += piece
    secure.setblocking(False)
    return secure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True)
    parser.add_argument("--source", default="127.0.0.2")
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--silent", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=8)
    arguments = parser.parse_args()
    host, port = arguments.to.rsplit(":", 1)
    to = (host, int(port))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    readers, silent = [], []
    made = sent = ended = again = 0
    begun = time.monotonic()
    while (now := time.monotonic()) < begun + arguments.seconds:
        # Readers that were closed come back: ten a second at most, so that it is not they who are
        # measured but what they hold.
        if len(readers) < arguments.readers and again < 10 * (now - begun) + arguments.readers:
            again += 1
            with contextlib.suppress(OSError):
                readers.append([reader(to, arguments.source, context), now])
        for one in list(readers):
            try:
                if now >= one[1]:
                    one[1] = now + PING_EVERY
                    one[0].send(PING)
                    sent += 1
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            except OSError:
                ended += 1
                one[0].close()
                readers.remove(one)
        while made < arguments.silent * (now - begun):
            made += 1
            connection = socket.socket()
            connection.setblocking(False)
            connection.bind((arguments.source, 0))
            connection.connect_ex(to)
            silent.append(connection)
        while len(silent) > SILENT_KEPT:
            silent.pop(0).close()
        time.sleep(0.005)
    print(json.dumps({"readers": len(readers), "pings": sent, "readers_ended": ended, "silent": made,
                      "seconds": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
