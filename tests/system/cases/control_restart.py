"""Restart as systemd does it, with two shards: nothing is refused in between, and every call can be hung up."""

import ctypes
import os
import signal
import socket
import time

from lib import flows
from lib.agents import Client, call, hang_up, serves
from lib.case import case
from lib.waiting import Timeout, until


def managed(t, *transports, b=None, **options):
    """A gateway under a service manager that keeps its sockets."""
    manager = t.service_manager(**options)
    g = t.gateway(*transports, next_hop=b.uri(), shards=2, start=False)
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    g.config["key_file"] = str(key)
    g.manager = manager
    return g, manager


def end(g):
    """SIGTERM, and the end of the process."""
    program, g.program = g.program, None
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(20) == 0
    return program


@case("restart: what comes between the old end and the new start waits and is served, within a second of the start",
      seconds=90)
def between(t):
    b = t.backend()
    g, manager = managed(t, "udp", "tcp", "wss", b=b)
    g.start()
    manager.expect("READY", "1")
    # Access udp with its TCP listener, access tcp and wss, network udp and its TCP twin: for each shard.
    until(lambda: len(manager.names()) >= 10, 5, "every listener is kept")
    assert len(manager.names()) == len(set(manager.names())), manager.names()
    for round_ in range(2):
        manager.forget()
        end(g)
        assert manager.expect("STOPPING", "1")
        # Nobody is there.
        early = []
        for index in range(6):
            early.append((socket.create_connection(g.listeners["access-tcp"], timeout=5), index))
        upgrading = socket.create_connection(g.listeners["access-wss"], timeout=5)
        datagrams = []
        for index in range(6):
            client = t.client(g, "udp", f"u{round_}{index}")
            datagrams.append((client, client.request("OPTIONS")))
        begun = time.monotonic()
        g.start(wait=False)
        for _ in datagrams:
            b.reply(b.expect("OPTIONS", 10), 200)
        for client, sent in datagrams:
            assert client.final(sent, 5).status == 200
        served = time.monotonic() - begun
        for connection, index in early:
            client = Client(flows.StreamFlow(connection, f"early{index}").start(), f"t{round_}{index}")
            t.at_end(client.flow.close)
            serves(client, b)
        browser = flows.upgrade(flows.client_context().wrap_socket(upgrading), g.listeners["access-wss"], "browser")
        t.at_end(browser.close)
        late = Client(browser, f"w{round_}")
        serves(late, b)
        g.wait_ready()
        print(f"served {served:.2f} s after the start")
        assert served < 1 or os.environ.get("RINGWAY_LONG") == "", f"{served:.2f} s"
    assert len(manager.names()) == len(set(manager.names())), "the same sockets all the time"


@case("restart after a crash: a call of before is hung up by either side (RFC 3261 15)", seconds=90)
def crash(t):
    b = t.backend()
    g, manager = managed(t, "udp", "wss", b=b)
    g.start()
    for side in ("browser", "server"):
        browser = t.client(g, "wss", "w" + side)
        answered = browser.register(send_only=True)
        b.answer_register(b.expect("REGISTER"))
        assert browser.final(answered).status == 200
        phone = t.client(g, "udp", "p" + side)
        first = call(browser, b)
        second = call(phone, b)
        until(lambda: manager.names(), 5, "sockets are kept")
        g.kill()
        g.start()
        again = t.client(g, "wss", "w" + side)
        again.instance, again.contact_user = browser.instance, browser.contact_user
        sent = again.register(send_only=True, call_id=answered.call_id, cseq=2)
        b.answer_register(b.expect("REGISTER"))
        assert again.final(sent).status == 200
        first[0].send = again.send_in_dialog
        first[0].via = again.flow.via
        if side == "browser":
            hang_up(first[0], again, b)
            hang_up(second[0], phone, b)
        else:
            hang_up(first[1], b, again)
            hang_up(second[1], b, phone)


@case("restart by SIGTERM under calls: each call ends towards both sides, none is left hanging", seconds=90)
def under_calls(t):
    b = t.backend()
    g, _ = managed(t, "udp", "wss", b=b)
    g.config["timers"]["drain"] = "1s"
    g.start()
    clients = [t.client(g, transport, f"c{index}{transport}") for index in range(4) for transport in ("udp", "wss")]
    running = [call(client, b) for client in clients]
    program, g.program = g.program, None
    program.process.send_signal(signal.SIGTERM)
    for client in clients:
        bye = client.expect("BYE", 10)
        client.reply(bye, 200)
    for _ in running:
        b.reply(b.expect("BYE", 10), 200)
    assert program.process.wait(20) == 0
    g.start()
    ours, _, _ = call(t.client(g, "udp"), b)
    assert ours


@case("restart with fewer shards: sockets of nobody are given back, and no connection waits for ever", seconds=90)
def fewer_shards(t):
    b = t.backend()
    g, manager = managed(t, "udp", "tcp", b=b)
    g.config["shards"] = 3
    g.start()
    until(lambda: any(name.startswith("shard-2-") for name in manager.names()), 5, "three shards' sockets")
    for shards in (2, 1, 3):
        end(g)
        g.config["shards"] = shards
        g.start()
        until(lambda: not any(name.startswith(f"shard-{shards}-") for name in manager.names()), 5, "given back")
        until(lambda: any(name.startswith(f"shard-{shards - 1}-") for name in manager.names()), 5, "those in use stay")
        for index in range(12):
            for transport in ("udp", "tcp"):
                client = t.client(g, transport, f"n{shards}{index}{transport}")
                serves(client, b)


@case("restart with another address in the file: the old one is let go, the new one is kept", seconds=60)
def other_address(t):
    b = t.backend()
    g, manager = managed(t, "tcp", b=b)
    g.start()
    old = g.listeners["access-tcp"]
    until(lambda: any(f"_{old[1]}" in name for name in manager.names()), 5, "the old one is kept")
    end(g)
    port = g.ports.port()
    for listen in g.config["listen"]:
        if listen["name"] == "access-tcp":
            listen["address"] = f"127.0.0.1:{port}"
    g.listeners["access-tcp"] = ("127.0.0.1", port)
    g.start()
    until(lambda: not any(f"_{old[1]}" in name for name in manager.names()), 5, "the old one is let go")
    until(lambda: any(f"_{port}" in name for name in manager.names()), 5, "the new one is kept")
    try:
        socket.create_connection(old, timeout=2).close()
        raise AssertionError("somebody still listens at the old address")
    except ConnectionRefusedError:
        pass
    assert any(event["event"] == "kept_socket_unused" for event in g.events())
    serves(t.client(g, "tcp"), b)


@case("socket activation: sockets that the manager made are served by every shard, others' are not touched",
      seconds=60)
def activation(t):
    b = t.backend()
    g, manager = managed(t, "tcp", "udp", b=b)
    tcp, udp = g.listeners["access-tcp"], g.listeners["access-udp"]
    g.ports.release()
    held = []
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setblocking(False)  # as systemd gives them
    one.bind(tcp)
    one.listen(64)
    held.append(one)
    for _ in range(2):  # ReusePort=yes, and the address once for each shard
        two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        two.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        two.bind(udp)
        held.append(two)
    first, second = socket.socketpair()
    held += [first, second]
    for name, made in (("ringway.socket", one), ("ringway.socket", held[1]), ("ringway.socket", held[2]),
                       ("other", first)):
        manager.give(name, made)
    early = [socket.create_connection(tcp, timeout=5) for _ in range(4)]
    g.start()
    for made in held[:3]:
        made.close()
    clients = [Client(flows.StreamFlow(connection, f"early{index}").start(), f"e{index}")
               for index, connection in enumerate(early)]
    for client in clients:
        t.at_end(client.flow.close)
    clients += [t.client(g, transport, f"a{index}{transport}") for index in range(8) for transport in ("tcp", "udp")]
    for client in clients:
        serves(client, b)


@case("socket activation: what is for another process (LISTEN_PID) is not taken", seconds=40)
def other_process(t):
    b = t.backend()
    g, manager = managed(t, "tcp", b=b)
    manager.pid_offset = 1
    manager.watchdog_us = 400_000
    decoy = socket.socket()
    decoy.bind(("127.0.0.1", 0))
    decoy.listen()
    manager.give("decoy", decoy)
    g.start()
    serves(t.client(g, "tcp"), b)
    assert not any(event["event"] == "kept_socket_unused" for event in g.events())
    try:
        manager.expect("WATCHDOG", timeout=1)
        raise AssertionError("the watchdog of another process is fed")
    except Timeout:
        pass
    decoy.close()


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


class Stopped:
    """One thread of another process stands still for as long as this lasts."""

    def __init__(self, pid, name):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        tasks = [task for task in os.listdir(f"/proc/{pid}/task")
                 if open(f"/proc/{pid}/task/{task}/comm").read().strip() == name]
        self.task = int(tasks[0])

    def __enter__(self):
        assert self.libc.ptrace(PTRACE_SEIZE, self.task, None, None) == 0, os.strerror(ctypes.get_errno())
        assert self.libc.ptrace(PTRACE_INTERRUPT, self.task, None, None) == 0, os.strerror(ctypes.get_errno())
        os.waitpid(self.task, 0x40000000)  # __WALL
        return self

    def __exit__(self, *_):
        self.libc.ptrace(PTRACE_DETACH, self.task, None, None)


@case("watchdog: fed in time while each shard is alive, and no more once one of them stands still", seconds=60)
def watchdog(t):
    b = t.backend()
    g, manager = managed(t, "udp", b=b, watchdog_us=1_000_000)
    g.start()
    manager.expect("READY", "1")
    last = manager.expect("WATCHDOG", "1").at
    for _ in range(6):
        now = manager.expect("WATCHDOG", "1", 5).at
        assert now - last < 0.9, f"{now - last:.2f} s between two"
        last = now
    for name in ("shard-0", "shard-1"):
        with Stopped(g.program.pid, name):
            try:
                for _ in range(3):  # what was under way
                    manager.expect("WATCHDOG", "1", 2)
                raise AssertionError(f"fed although {name} stands still")
            except Timeout:
                pass
            assert g.http("/livez")[0] == 200, "the control thread waits for nobody"
        manager.expect("WATCHDOG", "1", 5)
    # Nor while it drains.
    ours, theirs, _ = call(client := t.client(g, "udp"), b)
    g.config["timers"]["drain"] = "20s"
    g.write()
    g.reload()
    until(lambda: g.metric("ringway_config_generation") == 2, 10, "generation 2")
    g.program.process.send_signal(signal.SIGTERM)
    manager.expect("STOPPING", "1")
    manager.forget()
    for _ in range(3):
        manager.expect("WATCHDOG", "1", 5)
    hang_up(ours, client, b)
    program, g.program = g.program, None
    assert program.process.wait(20) == 0


@case("the manager is told: RELOADING with its time, READY again, STOPPING", seconds=40)
def told(t):
    b = t.backend()
    g, manager = managed(t, "udp", b=b)
    g.start()
    manager.expect("READY", "1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    g.reload()
    note = manager.expect("RELOADING", "1")
    assert int(note.fields["MONOTONIC_USEC"]) >= before, note
    manager.expect("READY", "1")
    g.stop()
    manager.expect("STOPPING", "1")
