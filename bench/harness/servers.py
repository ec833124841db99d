"""The programs under measurement: how each is started, pinned and stopped."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HERE)


def free_port():
    """A port that is free for UDP and TCP at this moment."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Ports:
    """Every port of one measurement, so that servers and generators agree."""

    def __init__(self):
        self.udp, self.tcp, self.tls, self.wss = (free_port() for _ in range(4))
        self.network, self.network_tls, self.admin = (free_port() for _ in range(3))
        self.sink, self.sink_tls = (free_port() for _ in range(2))


# Before whatever else the machine does; without the right to it, nice says so and goes on.
PRIORITY = ["nice", "-n", "-15"]


class Context:
    def __init__(self, build, results, cpu, certificate, key):
        self.build, self.results, self.cpu = build, results, cpu
        self.certificate, self.key = certificate, key

    def program(self, name):
        for folder in ("bench", "gateway", "."):
            path = os.path.join(self.build, folder, name)
            if os.path.exists(path):
                return path
        return None


def children_of(pid):
    found = [pid]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


class Server:
    """A started program. Always use it in a with statement."""

    name = "?"
    cores = 1
    environment = {}  # beside the caller's

    def __init__(self, context, ports):
        self.context, self.ports = context, ports
        self.process = None
        self.log = None

    @classmethod
    def missing(cls, context):
        """Why it cannot run here, or None."""
        return None

    def command(self):
        raise NotImplementedError

    def ready_port(self):
        return None

    def settle_s(self):
        return 0.3

    def __enter__(self):
        path = os.path.join(self.context.results, f"{self.name}.log")
        self.log = open(path, "w")
        cores = ",".join(str(self.context.cpu + i) for i in range(self.cores))
        command = PRIORITY + ["taskset", "-c", cores] + self.command()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT,
                                        start_new_session=True,
                                        env={**os.environ, **self.environment})
        deadline = time.time() + 30
        port = self.ready_port()
        while port is not None and time.time() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                time.sleep(0.05)
        time.sleep(self.settle_s())
        self.wait_until_quiet()
        if self.process.poll() is not None:
            self.log.close()
            with open(path) as log:
                raise RuntimeError(f"{self.name} ended at once: {log.read()[-600:]}")
        return self

    def wait_until_quiet(self):
        """Starting up must not be counted, and touching gigabytes takes its time."""
        deadline = time.time() + 60
        while time.time() < deadline and self.process.poll() is None:
            before = self.cpu_seconds()
            time.sleep(0.3)
            if self.cpu_seconds() - before < 0.01:
                return

    def __exit__(self, *_):
        if self.process.poll() is None:
            for pid in reversed(self.pids()):
                try:
                    os.kill(pid, signal.SIGTERM)
                except OSError:
                    pass
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()

    def go_first(self):
        """For latencies: what else the machine does would stop it for some milliseconds now and
        then, whatever its niceness. Without the right to it, nothing changes."""
        for pid in self.pids():
            subprocess.run(["chrt", "--all-tasks", "--fifo", "-p", "1", str(pid)], check=False,
                           capture_output=True)

    def pids(self):
        return children_of(self.process.pid)

    def cpu_seconds(self):
        total = 0
        for threads in self.thread_seconds().values():
            total += threads
        return total

    def thread_seconds(self):
        spent = {}
        for pid in self.pids():
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                        spent[(pid, thread)] = int(file.read().split()[0]) * 1e-9
            except OSError:
                pass
        return spent

    def pss_bytes(self):
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1)) * 1024
            except OSError:
                pass
        return total

    def counters(self):
        """Counters that the program shows of itself, by name; empty if it has none."""
        return {}


class Floor(Server):
    name = "floor"
    mode = "udp-udp"

    def port(self):
        return {"udp-udp": self.ports.udp, "tcp-udp": self.ports.tcp}.get(self.mode, self.ports.wss)

    def command(self):
        command = [self.context.program("ringway-floor"), "--mode", self.mode,
                   "--listen", f"127.0.0.1:{self.port()}",
                   "--server", f"127.0.0.1:{self.ports.sink}"]
        if self.mode == "wss-udp":
            command += ["--certificate", self.context.certificate, "--key", self.context.key]
        return command


class FloorTcp(Floor):
    mode = "tcp-udp"


class FloorWss(Floor):
    mode = "wss-udp"


def memory_mb():
    with open("/proc/meminfo") as file:
        available = int(re.search(r"MemAvailable:\s+(\d+)", file.read()).group(1)) // 1024
    return max(512, min(6000, available // 2))


def filled_in(text, values):
    """All values at once: a free port may begin with the digits of one that is still to be replaced."""
    names = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    return re.sub(rf"(?:{names})\b", lambda found: values[found.group()], text)


class Kamailio(Server):
    name = "kamailio"
    config_file = "kamailio_udp_stateful.cfg"
    touch_memory = True
    sink = "udp"

    @classmethod
    def missing(cls, context):
        if shutil.which("kamailio") is None:
            return "kamailio is not installed (bench/run --install)"
        return None

    def command(self):
        with open(os.path.join(BENCH, "kamailio", self.config_file)) as file:
            text = file.read()
        ports = self.ports
        transport, sink = ("tls", ports.sink_tls) if self.sink == "tls" else ("udp", ports.sink)
        text = filled_in(text, {"127.0.0.1:5060": f"127.0.0.1:{ports.udp}",
                                "127.0.0.1:8443": f"127.0.0.1:{ports.wss}",
                                "127.0.0.1:8080": f"127.0.0.1:{ports.tcp}",
                                "127.0.0.1:5090;transport=udp": f"127.0.0.1:{sink};transport={transport}",
                                "127.0.0.1:5090": f"127.0.0.1:{sink}",
                                "KEYFILE": self.context.key,
                                "CERTFILE": self.context.certificate})
        if not self.touch_memory:
            text = text.replace("shm_force_alloc=yes\n", "")
        path = os.path.join(self.context.results, f"kamailio-{ports.udp}.cfg")
        with open(path, "w") as file:
            file.write(text)
        return ["kamailio", "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", str(memory_mb()), "-M",
                "128", "-Y", self.context.results, "-f", path]

    def ready_port(self):
        return None if "udp" in self.config_file else self.ports.wss

    def settle_s(self):
        return 2


class KamailioStateless(Kamailio):
    name = "kamailio-stateless"
    config_file = "kamailio_udp_stateless.cfg"


class KamailioWss(Kamailio):
    config_file = "kamailio_wss.cfg"


class KamailioWssTls(KamailioWss):
    sink = "tls"


class KamailioIdle(KamailioWss):
    touch_memory = False


class Haproxy(Server):
    """The handshake alone: no connection gets as far as a request."""

    name = "haproxy"

    @classmethod
    def missing(cls, context):
        if shutil.which("haproxy") is None:
            return "haproxy is not installed (bench/run --install)"
        return None

    def command(self):
        pem = os.path.join(self.context.results, "haproxy.pem")
        with open(pem, "w") as out:
            for part in (self.context.certificate, self.context.key):
                with open(part) as file:
                    out.write(file.read())
        config = os.path.join(self.context.results, "haproxy.cfg")
        with open(config, "w") as out:
            out.write(f"""global
  nbthread 1
  maxconn 9000
  tune.ssl.cachesize 0
  ssl-default-bind-curves X25519:P-256
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend wss
  bind 127.0.0.1:{self.ports.wss} ssl crt {pem} alpn http/1.1
  http-request return status 200
""")
        return ["haproxy", "-db", "-f", config]

    def ready_port(self):
        return self.ports.wss


class Ringway(Server):
    name = "ringway"
    config_file = "bench.toml"
    sink = "udp"

    @classmethod
    def missing(cls, context):
        if context.program("ringway") is None:
            return "the program ringway was not built"
        return None

    def command(self):
        with open(os.path.join(BENCH, "..", "configs", self.config_file)) as file:
            text = file.read()
        ports = self.ports
        sink = f"127.0.0.1:{ports.sink}"
        if self.sink == "tls":
            sink = f"sip:127.0.0.1:{ports.sink_tls};transport=tls"
        text = filled_in(text, {"127.0.0.1:5060": f"127.0.0.1:{ports.udp}",
                                "127.0.0.1:5062": f"127.0.0.1:{ports.tcp}",
                                "127.0.0.1:5061": f"127.0.0.1:{ports.tls}",
                                "127.0.0.1:8443": f"127.0.0.1:{ports.wss}",
                                "127.0.0.1:5080": f"127.0.0.1:{ports.network}",
                                "127.0.0.1:5081": f"127.0.0.1:{ports.network_tls}",
                                "127.0.0.1:9090": f"127.0.0.1:{ports.admin}",
                                "127.0.0.1:5090": sink,
                                "CERTIFICATE": self.context.certificate,
                                "KEY": self.context.key})
        text = self.adapted(text.replace("shards = 1", f"shards = {self.cores}"))
        path = os.path.join(self.context.results, f"ringway-{ports.udp}.toml")
        with open(path, "w") as file:
            file.write(text)
        return [self.context.program("ringway"), "run", "--config", path]

    def adapted(self, text):
        """The config, for what is measured."""
        return text

    def ready_port(self):
        return self.ports.wss

    def counters(self):
        text = b""
        try:
            with socket.create_connection(("127.0.0.1", self.ports.admin), 2) as admin:
                admin.settimeout(2)
                admin.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                              b"Connection: close\r\n\r\n")
                while piece := admin.recv(65536):
                    text += piece
        except OSError:
            pass  # what arrived counts; without the admin port there is nothing
        found = {}
        for match in re.finditer(rb"^(ringway_\w+)(?:\{[^}]*\})? ([0-9.e+]+)", text, re.M):
            name = match.group(1).decode()
            found[name] = found.get(name, 0) + float(match.group(2))
        return found


class RingwayIdle(Ringway):
    """Without the room for two million transactions, whose table costs 16 MB however few flows."""

    def adapted(self, text):
        return re.sub(r"^(client_)?transactions = .*\n", "", text, flags=re.M)


class RingwayManyFlows(RingwayIdle):
    """Four shards, however many processors there are."""

    name = "ringway-4"

    def adapted(self, text):
        text = text.replace("shards = 1\npin = true", "shards = 4\npin = false")
        return super().adapted(text.replace("[limits]", "[limits]\nflows = 32_768"))


class RingwayTls(Ringway):
    sink = "tls"

    def adapted(self, text):
        return text.replace('send_from = "network"', 'send_from = "network-tls"')


class RingwayEpoll(Ringway):
    name = "ringway-epoll"

    def adapted(self, text):
        return 'reactor = "epoll"\n' + text


class RingwayTwo(Ringway):
    name = "ringway-2"
    cores = 2
