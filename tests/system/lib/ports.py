"""Free ports, held until the program that gets them is about to start.

They lie outside the range from which the kernel picks the near ends of connections, and none is given out
twice before all others: a gateway that restarts finds its ports as it left them. Nor are they given to a case
that runs beside this one, not even between the moment when they are let go and the one when the program has
them: two gateways would share a UDP port without a word.
"""

import itertools
import random
import socket
import threading


def _outside_the_kernels_range():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low, high = map(int, file.read().split())
    ports = [port for port in range(30000, 65500) if not low <= port <= high]
    if len(ports) < 2000:
        ports = list(range(10000, 65500))  # the kernel was told to use nearly all
    random.shuffle(ports)
    return itertools.cycle(ports)


_ports, _ports_lock = _outside_the_kernels_range(), threading.Lock()
_claims = {}  # port -> a socket whose name in the kernel says that this process has it, until it ends


def _claim(port):
    if port in _claims:
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0ringway-test-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True


def _try(ip, port, kinds):
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    held = []
    try:
        for kind in kinds:
            one = socket.socket(family, kind)
            held.append(one)
            if kind == socket.SOCK_STREAM:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((ip, port))
            port = one.getsockname()[1]
        return held, port
    except OSError:
        for one in held:
            one.close()
        return None, 0


class Reservation:
    """Port numbers that are free for UDP and TCP alike on the given addresses."""

    def __init__(self):
        self.held = []

    def port(self, ip="127.0.0.1"):
        for _ in range(500):
            with _ports_lock:
                port = next(_ports)
                if not _claim(port):
                    continue
            held, port = _try(ip, port, (socket.SOCK_STREAM, socket.SOCK_DGRAM))
            if held:
                self.held += held
                return port
        raise AssertionError("no free port")

    def port_with_next_but_one(self, ip="127.0.0.1"):
        """A port, and two above it another one that is free."""
        for _ in range(500):
            port = self.port(ip)
            if port + 2 > 65535:
                continue
            with _ports_lock:
                if port + 2 in _claims or not _claim(port + 2):
                    continue
            held, _ = _try(ip, port + 2, (socket.SOCK_STREAM, socket.SOCK_DGRAM))
            if held:
                self.held += held
                return port
        raise AssertionError("no two free ports")

    def release(self):
        for one in self.held:
            one.close()
        self.held = []


def range_of(size, low=12000, high=30000):
    """A range of even start for media, held by a lock socket at its last number: (lock, first, last)."""
    for first in range(low, high, size):
        lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind(("127.0.0.1", first + size - 1))
            return lock, first, first + size - 2
        except OSError:
            lock.close()
    raise AssertionError("no free range of ports")
