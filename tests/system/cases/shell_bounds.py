"""What is bounded, and who pays where it is reached: certificates, names, rules, keepalives, the end of a drain."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess

from lib import flows, sip
from lib.agents import call, hang_up
from lib.case import case
from lib.dns import NameServer
from lib.gateway import ROOT, binary
from lib.waiting import Timeout, until

SHARDS = {"shards": 2}


def shown(remote, name):
    """The certificate that a client gets who asks for that name, or for none."""
    context = flows.client_context()
    with socket.create_connection(remote, 5) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return secure.getpeercert(binary_form=True)


@case("a listener's own certificate goes to who names nobody, whatever the common default is (RFC 6066 3)")
def own_certificate(t):
    own, other, common = (t.certificate(name, names=[f"DNS:{name}"]) for name in ("own.test", "other.test", "all.test"))

    def table(pair, **more):
        return {"certificate": str(pair[0]), "key": str(pair[1]), **more}
    g = t.gateway(next_hop=t.backend().uri(), start=False, **SHARDS)
    g.config["certificate"] = [table(other), table(common, default=True)]
    for transport in ("wss", "tls"):
        g.listen(transport, name=f"own-{transport}", **table(own))
        g.listen(transport, name=f"all-{transport}")
    g.start()

    def der(pair):
        with open(pair[0]) as file:
            return ssl.PEM_cert_to_DER_cert(file.read())
    for transport in ("wss", "tls"):
        remote = g.listeners[f"own-{transport}"]
        assert shown(remote, None) == der(own), transport
        assert shown(remote, "nobody.test") == der(own), transport
        assert shown(remote, "other.test") == der(other), transport
        assert shown(g.listeners[f"all-{transport}"], None) == der(common), transport


@case("each handshake that fails is counted and logged with its reason (RFC 8446 6.2)")
def failed_handshakes(t):
    g = t.gateway("wss", "tls", next_hop=t.backend().uri(), **SHARDS)
    trusting_nobody = ssl.create_default_context()
    failed = 0
    for transport in ("wss", "tls"):
        for number in range(10):
            with socket.create_connection(g.listeners[f"access-{transport}"], 5) as plain:
                try:
                    trusting_nobody.wrap_socket(plain, server_hostname="gateway.test").close()
                except ssl.SSLError:
                    failed += 1
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("AES128-SHA:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(g.listeners["access-tls"], 5) as plain:
        try:
            old.wrap_socket(plain).close()
        except (ssl.SSLError, OSError):
            failed += 1
    assert failed == 21, failed
    until(lambda: g.metric("ringway_handshakes_total", result="failed") >= 21, 10, "all are counted")
    until(lambda: len([e for e in g.events() if e["event"] == "tls_handshake_failed"]) >= 21, 10,
          "all are logged")


@case("many requests for one name that is slow: one question for each shard, and each has its answer")
def slow_name(t):
    names = NameServer({})
    names.silent = True
    t.at_end(names.close)
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), dns={"nameservers": [names.address]}, **SHARDS)
    a = t.client(g, "udp")
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 200, body=sip.sdp(b.ip), contact=f"<sip:b@slow.test:{b.port};transport=udp>")
    received = a.response(200, to=sent)
    dialog = a.ack(sent, received)
    until(lambda: names.asked, 5, "the ACK needs the name")
    requests = [dialog.request("INFO") for _ in range(200)]
    assert all(a.final(request, 30).status >= 400 for request in requests)
    # The name's addresses of both families, each asked for twice.
    assert len(names.asked) <= 8, names.asked
    # Once the server answers, they wait for it and are sent on.
    names.records[("slow.test", "A")] = ["127.0.0.1"]
    until(lambda: answered_after(names, dialog, a, b), 40, "the name is known")


def answered_after(names, dialog, a, b):
    """Whether a request gets through, now that the name server answers."""
    names.silent = False
    request = dialog.request("INFO")
    with contextlib.suppress(Timeout):
        b.reply(b.expect("INFO", 3), 200)
        return a.final(request, 5).status == 200
    return False


@case("service drain: at its end both sides of a call get BYE, then the WebSocket hears 1001")
def drain_deadline(t):
    b = t.backend()
    g = t.gateway("ws", "tcp", next_hop=b.uri(), timers={"drain": "2s"}, **SHARDS)
    callers = [t.client(g, "ws", user="browser"), t.client(g, "tcp", user="phone")]
    for a in callers:
        call(a, b)
    g.program.process.send_signal(signal.SIGTERM)
    for _ in callers:
        b.reply(b.expect("BYE", 10), 200)
    for a in callers:
        a.reply(a.expect("BYE", 10), 200)
    assert callers[0].flow.expect_close(10) == 1001
    g.program.process.wait(15)
    assert g.program.process.returncode == 0


@case("keepalives that nobody reads the answers of do not fill the send queues (RFC 5626 3.5.1)")
def unread_keepalives(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", "ws", next_hop=b.uri(), **SHARDS)
    context = flows.client_context()
    for transport in ("tcp", "tls"):
        for _ in range(2):
            plain = socket.create_connection(g.listeners[f"access-{transport}"], 5)
            t.at_end(plain.close)
            connection = context.wrap_socket(plain) if transport == "tls" else plain
            connection.settimeout(2)
            try:
                for _ in range(50):
                    connection.sendall(b"\r\n\r\n" * 4096)
            except OSError:
                pass  # it was closed for it, or has to wait
    a = t.client(g, "ws")
    _, theirs, _ = call(a, b)
    hang_up(theirs, b, a)


@case("twenty reloads while sessions of each stay open cost next to nothing, and all of them go on")
def reloads(t):
    b = t.backend()
    g = t.gateway("wss", "tls", next_hop=b.uri(), **SHARDS)

    def resident():
        with open(f"/proc/{g.program.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def reload():
        before = g.metric("ringway_config_generation")
        g.program.process.send_signal(signal.SIGHUP)
        until(lambda: g.metric("ringway_config_generation") > before, 10, "it is reloaded")
    clients = [t.client(g, "wss", user="first")]
    for _ in range(3):
        reload()
    before = resident()
    for number in range(20):
        reload()
        clients.append(t.client(g, ("wss", "tls")[number % 2], user=f"u{number}"))
    grown = resident() - before
    assert grown < 20 * 600, f"{grown} kB more"
    for a in clients:
        sent = a.request("OPTIONS")
        b.reply(b.expect("OPTIONS"), 200)
        assert a.final(sent).status == 200


@case("1,024 scanner rules are room for the shipped ones and the user's; one more is refused with the number")
def many_rules(t):
    file = t.directory / "rules.toml"
    scanners = t.directory / "scanners.toml"

    def check_with(count):
        scanners.write_text("".join(f'[[rule]]\nname = "r{n}"\nmatch = "prefix"\ntext = "tool-{n}"\n' for n in range(count)))
        file.write_text('[[listen]]\ntransport = "udp"\naddress = "127.0.0.1:5060"\n[[next_hop]]\n'
                        f'address = "sip:127.0.0.1:5070"\n[filter]\nfile = "{scanners}"\n')
        return subprocess.run([str(binary()), "check", "--config", str(file)], capture_output=True, text=True,
                              timeout=20, check=False)
    for count in (65, 1023, 1024):
        done = check_with(count)
        assert done.returncode == 0, (count, done)
    done = check_with(1025)
    assert done.returncode != 0 and "1024" in done.stdout + done.stderr, done


@case("the shipped rules copied to a file of the user's, with his own in it or in another: served, reloaded, refused beyond")
def copied_rules(t):
    own, extra = t.directory / "scanners.toml", t.directory / "own.toml"

    def rules(count):
        return "".join(f'[[rule]]\nname = "mine{n}"\nmatch = "prefix"\ntext = "mine-{n}/"\n' for n in range(count))
    shipped = (ROOT / "configs/scanners.toml").read_text()
    known = shipped.count("\n[[rule]]")
    own.write_text(shipped + "\n" + rules(1))
    extra.write_text(rules(0))
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), filter={"file": str(own), "extra_file": str(extra)}, **SHARDS)

    def judged(agent):
        a = t.client(g, "udp")
        sent = a.request("OPTIONS", headers=[("User-Agent", agent)])
        if agent == "Phone/1":
            b.reply(b.expect("OPTIONS"), 200)
            return a.final(sent)
        a.silence(0.3)
        return None

    def reloaded(takes):
        before = g.metric("ringway_config_generation"), sum(e["event"] == "reload_refused" for e in g.events())
        g.reload()
        until(lambda: (g.metric("ringway_config_generation") > before[0]) if takes else
              sum(e["event"] == "reload_refused" for e in g.events()) > before[1], 10, "it is taken, or refused")
    for agent in ("Phone/1", "friendly-scanner", "mine-0/1"):
        judged(agent)
    for more, takes in ((1_024 - known - 2, True), (1_024 - known - 1, True), (1_024 - known, False)):
        extra.write_text(rules(more))
        reloaded(takes)
        for agent in ("Phone/1", "friendly-scanner", f"mine-{1_024 - known - 3}/1"):
            judged(agent)
    assert "1024" in next(e for e in g.events() if e["event"] == "reload_refused")["reason"]
    dropped = g.metric("ringway_filter_drops_total")
    assert dropped == 8, dropped


@case("the system's resolv.conf is followed: a new name server counts without a restart")
def resolv_conf(t):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return  # a file of its own needs a mount namespace, and such a file names no port but 53
    b = t.backend()
    places = [f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{last}" for last in (3, 4)]
    servers = [NameServer({("pbx.test", "A"): ["127.0.0.1"]}, ttl=5, ip=place, port=53) for place in places]
    for server in servers:
        t.at_end(server.close)
    conf = t.directory / "resolv.conf"
    conf.write_text(f"nameserver {places[0]}\n")
    g = t.gateway("udp", start=False, **SHARDS)
    g.next_hop(f"sip:pbx.test:{b.udp.local[1]};transport=udp")
    start_with_resolv_conf(t, g, conf)
    until(lambda: servers[0].asked, 15, "the first one is asked")
    conf.write_text(f"nameserver {places[1]}\n# another one\n")
    until(lambda: servers[1].asked, 40, "the second one is asked")
    a = t.client(g, "udp")
    sent = a.request("OPTIONS")
    b.reply(b.expect("OPTIONS"), 200)
    assert a.final(sent).status == 200


def start_with_resolv_conf(t, g, conf):
    from lib.programs import Program
    g.enable_admin()
    g.write()
    g.ports.release()
    g.program = Program(g.name, ["unshare", "--mount", "sh", "-c",
                                 f"mount --bind {conf} /etc/resolv.conf && exec {binary()} run --config {g.file}"],
                        g.directory)

    def ready():
        try:
            return json.loads(g.http("/healthz")[1])["status"] != "starting"
        except (OSError, ValueError):
            return False
    until(ready, 30, "it is ready")
