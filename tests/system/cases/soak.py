"""An hour of everything at once, beside a relay that is restarted each minute. Nothing may be left of it.

RINGWAY_SOAK_SECONDS says how long (3600), RINGWAY_SOAK_AGENTS with how many WSS user agents (50),
RINGWAY_SOAK_SEED in which order.
"""

import os
import random
import threading
import time

from lib import sip, sipp
from lib.answering import Answering
from lib.case import case
from lib.waiting import Timeout, until

SECONDS = int(os.environ.get("RINGWAY_SOAK_SECONDS", "3600"))
AGENTS = int(os.environ.get("RINGWAY_SOAK_AGENTS", "50"))
SEED = int(os.environ.get("RINGWAY_SOAK_SEED", str(time.time_ns() % 100000)))
GAUGES = ("ringway_flows", "ringway_transactions", "ringway_media_sessions", "ringway_calls", "ringway_ng_pending",
          "ringway_buffers_in_use")


class Phones(Answering):
    """Answers as the user of the Request-URI says: plain, fork, early, busy, silent; transfers are taken."""

    def answer(self, m):
        with self.b.inbox.changed:
            self.b.inbox.items[:] = [one for one in self.b.inbox.items if one.is_request]
        try:
            self.say(m)
        except OSError:
            pass  # its connection is gone

    def say(self, m):
        if m.method == "ACK":
            return
        if m.method != "INVITE" or "tag" in m.to.params:
            body = sip.sdp(version=m.cseq[0]) if m.method == "INVITE" else b""
            self.b.reply(m, 202 if m.method == "REFER" else 200, body=body)
            return
        user = m.uri.split(":")[1].split("@")[0]
        self.b.reply(m, 180, to_tag="ring")
        if user == "busy":
            self.b.reply(m, 486)
        elif user == "fork":
            self.b.reply(m, 183, body=sip.sdp(), to_tag="announcement")
            self.b.reply(m, 200, body=sip.sdp(version=2), to_tag="answer")
        elif user != "silent":
            self.b.reply(m, 200, body=sip.sdp())


class Agent(threading.Thread):
    """One user agent, one call after the other. What a dying relay takes with it is counted, no more."""

    def __init__(self, t, g, number, end):
        super().__init__(daemon=True)
        self.g, self.number, self.end_at = g, number, end
        self.random = random.Random(SEED * 1000 + number)
        self.good = self.bad = 0
        self.problem = None
        self.last_error = ""
        self.client = None
        self.t = t

    def run(self):
        pause = threading.Event()
        while time.monotonic() < self.end_at:
            try:
                if self.client is None or self.client.flow.closed.is_set():
                    self.connect()
                self.one_call()
                self.good += 1
            except (Timeout, AssertionError, OSError) as error:
                self.bad += 1
                self.last_error = str(error)[:300]
                self.drop()
            except Exception as error:  # a fault of this test
                self.problem = error
                return
            pause.wait(self.random.uniform(0.2, 2.0))
        self.drop()

    def connect(self):
        from lib.agents import Client
        self.client = Client(self.g.flow("wss"), f"agent{self.number}")

    def drop(self):
        if self.client:
            self.client.flow.close()
            self.client = None

    def one_call(self):
        a = self.client
        with a.inbox.changed:
            a.inbox.seen.clear()
            a.inbox.items.clear()
        a.taken.clear()
        kind = self.random.choice(("plain", "hold", "fork", "cancel", "busy", "vanish", "refer", "plain"))
        user = {"fork": "fork", "cancel": "silent", "busy": "busy"}.get(kind, "phone")
        sent = a.invite(f"sip:{user}@example.test", body=sip.webrtc_sdp())
        if kind == "busy":
            assert a.final(sent, 8).status == 486
            return
        if kind == "cancel":
            a.response(180, 8, to=sent)
            cancel = sip.Message(f"CANCEL {sent.uri} SIP/2.0")
            for name in ("Via", "Max-Forwards", "From", "To", "Call-ID"):
                cancel.add(name, sent.get(name))
            cancel.add("CSeq", f"{sent.cseq[0]} CANCEL")
            a.flow.send(cancel)
            a.response(200, 8, to=cancel)
            assert a.final(sent, 40).status == 487
            return
        got = a.response(200, 8, to=sent)
        dialog = a.ack(sent, got)
        if kind == "vanish":
            return self.drop()
        if kind == "hold":
            for version, direction in ((2, "sendonly"), (3, "sendrecv")):
                again = dialog.request("INVITE", body=sip.webrtc_sdp(direction, version=version))
                assert a.final(again, 8).status == 200
                dialog.request("ACK", cseq=again.cseq[0])
        if kind == "refer":
            refer = dialog.request("REFER", headers=[("Refer-To", "<sip:phone@example.test>")])
            a.final(refer, 8)
        bye = dialog.request("BYE")
        a.final(bye, 8)


class Restarts(threading.Thread):
    """Kills one of two relays each minute, and starts it again."""

    def __init__(self, relays, end):
        super().__init__(daemon=True)
        self.relays, self.end_at, self.count, self.stop = relays, end, 0, threading.Event()

    def run(self):
        while not self.stop.wait(min(60, max(5, SECONDS / 6))) and time.monotonic() < self.end_at:
            relay = self.relays[self.count % 2]
            relay.kill()
            self.stop.wait(2)
            relay.start()
            self.count += 1


def resident(g):
    """Kilobytes."""
    with open(f"/proc/{g.program.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def gauges(g):
    return {key: value for key, value in g.metrics().items() if key[0] in GAUGES}


def browser_calls(t, g, end, done):
    page = t.browser().page("soak")
    page.start("wss://127.0.0.1:%d" % g.listeners["access-wss"][1], "chromium", register=False, wait=False)
    page.event("connected")
    while time.monotonic() < end:
        try:
            page.call("sip:phone@example.test")
            page.event("confirmed", 10)
            page.do("hangUp")
            page.event("ended", 10)
            done["good"] += 1
        except (Timeout, AssertionError):
            done["bad"] += 1
        threading.Event().wait(5)
    page.close()


@case("an hour of holds, forks, cancels, transfers, vanishing sockets and relays that restart: nothing is left",
      seconds=SECONDS + 400, alone=True, long=True)
def soak(t):
    print(f"seed {SEED}, {SECONDS} s, {AGENTS} user agents")
    relays = [t.rtpengine(ports=2000, name=f"rtpengine{index}") for index in range(2)]
    phone = t.backend(name="phones")
    phones = Phones(phone)
    t.at_end(phones.end)
    g = t.gateway("wss", "udp", network=("udp", "tcp"), next_hop=phone.uri(), start=False,
                  relay=[{"address": relay.address} for relay in relays])
    g.config["log"]["level"] = "warning"
    g.config["limits"].update({"guest_media_per_flow": 100, "guest_media_per_source": 1000})  # one address here
    g.start()
    before, descriptors = gauges(g), g.descriptors()
    end = time.monotonic() + SECONDS
    agents = [Agent(t, g, number, end) for number in range(AGENTS)]
    restarts = Restarts(relays, end)
    browser = {"good": 0, "bad": 0}
    page = threading.Thread(target=browser_calls, args=(t, g, end, browser), daemon=True)
    warm = []
    # Each table has been used once, tombstones included, after 600 s or half of a short run.
    measure = threading.Timer(min(600, SECONDS / 2), lambda: warm.append(resident(g)))
    t.at_end(measure.cancel)
    for worker in (*agents, restarts, page, measure):
        worker.start()
    sipp.calls(t, g.listeners["access-udp"], count=SECONDS * 4, rate=5, service="phone", seconds=SECONDS)
    for worker in agents:
        worker.join(120)
    restarts.stop.set()
    restarts.join(10)
    page.join(60)
    warm = warm[0]
    grown = resident(g) - warm
    good, bad = sum(a.good for a in agents), sum(a.bad for a in agents)
    print(f"{good} calls of user agents and {bad} cut short, {browser} of Chromium, {restarts.count} restarts; "
          f"{warm} kB after the warm-up, {grown} kB more at the end")
    faults = [a.problem for a in agents if a.problem]
    assert not faults, faults[0]
    assert good > 9 * bad, [a.last_error for a in agents if a.last_error][:3]
    assert browser["good"] > 0, browser
    assert grown < warm * 0.05 + 2048, f"{grown} kB more"

    def back():
        now = gauges(g)
        return all(value <= before.get(key, 0) for key, value in now.items()) and g.descriptors() <= descriptors
    try:
        until(back, 120, "the gauges are back", every=1)
    except Timeout:
        left = {f"{key[0]}{dict(key[1])}": value for key, value in gauges(g).items() if value > before.get(key, 0)}
        raise AssertionError(f"left: {left}, descriptors {g.descriptors()} instead of {descriptors}") from None
    until(lambda: not any(relay.sessions() for relay in relays), 90, "no relay holds a session", every=1)
