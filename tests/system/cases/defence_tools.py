"""Other people's tools: fail2ban on our log, testssl.sh and sslscan on our TLS, slowhttptest and floods beside calls."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from lib import sip
from lib.case import Skip, case
from lib.gateway import ROOT
from lib.programs import Program
from lib.waiting import until

from .defence_bans import bans, client, ctl, door, fail, register

FILTER = ROOT / "configs" / "fail2ban" / "ringway.conf"


def tool(*names):
    for name in names:
        if shutil.which(name):
            return name
    raise Skip(f"{names[0]} is not installed (tests/install)")


@case("fail2ban: its filter finds the bans of everything in both forms of the log, and nothing else")
def fail2ban(t):
    regex = tool("fail2ban-regex")
    for form in ("json", "text"):
        g, b = door(t, "udp", "tcp", log={"level": "debug", "format": form}, name=f"log-{form}")
        phone = client(t, g, "tcp", "127.0.0.5")
        register(phone, b)
        fail(t, g, "127.0.0.9", "tcp", 11)
        until(lambda: "127.0.0.9" in bans(g), 5, "a ban of everything")
        fail(t, g, "127.0.0.10", "udp", 11)
        until(lambda: "127.0.0.10" in bans(g), 5, "a ban of datagrams")
        assert ctl(g, "bans", "add", "2001:db8:1:2::7")[0] == 0
        assert ctl(g, "bans", "add", "127.0.0.12")[0] == 0 and ctl(g, "bans", "lift", "127.0.0.12")[0] == 0
        # Somebody who writes what a ban looks like into his messages bans nobody.
        liar = client(t, g, "tcp", "127.0.0.13", 'x"event":"banned","source":"127.0.0.1","scope":"all"')
        try:
            liar.request("OPTIONS", headers=[("User-Agent", '"event":"banned","source":"127.0.0.1","scope":"all"'),
                                             ("Subject", " banned source=127.0.0.1 scope=all ")])
        except OSError:
            pass
        # Nor does somebody with an account, whose name stands in the record of his call.
        for name in (" banned source=127.0.0.1 scope=all ", '\\" banned source=127.0.0.1 scope=all \\"',
                     ',\\"event\\":\\"banned\\",\\"source\\":\\"127.0.0.1\\",\\"scope\\":\\"all\\"'):
            invite = phone.build("INVITE", body=sip.sdp())
            invite.set("From", f'"{name}" <sip:alice@example.test>;tag={sip.token(3)}')
            phone.flow.send(invite)
            b.reply(b.expect("INVITE"), 486)
            assert phone.final(invite).status == 486
        until(lambda: "127.0.0.12" in g.program.text() and g.program.text().count("call_ended") == 3, 5, "the log")
        g.stop()
        log = t.directory / f"{form}.log"
        log.write_text(Path(t.directory / f"log-{form}" / f"log-{form}.log").read_text())
        done = subprocess.run([regex, "-o", "ip", str(log), str(FILTER)], capture_output=True, text=True, timeout=60)
        found = done.stdout.split()
        assert found == ["127.0.0.9", "2001:db8:1:2::", "127.0.0.12"], (form, found, done.stderr)
        whole = subprocess.run([regex, str(log), str(FILTER)], capture_output=True, text=True, timeout=60).stdout
        assert re.search(r"Lines: \d+ lines, 0 ignored, 3 matched", whole), whole[-600:]


# --- TLS ---------------------------------------------------------------------------------------

# Who is no public authority, and has no revocation service, is one of ours: the certificate is the test's own.
OF_THE_TESTS_CERTIFICATE = re.compile(r"^(cert_chain_of_trust|cert_trust|cert_crlDistributionPoints|cert_ocspURL|"
                                      r"cert_revocation|cert_validityPeriod|cert_notAfter|cert_expirationStatus|DNS_CAArecord|"
                                      r"overall_grade|grade_cap_reason_\d+|cert_subjectAltName|cert_commonName_wo_SNI)")
# HTTP headers of a browser's page are no matter of a SIP port.
OF_PAGES = re.compile(r"^(HSTS|HPKP|security_headers|cookie|banner_|BREACH|HTTP_|X-Frame|Referrer|Content-Security)")


@case("TLS: testssl.sh finds nothing above LOW at the WSS and the TLS port", seconds=2000, alone=True, long=True)
def testssl(t):
    command = tool("testssl", "testssl.sh")
    g, b = door(t, "wss", "tls")
    for transport in ("tls", "wss"):
        out = t.directory / f"testssl-{transport}.json"
        port = g.listeners[f"access-{transport}"][1]
        subprocess.run([command, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
                        "--openssl-timeout", "5", "--connect-timeout", "5", "--jsonfile", str(out),
                        "-p", "-s", "-f", "-P", "-S", "-U", f"localhost:{port}"],
                       capture_output=True, text=True, timeout=900,
                       # It finds out what its own openssl can by connecting to a name that does not exist.
                       env={**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"})
        findings = json.loads(out.read_text())
        assert len(findings) > 60, len(findings)
        bad = [f for f in findings if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
               and not OF_THE_TESTS_CERTIFICATE.match(f["id"]) and not OF_PAGES.match(f["id"])]
        low = sorted({f["id"] for f in findings if f["severity"] == "LOW"})
        print(f"{transport}: {len(findings)} findings, LOW: {low}")
        assert not bad, bad
        offered = {f["id"] for f in findings if f["id"] in ("SSLv2", "SSLv3", "TLS1", "TLS1_1") and "not offered" in f["finding"]}
        assert len(offered) == 4, offered


@case("TLS: sslscan finds TLS 1.2 and 1.3 with forward secrecy and AEAD, and nothing old", seconds=180)
def sslscan(t):
    command = tool("sslscan")
    g, b = door(t, "wss", "tls")
    for transport in ("tls", "wss"):
        port = g.listeners[f"access-{transport}"][1]
        out = t.directory / f"sslscan-{transport}.xml"
        subprocess.run([command, f"--xml={out}", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=80)
        root = ElementTree.parse(out).getroot().find("ssltest")
        enabled = {p.get("type").upper() + p.get("version") for p in root.findall("protocol") if p.get("enabled") == "1"}
        assert enabled == {"TLS1.2", "TLS1.3"}, enabled
        ciphers = [(c.get("sslversion"), c.get("cipher"), c.get("strength")) for c in root.findall("cipher")]
        assert ciphers, "it saw none"
        for version, name, strength in ciphers:
            assert strength in ("strong", "acceptable"), (version, name, strength)
            good = name.startswith("TLS_") or (name.startswith("ECDHE-") and re.search("GCM|CHACHA20", name))
            assert good, (version, name)
        for name in ("compression", "fallback"):
            found = root.find(name)
            assert found is None or found.get("supported") == ("0" if name == "compression" else "1"), name
        assert all(h.get("vulnerable") == "0" for h in root.findall("heartbleed"))
        renegotiation = root.find("renegotiation")
        assert renegotiation is None or renegotiation.get("supported") == "0" or renegotiation.get("secure") == "1"


# --- Floods ------------------------------------------------------------------------------------

def cpu_seconds(g):
    fields = open(f"/proc/{g.program.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(g):
    return int(open(f"/proc/{g.program.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def round_trips(phones, b, count):
    """Calls of known phones that the server refuses at once: seconds from INVITE to 486, sorted."""
    times = []
    for number in range(count):
        a = phones[number % len(phones)]
        began = time.monotonic()
        sent = a.invite()
        b.reply(b.expect("INVITE", 10, where=lambda m, sent=sent: m.call_id == sent.call_id), 486)
        got = a.final(sent, 10)
        assert got.status == 486
        times.append(got.at - began)
    return sorted(times)


def p99(times):
    return times[int(len(times) * 0.99)]


def beside(t, g, b, phones, name, running, rounds=400):
    """Calls beside an attack that lasts while running() says so; what it did to them."""
    quiet = round_trips(phones, b, rounds)
    before, cpu = resident(g), cpu_seconds(g)
    yield
    under = round_trips(phones, b, rounds)
    while running():
        under = sorted(under + round_trips(phones, b, 50))
    grown = resident(g) - before
    print(f"{name}: p99 {p99(quiet) * 1000:.1f} ms quiet, {p99(under) * 1000:.1f} ms under attack, median "
          f"{quiet[len(quiet) // 2] * 1000:.1f} and {under[len(under) // 2] * 1000:.1f}; "
          f"{cpu_seconds(g) - cpu:.2f} s of CPU, {grown / 1e6:+.1f} MB")
    # On a machine that the attacker's own work fills, the median says whether calls go on.
    assert under[len(under) // 2] < max(4 * quiet[len(quiet) // 2], 0.1), (quiet[-5:], under[-5:])
    assert grown < 80e6, grown
    yield


@case("slow clients (slowhttptest) on the WSS port: head, body and reading by bytes; calls go on beside them",
      seconds=240, alone=True, long=True)
def slow(t):
    command = tool("slowhttptest")
    g, b = door(t, "wss", "tcp")
    phones = [client(t, g, "tcp", f"127.0.0.{50 + i}", f"p{i}") for i in range(4)]
    for phone in phones:
        register(phone, b)
    port = g.listeners["access-wss"][1]
    for mode in (["-H", "-i", "1"], ["-B", "-i", "1"], ["-X", "-w", "1", "-y", "8", "-n", "1", "-z", "1"]):
        steps = None
        program = None

        def running():
            return program is not None and program.running
        steps = beside(t, g, b, phones, f"slowhttptest {mode[0]}", running, 200)
        next(steps)
        program = Program(f"slow{mode[0]}", [command, *mode, "-c", "300", "-r", "150", "-l", "12", "-p", "3",
                                             "-u", f"https://127.0.0.1:{port}/"], t.directory)
        t.at_end(program.end)
        next(steps)
        until(lambda: not program.running, 40, "its end")
    # None of them is still there, and the address, whoever sits behind it, may come back.
    until(lambda: g.metric("ringway_flows") <= len(phones) + 2, 20, "no connection of them is left")


SCANNER = ("OPTIONS sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bK-{n};rport\r\n"
           "Max-Forwards: 70\r\nFrom: \"sipvicious\"<sip:100@1.1.1.1>;tag={n}\r\nTo: \"sipvicious\"<sip:100@1.1.1.1>\r\n"
           "Call-ID: {n}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:100@{ip}:5060>\r\nUser-Agent: friendly-scanner\r\n"
           "Accept: application/sdp\r\nContent-Length: 0\r\n\r\n")


@case("a flood of scanners over UDP from thousands of addresses: no byte back, memory flat, calls go on",
      seconds=240, alone=True, long=True)
def scanners(t):
    rules = t.directory / "ban.toml"
    rules.write_text('[[rule]]\nname = "ban"\nfield = "user_agent"\nmatch = "exact"\naction = "ban"\n'
                     'text = "friendly-scanner"\n')
    g, b = door(t, "udp", "tcp", filter={"extra_file": str(rules)})
    phones = [client(t, g, "tcp", f"127.0.0.{50 + i}", f"p{i}") for i in range(4)]
    for phone in phones:
        register(phone, b)
    remote = g.listeners["access-udp"]
    quiet = round_trips(phones, b, 300)
    # Each address sends three, which is what it takes to be banned, and a fourth that meets the ban.
    addresses = [f"127.{1 + i // 250 // 250}.{i // 250 % 250}.{1 + i % 250}" for i in range(5_000)]
    memory, cpu, sent, back, under = resident(g), cpu_seconds(g), 0, 0, []
    for number, ip in enumerate(addresses):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
            port.bind((ip, 0))
            port.setblocking(False)
            for n in range(4):
                port.sendto(SCANNER.format(ip=ip, n=f"{number}-{n}").encode(), remote)
                sent += 1
            try:
                back += len(port.recv(65536))
            except BlockingIOError:
                pass
        if number % 100 == 99:
            under += round_trips(phones, b, 5)
    under.sort()
    used = cpu_seconds(g) - cpu
    until(lambda: g.metric("ringway_bans_remembered") >= 4_000, 20, "the bans")
    grown = resident(g) - memory
    print(f"{sent} datagrams from {len(addresses)} addresses: {back} bytes back, {used / sent * 1e6:.1f} us of CPU each "
          f"with the calls beside them, {grown / 1e6:+.1f} MB; p99 of calls {p99(quiet) * 1000:.1f} ms quiet, "
          f"{p99(under) * 1000:.1f} ms in the flood")
    assert back == 0
    assert grown < 40e6, grown
    assert under[len(under) // 2] < max(4 * quiet[len(quiet) // 2], 0.1)
    assert round_trips(phones, b, 20)


@case("a flood of sipp's from 10,000 addresses of 127/8, INVITE and REGISTER of strangers: calls of the known go on",
      seconds=240, alone=True, long=True)
def sipp_flood(t):
    command = tool("sipp")
    g, b = door(t, "udp", "tcp", bans={"failures": 10})
    phones = [client(t, g, "tcp", f"127.0.0.{50 + i}", f"p{i}") for i in range(4)]
    for phone in phones:
        register(phone, b)
    addresses = t.directory / "addresses.csv"
    addresses.write_text("SEQUENTIAL\n" + "".join(f"127.2.{i // 250}.{1 + i % 250};\n" for i in range(10_000)))
    scenario = t.directory / "flood.xml"
    scenario.write_text("""<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="flood">
  <send><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [field0]:[local_port];branch=[branch]
From: <sip:100@[field0]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:100@[field0]:[local_port]>
Max-Forwards: 70
User-Agent: Grandstream GXP1625
Content-Length: 0

]]></send>
</scenario>
""")
    steps = None
    program = None

    def running():
        return program is not None and program.running
    steps = beside(t, g, b, phones, "sipp", running, 300)
    next(steps)
    program = Program("flood", [command, f"127.0.0.1:{g.listeners['access-udp'][1]}", "-sf", scenario, "-inf", addresses,
                                "-t", "ui", "-ip_field", "0", "-i", "127.2.0.1", "-r", "2000", "-m", "16000", "-l", "16000",
                                "-max_socket", "12000", "-nostdin", "-timeout", "30s", "-s", "0044123456"], t.directory, env={"TERM": "dumb"})
    t.at_end(program.end)
    next(steps)
    until(lambda: not program.running, 60, "its end")
    strangers = g.metric("ringway_requests_total", method="INVITE")
    print(f"{strangers:.0f} INVITEs arrived")
    assert strangers > 5_000, program.tail(20)
    b.no_request("INVITE", 0.1)


