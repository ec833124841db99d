"""The messages of RFC 4475 and RFC 5118 on UDP, TCP, TLS and WSS; on streams also cut at every byte.

A probe request follows each message on the same flow. When its answer is back, everything that the
message caused has happened: nothing is judged by waiting.
"""

import csv
import os
import random
import re
from pathlib import Path

from lib import flows, sip
from lib.agents import Backend, Client
from lib.case import case
from lib.dns import NameServer
from lib.sip import Message
from lib.waiting import Timeout

CORPUS = Path(__file__).resolve().parents[2] / "corpus"


def rows(file, name, columns):
    with open(CORPUS / file, newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row[name], [row[column] for column in columns]


# Verdicts that the tables give in words; sets of accepted outcomes by transport.
WORDS = {
    "dblreq.dat": {"udp": {"forward"}, "tcp": {"two"}, "tls": {"two"}, "wss": {"forward", "400"}},
    "unreason.dat": dict.fromkeys(("udp", "tcp", "tls", "wss"), {"drop"}),
    "noreason.dat": dict.fromkeys(("udp", "tcp", "tls", "wss"), {"drop"}),
    "clerr.dat": {"udp": {"400"}, "tcp": {"close", "400"}, "tls": {"close", "400"}, "wss": {"400", "close"}},
    "baddn.dat": {"udp": {"400", "drop"}, "tcp": {"close"}, "tls": {"close"}, "wss": {"400", "close"}},
    "inv2543.dat": {"udp": {"forward"}, "tcp": {"400", "close"}, "tls": {"400", "close"}, "wss": {"forward"}},
    "test.dat": {"udp": {"400", "drop"}, "tcp": {"400", "close"}, "tls": {"400", "close"}, "wss": {"400", "close"}},
}
# These lose the stream's framing, so 400 alone is not enough there.
MUST_CLOSE = {"ncl.dat", "mcl01.dat", "clerr.dat", "inv2543.dat", "baddn.dat"}


def accepted(name, udp, stream, transport):
    if name in WORDS:
        return WORDS[name][transport]
    text = udp if transport == "udp" or stream == "same" else stream
    text = text.replace("553 body", "")
    found = {word for word in re.findall(r"forward|drop|close|accept|\b[245]\d\d\b", text)}
    return {"forward" if word == "accept" else word for word in found}


def header_kept(name):
    """The header's values are the same in what was forwarded."""
    def test(sent, out, transport):
        want = [re.sub(r"\s+", " ", value) for value in Message.parse(sent).lines(name)]
        have = [re.sub(r"\s+", " ", value) for value in out.lines(name)]
        assert have == want, f"{name}: {have} instead of {want}"
    return test


def start_kept(sent, out, transport):
    assert out.start.split(" ")[:2] == sent.split(b"\r\n")[0].decode("latin-1").split(" ")[:2], out.start


def body_kept(sent, out, transport):
    assert out.body == sent.partition(b"\r\n\r\n")[2], "body differs"


def no_route(sent, out, transport):
    assert not out.lines("Route") and "?" not in out.uri, out


def lower_vias_kept(sent, out, transport):
    want = Message.parse(sent).values("Via")[1:]
    have = out.values("Via")[2:]
    clean = [re.sub(r"\s+", "", value) for value in want]
    assert [re.sub(r"\s+", "", value) for value in have] == clean, (have, want)


def max_forwards_70(sent, out, transport):
    assert out.lines("Max-Forwards") == ["70"], out


def received_set(sent, out, transport):
    via = out.values("Via")[1]
    assert re.search(r";received=(127\.0\.0\.1)(;|$)", via), via
    assert "2001:db8::9:255" not in via, via


def no_spaces_in_brackets(sent, out, transport):
    assert not re.search(r"< |<[^>]* >", out.get("To")), out.get("To")


def alone(sent, out, transport):
    assert b"INVITE" not in (out.raw or b"") and out.body == b"", out


def text_kept(*texts):
    def test(sent, out, transport):
        for text in texts:
            assert text in out.raw, f"{text} is not in {out}"
    return test


# What must hold of a forwarded message, beyond being well formed.
FORWARDED = {
    "wsinv.dat": [header_kept("UnknownHeaderWithUnusualValue"), header_kept("NewFangledHeader")],
    "intmeth.dat": [start_kept, header_kept("To"), header_kept("From"), header_kept("Call-ID")],
    "esc01.dat": [start_kept, header_kept("To"), header_kept("From"), header_kept("Contact")],
    "escnull.dat": [start_kept, header_kept("To"), header_kept("From"), header_kept("Contact")],
    "esc02.dat": [start_kept],
    "longreq.dat": [start_kept, header_kept("To"), header_kept("From"), header_kept("Call-ID"), lower_vias_kept],
    "dblreq.dat": [alone],
    "semiuri.dat": [start_kept],
    "transports.dat": [lower_vias_kept],
    "mpart01.dat": [body_kept],
    "escruri.dat": [no_route],
    "regbadct.dat": [lambda sent, out, transport: no_route(sent, out, transport) or None, header_kept("Contact")],
    "badaspec.dat": [no_spaces_in_brackets],
    "cparam01.dat": [header_kept("Contact")],
    "cparam02.dat": [header_kept("Contact")],
    "regescrt.dat": [header_kept("Contact"), no_route],
    "unksm2.dat": [header_kept("To"), header_kept("From"), header_kept("Contact")],
    "invut.dat": [body_kept],
    "inv2543.dat": [max_forwards_70],
    "ipv6-good": [start_kept, header_kept("Contact")],
    "port-ambiguous": [text_kept(b"[2001:db8::10:5070]")],
    "port-unambiguous": [text_kept(b"[2001:db8::10]:5070")],
    "via-received-param-with-delim": [received_set],
    "via-received-param-no-delim": [received_set],
    "ipv6-in-sdp": [body_kept],
    "mult-ip-in-header": [lower_vias_kept],
    "mult-ip-in-sdp": [body_kept],
    "ipv4-mapped-ipv6": [body_kept],
}


class Bench:
    """A gateway with a flow that is renewed when it was closed, and a backend on one TCP connection."""

    def __init__(self, t, transport):
        self.t, self.transport = t, transport
        # One connection to the backend keeps what arrives there in order.
        self.b = t.backend()
        names = NameServer({("_sip._tcp.services.example.com", "SRV"): [(1, 0, self.b.port, "b.test")],
                            ("_sip._udp.services.example.com", "SRV"): [(1, 0, self.b.port, "b.test")],
                            ("services.example.com", "A"): ["127.0.0.1"], ("b.test", "A"): ["127.0.0.1"]})
        t.at_end(names.close)
        # lwsdisp calls itself "caller", which is the name of a scanner too.
        self.g = t.gateway(transport, network=("tcp", "udp"), start=False, filter={"enabled": False},
                           dns={"nameservers": [names.address]},
                           timers={"message": "700ms", "drain": "1s", "t1": "500ms"})
        self.g.next_hop(self.b.uri("tcp"), probe_interval="0s")
        # A Route may only name a next hop: that of wsinv, and with the backend's port that of mpart01.
        self.g.next_hop("sip:services.example.com;transport=tcp", domains=["services.example.com"],
                        probe_interval="0s")
        self.g.start()
        self.client = None
        self.known = set()

    def renew(self):
        if self.client is None or self.client.flow.closed.is_set():
            flow = self.g.flow(self.transport)
            self.client = Client(flow)
            if self.transport == "udp":
                self.t.at_end(flow.port.close)
        return self.client

    def observe(self, data, cuts=(), must_arrive=False):
        """Sends data, cut there; returns (statuses at the sender, messages at the backend, closed).

        A message with a Route travels on the connection of another next hop than the probe, so the probe
        may be there first: what must_arrive is waited for."""
        a, b = self.renew(), self.b
        with a.inbox.changed:
            a.inbox.items.clear()
        probe = a.build("OPTIONS", headers=[("X-Probe", "1")])
        try:
            start = 0
            if self.transport == "wss" and cuts:
                # The WebSocket frame is cut by TLS records; the message stays one frame.
                from lib import websocket
                data = websocket.frame(websocket.TEXT if valid(data) else websocket.BINARY, data)
                for cut in range(1, len(data) + 1):
                    a.flow.raw(data[cut - 1:cut]) if len(cuts) > 1 else None
                if len(cuts) == 1:
                    a.flow.raw(data[:cuts[0]])
                    a.flow.raw(data[cuts[0]:])
            elif self.transport == "wss":
                from lib import websocket
                a.flow.raw(websocket.frame(websocket.TEXT if valid(data) else websocket.BINARY, data))
            else:
                for cut in [*cuts, len(data)]:
                    a.flow.write(data[start:cut])
                    start = cut
            # A probe behind an open header section would only be more of it.
            if self.transport in ("udp", "wss") or b"\r\n\r\n" in data:
                a.flow.write(probe.to_bytes())
        except OSError:
            pass
        forwarded = []
        closed = False
        # Until the probe arrives, or the flow ends.
        while True:
            try:
                message = b.inbox.take(lambda m: m.is_request and m.method not in ("ACK", "CANCEL"), 0.05)
            except Timeout:
                if a.flow.closed.is_set():
                    closed = True
                    break
                self.patience -= 1
                if self.patience <= 0:
                    raise AssertionError("neither the probe nor an end of the flow") from None
                continue
            if message.get("X-Probe"):
                if message.call_id != probe.call_id:
                    continue
                b.reply(message, 200)
                a.final(probe, 5)
                break
            forwarded.append(message)
            # Answered at once, so that the answer is through before the probe's.
            b.reply(message, 486 if message.method == "INVITE" else 200)
        if must_arrive and not forwarded and not closed:
            try:
                forwarded.append(b.inbox.take(lambda m: m.is_request and m.method not in ("ACK", "CANCEL"), 5))
                b.reply(forwarded[0], 486 if forwarded[0].method == "INVITE" else 200)
            except Timeout:
                pass
        # The answers to what was forwarded may come as late as the next message.
        self.known |= {probe.call_id, *(message.call_id for message in forwarded)}
        with a.inbox.changed:
            statuses = [m for m in a.inbox.items if not m.is_request and m.status >= 200
                        and m.call_id not in self.known]
            a.inbox.items.clear()
        return statuses, forwarded, closed

    def judge(self, name, data, verdict, cuts=()):
        self.patience = 200
        data = data.replace(b"<sip:127.0.0.1:5080>", b"<sip:127.0.0.1:%d;transport=tcp>" % self.b.port)
        statuses, forwarded, closed = self.observe(data, cuts, verdict == {"forward"})
        if len(forwarded) == 2:
            outcome = "two"
        elif forwarded:
            outcome = "forward"
        elif statuses:
            outcome = str(statuses[0].status)
        elif closed:
            outcome = "close"
        else:
            outcome = "drop"
        where = f"{name} on {self.transport}" + (f" cut at {cuts[0]}" if len(cuts) == 1 else
                                                  " byte by byte" if cuts else "")
        assert outcome in verdict, f"{where}: {outcome}, accepted {sorted(verdict)}; {statuses}{forwarded}"
        assert len(statuses) <= 1 or outcome in ("forward", "two"), f"{where}: answers {statuses}"
        if name in MUST_CLOSE and self.transport in ("tcp", "tls"):
            if not closed:
                try:
                    self.client.flow.expect_end(3)
                except Timeout:
                    raise AssertionError(f"{where}: the stream was not closed") from None
        for message in forwarded:
            assert not re.search(r"  | $", message.start), f"{where}: {message.start!r}"
            assert not message.uri.startswith("<"), f"{where}: {message.start!r}"
            for test in FORWARDED.get(name, ()):
                if outcome != "two":
                    try:
                        test(data, message, self.transport)
                    except AssertionError as error:
                        raise AssertionError(f"{where}: {error}") from None
        if name == "bext01.dat":
            assert sorted(statuses[0].values("Unsupported")) == ["noProxiesSupportThis",
                                                                 "norDoAnyProxiesSupportThis"], statuses


def valid(data):
    try:
        data.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def unique(data, dice):
    """The same message under another name: branch and Call-ID get other characters, no more or less."""
    def other(match):
        text = match[0]
        tail = bytes(dice.choice(b"abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(4))
        keep = match[1]
        value = text[len(keep):]
        return keep + tail + value[4:]
    data = re.sub(rb"(?i)(branch\s*=\s*z9hG4bK)[\w.-]{4,}", other, data, count=1)
    return re.sub(rb"(?im)(^(?:call-id|i)\s*:\s*)\w{4}", other, data, count=1)


def messages():
    for name, (udp, stream) in rows("verdicts-rfc4475.tsv", "file",
                                    ("gateway_udp_any_of", "gateway_stream_any_of")):
        yield Path(name).name, (CORPUS / name).read_bytes(), udp, stream
    yield "test.dat", (CORPUS / "rfc4475/test.dat").read_bytes(), "", ""
    for name, (verdict,) in rows("verdicts-rfc5118.tsv", "wire_file", ("gateway_any_of",)):
        yield Path(name).name, (CORPUS / name).read_bytes(), verdict, "same"


def whole(t, transport):
    bench = Bench(t, transport)
    dice = random.Random(2)
    problems = []
    for name, data, udp, stream in messages():
        try:
            # Some of the files share branch and Call-ID, which would make them one transaction.
            bench.judge(name, unique(data, dice), accepted(name, udp, stream, transport))
        except AssertionError as error:
            problems.append(f"{name}: {error}"[:1500])
    assert not problems, f"{len(problems)} of the messages:\n" + "\n".join(problems)


def dripped(t, transport):
    bench = Bench(t, transport)
    dice = random.Random(1)
    problems = []
    for name, data, udp, stream in messages():
        try:
            bench.judge(name, unique(data, dice), accepted(name, udp, stream, transport),
                        cuts=list(range(1, len(data))))
        except AssertionError as error:
            problems.append(str(error)[:1500])
    assert not problems, f"{len(problems)} of the messages:\n" + "\n".join(problems)


def each_cut(t, transport):
    bench = Bench(t, transport)
    seed = int(os.environ.get("RINGWAY_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    dice = random.Random(seed)
    for name, data, udp, stream in messages():
        verdict = accepted(name, udp, stream, transport)
        # A message that never ends costs its timeout each time: a sample of its cuts will do.
        step = 1 if "close" not in verdict else max(1, len(data) // 8)
        for cut in range(1, len(data), step):
            bench.judge(name, unique(data, dice), verdict, cuts=[cut])


for _transport in ("udp", "tcp", "tls", "wss"):
    case(f"RFC 4475 and RFC 5118 on {_transport.upper()}", seconds=90, sanitize=True)(
        lambda t, transport=_transport: whole(t, transport))
    if _transport != "udp":
        case(f"RFC 4475 and RFC 5118 on {_transport.upper()}, cut at every byte at once", seconds=120)(
            lambda t, transport=_transport: dripped(t, transport))
        case(f"RFC 4475 and RFC 5118 on {_transport.upper()}, one cut at every byte in turn", seconds=1200,
             long=True)(lambda t, transport=_transport: each_cut(t, transport))


@case("responses with an odd reason inside a live transaction keep it")
def odd_reasons(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    for reason in ("= 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e \u0434\u0435\u0432\u044f\u043d\u043e\u0441\u0442\u043e",
                   ""):
        sent = a.request("OPTIONS")
        seen = b.expect("OPTIONS")
        answer = sip.response(seen, 200, to_tag="x")
        answer.start = f"SIP/2.0 200 {reason}"
        seen.flow.send(answer)
        assert a.final(sent).reason == reason


@case("RFC 4475 baddn with its header section closed is 400")
def baddn_closed(t):
    bench = Bench(t, "wss")
    data = (CORPUS / "rfc4475/baddn.dat").read_bytes().rstrip(b"\r\n") + b"\r\n\r\n"
    bench.judge("baddn.dat closed", data, {"400"})
