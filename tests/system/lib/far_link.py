"""Two hosts on one machine: network namespaces, and between them a link that delays every packet and drops every
fragment. The link is a program on two TUN devices, because a kernel that runs in a small virtual machine often has
neither netem nor a filter for fragments."""

import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
CLONE_NEWNET = 0x40000000
NEAR, FAR = "10.98.0.1", "10.98.0.2"


def ip(*words, space=None):
    command = (["ip", "netns", "exec", space] if space else []) + ["ip", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


class FarLink:
    """near and far name the namespaces; delay is for one way."""

    def __init__(self, t, delay=0.015, mtu=1500):
        self.near, self.far = f"rw-near-{os.getpid()}", f"rw-far-{os.getpid()}"
        for space in (self.near, self.far):
            ip("netns", "add", space)
            t.at_end(subprocess.run, ["ip", "netns", "del", space])
        from .programs import Program
        self.program = Program("link", [sys.executable, __file__, self.near, self.far, delay, mtu], t.directory)
        t.at_end(self.program.end)
        self.program.expect_line("ready", 10)
        for space, own, other in ((self.near, NEAR, FAR), (self.far, FAR, NEAR)):
            ip("link", "set", "lo", "up", space=space)
            ip("addr", "add", own, "peer", other, "dev", "far0", space=space)
            ip("link", "set", "far0", "mtu", str(mtu), "up", space=space)

    def run(self, space, *command):
        return ["ip", "netns", "exec", space, *command]


# ---- The link itself -------------------------------------------------------------------------------

def open_tun(space):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{space}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"far0", IFF_TUN | IFF_NO_PI))
    return tun


def is_fragment(packet):
    return packet[0] >> 4 == 4 and int.from_bytes(packet[6:8], "big") & 0x3FFF != 0


def carry(near, far, delay):
    """Packets wait in a heap until they are due."""
    other, waiting, number = {near: far, far: near}, [], 0
    poll = select.poll()
    for tun in other:
        poll.register(tun, select.POLLIN)
    while True:
        left = max(0, waiting[0][0] - time.monotonic()) * 1000 if waiting else None
        for tun, _ in poll.poll(left):
            try:
                while True:
                    packet = os.read(tun, 65536)
                    if is_fragment(packet):
                        continue
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, number, other[tun], packet))
            except OSError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, tun, packet = heapq.heappop(waiting)
            try:
                os.write(tun, packet)
            except OSError:
                pass


if __name__ == "__main__":
    ends = [open_tun(space) for space in sys.argv[1:3]]
    print("ready", flush=True)
    carry(*ends, float(sys.argv[3]))
