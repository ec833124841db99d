"""`ringway bans-export`: the kernel's own sets as the gateway's bans are.

The exporter runs in a network namespace of the case's own, with the real nft; the gateway, which it asks by its
control socket, does not.
"""

import http.client
import json
import os
import subprocess
import sys

from lib.case import Skip, case
from lib.far_link import ip
from lib.gateway import binary
from lib.programs import Program
from lib.waiting import until

from .defence_bans import ctl, door, fail

PROBE = """
import socket, sys
kind, source = sys.argv[1:]
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
listener.bind(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 5060))
sender = socket.socket(socket.AF_INET, listener.type)
sender.bind((source, 0))
for one in (listener, sender):
    one.settimeout(1)
try:
    if kind == "udp":
        sender.sendto(b"x", listener.getsockname())
        listener.recv(9)
    else:
        listener.listen()
        sender.connect(listener.getsockname())
    print("open")
except TimeoutError:
    print("shut")
""".replace("sys.argv[1:]", "sys.argv[1:3]")


# Root without a right.
NOBODY = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--ambient-caps", "-all"]


class Space:
    """A network namespace with nothing but loopback."""

    def __init__(self, t):
        if os.geteuid() != 0:
            raise Skip("network namespaces need root")
        self.name = f"rw-nft-{os.getpid()}"
        try:
            ip("netns", "add", self.name)
        except (AssertionError, FileNotFoundError) as error:
            raise Skip(f"no network namespace: {error}") from None
        t.at_end(subprocess.run, ["ip", "netns", "del", self.name])
        ip("link", "set", "lo", "up", space=self.name)

    def run(self, *command):
        return subprocess.run(["ip", "netns", "exec", self.name, *map(str, command)], capture_output=True, text=True,
                              timeout=30)

    def held(self, name):
        """Address to the seconds it was put in for."""
        done = self.run("nft", "-j", "list", "set", "inet", "ringway", name)
        if done.returncode != 0:
            return {}
        found = {}
        for one in json.loads(done.stdout)["nftables"]:
            for element in one.get("set", {}).get("elem", []):
                element = element["elem"]
                found[element["val"]] = element["timeout"]
        return found

    def lets(self, kind, source, port=5060):
        return self.run(sys.executable, "-c", PROBE, kind, source, port).stdout.strip() == "open"


def exporter(t, g, space, *more, every=1):
    command = ["ip", "netns", "exec", space.name, binary(), "bans-export", "--socket", g.config["ctl"]["socket"],
               "--port", "5060", "--every", str(every), *more]
    made = Program(f"export-{len(more)}", command, t.directory)
    t.at_end(made.end)
    made.expect_line("nft has the gateway's bans", 15)
    return made


def guarded(t):
    space = Space(t)
    g, b = door(t, start=False)
    g.config["ctl"] = {"socket": str(t.directory / "c.sock")}
    g.start()
    asked = subprocess.run([*NOBODY, str(binary()), "bans-export", "--socket", "x", "--port", "1"],
                           capture_output=True, text=True, timeout=20)
    if "without libnftables" in asked.stderr:
        raise Skip("built without libnftables")
    return space, g


@case("bans-export: nft's sets hold the bans with their time-outs, drop their packets, and lose them again")
def sets(t):
    space, g = guarded(t)
    assert ctl(g, "bans", "add", "127.0.0.9", "--for", "2h")[0] == 0
    made = exporter(t, g, space)
    assert 7190 <= space.held("tcp4")["127.0.0.9"] <= 7200 and "127.0.0.9" in space.held("udp4")
    assert not space.lets("tcp", "127.0.0.9") and not space.lets("udp", "127.0.0.9")
    assert space.lets("tcp", "127.0.0.10") and space.lets("udp", "127.0.0.10")
    assert space.lets("tcp", "127.0.0.9", 5061), "only the ports that are guarded"
    # What datagrams did leaves connections alone here too.
    fail(t, g, "127.0.0.11", "udp", 11)
    until(lambda: "127.0.0.11" in space.held("udp4"), 10, "the ban of datagrams")
    assert "127.0.0.11" not in space.held("tcp4")
    assert not space.lets("udp", "127.0.0.11") and space.lets("tcp", "127.0.0.11")
    # IPv6 by prefix; a longer ban replaces a shorter one; a lifted one goes.
    assert ctl(g, "bans", "add", "2001:db8:1:2::7")[0] == 0
    until(lambda: "2001:db8:1:2::" in space.held("tcp6"), 10, "the prefix")
    assert ctl(g, "bans", "add", "127.0.0.9", "--for", "3h")[0] == 0
    until(lambda: space.held("tcp4").get("127.0.0.9", 0) > 10_000, 10, "the longer ban")
    assert ctl(g, "bans", "lift", "127.0.0.9")[0] == 0
    until(lambda: "127.0.0.9" not in space.held("tcp4"), 10, "its end")
    assert space.lets("tcp", "127.0.0.9") and space.lets("udp", "127.0.0.9")
    # One that ends by itself.
    assert ctl(g, "bans", "add", "127.0.0.12", "--for", "2s")[0] == 0
    until(lambda: "127.0.0.12" in space.held("tcp4"), 10, "a short ban")
    until(lambda: "127.0.0.12" not in space.held("tcp4"), 10, "its time-out")
    assert made.stop() == 0
    assert space.run("nft", "list", "table", "inet", "ringway").returncode != 0, "its table goes with it"


@case("bans-export: a flushed table and a gateway that is away are survived; thousands of bans fit")
def survives(t):
    space, g = guarded(t)
    assert ctl(g, "bans", "add", "127.0.0.9", "--for", "2h")[0] == 0
    made = exporter(t, g, space)
    assert space.run("nft", "flush", "ruleset").returncode == 0
    until(lambda: "127.0.0.9" in space.held("tcp4"), 10, "the table is made anew")
    connection = http.client.HTTPConnection(*g.admin)
    for number in range(4_500):  # more than one part of the list
        connection.request("POST", f"/bans/add?name=10.9.{number // 250}.{number % 250}&seconds=3600")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        connection.close()
    until(lambda: len(space.held("tcp4")) == 4_501, 20, "all of them")
    g.stop()
    made.expect_line("nobody answers", 15)
    assert len(space.held("udp4")) == 4_501, "they run out by themselves"
    g.start()
    until(lambda: len(space.held("udp4")) == 0, 20, "the new process has none")
    assert made.stop() == 0


@case("bans-export: it keeps one right (CAP_NET_ADMIN), and says in plain words what it lacks")
def rights(t):
    space, g = guarded(t)
    made = exporter(t, g, space)
    pid = int(subprocess.run(["pgrep", "-P", str(made.pid)], capture_output=True, text=True).stdout.split()[0]) \
        if "bans-export" not in open(f"/proc/{made.pid}/cmdline").read().split("\0")[1:2] else made.pid
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 12, status["CapEff"]
    assert status["NoNewPrivs"] == "1"
    for command, said in (
            ([*NOBODY, binary(), "bans-export", "--socket", "x", "--port", "5060"], "CAP_NET_ADMIN"),
            ([binary(), "bans-export", "--socket", "x"], "which ports"),
            ([binary(), "bans-export", "--socket", "x", "--port", "5060", "--table", "a; flush"], "a-z")):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and said in done.stderr + done.stdout, (command, done)
    assert made.stop() == 0


