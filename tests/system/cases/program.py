"""The program as an administrator meets it: start, check, help, admin port, logs, filter."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

from lib import flows, sip, websocket
from lib.agents import Client, call, elapsed_ms, hang_up
from lib.case import case
from lib.gateway import ROOT, binary, toml
from lib.waiting import until


def run(*arguments, timeout=15, **options):
    return subprocess.run([str(binary()), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          **options)


def check(t, text):
    file = t.directory / "mistakes.toml"
    file.write_text(text)
    return run("check", "--config", file), file


@case("--help and --version say what people expect")
def help_version(t):
    done = run("--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("run", "check", "demo")), done
    done = run("--version")
    assert done.returncode == 0 and re.search(r"\b\d+\.\d+\.\d+\b", done.stdout), done
    done = run("no-such-command")
    assert done.returncode not in (0, 99), done
    done = run("run")
    assert done.returncode not in (0, 99) and "--config" in done.stdout + done.stderr, done


def build_option(name):
    """Of the build folder that the program under test comes from; None if it is not from one."""
    for folder in binary().resolve().parents:
        options = folder / "meson-info" / "intro-buildoptions.json"
        if options.exists():
            return {option["name"]: option["value"] for option in json.loads(options.read_text())}.get(name)
    return None


@case("the program is hardened: position independent, read-only relocations, canaries, checked copies")
def hardened(t):
    def read(*arguments):
        return subprocess.run(["readelf", "-W", *arguments, str(binary())], capture_output=True, text=True, check=True,
                              timeout=60).stdout

    assert re.search(r"Type:\s+DYN", read("-h")), "it is not position independent"
    segments = read("-l")
    assert "GNU_RELRO" in segments, "its relocations stay writable"
    stack = re.search(r"GNU_STACK.*?\s(R?W?E?)\s+0x", segments)
    assert stack and "E" not in stack.group(1), f"its stack is executable: {stack}"
    assert re.search(r"FLAGS.*\bNOW\b", read("-d")), "its functions are looked up while it runs"
    symbols = read("--dyn-syms")
    assert "__stack_chk_fail" in symbols, "no function has a canary"
    if build_option("optimization") in ("0", None):
        return  # the compiler checks copies only where it optimises
    assert re.search(r"__\w+_chk@", symbols), "no copy is checked"


@case("check reports every mistake with file, line, column and the nearest known key", sanitize=True)
def check_mistakes(t):
    done, file = check(t, 'shards = "two"\n\n[[listen]]\ntransport = "wws"\nadress = "127.0.0.1:5060"\n\n'
                          '[[next_hop]]\naddress = "sip:x:99999"\n')
    output = done.stdout + done.stderr
    assert done.returncode not in (0, 99), done
    for place in (f"{file}:1:", f"{file}:4:", f"{file}:5:", f"{file}:8:"):
        assert place in output, f"nothing about {place}\n{output}"
    assert re.search(rf"{re.escape(str(file))}:5:1\b.*\baddress\b", output), output
    done, file = check(t, "[[listen]\nx=")
    assert done.returncode not in (0, 99) and re.search(rf"{re.escape(str(file))}:1:\d+", done.stdout + done.stderr)
    done = run("check", "--config", t.directory / "absent.toml")
    assert done.returncode not in (0, 99) and "absent.toml" in done.stdout + done.stderr


@case("check accepts a good file, the files in configs/, and the README's")
def check_good(t):
    g = t.gateway("udp", "wss", next_hop="sip:127.0.0.1:5060", start=False)
    g.enable_admin()
    done = run("check", "--config", g.write())
    assert done.returncode == 0, done
    pair = t.certificate("gateway.test")
    token_key = t.directory / "token.key"
    token_key.write_bytes(os.urandom(32))
    token_key.chmod(0o600)
    readme = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    for name, text in (("README", readme), *((file, (ROOT / "configs" / file).read_text())
                                             for file in ("minimal.toml", "ringway.toml"))):
        # Certificates and keys in the examples are names of files that only a real machine has.
        text = re.sub(r'^(#?\s*\w*certificate) = "[^"]*"', rf'\1 = "{pair[0]}"', text, flags=re.M)
        text = re.sub(r'^(#?\s*(?:\w*_)?key) = "[^"]*"', rf'\1 = "{pair[1]}"', text, flags=re.M)
        text = re.sub(r'^key_file = "/etc/[^"]*"', f'key_file = "{token_key}"', text, flags=re.M)
        done, _ = check(t, text)
        assert done.returncode == 0, (name, done)
    lines = [line for line in (ROOT / "configs/minimal.toml").read_text().splitlines()
             if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= 12, f"minimal.toml has {len(lines)} lines"


@case("a busy port, a missing certificate, a bad file: one clear line and no start")
def start_failures(t):
    def failing(g, *words):
        g.enable_admin()
        g.write()
        g.ports.release()
        done = run("run", "--config", g.file)
        output = (done.stdout + done.stderr).strip()
        assert done.returncode not in (0, 99) and done.returncode > 0, done
        assert all(word in output for word in words), f"{words} not in:\n{output}"
        assert len(output.splitlines()) <= 3, f"more than a clear line:\n{output}"

    for transport in ("udp", "tcp", "ws"):
        g = t.gateway(next_hop="sip:127.0.0.1:5060", network=(), start=False, name=f"busy-{transport}")
        ip, port = g.listen(transport)
        g.listen("udp", side="network")
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        g.ports.release()
        with socket.socket(socket.AF_INET, kind) as holder:
            holder.bind((ip, port))
            if kind == socket.SOCK_STREAM:
                holder.listen()
            failing(g, str(port), "in use")
    g = t.gateway(next_hop="sip:127.0.0.1:5060", start=False, name="no-certificate")
    g.listen("wss", certificate="/nonexistent/c.pem", key="/nonexistent/c.key")
    failing(g, "/nonexistent/c.pem")
    pair, other = t.certificate("one.test"), t.certificate("two.test")
    g = t.gateway(next_hop="sip:127.0.0.1:5060", start=False, name="wrong-key")
    g.listen("wss", certificate=str(pair[0]), key=str(other[1]))
    failing(g, "key")


# Runs a program under a seccomp filter that refuses io_uring_setup, as containers have it.
FORBID_IO_URING = r"""
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def op(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
filters = op(0x20, 0, 0, 0) + op(0x15, 0, 1, 425) + op(0x06, 0, 0, 0x00050001) + op(0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(filters)
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
one = Program(4, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(one), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@case("where io_uring is forbidden: a call goes through with epoll, and one log line says why and what is lost")
def forbidden_io_uring(t):
    backend = t.backend()
    g = t.gateway("wss", "udp", next_hop=backend.uri(), shards=2, reactor="auto", start=False)
    g.prefix = ["python3", "-c", FORBID_IO_URING]
    g.start()
    lines = [line for line in g.events() if line.get("event") == "reactor_epoll"]
    assert len(lines) == 1 and "io_uring" in lines[0]["reason"] and "seccomp" in lines[0]["reason"], lines
    assert lines[0]["lost"], lines
    for transport in ("wss", "udp"):
        caller = t.client(g, transport)
        ours, _, _ = call(caller, backend)
        hang_up(ours, caller, backend)


@case("io_uring is asked for and forbidden: one clear line and no start")
def no_io_uring(t):
    g = t.gateway("udp", next_hop="sip:127.0.0.1:5060", reactor="io_uring", start=False)
    g.enable_admin()
    g.write()
    g.ports.release()
    done = subprocess.run(["python3", "-c", FORBID_IO_URING, str(binary()), "run", "--config", str(g.file)],
                          capture_output=True, text=True, timeout=15)
    output = (done.stdout + done.stderr).strip()
    assert done.returncode > 0 and done.returncode != 99 and "io_uring" in output, done
    assert len(output.splitlines()) <= 3, output


@case("reactor = epoll serves and says that it was asked for", sanitize=True)
def asked_for_epoll(t):
    backend = t.backend()
    g = t.gateway("wss", next_hop=backend.uri(), shards=2, reactor="epoll")
    lines = [line for line in g.events() if line.get("event") == "reactor_epoll"]
    assert len(lines) == 1 and lines[0]["reason"] == "configured" and lines[0]["level"] == "info", lines
    caller = t.client(g, "wss")
    ours, _, _ = call(caller, backend)
    hang_up(ours, caller, backend)


@case("the admin port: /healthz, /metrics in Prometheus' text, /calls as JSON", sanitize=True)
def admin(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri())
    status, body = g.http("/healthz")
    assert status == 200
    text = g.http("/metrics")[1]
    metrics = g.metrics()
    for name in ("ringway_flows", "ringway_messages_total", "ringway_transactions", "ringway_ng_requests_total",
                 "ringway_media_sessions", "ringway_filter_drops_total", "ringway_log_dropped_total",
                 "ringway_missed_deadlines_total"):
        assert any(key[0] == name for key in metrics), f"no {name} in\n{text}"
    for name in {key[0] for key in metrics}:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert f"# TYPE {name} " in text or f"# TYPE {base} " in text, f"no TYPE for {name}"
        assert f"# HELP {name} " in text or f"# HELP {base} " in text, f"no HELP for {name}"
    assert g.calls() in ([], {"calls": []}) or not g.calls().get("calls"), g.calls()
    a = t.client(g, "wss")
    ours, theirs, seen = call(a, b)
    assert g.metric("ringway_flows", transport="wss") == 1
    calls = g.calls()
    text = json.dumps(calls)
    assert seen.call_id in text, text
    hang_up(ours, a, b)
    until(lambda: seen.call_id not in json.dumps(g.calls()), 5, "the call left /calls")
    assert g.http("/nothing")[0] == 404
    before = g.metric("ringway_messages_total", direction="in", transport="wss")
    a.request("OPTIONS")
    b.reply(b.expect("OPTIONS"), 200)
    a.response(200)
    assert g.metric("ringway_messages_total", direction="in", transport="wss") == before + 1


@case("promtool finds nothing to say about /metrics and the alert rules that are shipped")
def promtool(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    done = subprocess.run(["promtool", "check", "metrics"], input=g.http("/metrics")[1], text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr + done.stdout
    rules = Path(__file__).parents[3] / "configs/monitoring/alerts.yml"
    done = subprocess.run(["promtool", "check", "rules", rules], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr + done.stdout


@case("logs are JSON lines with Call-ID and flow, and hold no secret", sanitize=True)
def logs(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    secret = "0123456789abcdefresponse"
    a.request("REGISTER", "sip:example.test", to_uri=a.aor, contact=a.contact, headers=[
        ("Authorization", f'Digest username="alice", realm="r", nonce="n", uri="sip:example.test", response="{secret}"')])
    b.answer_register(b.expect("REGISTER"))
    a.response(200)
    ours, _, seen = call(a, b, body=sip.sdp() + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRETKEYSECRETKEY\r\n")
    hang_up(ours, a, b)
    a.flow.write(b"rubbish\r\n\r\n")
    until(lambda: any(event for event in g.events()), 5, "a log line")
    g.program.process.terminate()
    g.program.wait(10)
    text = g.program.text()
    lines = [line for line in text.splitlines() if line]
    for line in lines:
        json.loads(line)
    for word in (secret, "SECRETKEYSECRETKEY"):
        assert word not in text, f"{word} in the log"
    token = seen.record_routes[0].uri.user
    assert not token or token not in text, "a flow token in the log"


@case("SIGTERM ends cleanly, with the WebSocket close 1001")
def sigterm(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    g.program.process.terminate()
    assert a.flow.expect_close(5) == 1001
    assert g.program.wait(10) == 0


@case("no rtpengine in the config: SDP passes untouched, and the log says so once")
def no_media(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    body = sip.webrtc_sdp() + b"a=x-own:1\r\na=ssrc:1 cname:x\r\n"
    for _ in range(2):
        sent = a.invite(body=body)
        seen = b.expect("INVITE")
        assert seen.body == body, seen
        b.reply(seen, 200, body=body)
        assert a.response(200, to=sent).body == body
    def said():
        return [line for line in g.program.text().splitlines() if "rtpengine" in line]
    until(said, 5, "the log says so")
    assert len(said()) == 1, said()


def probes(t, g, b, transport):
    """Messages of scanners on one transport; each must vanish, and streams be closed."""
    ours = [("User-Agent", "friendly-scanner"), ("User-Agent", "Friendly-Scanner"), ("User-Agent", "sipcli/v1.8")]
    for header in ours:
        a = t.client(g, transport)
        a.request("OPTIONS", headers=[header])
        if transport == "udp":
            a.silence(0.3)
        else:
            a.flow.expect_end(5)
            a.silence(0.05)
    for from_value in ("<sip:100@1.1.1.1>;tag=1", '"sipvicious" <sip:x@y.test>;tag=1'):
        a = t.client(g, transport)
        message = a.build("INVITE", body=sip.sdp())
        message.set("From", from_value)
        a.flow.send(message)
        if transport == "udp":
            a.silence(0.3)
        else:
            a.flow.expect_end(5)
            a.silence(0.05)
    b.silence(0.1, lambda m: m.is_request)


@case("scanners get no answer: silence on UDP, an end on streams; counted and logged", sanitize=True)
def scanners(t):
    b = t.backend()
    g = t.gateway("udp", "tcp", "wss", next_hop=b.uri())
    for transport in ("udp", "tcp", "wss"):
        before = g.metric("ringway_filter_drops_total")
        probes(t, g, b, transport)
        assert g.metric("ringway_filter_drops_total") == before + 5, transport
    assert any("scanner" in json.dumps(event) or "filter" in json.dumps(event) for event in g.events())
    for agent in ("x-lite 4", "Linphone/5.2", "FPBX-16.0", "Cisco-CP8841/1", "Cisco-CUCM8.6",
                  "Eco-Friendly Phones (barcode scanner edition)", "Z 3.14.38765 rv2.8.3", "SIPVoice 2"):
        a = t.client(g, "udp")
        sent = a.request("OPTIONS", headers=[("User-Agent", agent)])
        b.reply(b.expect("OPTIONS"), 200)
        assert a.final(sent).status == 200, agent


@case("RFC 3261 7.3.1: a scanner is known by folded and repeated headers and by compact names too")
def folded_scanners(t):
    b = t.backend()
    g = t.gateway("udp", "tcp", next_hop=b.uri(), shards=2)
    hidden = (("User-Agent: probe", "User-Agent :\r\n Friendly-Scanner"),
              ("User-Agent: probe", "User-Agent\t:\r\n\tsipcli/v1.8"),
              ("User-Agent: probe", "User-Agent: Phone\r\nUser-Agent: sundayddr"),
              ("User-Agent: probe", "m: \r\n <sip:123@1.1.1.1>"))
    for transport in ("udp", "tcp"):
        for line, other in hidden:
            a = t.client(g, transport)
            message = a.build("OPTIONS", headers=[("User-Agent", "probe")])
            a.flow.send(message.to_bytes().replace(line.encode(), other.encode()))
            if transport == "tcp":
                a.flow.expect_end(5)
            a.silence(0.1)
    assert g.metric("ringway_filter_drops_total") == 8
    b.silence(0.1, lambda m: m.is_request)


@case("display names and programs that people have pass the shipped rules")
def no_scanners(t):
    b = t.backend()
    g = t.gateway("wss", "udp", next_hop=b.uri(), shards=2)
    for transport in ("wss", "udp"):
        for name in ("Caller", "Mayet", "Simple SIP", "0123456789", "Friendly Scanner Sales"):
            a = t.client(g, transport)
            message = a.build("OPTIONS")
            message.set("From", f'"{name}" <sip:user@127.0.0.1>;tag=7')
            a.flow.send(message)
            b.reply(b.expect("OPTIONS"), 200)
            assert a.final(message).status == 200, name


@case("bad input is answered where it can be, and never ends the program", sanitize=True)
def bad_input(t):
    import random
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    b = t.backend()
    g = t.gateway("udp", "tcp", "wss", next_hop=b.uri())
    a = t.client(g, "udp")
    broken = a.build("OPTIONS")
    a.flow.send(broken.set("CSeq", "x OPTIONS"))
    assert a.inbox.take(lambda m: m.call_id == broken.call_id, 3, "answer").status == 400
    whole = a.build("INVITE", body=sip.sdp()).to_bytes()
    remote = g.listeners["access-udp"]
    for number in range(3000):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 6)):
            kind = dice.randrange(3)
            position = dice.randrange(len(data))
            if kind == 0:
                data[position] = dice.randrange(256)
            elif kind == 1:
                del data[position:position + dice.randrange(1, 40)]
            else:
                data[position:position] = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 20)))
            if not data:
                data = bytearray(b"x")
        a.flow.port.socket.sendto(bytes(data), remote)
    for transport in ("tcp", "wss"):
        for number in range(40):
            flow = g.flow(transport)
            data = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 3000)))
            try:
                flow.write(data if number % 2 else whole[:dice.randrange(len(whole))] + data)
            except OSError:
                pass
            flow.close()
    fresh = t.client(g, "wss")
    sent = fresh.request("OPTIONS")
    b.reply(b.expect("OPTIONS", where=lambda m: m.call_id == sent.call_id), 200)
    assert fresh.final(sent).status == 200


@case("a flow that closes leaves nothing: flows, descriptors and transactions go back")
def no_leak(t):
    b = t.backend()
    g = t.gateway("tcp", "tls", "ws", "wss", next_hop=b.uri())
    before = g.descriptors()
    for round_ in range(5):
        for transport in ("tcp", "tls", "ws", "wss"):
            clients = [t.client(g, transport) for _ in range(5)]
            for index, a in enumerate(clients):
                sent = a.request("OPTIONS")
                b.reply(b.expect("OPTIONS"), 200)
                a.final(sent)
                a.flow.abort() if index % 2 else a.flow.close()
    until(lambda: sum(g.metric("ringway_flows", transport=name) for name in ("tcp", "tls", "ws", "wss")) == 0, 10,
          "all flows are gone")
    until(lambda: g.descriptors() <= before, 10, f"descriptors back to {before}")
