"""Scanners of Debian against every kind of listener: SIPVicious, nmap's SIP scripts, sipsak. Two shards.

The gateway is 127.0.0.1, its next hop 127.0.0.2; each tool has an address of its own, so that a ban of one hides
nothing of another. What the tools get is counted byte by byte (lib/taps).
"""

import itertools
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import DEVNULL, TimeoutExpired, run

from lib import scan, sip
from lib.answering import Answering
from lib.case import case
from lib.taps import Pipe, Tap

NEXT_HOP = "127.0.0.2"
ACCESS = ("udp", "tcp", "tls", "wss")
NETWORK = ("udp", "tcp", "tls")
# What the shipped rules know the tools by, and something ordinary in its place.
DISGUISE = ((b"friendly-scanner", b"Linphone/5.2"), (b"sipvicious", b"alice"), (b"1.1.1.1", b"9.8.7.6"),
            (b"Nmap NSE", b"Yealink"), (b"sip:user@", b"sip:alice@"), (b"sipsak 0.9.8.1", b"MicroSIP/3"))


def fortress(t):
    """Listeners of every kind, access ones twice: "registered" and "open"."""
    b = t.backend(NEXT_HOP)
    g = t.gateway(*ACCESS, network=NETWORK, start=False, shards=2)
    for listener in g.config["listen"]:
        if listener["side"] == "access":
            listener["admission"] = "registered"
    for transport in ACCESS:
        pair = g.certificate if transport in ("tls", "wss") else None
        g.listen(transport, name=f"open-{transport}", admission="open",
                 **({"certificate": str(pair[0]), "key": str(pair[1])} if pair else {}))
    g.next_hop(b.uri(), probe_interval="0s")
    g.start()
    return g, b


class Registrar(Answering):
    """The next hop refuses whatever it is asked, and remembers it."""

    def __init__(self, t, backend):
        self.asked = []
        super().__init__(backend)
        t.at_end(self.end)

    def answer(self, request):
        self.asked.append(request)
        if request.method == "ACK":
            return
        challenge = [("WWW-Authenticate", f'Digest realm="x", nonce="{sip.token(8)}", algorithm=MD5')]
        register = request.method == "REGISTER"
        self.b.reply(request, 401 if register else 404, headers=challenge if register else ())


class Siege:
    """Tools that run beside each other, each through a tap of its own."""

    def __init__(self, t, gateway, disguise=()):
        self.t, self.gateway, self.disguise = t, gateway, disguise
        self.addresses = itertools.count(10)
        self.jobs, self.taps = [], []

    def _source(self):
        return f"127.0.3.{next(self.addresses)}"

    def _add(self, name, tap, command, seconds):
        self.t.at_end(tap.close)
        self.taps.append((name, tap))
        self.jobs.append((command, seconds))

    def datagrams(self, tool, listener, make, seconds=30):
        """make: from the tap's port to the command."""
        transport = listener.rsplit("-", 1)[1]
        tap = Tap(self.gateway.listeners[listener], transport, self._source(), self.disguise)
        self._add((tool, listener), tap, make(tap.local[1]), seconds)

    def stream(self, tool, listener, make, seconds=30):
        tap = Pipe(self.gateway.listeners[listener], self._source(), self.disguise)
        self._add((tool, listener), tap, make(tap.local[1]), seconds)

    def run(self):
        def go(job):
            command, seconds = job
            try:
                run(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=seconds, cwd=self.t.directory,
                    check=False)
            except TimeoutExpired:
                pass  # some go on for as long as nobody answers
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(go, self.jobs))
        silent = {name for name, _ in self.taps} - {name for name, tap in self.taps if tap.said}
        assert not silent, f"these have sent nothing: {silent}"

    def vicious(self, listener, methods=("REGISTER", "INVITE")):
        self.datagrams("svmap", listener, lambda port: ["svmap", "-p", str(port), "127.0.0.1"])
        for method in methods:
            self.datagrams("svwar", listener, lambda port, method=method: [
                "svwar", "-e100-104", "--force", "--maximumtime=1", "-m", method, f"udp://127.0.0.1:{port}"])
        self.datagrams("svcrack", listener, lambda port: [
            "svcrack", "-u100", "-r1-9", "--maximumtime=1", f"udp://127.0.0.1:{port}"], seconds=8)

    def nmap(self, listener, scripts=("sip-methods",), stream=False):
        arguments = "sip-enum-users.minext=100,sip-enum-users.maxext=102,sip-call-spoof.timeout=1s"
        add = self.stream if stream else self.datagrams
        add("nmap", listener, lambda port: [
            "nmap", "-n", "-Pn", "-sT" if stream else "-sU", "-p", str(port), "--host-timeout", "10s",
            "--script", ",".join("+" + script for script in scripts), "--script-args", arguments, "127.0.0.1"])

    def methods(self, listener):
        self.datagrams("methods", listener, lambda port: [
            sys.executable, os.path.abspath(scan.__file__), "--to", f"127.0.0.1:{port}"])

    def sipsak(self, listener, *modes):
        call = sip.request("INVITE", "sip:100@example.test", via=None, contact="<sip:9@127.0.0.1>", body=sip.sdp())
        (self.t.directory / "invite.sip").write_bytes(call.to_bytes())
        for mode in modes:
            self.datagrams("sipsak", listener, lambda port, mode=mode: [
                "sipsak", *mode.split(), "--timer-t1=20", "-r", str(port), "-s", "sip:100@127.0.0.1"], seconds=8)


# Options, trace, registration, registration and a message to itself, a flood, noise, a call.
SIPSAK = ("-vv", "-T", "-U -x 60", "-U -M -B hello", "-F -e 20", "-R -t 20", "-f invite.sip")


@case("scanners that say who they are hear nothing from any listener, and no next hop hears of them", seconds=150)
def named_scanners(t):
    g, b = fortress(t)
    siege = Siege(t, g)
    for listener in g.listeners:
        siege.vicious(listener, methods=("REGISTER",))
    for listener in ("access-udp", "access-wss", "open-tls", "network-udp"):
        siege.nmap(listener)
    siege.run()
    for (tool, listener), tap in siege.taps:
        assert tap.bytes_heard == 0, f"{tool} at {listener} heard {tap.heard[:2]}"
    assert not b.inbox.seen, b.inbox.seen[:3]
    assert g.metric("ringway_filter_drops_total") > 0 and g.metric("ringway_strangers_dropped_total") > 0


# To what is no SIP, whatever its method was meant to be (sipsak's random mode), and to whom has spent his budget.
NOISE = {400, 405, 414, 416, 481, 501, 503, 505, 513}


def judge(name, tap, allowed):
    """Each piece is one response, with a status that the table of rights gives to its method. 200 to OPTIONS is the
    one about ourselves (RFC 3261 11.2)."""
    for data in tap.heard:
        answer = sip.Message.parse(data)
        assert not answer.is_request, f"{name}: {data!r}"
        try:
            method = answer.cseq[1]
        except ValueError:  # sipsak's random mode has hit that header, and a 400 repeats it
            method = ""
        assert answer.status in allowed.get(method, {403}) | NOISE, f"{name}: {answer.status} to {method}: {data!r}"
        for header in ("Server", "User-Agent", "Record-Route", "Path"):
            assert answer.get(header) is None, f"{name} learns {header}: {data!r}"


@case("scanners under an ordinary name: refusals on the access side, REGISTER alone goes on, silence on the network side",
      seconds=180)
def disguised_scanners(t):
    g, b = fortress(t)
    registrar = Registrar(t, b)
    siege = Siege(t, g, DISGUISE)
    closed = [name for name in g.listeners if name.startswith("access-")]
    network = [name for name in g.listeners if name.startswith("network-")]
    for listener in closed + network:
        siege.vicious(listener)
        siege.sipsak(listener, *SIPSAK)
    for listener in ("access-tcp", "network-tcp"):
        siege.nmap(listener, ("sip-methods", "sip-enum-users", "sip-call-spoof"), stream=True)
    siege.run()
    allowed = {"REGISTER": {401, 403}, "OPTIONS": {200, 403, 483}}
    for (tool, listener), tap in siege.taps:
        if listener in network:
            assert tap.bytes_heard == 0, f"{tool} at {listener} heard {tap.heard[:2]}"
        else:
            judge(f"{tool} at {listener}", tap, allowed)
    assert registrar.asked, "no REGISTER went on"
    assert {request.method for request in registrar.asked} == {"REGISTER"}, registrar.asked


@case("every method that scanners list, to the users that they try: answers within the table of rights, or nothing",
      seconds=120)
def listed_methods(t):
    g, b = fortress(t)
    registrar = Registrar(t, b)
    siege = Siege(t, g)
    for listener in g.listeners:
        if not listener.startswith("open-"):
            siege.methods(listener)
    siege.run()
    for (tool, listener), tap in siege.taps:
        if listener.startswith("network-"):
            assert tap.bytes_heard == 0, f"{tool} at {listener} heard {tap.heard[:2]}"
        else:
            judge(f"{tool} at {listener}", tap, {"REGISTER": {401, 403, 483}, "OPTIONS": {200, 403, 483}})
        # Over UDP, where the source may be anybody's: never more bytes than came.
        if listener.endswith("-udp"):
            assert tap.bytes_heard <= sum(map(len, tap.said)), (tap.bytes_heard, sum(map(len, tap.said)))
    assert {request.method for request in registrar.asked} == {"REGISTER"}, registrar.asked
    assert all(not request.lines("Route") for request in registrar.asked), registrar.asked


@case("scanners at listeners that are open to guests reach the next hop of the access side and hear its refusals",
      seconds=120)
def scanners_as_guests(t):
    g, b = fortress(t)
    registrar = Registrar(t, b)
    siege = Siege(t, g, DISGUISE)
    for listener in ("open-udp", "open-wss"):
        siege.vicious(listener)
        siege.sipsak(listener, *SIPSAK)
    siege.nmap("open-tcp", ("sip-methods", "sip-enum-users", "sip-call-spoof"), stream=True)
    siege.run()
    allowed = {"REGISTER": {401, 403}, "OPTIONS": {200, 403, 404, 483}, "INVITE": {100, 403, 404}}
    for (tool, listener), tap in siege.taps:
        judge(f"{tool} at {listener}", tap, allowed)
    for request in registrar.asked:
        assert request.method in ("REGISTER", "OPTIONS", "INVITE", "MESSAGE", "ACK"), repr(request)
        assert not request.lines("Route"), repr(request)
