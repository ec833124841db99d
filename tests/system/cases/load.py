"""Many calls: nothing fails, nothing is left behind, nobody is late."""

import threading
import time

from lib import sip, sipp
from lib.agents import Client
from lib.answering import Answering
from lib.case import case
from lib.waiting import Timeout, until


def snapshot(g):
    metrics = g.metrics()
    found = {}
    for (name, labels), value in metrics.items():
        if name in ("ringway_flows", "ringway_transactions", "ringway_media_sessions"):
            found[(name, labels)] = value
    return found, g.descriptors()


def thousand(t, transport):
    """1,000 calls in a row and back to the start values 35 s after the last one."""
    relay = t.rtpengine()
    called = sipp.called(t, transport)
    g = t.gateway("udp", "tcp", network=("udp", "tcp"), start=False, media=relay.address)
    g.next_hop(called.uri, probe_interval="0s")
    g.start()
    before, descriptors = snapshot(g)
    sipp.calls(t, g.listeners[f"access-{transport}"], count=1000, rate=60, transport=transport)
    ended = time.monotonic()
    called.end()  # its connection to us ends with it

    def back():
        after, now = snapshot(g)
        return all(value <= before.get(key, 0) for key, value in after.items()) and now <= descriptors
    try:
        until(back, 36, "metrics back at the start values", every=0.5)
    except Timeout:
        after, now = snapshot(g)
        rest = {f"{key[0]}{dict(key[1])}": value for key, value in after.items() if value > before.get(key, 0)}
        raise AssertionError(f"left after {time.monotonic() - ended:.0f} s: {rest}, descriptors {now} "
                             f"instead of {descriptors}") from None
    assert not relay.sessions(), "rtpengine still holds calls"
    assert g.metric("ringway_log_dropped_total") == 0


case("1,000 sipp calls in a row over UDP: none fails, nothing is left", seconds=180)(
    lambda t: thousand(t, "udp"))
case("1,000 sipp calls in a row over TCP: none fails, nothing is left", seconds=180)(
    lambda t: thousand(t, "tcp"))


class Lively(Answering):
    """A backend that answers whatever comes."""

    def answer(self, m):
        if m.method == "INVITE":
            self.b.reply(m, 180)
            self.b.reply(m, 200, body=sip.sdp())
        elif m.method == "REGISTER":
            self.b.answer_register(m)
        elif m.method != "ACK":
            self.b.reply(m, 200)


@case("20 calls a second with audio set-up beside 200 idle WSS flows: no missed deadline", seconds=120, alone=True)
def twenty(t):
    relay = t.rtpengine(ports=4000)
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), media=relay.address)
    answering = Lively(b)
    t.at_end(answering.end)
    idle = [t.client(g, "wss", f"idle{index}") for index in range(200)]
    assert g.metric("ringway_flows", transport="wss") == 200
    callers = [t.client(g, "wss", f"caller{index}") for index in range(10)]
    times, problems = [], []

    def place(a, begin, count):
        pause = threading.Event()
        for number in range(count):
            pause.wait(max(0, begin + number * 0.5 - time.monotonic()))
            try:
                started = time.monotonic()
                sent = a.invite(body=sip.webrtc_sdp())
                got = a.response(200, 5, to=sent)
                times.append(time.monotonic() - started)
                dialog = a.ack(sent, got)
                bye = dialog.request("BYE")
                a.response(200, 5, to=bye)
            except Exception as error:
                problems.append(error)
                return
    begin = time.monotonic() + 0.2
    workers = [threading.Thread(target=place, args=(a, begin + index * 0.05, 30)) for index, a in enumerate(callers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.monotonic() - begin
    assert not problems, problems[0]
    times.sort()
    print(f"{len(times)} calls in {took:.1f} s, median {times[len(times) // 2] * 1000:.1f} ms, "
          f"worst {times[-1] * 1000:.1f} ms")
    assert len(times) == 300 and took < 17
    missed = g.metric("ringway_missed_deadlines_total")
    assert missed == 0, f"{missed:.0f} missed deadlines"
    assert not [event for event in g.events() if "deadline" in str(event)]
    assert g.metric("ringway_flows", transport="wss") == 210
    assert all(not a.flow.closed.is_set() for a in idle)
    until(lambda: g.metric("ringway_media_sessions") == 0 and not relay.sessions(), 10, "no media session is left")


@case("sipp over IPv6, UDP and TCP, both sides")
def ipv6(t):
    for transport in ("udp", "tcp"):
        called = sipp.called(t, transport, name=f"uas-{transport}", ip="::1")
        g = t.gateway("udp", "tcp", network=("udp", "tcp"), ip="::1", next_hop=called.uri, name=f"ringway-{transport}")
        sipp.calls(t, g.listeners[f"access-{transport}-6"], count=50, rate=50, transport=transport, ip="::1",
                   name=f"uac-{transport}")


@case("sipp: UDP to TCP and TCP to UDP, 200 calls each", sanitize=True)
def crossed(t):
    for near, far in (("udp", "tcp"), ("tcp", "udp")):
        called = sipp.called(t, far, name=f"uas-{far}")
        g = t.gateway("udp", "tcp", network=("udp", "tcp"), next_hop=called.uri, name=f"ringway-{near}")
        sipp.calls(t, g.listeners[f"access-{near}"], count=200, rate=50, transport=near, name=f"uac-{near}")
