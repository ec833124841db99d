"""The program under test: its configuration, its start and end, and what its admin port says."""

import http.client
import json
import os
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

from . import flows, sip
from .ports import Reservation
from .programs import Program
from .waiting import Timeout, until

REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "CHECK failed", "DCHECK failed")
ROOT = Path(__file__).resolve().parents[3]


def binary():
    """The program: $RINGWAY, or that of the newest build directory."""
    if "RINGWAY" in os.environ:
        return Path(os.environ["RINGWAY"])
    found = sorted(ROOT.glob("build*/gateway/ringway"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise AssertionError("no program: set RINGWAY or build first")
    return found[-1]


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(str(value))


def toml(table, prefix=""):
    """A dictionary as TOML: values first, then tables, then arrays of tables."""
    lines, later = [], []
    for key, value in table.items():
        name = prefix + key
        if isinstance(value, dict):
            later.append(f"\n[{name}]\n" + toml(value, name + "."))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            later += [f"\n[[{name}]]\n" + toml(one, name + ".") for one in value]
        else:
            lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n" + "".join(later)


class Metrics(dict):
    """Prometheus text: (name, frozenset of label pairs) to value."""

    LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
    LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        super().__init__()
        self.text = text
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = self.LINE.fullmatch(line)
            if not match:
                raise AssertionError(f"not Prometheus text: {line!r}")
            self[(match[1], frozenset(self.LABEL.findall(match[2] or "")))] = float(match[3])

    def total(self, name, **labels):
        """The sum over all series of that name that have these labels."""
        found = [value for (key, pairs), value in self.items()
                 if key == name and set(labels.items()) <= set(pairs)]
        if not found and not any(key == name for key, _ in self):
            raise AssertionError(f"no metric {name}")
        return sum(found)


class Gateway:
    """One run of ringway with its own directory, ports and configuration."""

    def __init__(self, directory, name="ringway"):
        self.directory, self.name = Path(directory), name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ports = Reservation()
        self.config = {
            "shards": 2, "pin": False, "log": {"level": "debug", "format": "json"},
            "listen": [], "next_hop": [],
            "timers": {"drain": "1s"},
            "limits": {"flows": 4096, "transactions": 32768, "client_transactions": 32768, "contexts": 16384,
                       "buffer_bytes": 134217728},
        }
        if os.environ.get("RINGWAY_REACTOR"):
            self.config["reactor"] = os.environ["RINGWAY_REACTOR"]
        self.prefix = []  # a command that starts the program
        self.manager = None  # a ServiceManager that starts it
        self.listeners = {}
        self.admin = None
        self.program = None
        self.expected_exit = 0

    # ---- configuration -------------------------------------------------------------------------

    def listen(self, transport, *, side="access", ip="127.0.0.1", name=None, port=None, **settings):
        """Adds a listener on a free port; returns its (ip, port). Access listeners are open to guests unless the
        case says admission="registered"."""
        if side == "access":
            settings.setdefault("admission", "open")
        port = port or self.ports.port(ip)
        name = name or f"{side}-{transport}" + ("-6" if ":" in ip else "")
        self.config["listen"].append({"name": name, "side": side, "transport": transport,
                                      "address": f"{sip.host(ip)}:{port}", **settings})
        self.listeners[name] = (ip, port)
        return ip, port

    def next_hop(self, uri, **settings):
        """One with domains is open to both sides unless the case says from."""
        if "domains" in settings:
            settings.setdefault("from", "both")
        self.config["next_hop"].append({"address": uri, **settings})

    def enable_admin(self):
        port = self.ports.port()
        self.admin = ("127.0.0.1", port)
        self.config["admin"] = {"address": f"127.0.0.1:{port}"}

    @property
    def file(self):
        return self.directory / f"{self.name}.toml"

    def write(self):
        self.file.write_text(toml(self.config))
        return self.file

    # ---- life ----------------------------------------------------------------------------------

    def start(self, timeout=20, wait=True):
        if self.admin is None:
            self.enable_admin()
        self.write()
        self.ports.release()
        env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
        prefix, descriptors = self.prefix, ()
        if self.manager:
            prefix, descriptors, more = self.manager.start_with()
            env.update(more)
        self.program = Program(self.name, [*prefix, binary(), "run", "--config", self.file], self.directory, env=env,
                               pass_fds=descriptors)
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=20):
        until(self._ready, timeout, f"{self.name} answers /healthz")

    def _ready(self):
        if not self.program.running:
            self.program.reader.join(2)
            raise AssertionError(f"{self.name} ended at start with {self.program.process.returncode}:\n"
                                 + self.program.tail() + "\n" + self.file.read_text())
        try:
            return self.http("/healthz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, timeout=15):
        """Ends by SIGTERM and judges the end: exit code, sanitizer reports."""
        if self.program is None:
            return
        program, self.program = self.program, None
        failure = None
        try:
            code = program.stop(timeout=timeout)
            if code != self.expected_exit:
                failure = f"exit code {code}"
        except Timeout as error:
            failure = str(error)
        text = program.text()
        reports = [line for line in text.splitlines() if any(report in line for report in REPORTS)]
        if reports or failure:
            raise AssertionError(f"{self.name}: {failure or ''} {reports}\n{program.tail(60)}")

    def kill(self):
        """A crash, for tests of what survives one."""
        self.program.process.send_signal(signal.SIGKILL)
        self.program.wait(5)
        self.program = None

    def restart(self, crash=False):
        self.kill() if crash else self.stop()
        return self.start()

    def reload(self):
        self.program.process.send_signal(signal.SIGHUP)

    # ---- eyes ----------------------------------------------------------------------------------

    def http(self, path, timeout=5):
        try:
            with urllib.request.urlopen(f"http://{self.admin[0]}:{self.admin[1]}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        return Metrics(self.http("/metrics")[1])

    def metric(self, name, **labels):
        return self.metrics().total(name, **labels)

    def calls(self):
        return json.loads(self.http("/calls")[1])

    def events(self):
        """The log as parsed JSON lines."""
        found = []
        for line in self.program.text().splitlines():
            if line.startswith("{"):
                found.append(json.loads(line))
        return found

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.program.pid}/fd"))

    # ---- clients -------------------------------------------------------------------------------

    def flow(self, transport, listener=None, **options):
        """A new client flow to the listener of that transport."""
        remote = self.listeners[listener or f"access-{transport}"]
        if transport == "udp":
            return flows.UdpPort(remote[0], name="A").to(remote)
        return getattr(flows, transport)(remote, "A", **options)
