"""What a gateway that cannot do all its work does first, and what it costs to refuse the rest.

The program is stopped (SIGSTOP) while more arrives than it takes in one turn: when it goes on, both shards
are late. That is overload without a load generator, at a time that the test chooses.
"""

import pathlib
import signal
import time

from lib import flows, sip
from lib.agents import Client, call
from lib.case import case
from lib.waiting import until

from .defence_bans import client, door, register

FILLERS = 40  # ports, so that either shard has its share
ROUNDS = 30   # more than a shard takes in one turn
# What phones write too, so that an answer with Retry-After is no longer than its request.
PHONE = [("User-Agent", "a phone/1.0"), ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, INFO")]
LATE = 0.4    # seconds; a fifth of it is the lag, so more than 10 ms


def stands_still(pid):
    """A thread that has not stopped yet would take what comes first, and be in time."""
    states = [pathlib.Path(task, "stat").read_text().rsplit(")", 1)[1].split()[0]
              for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    return set(states) == {"T"}


class Overload:
    """While it lasts, whatever is sent waits for a shard that is late."""

    def __init__(self, t, g):
        self.g = g
        remote = g.listeners["access-udp"]
        self.ports = [flows.UdpPort("127.0.0.70", name="filler") for _ in range(FILLERS)]
        self.fillers = [Client(port.to(remote), "filler") for port in self.ports]
        for port in self.ports:
            t.at_end(port.close)
        self.sent = []

    def __enter__(self):
        self.g.program.process.send_signal(signal.SIGSTOP)
        until(lambda: stands_still(self.g.program.process.pid), 5, "every thread has stopped")
        self.began = time.monotonic()
        for _ in range(ROUNDS):
            for filler in self.fillers:
                self.sent.append((filler, filler.request("MESSAGE", headers=PHONE, body=b"x", content_type="text/plain")))
        until(lambda: time.monotonic() - self.began > LATE, 5, "the program is late")
        return self

    def __exit__(self, *_):
        for filler in self.fillers:  # behind what the case sends, so that it is never the last
            self.sent.append((filler, filler.request("MESSAGE", headers=PHONE, body=b"x", content_type="text/plain")))
        self.g.program.process.send_signal(signal.SIGCONT)

    def refusals(self):
        found = []
        for filler, sent in self.sent:
            got = filler.inbox.items
            found += [m for m in got if not m.is_request and m.call_id == sent.call_id and m.status == 503]
        return found


def late_door(t, *transports, **top):
    return door(t, *transports, admission="open", overload={"enabled": True, "lag": "10ms"}, **top)


@case("overload (RFC 3261 21.5.4, RFC 6357): new requests get 503 with spread Retry-After; nothing is kept of them")
def refused(t):
    g, b = late_door(t, "udp", "tcp")
    a = client(t, g, "tcp", "127.0.0.71")
    before = g.metric("ringway_transactions", kind="server")
    with Overload(t, g) as load:
        pass
    until(lambda: len(load.refusals()) >= 100, 10, "refusals")
    seconds = {int(m.get("Retry-After")) for m in load.refusals()}
    assert len(seconds) >= 4 and min(seconds) >= 1 and max(seconds) <= 60, seconds
    assert g.metric("ringway_overload_refused_total") >= 100
    tags = {m.call_id for m in load.refusals()}
    assert len(tags) == len(load.refusals()), "each is answered once"
    kept = g.metric("ringway_transactions", kind="server") - before
    assert kept <= len(load.sent) - len(load.refusals()) + 5, f"{kept} transactions, though {len(load.refusals())} were refused"
    # It is over by itself.
    sent = a.invite()
    b.reply(b.expect("INVITE"), 486)
    assert a.final(sent).status == 486


@case("overload: what belongs to a dialog or ends a call, and emergency calls (RFC 5031), go on")
def first(t):
    g, b = late_door(t, "udp", "tcp")
    callers = [client(t, g, "udp", f"127.0.0.{72 + i}") for i in range(8)]
    dialogs = [call(a, b) for a in callers[:4]]
    ringing = []
    for a in callers[4:6]:
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 180)
        a.response(180, to=sent)
        ringing.append((a, sent, seen))
    with Overload(t, g) as load:
        infos = [(a, ours.request("INFO")) for a, (ours, _, _) in zip(callers[:2], dialogs[:2])]
        byes = [(a, ours.request("BYE")) for a, (ours, _, _) in zip(callers[2:4], dialogs[2:4])]
        cancels = []
        for a, sent, seen in ringing:
            cancel = a.build("CANCEL", sent.start.split()[1], via=sent.get("Via"), call_id=sent.call_id,
                             from_tag=sent.from_.tag, cseq=sent.cseq[0])
            a.flow.send(cancel)
            cancels.append((a, cancel, sent))
        emergencies = [(a, a.request("INVITE", uri, to_uri="sip:112@example.test", body=sip.sdp()))
                       for a, uri in zip(callers[6:8], ("urn:service:sos", "urn:service:sos.fire"))]
    for _ in infos:
        b.reply(b.expect("INFO", where=lambda m: True), 200)
    for a, sent in infos:
        assert a.final(sent).status == 200
    for _ in byes:
        b.reply(b.expect("BYE"), 200)
    for a, sent in byes:
        assert a.final(sent).status == 200
    for a, cancel, sent in cancels:
        assert a.response(200, to=cancel, where=lambda m: m.cseq[1] == "CANCEL")
        seen = b.expect("CANCEL")
        b.reply(seen, 200)
    for _, _, seen in ringing:
        b.reply(seen, 487)
    for a, _, sent in cancels:
        assert a.response(487, to=sent)
    for a, sent in emergencies:
        seen = b.expect("INVITE", where=lambda m, sent=sent: m.call_id == sent.call_id)
        b.reply(seen, 486)
        assert a.final(sent).status == 486
    # Of what came in the same turns and is none of these, some was refused.
    until(load.refusals, 5, "a refusal")


@case("overload: it is judged by lag; with enabled = false nothing is refused for it")
def disabled(t):
    g, b = door(t, "udp", "tcp", admission="open", overload={"enabled": False, "lag": "10ms"})
    with Overload(t, g) as load:
        pass
    for _ in range(100):
        b.reply(b.expect("MESSAGE"), 202)
    assert g.metric("ringway_overload_refused_total") == 0
    assert not load.refusals()
    a = client(t, g, "tcp", "127.0.0.71")
    register(a, b)


def told_share(message):
    """The parameters of RFC 7339 in the topmost Via."""
    params = {}
    for param in message.get("Via").split(";")[1:]:
        name, _, value = param.strip().partition("=")
        assert name not in params, message.get("Via")
        params[name] = value
    return {name: value for name, value in params.items() if name == "oc" or name.startswith("oc-")}


@case("overload: a neighbour that speaks RFC 7339 hears what share to keep back, for how long, and when it is over")
def share(t):
    g, b = late_door(t, "udp", "tcp")
    phones = [client(t, g, "tcp", f"127.0.0.{80 + i}") for i in range(8)]
    for phone in phones:
        register(phone, b)

    def ask(phone, method, via, **options):
        return phone.request(method, via=phone.flow.via() + via, **options)
    about_us = f"sip:127.0.0.1:{g.listeners['access-tcp'][1]}"
    quiet = phones[0].final(ask(phones[0], "OPTIONS", ';oc;oc-algo="loss,A"', uri=about_us, to_uri="sip:127.0.0.1"))
    before = told_share(quiet)
    assert quiet.status == 200 and before["oc"] == "0" and before["oc-algo"] == '"loss"' and before["oc-validity"] == "0", quiet
    # Whoever does not ask, or knows another algorithm only, hears nothing of it.
    for via, said in (("", {}), (';oc;oc-algo="A"', {"oc": "", "oc-algo": '"A"'})):
        got = phones[0].final(ask(phones[0], "OPTIONS", via, uri=about_us, to_uri="sip:127.0.0.1"))
        assert told_share(got) == said, got
    with Overload(t, g):
        asked = [(phone, ask(phone, "MESSAGE", ';oc;oc-algo="loss"', body=b"x", content_type="text/plain")) for phone in phones]
        plain = [(phone, phone.request("MESSAGE", body=b"x", content_type="text/plain")) for phone in phones]

    def busy(sent):
        return [m for phone, one in sent for m in phone.inbox.items
                if not m.is_request and m.call_id == one.call_id and m.status == 503]
    until(lambda: busy(asked) and busy(plain), 10, "refusals of both kinds")
    for got in busy(asked):
        said = told_share(got)
        assert 0 < int(said["oc"]) <= 100 and said["oc-algo"] == '"loss"' and int(said["oc-validity"]) > 0, got
        assert float(said["oc-seq"]) > float(before["oc-seq"]), (said, before)
        assert got.get("Retry-After") is None, "it would keep back everything"
    for got in busy(plain):
        assert told_share(got) == {} and int(got.get("Retry-After")) > 0, got

    def is_over():
        after = told_share(phones[0].final(ask(phones[0], "OPTIONS", ";oc", uri=about_us, to_uri="sip:127.0.0.1")))
        assert float(after["oc-seq"]) > float(before["oc-seq"]), after
        return after["oc"] == "0"
    until(is_over, 10, "all may be sent again")
