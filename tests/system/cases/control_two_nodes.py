"""Two machines and one address that moves: a machine dies under calls and browsers, and the other takes over.

Network namespaces are the machines; keepalived moves the address. rtpengine, phones, browsers and the SIP server
live outside, so that only the signalling moves.
"""

import os
import shutil
import subprocess
import threading
import time

from lib import flows, sip
from lib.agents import Client, call, hang_up
from lib.browsers import Browsers
from lib.case import Skip, case
from lib.gateway import binary
from lib.programs import Program
from lib.two_hosts import ADDRESS, HOSTS, OUTSIDE, TwoHosts
from lib.waiting import Timeout, until
from cases.contacts import invite_by_path

KEEPALIVED = """
global_defs {{
    enable_script_security
    script_user root
    max_auto_priority
    vrrp_startup_delay 0
}}
vrrp_script ringway {{
    script "{check}"
    interval 1
    timeout 3
    fall 2
    rise 2
    weight -60
}}
vrrp_instance edge {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.3
    unicast_src_ip {own}
    unicast_peer {{
        {other}
    }}
    virtual_ipaddress {{
        {address}/24
    }}
    track_script {{
        ringway
    }}
}}
"""


class Pair:
    """Two gateways with one configuration but their node numbers, and keepalived beside each."""

    def __init__(self, t, *, relay=None, needed=("keepalived",)):
        missing = [name for name in needed if not shutil.which(name)]
        if missing:
            raise Skip(f"not installed: {' '.join(missing)}")
        self.t = t
        self.hosts = TwoHosts(t)
        self.calls = t.backend(OUTSIDE)
        self.registrar = t.backend(OUTSIDE, tcp=False)
        self.registered = {}  # AOR -> its newest REGISTER
        self.running = True
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._register, self._answer_probes)]
        for thread in self.threads:
            thread.start()
        t.at_end(self._end)
        self.engine = None
        if relay:
            self.engine = t.rtpengine(interface=OUTSIDE, control=OUTSIDE)
        key = t.directory / "token.key"
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        self.gateways, self.keepers = [], [None, None]
        pair = t.certificate("gateway.test")
        ports = None
        for host in (0, 1):
            g = t.gateway(network=(), start=False, shards=2, name=f"node{host + 1}", key_file=str(key))
            g.config.update({"node": host + 1, "ctl": {"socket": str(t.directory / f"c{host}.sock")}})
            ports = ports or [g.ports.port(OUTSIDE) for _ in range(3)]
            g.ports.release()
            for transport, port in zip(("udp", "wss"), ports):
                more = {"certificate": str(pair[0]), "key": str(pair[1])} if transport == "wss" else {}
                g.listen(transport, ip=ADDRESS, port=port, media_profile="rtp" if transport == "udp" else "auto", **more)
            g.listen("udp", side="network", ip=ADDRESS, port=ports[2])
            g.next_hop(self.calls.uri(), name="calls", media_profile="rtp")
            g.next_hop(self.registrar.uri(), name="registrar", domains=["browsers.test"])
            if self.engine:
                g.config["media"] = {"rtpengine": [self.engine.address]}
            g.config["log"]["level"] = "info"
            g.config["limits"]["flows_per_source"] = 4096
            g.config["timers"]["grace"] = "60s"
            g.prefix = self.hosts.run(host)
            g.admin = ("127.0.0.1", 1)  # in the other namespace: asked by ctl
            g.wait_ready = lambda timeout=20, host=host: until(lambda: self.status(host) == 0, timeout, "ready")
            self.gateways.append(g)

    def status(self, host):
        return self.ctl(host, "status").returncode

    def ctl(self, host, *words):
        return subprocess.run([str(binary()), "ctl", "--socket", self.t.directory / f"c{host}.sock", *words],
                              capture_output=True, text=True, timeout=10)

    def start(self):
        for host in (0, 1):
            self.gateways[host].start()
        for host in (0, 1):
            self.keep(host)
        until(lambda: self.hosts.has_address(0), 20, "the first machine has the address")
        until(lambda: self.status(0) == 0, 20, "the first one is ready")

    @property
    def holder(self):
        """The host that has the address, or None."""
        return next((host for host in (0, 1) if self.hosts.has_address(host)), None)

    def keep(self, host):
        folder = self.t.directory / f"keepalived{host}"
        folder.mkdir(exist_ok=True)
        check = folder / "check"
        check.write_text(f"#!/bin/sh\nexec {binary()} ctl --socket {self.t.directory}/c{host}.sock status\n")
        check.chmod(0o755)
        (folder / "keepalived.conf").write_text(KEEPALIVED.format(
            check=check, state=("MASTER", "BACKUP")[host], priority=(150, 100)[host], own=HOSTS[host],
            other=HOSTS[1 - host], address=ADDRESS))
        made = Program(f"keepalived{host}", self.hosts.run(
            host, "keepalived", "--dont-fork", "--log-console", "--no-syslog", "--vrrp", "--use-file",
            folder / "keepalived.conf", "--pid", folder / "pid", "--vrrp_pid", folder / "vrrp.pid"), folder)
        self.keepers[host] = (made, folder)
        self.t.at_end(made.end)

    def kill(self, host):
        """Its power is gone."""
        self.hosts.unplug(host)
        keeper, folder = self.keepers[host]
        for file in ("vrrp.pid", "pid"):
            try:
                os.kill(int((folder / file).read_text()), 9)
            except (OSError, ValueError):
                pass
        self.gateways[host].kill()

    def _register(self):
        while self.running:
            try:
                message = self.registrar.inbox.take(
                    lambda one: one.is_request and one.method in ("REGISTER", "OPTIONS"), 0.2)
            except Timeout:
                continue
            with self.registrar.inbox.changed:
                self.registrar.inbox.seen.clear()
            if message.method == "OPTIONS":
                self.registrar.reply(message, 200)
                continue
            self.registered[message.from_.uri.user] = message
            self.registrar.answer_register(message, expires=600)

    def _answer_probes(self):
        while self.running:
            try:
                probe = self.calls.inbox.take(lambda one: one.is_request and one.method == "OPTIONS", 0.2)
            except Timeout:
                continue
            self.calls.reply(probe, 200)

    def _end(self):
        self.running = False
        for thread in self.threads:
            thread.join()

    def client(self, transport, name):
        """A user agent outside, to the address that moves."""
        remote = self.gateways[0].listeners[f"access-{transport}"]
        if transport == "udp":
            flow = flows.UdpPort(OUTSIDE, name=name).to(remote)
            self.t.at_end(flow.port.close)
            return Client(flow, name)
        flow = flows.wss(remote, name)
        self.t.at_end(flow.close)
        return Client(flow, name, "browsers.test")

    def browser(self, name):
        """A browser that has registered."""
        return self.register(self.client("wss", name))

    def register(self, client, cseq=1, timeout=10):
        assert client.register(cseq=cseq, timeout=timeout).status == 200
        return client


class Counted:
    """The relay's own count of a session's packets beside the phone's, looked at all the time."""

    def __init__(self, engine, phone):
        self.engine, self.phone, self.seen, self.running = engine, phone, [], threading.Event()
        (self.session,) = engine.sessions()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.running.wait(0.05):
            try:
                sent = self.phone.sent
                totals = self.engine.command({"command": "query", "call-id": self.session})["totals"]
                self.seen.append((time.monotonic(), sent, totals["RTP"]["packets"]))
            except (OSError, KeyError):
                continue

    def packets(self):
        return self.seen[-1][2] if self.seen else 0

    def behind(self, since):
        """Packets that were sent and not (yet) counted, at most at any time since then, but those of before."""
        before = max(sent - packets for when, sent, packets in self.seen if when <= since)
        return max(sent - packets for when, sent, packets in self.seen if when > since) - before

    def end(self):
        self.running.set()
        self.thread.join()


def back(pair, old, cseq=2):
    """The browser connects and registers again, as the same instance."""
    new = pair.client("wss", old.user)
    new.instance, new.contact_user = old.instance, old.contact_user
    return pair.register(new, cseq)


def node_dies(t, pair, calls, browsers):
    """The machine that has the address loses its power."""
    pair.start()
    first = pair.holder
    g = pair.gateways[first]
    farm = Browsers(g.listeners["access-wss"], browsers, domain="browsers.test")
    t.at_end(farm.stop)
    clients = [pair.browser(f"caller{index}") for index in range(calls // 2)]
    phones = [pair.client("udp", f"phone{index}") for index in range(calls - len(clients))]
    running = [(client, *call(client, pair.calls, uri="sip:bob@calls.test")) for client in [*clients, *phones]]
    audio = t.phone(OUTSIDE)
    talker = pair.browser("talker")
    sent = talker.invite("sip:bob@calls.test", body=sip.webrtc_sdp())
    seen = pair.calls.expect("INVITE")
    answer = pair.calls.reply(seen, 200, body=audio.answer(seen.body))
    talking, talked = talker.ack(sent, talker.response(200, to=sent)), pair.calls.dialog(seen, answer)
    pair.calls.expect("ACK")
    counted = Counted(pair.engine, audio)
    t.at_end(counted.end)
    until(lambda: counted.packets() > 50, 10, "a second of audio has come to the relay")
    until(lambda: farm.here == browsers, 60, "all browsers are here")
    old_flow = pair.registered["b0"]

    died = time.monotonic()
    pair.kill(first)
    until(lambda: pair.hosts.is_known_at(1 - first), 30, "the address has moved", every=0.02)
    moved = time.monotonic() - died

    # Who is called at a flow of the dead machine: 430, so that the registrar looks elsewhere (RFC 5626 5.3.1).
    for method in ("INVITE", "MESSAGE", "OPTIONS"):
        made = invite_by_path(pair.calls, old_flow, method, body=sip.sdp() if method == "INVITE" else b"")
        status = pair.calls.final(made, 10).status
        assert status == 430, (method, status)
    # UDP phones notice nothing; browsers have to come back first. From both sides.
    for index, (client, ours, theirs, _) in enumerate(running[len(clients):]):
        if index % 2:
            hang_up(ours, client, pair.calls, 10)
        else:
            hang_up(theirs, pair.calls, client, 10)
    for index, (client, ours, theirs, _) in enumerate(running[:len(clients)]):
        new = back(pair, client)
        ours.send, ours.via = new.send_in_dialog, new.flow.via
        if index % 2:
            hang_up(ours, new, pair.calls, 10)
        else:
            hang_up(theirs, pair.calls, new, 10)
    hung_up = time.monotonic() - died
    until(lambda: farm.here == browsers and all(one.lost_at is None for one in farm.browsers)
          and len(farm.away) >= browsers, 75, f"all browsers are back ({farm.here}, {farm.trouble})", every=0.1)
    all_back = time.monotonic() - died

    behind = counted.behind(died)
    assert behind <= 10, f"{behind} packets of 20 ms did not come through the relay"
    new = back(pair, talker)
    talking.send, talking.via = new.send_in_dialog, new.flow.via
    assert pair.engine.sessions(), "the session is there until the call ends"
    hang_up(talked, pair.calls, new, 10)
    until(lambda: not pair.engine.sessions(), 10, "the other machine has deleted the media session")
    print(f"address moved after {moved:.2f} s; {len(running)} calls hung up after {hung_up:.1f} s; "
          f"{browsers} browsers back after {all_back:.1f} s, answers {dict(farm.answers)}")
    assert all_back < 60, f"{all_back:.1f} s"
    assert set(farm.answers) == {200}, farm.answers


@case("a machine dies under 16 calls and 60 browsers: all is taken over by the other (RFC 5626 5.3, RFC 3261 15)",
      seconds=240, alone=True)
def small(t):
    node_dies(t, Pair(t, relay=True), 16, 60)


@case("a machine dies under 50 calls and 200 browsers: all is taken over by the other", seconds=300, alone=True,
      long=True)
def whole(t):
    node_dies(t, Pair(t, relay=True), 50, 200)


@case("drain on one machine moves the address, undrain of it takes nothing back that would not work", seconds=120,
      alone=True)
def drained(t):
    pair = Pair(t)
    pair.start()
    assert pair.status(1) == 0, "without the address nothing can be said against the next hops"
    done = pair.ctl(1, "status")
    assert "not on this machine" in done.stdout, done.stdout
    assert pair.ctl(0, "drain").returncode == 0
    until(lambda: pair.hosts.has_address(1) and not pair.hosts.has_address(0), 20, "the address has moved")
    phone = pair.client("udp", "phone")
    ours, _, _ = call(phone, pair.calls, uri="sip:bob@calls.test")
    until(lambda: pair.status(1) == 0, 10, "the other one is ready")
    # keepalived asks each second: it must not go back.
    try:
        until(lambda: not pair.hosts.has_address(1), 4, "it goes back")
        raise AssertionError("the address went back to the machine that drains")
    except Timeout:
        pass
    hang_up(ours, phone, pair.calls)
    assert pair.ctl(0, "undrain").returncode == 0
