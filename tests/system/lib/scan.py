#!/usr/bin/env python3
"""What tools that list methods and users send, in our own words, over UDP: each method that is registered for SIP, some
that are not, to the users that are tried first. It calls itself a phone of the trade.

    scan.py --to ADDRESS:PORT [--from ADDRESS] [--sources N] [--rate PER_SECOND --seconds N]

Without a rate each attempt is sent once. Prints as JSON how many datagrams it sent and how many bytes came back.
"""

import argparse
import itertools
import json
import select
import socket
import time

METHODS = ("OPTIONS", "REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO",
           "REFER", "MESSAGE", "UPDATE", "SERVICE", "BENOTIFY", "DO", "PING", "FUZZ", "invite", "GET")
USERS = ("100", "1000", "admin", "test", "00441519470017", "900972598123456", "+881835212345")
# What is said beside the usual, by turns.
EXTRAS = ((), ("Proxy-Authorization: Digest username=\"100\", realm=\"asterisk\", nonce=\"0\", uri=\"sip:x\", response=\"0\"",),
          ("Route: <sip:127.0.0.9;lr>",), ("Replaces: 1;to-tag=1;from-tag=1",), ("P-Asserted-Identity: <sip:100@{host}>",),
          ("Refer-To: <sip:+881835212345@{host}>",), ("Max-Forwards: 0",), ("X-Forwarded-For: 127.0.0.1",))


def attempts():
    """(method, user, headers, tag of To) without end; each method comes with each user and each extra."""
    for turn in itertools.count():
        for number, method in enumerate(METHODS):
            yield (method, USERS[(turn + number) % len(USERS)], EXTRAS[turn % len(EXTRAS)],
                   ";tag=1" if turn % 3 == 2 or method in ("ACK", "BYE", "PRACK", "UPDATE") else "")


def message(attempt, number, host, port, source):
    method, user, extras, tag = attempt
    headers = [f"{method} sip:{user}@{host} SIP/2.0", f"Via: SIP/2.0/UDP {source}:{port};branch=z9hG4bK{number};rport",
               f"From: <sip:{user}@{host}>;tag=f{number}", f"To: <sip:{user}@{host}>{tag}", f"Call-ID: m{number}@{source}",
               f"CSeq: 1 {method}", f"Contact: <sip:{user}@{source}:{port}>", "User-Agent: Yealink SIP-T46S 66.85.0.5",
               *(extra.format(host=host) for extra in extras)]
    if not any(extra.startswith("Max-Forwards") for extra in extras):
        headers.append("Max-Forwards: 70")
    return "\r\n".join([*headers, "Content-Length: 0", "", ""]).encode()


def hear(ports, seconds):
    """Reads answers for so long; their bytes."""
    heard, until = 0, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for one in select.select(ports, [], [], left)[0]:
            try:
                heard += len(one.recv(65536))
            except OSError:
                pass
    return heard


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True)
    parser.add_argument("--from", dest="source", default="127.0.0.1")
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    host, port = arguments.to.rsplit(":", 1)
    first = int.from_bytes(socket.inet_aton(arguments.source), "big")
    ports = []
    for number in range(arguments.sources):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((socket.inet_ntoa((first + number).to_bytes(4, "big")), 0))
        one.setblocking(False)
        one.connect((host, int(port)))
        ports.append(one)
    sent = heard = 0
    begun = time.monotonic()
    whole = len(METHODS) * len(EXTRAS) * 3
    for number, attempt in enumerate(attempts()):
        now = time.monotonic() - begun
        if number == whole if arguments.rate is None else now > arguments.seconds:
            break
        one = ports[number % len(ports)]
        own, own_port = one.getsockname()
        try:
            one.send(message(attempt, f"{int(begun)}{number}", host, own_port, own))
            sent += 1
        except (BlockingIOError, ConnectionRefusedError):
            pass
        ahead = 0.002 if arguments.rate is None else (number + 1) / arguments.rate - now
        if ahead > 0.001:
            heard += hear(ports, ahead)
    heard += hear(ports, 0.3)
    print(json.dumps({"sent": sent, "bytes_back": heard}))


if __name__ == "__main__":
    main()
