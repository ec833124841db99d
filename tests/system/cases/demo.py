"""The first command of the README: gateway/run, its page, and what Ctrl-C leaves behind."""

import os
import re
import signal
import subprocess
from pathlib import Path

from lib.case import case
from lib.gateway import ROOT
from lib.ports import Reservation
from lib.programs import Program
from lib.waiting import until


def children_of(pid):
    """Process ids of all descendants."""
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            waiting += [int(child) for child in task.read_text().split()]
        if parent != pid:
            found.append(parent)
    return found


def start(t, name="run", port=None):
    # As from a terminal: whoever runs the tests in the background has Ctrl-C ignored, and all below inherit that.
    made = Program(name, ["env", "--default-signal=INT", ROOT / "gateway" / "run", "--no-install", "--host",
                          "127.0.0.1", "--port", port], t.directory,
                   env={"XDG_STATE_HOME": str(t.directory / "state")})
    t.at_end(made.end)
    return made


def text_has(page, pattern):
    return re.search(pattern, page.do("text"))


@case("gateway/run prints one URL; its page calls a phone and another page; Ctrl-C leaves nothing", seconds=240,
      alone=True)
def one_command(t):
    ports = Reservation()
    port = ports.port()
    ports.release()
    demo = start(t, port=port)
    line = demo.expect_line("https://", 180)
    assert line == f"https://127.0.0.1:{port}/", line
    # A second one finds the port taken and says what to do.
    second = subprocess.run([str(ROOT / "gateway" / "run"), "--no-install", "--host", "127.0.0.1", "--port", str(port)],
                            capture_output=True, text=True, timeout=60,
                            env={**os.environ, "XDG_STATE_HOME": str(t.directory / "state2")})
    assert second.returncode == 1 and f"port {port} is busy" in second.stderr and "--port" in second.stderr, second

    browser = t.browser()
    a = browser.page("a", line)
    until(lambda: text_has(a, r"Ready as \d+"), 15, "page a is registered")
    a.do("click", name="A steady tone")
    until(lambda: abs(a.do("strongest", element="remote") - 1000) < 25, 15, "page a hears the tone")
    until(lambda: text_has(a, r"PCM[UA] 8 kHz"), 10, "the page names the codec")
    shown = a.do("text")
    assert re.search(r"ICE\s+connected", shown) and re.search(r"DTLS\s+connected", shown), shown
    a.do("click", name="Mute")
    a.do("click", name="Hang up")
    a.do("click", name="Always busy")
    until(lambda: text_has(a, r"(?i)busy \(?|is busy|486"), 10, "the page says busy")

    b = browser.page("b", line)
    until(lambda: text_has(b, r"Ready as \d+"), 15, "page b is registered")
    number = text_has(a, r"Ready as (\d+)").group(1)
    b.do("fill", text=number)
    b.do("click", name="Call", exact=True)
    until(lambda: text_has(a, "Answer"), 10, "page a rings")
    a.do("click", name="Answer")
    for page in (a, b):  # Chromium's made-up microphone beeps
        until(lambda page=page: page.do("strongest", element="remote") > 100, 15, "both pages hear each other")
    b.do("click", name="Hang up")

    started = children_of(demo.pid)
    assert len(started) >= 3, started  # rtpengine, the gateway, the lab
    assert demo.stop(signal.SIGINT, 15) == 130
    until(lambda: not [pid for pid in started if Path(f"/proc/{pid}/cmdline").exists()
                       and Path(f"/proc/{pid}/cmdline").read_bytes()], 5, "nothing stays behind")
