"""What the machine keeps from the gateway: CPUs, their time, descriptors, memory, threads. It takes what it may have,
or says in a line which limit is too small; it never aborts."""

import contextlib
import os
import random
import re
import subprocess
from pathlib import Path

from lib import flows, sip
from lib.agents import call, hang_up
from lib.case import Skip, case
from lib.gateway import REPORTS, binary
from lib.waiting import until

CGROUPS = Path("/sys/fs/cgroup")


class Group:
    """A control group of one controller (version 1, or 2 where that has it) for programs of the test."""

    def __init__(self, t, controller, parent=None):
        old = CGROUPS / controller
        self.version = 1 if (old / "cgroup.procs").exists() else 2
        self.folder = (parent.folder if parent else (old if self.version == 1 else CGROUPS)) / f"ringway-{sip.token(4)}"
        try:
            if self.version == 2 and controller not in (self.folder.parent / "cgroup.controllers").read_text().split():
                raise OSError(f"no {controller} in {self.folder.parent}")
            self.folder.mkdir()
        except OSError as error:
            raise Skip(f"no control group can be made: {error}") from None
        t.at_end(self._end)

    def _end(self):
        until(self._removed, 5, "the control group is empty")

    def _removed(self):
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()

    def write(self, file, text):
        (self.folder / file).write_text(text)

    def cpus(self, count):
        """So much of its time in 100 ms; None: no limit."""
        quota = None if count is None else int(count * 100_000)
        if self.version == 1:
            self.write("cpu.cfs_quota_us", str(quota or -1))
        else:
            self.write("cpu.max", f"{quota or 'max'} 100000")

    @property
    def prefix(self):
        return ["sh", "-c", f'echo $$ >{self.folder}/cgroup.procs && exec "$@"', "sh"]


def masks(g):
    """The CPUs that each thread may run on, by its name."""
    found = {}
    for task in Path(f"/proc/{g.program.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        found[name] = re.search(r"Cpus_allowed_list:\t(\S+)", (task / "status").read_text()).group(1)
    return found


@case("shards = 0 follows the CPU quota of the control group, its own and those above it; the mask, too")
def quota(t):
    b = t.backend()
    cpus = sorted(os.sched_getaffinity(0))
    outer = Group(t, "cpu")
    inner = Group(t, "cpu", outer)

    def started(prefix, **settings):
        g = t.gateway("udp", next_hop=b.uri(), start=False, name=f"g{sip.token(4)}", **{"shards": 0, "pin": True, **settings})
        g.prefix = prefix
        g.start()
        return g
    for of_outer, of_inner, shards in ((None, 0.5, 1), (None, 1.5, 2), (0.3, None, 1), (1.9, 0.7, 1), (None, None, 64)):
        inner.cpus(None)
        outer.cpus(of_outer)
        inner.cpus(of_inner)
        g = started(inner.prefix)
        assert g.metric("ringway_shards") == min(shards, len(cpus)), (of_outer, of_inner)
        g.stop()
    # More shards than CPUs share those of the mask, first and last one.
    for cpu in {cpus[0], cpus[-1]}:
        g = started(["taskset", "-c", str(cpu)], shards=5)
        assert g.metric("ringway_shards") == 5
        assert set(masks(g).values()) == {str(cpu)}, masks(g)
        a = t.client(g, "udp")
        ours, _, _ = call(a, b)
        hang_up(ours, a, b)
        g.stop()


@case("64 shards with every listener, next hops and a relay cost less than 200 MB, also after reloads that nobody waits for")
def many_shards(t):
    b = t.backend()
    g = t.gateway("udp", "tcp", "tls", "ws", "wss", next_hop=b.uri(), network=("udp", "tls"), shards=64, start=False,
                  media=f"127.0.0.1:{b.port}")
    for number in range(20):
        g.next_hop(f"sip:127.0.0.1:{b.port}", name=f"n{number}", domains=[f"n{number}.test"], probe_interval="0s")
    g.enable_admin()
    g.start(wait=False)
    until(lambda: answers(g), 30, "it answers")
    for _ in range(3):
        before = g.metric("ringway_config_generation")
        g.reload()
        while g.metric("ringway_config_generation") == before:
            assert g.http("/livez", timeout=2)[0] == 200, "it is held up by a reload"
    resident = g.metric("ringway_process_resident_memory_bytes")
    assert resident < 200e6, f"{resident / 1e6:.0f} MB"
    a = t.client(g, "wss")
    sent = a.request("OPTIONS")
    b.reply(b.expect("OPTIONS"), 200)
    assert a.final(sent).status == 200


def answers(g):
    try:
        return g.http("/livez")[0] == 200
    except OSError:
        return False


def refused(g, *prefix):
    """What it says where it cannot start."""
    done = subprocess.run([*prefix, str(binary()), "run", "--config", str(g.file)], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 1, (prefix, done)
    assert not any(report in done.stderr for report in REPORTS), (prefix, done)
    lines = [line for line in done.stderr.splitlines() if "reactor_epoll" not in line]
    assert len(lines) == 1 and lines[0].startswith("ringway: "), (prefix, done)
    return lines[0]


@case("too little of memory, descriptors, stack or threads: one line names the limit and what helps, nothing aborts")
def too_little(t):
    g = t.gateway("udp", "wss", next_hop=t.backend().uri(), start=False, shards=4)
    g.config.pop("limits")
    g.enable_admin()
    g.write()
    g.ports.release()
    for option, name, values in (
            ("as", "RLIMIT_AS", (40 << 20, 80 << 20, 300 << 20, 700 << 20, 4000 << 20)),
            ("data", "RLIMIT_DATA", (6 << 20, 50 << 20, 1 << 30)),
            ("stack", "RLIMIT_STACK", (100_000, 200_000)),
            ("nofile", "NOFILE", (6, 12, 16, 20, 24, 28, 40))):
        for value in values:
            line = refused(g, "prlimit", f"--{option}={value}:{value}")
            assert name in line and re.search("raise|remove|smaller|fewer", line), (option, value, line)
    threads = Group(t, "pids")
    for most in (1, 3, 5):
        threads.write("pids.max", str(most))
        line = refused(g, *threads.prefix)
        assert "thread" in line and "pids.max" in line and "TasksMax=" in line, line


@case("a user who may have few processes is told so; none of locked memory is no hindrance")
def few_processes(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), start=False, shards=2)
    g.prefix = ["prlimit", "--memlock=0:0"]
    g.start()
    a = t.client(g, "udp")
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)
    g.stop()
    user = random.randrange(100_000, 1_000_000)
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    t.directory.chmod(0o755)
    if subprocess.run([*become, str(binary()), "check", "--config", str(g.file)], capture_output=True).returncode != 0:
        raise Skip("another user may not start the program where it lies")
    for most in (1, 2, 3):
        line = refused(g, *become, "prlimit", f"--nproc={most}:{most}")
        assert "RLIMIT_NPROC" in line and f"allows this user {most}" in line, line


@case("descriptors for the start and a few more: what comes is served, what does not fit waits, next hops are reached")
def few_descriptors(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri("tcp"), network=("tcp",), start=False, shards=2)
    g.prefix = ["prlimit", "--nofile=52:52"]
    g.start()
    held = [flows.connect(g.listeners["access-tcp"], source=("127.0.0.9", 0)) for _ in range(80)]
    for connection in held:
        t.at_end(connection.close)
    until(lambda: any(e["event"] == "accept_paused" for e in g.events()), 10, "it says that none is left")
    assert "LimitNOFILE=" in next(e for e in g.events() if e["event"] == "accept_paused")["cure"]
    for connection in held:
        connection.close()

    def comes_in():
        a = t.client(g, "tcp", source=("127.0.0.10", 0))
        sent = a.request("OPTIONS")
        with contextlib.suppress(AssertionError):
            b.reply(b.expect("OPTIONS", 1, where=lambda m: m.call_id == sent.call_id), 200)
            return a.final(sent, 1).status == 200
        return False
    until(comes_in, 20, "a connection is served again")
