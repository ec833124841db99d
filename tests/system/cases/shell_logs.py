"""Where the log goes stops nothing: pipes and terminals that nobody reads, readers that are gone (two shards)."""

import contextlib
import os
import pty
import signal
import time

from lib.agents import call, hang_up, serves
from lib.case import case
from lib.waiting import until


def fill(descriptor):
    """Until not a byte more goes into it."""
    os.set_blocking(descriptor, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(descriptor, b"x" * size)
    os.set_blocking(descriptor, True)


def named_pipe(t):
    """A log file that is a pipe, opened by a reader that never reads."""
    path = t.directory / "log.pipe"
    os.mkfifo(path)
    t.at_end(os.close, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    writer = os.open(path, os.O_WRONLY)
    fill(writer)
    return writer


def lost_reader(t):
    """A pipe whose reader has ended: each write is an error and would be a signal."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def stopped_terminal(t):
    """A terminal whose window nobody empties (as after Ctrl-S)."""
    window, terminal = pty.openpty()
    t.at_end(os.close, window)
    fill(terminal)
    return terminal


def where(name, make, is_lost):
    @case(f"a log that goes to {name} stops nothing: start, calls, SIGHUP, health, SIGTERM")
    def run(t):
        descriptor = make(t)
        b = t.backend()
        g = t.gateway("udp", "ws", next_hop=b.uri(), start=False, shards=2)
        g.manager = Handing(descriptor)
        g.start()
        os.close(descriptor)
        clients = [t.client(g, "udp"), t.client(g, "ws")]
        for a in clients:
            _, theirs, _ = call(a, b)
            hang_up(theirs, b, a)
        for _ in range(3):
            before = g.metric("ringway_config_generation")
            g.reload()
            until(lambda before=before: g.metric("ringway_config_generation") > before, 5, "SIGHUP is served")
        serves(clients[0], b)
        lost = g.metric("ringway_log_lines_dropped_total")
        assert (lost > 0) == is_lost, lost
        begun = time.monotonic()
        g.program.process.send_signal(signal.SIGTERM)
        assert clients[1].flow.expect_close(5) == 1001
        assert g.program.process.wait(10) == 0
        assert time.monotonic() - begun < 6
        g.program = None
    return run


class Handing:
    """Starts the program with one descriptor more."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def start_with(self):
        return ["sh", "-c", f'exec "$@" 2>&{self.descriptor} 1>&2', "sh"], (self.descriptor,), {}


where("a named pipe that nobody reads", named_pipe, False)
where("a pipe whose reader has ended", lost_reader, True)
where("a terminal that stands still", stopped_terminal, False)
