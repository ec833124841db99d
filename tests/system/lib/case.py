"""Cases: a name, what it needs, and a context that cleans up behind it."""

import contextlib
import shutil
import tempfile
from pathlib import Path

CASES = []


class Skip(Exception):
    """This machine cannot run the case; says why."""


class Case:
    def __init__(self, work, name, group, seconds, alone, long, sanitize):
        self.work, self.name, self.group = work, name, group
        self.seconds, self.alone, self.long, self.sanitize = seconds, alone, long, sanitize


def case(name, *, seconds=60, alone=False, long=False, sanitize=False):
    """Registers a case. alone: no other case runs beside it. long: only with --long.
    sanitize: belongs to the short selection that also runs against the sanitizer build."""
    def register(work):
        group = work.__module__.rsplit(".", 1)[-1]
        CASES.append(Case(work, name, group, seconds, alone, long, sanitize))
        return work
    return register


def plain_tls(gateway, ip="127.0.0.1"):
    """Settings of a TLS listener for peers that cannot look our test names up, and ask no NAPTR."""
    port = gateway.ports.port(ip)
    address = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    return {"record_route_secure": "transport_tls", "advertise": address, "port": port}


class Context:
    """What a case gets: a directory, fixtures, and their end in reverse order."""

    def __init__(self, name):
        self.directory = Path(tempfile.mkdtemp(prefix="ringway-test-"))
        self.name = name
        self.stack = contextlib.ExitStack()
        self.authority_made = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        problem = None
        try:
            self.stack.close()
        except AssertionError as error:
            problem = error
        if kind is None and problem is None:
            shutil.rmtree(self.directory, ignore_errors=True)
        elif kind is not None:
            print(f"directory kept: {self.directory}")
            if problem:
                print(f"and at the end: {problem}")
            return False
        else:
            print(f"directory kept: {self.directory}")
            raise problem
        return False

    def at_end(self, work, *arguments):
        self.stack.callback(work, *arguments)

    # ---- fixtures ------------------------------------------------------------------------------

    @property
    def authority(self):
        if self.authority_made is None:
            from .certificates import Authority
            self.authority_made = Authority(self.directory / "ca")
        return self.authority_made

    def certificate(self, name, **options):
        options.setdefault("names", [f"DNS:{name}", "DNS:localhost", "IP:127.0.0.1", "IP:::1"])
        return self.authority.issue(name.replace("*", "any"), **{"common": name, **options})

    def gateway(self, *transports, next_hop=None, network=("udp",), media=None, ip="127.0.0.1",
                network_ip=None, start=True, name="ringway", certificate=None, **top):
        """A gateway with access listeners for the transports and network listeners as named."""
        from .gateway import Gateway
        made = Gateway(self.directory / name, name)
        self.at_end(made.stop)
        pair = None
        if {"tls", "wss"} & (set(transports) | set(network)):
            pair = certificate or self.certificate("gateway.test")
            made.certificate = pair

        def secure(transport):
            if transport not in ("tls", "wss"):
                return {}
            return {"certificate": str(pair[0]), "key": str(pair[1])}
        for transport in transports:
            made.listen(transport, ip=ip, **secure(transport))
        for transport in network:
            more = plain_tls(made, network_ip or ip) if transport == "tls" else {}
            made.listen(transport, side="network", ip=network_ip or ip, **secure(transport), **more)
        if next_hop:
            made.next_hop(next_hop)
        if media:
            made.config["media"] = {"rtpengine": [media]}
        made.config.update(top)
        if start:
            made.start()
        return made

    def backend(self, ip="127.0.0.1", **options):
        from .agents import Backend
        made = Backend(ip, **options)
        self.at_end(made.close)
        return made

    def client(self, gateway, transport, user="alice", listener=None, **options):
        from .agents import Client
        flow = gateway.flow(transport, listener, **options)
        self.at_end(flow.port.close if transport == "udp" else flow.close)
        return Client(flow, user)

    def service_manager(self, **options):
        from .service_manager import ServiceManager
        made = ServiceManager(**options)
        self.at_end(made.close)
        return made

    def phone(self, ip="127.0.0.1", frequency=700):
        from .rtp import RtpPhone
        made = RtpPhone(ip, frequency)
        self.at_end(made.close)
        return made

    def start(self, program):
        """Keeps a started helper program until the end."""
        self.at_end(program.end)
        return program

    def rtpengine(self, **options):
        from .rtpengine import Rtpengine
        made = Rtpengine(self.directory, **options)
        self.at_end(made.end)
        return made

    def kamailio(self, **options):
        from .kamailio import Kamailio
        made = Kamailio(self.directory, **options)
        self.at_end(made.end)
        return made

    def baresip(self, **options):
        from .baresip import Baresip
        made = Baresip(self.directory, **options)
        self.at_end(made.end)
        return made

    def browser(self, **options):
        from .browser import Browser
        made = Browser(self.directory, **options)
        self.at_end(made.end)
        return made

    def lab(self, **options):
        from .lab import Lab
        made = Lab(self.directory, **options)
        self.at_end(made.end)
        return made
