"""Reload and restart under load. What the callers saw is printed: the figures are worth reading."""

import random
import socket
import time

from lib import sipp
from lib.answering import Answering
from lib.browsers import Browsers
from lib.callers import CallersApart
from lib.case import case
from lib.waiting import until
from cases.control_restart import end, managed



class Registrar(Answering):
    """Answers whatever registers, in a thread of its own."""

    def __init__(self, t):
        super().__init__(t.backend(tcp=False))
        t.at_end(self.end)

    def answer(self, request):
        if request.method == "REGISTER":
            self.b.answer_register(request, expires=600)
        else:
            self.b.reply(request, 200)


def loaded(t, *, browsers):
    """A managed gateway with calls to sipp and browsers that register elsewhere."""
    registrar = Registrar(t)
    called = sipp.called(t)
    g, manager = managed(t, "udp", "wss", b=registrar.b)
    g.config["log"]["level"] = "info"
    g.config["limits"]["flows_per_source"] = 4096
    # Calls go to sipp by their domain, REGISTER to the registrar by the same rule's lack of one.
    g.config["next_hop"] = []
    g.next_hop(called.uri, name="calls", probe_interval="0s")
    g.next_hop(registrar.b.uri(), name="registrar", domains=["browsers.test"], probe_interval="0s")
    g.start()
    farm = Browsers(g.listeners["access-wss"], browsers, domain="browsers.test")
    t.at_end(farm.stop)
    until(lambda: farm.here == browsers, 120, f"{browsers} browsers have registered")
    return g, manager, farm


def changes(g, whole, number):
    """The next text of the file: every third is broken, the others change something real."""
    if number % 3 == 2:
        return random.choice([whole + "\n[timers]\nx = \n", whole.replace("shards = 2", 'shards = "two"'),
                              whole[:len(whole) // 2], whole + "\nnonsense = 1\n"]), False
    text = whole.replace('[timers]', f'[timers]\ngrace = "{5 + number % 7}s"')
    text += f'\n[[trusted]]\nname = "t{number}"\nprefixes = ["198.51.100.{number % 250}/32"]\n'
    if number % 2:
        text += f'\n[[next_hop]]\nname = "n{number % 5}"\naddress = "sip:127.0.0.1:9"\ndomains = ["n{number}.test"]\n'
    return text, True


def reloads(t, count, browsers, seed):
    random.seed(seed)
    print(f"seed {seed}")
    g, _, farm = loaded(t, browsers=browsers)
    whole = g.file.read_text()
    callers = CallersApart(g.listeners["access-udp"], 100)
    generation = 1
    try:
        until(lambda: callers.whole >= 20, 20, "calls go through")
        for number in range(count):
            text, good = changes(g, whole, number)
            g.file.write_text(text)
            before = sum(event["event"] == "reload_refused" for event in g.events()) if not good else 0
            g.reload()
            if good:
                generation += 1
                until(lambda: g.metric("ringway_config_generation") == generation, 10, f"generation {generation}")
            else:
                until(lambda: sum(event["event"] == "reload_refused" for event in g.events()) > before, 10, "refused")
    finally:
        seen = callers.stop()
    opened = g.metric("ringway_flows_opened_total", transport="wss")
    print(f"{count} reloads, {callers.started} calls: {seen}; browsers {farm.here} of {browsers}, "
          f"{opened:.0f} sockets opened, closes {dict(farm.closes)}")
    assert seen == {"whole": callers.started}, seen
    assert farm.here == browsers and opened == browsers and not farm.closes, "no browser has lost its socket"


@case("reload 10 times under 100 calls a second, with changes and broken files: nothing is lost", seconds=150, alone=True)
def reload_short(t):
    reloads(t, 10, 50, 16)


@case("reload 100 times under 100 calls a second, with changes and broken files: nothing is lost", seconds=600,
      alone=True, long=True)
def reload_long(t):
    reloads(t, 100, 500, 16)


def restarts(t, count, browsers, *, drain):
    g, manager, farm = loaded(t, browsers=browsers)
    g.config["timers"]["drain"] = drain
    g.write()
    g.reload()
    until(lambda: g.metric("ringway_config_generation") == 2, 10, "the drain's time is in force")
    callers = CallersApart(g.listeners["access-udp"], 100)
    refused = 0
    gaps, drains, back = [], [], []
    try:
        until(lambda: callers.whole >= 50, 20, "calls go through")
        for _ in range(count):
            asked = time.monotonic()
            end(g)
            ended = time.monotonic()
            drains.append(ended - asked)
            whole = callers.whole
            try:  # somebody new comes just now
                socket.create_connection(g.listeners["access-wss"], timeout=5).close()
            except ConnectionRefusedError:
                refused += 1
            g.start(wait=False)
            until(lambda: callers.whole > whole, 20, "a call has gone through", every=0.01)
            gaps.append(time.monotonic() - ended)
            g.wait_ready()
            until(lambda: farm.here == browsers, 90, f"browsers are back ({farm.trouble}, {farm.answers})", every=0.1)
            back.append(time.monotonic() - ended)
    finally:
        seen = callers.stop()
    setup = sorted(callers.setup)
    away = sorted(farm.away)

    def at(values, share):
        return values[min(int(len(values) * share), len(values) - 1)] if values else 0
    print(f"{count} restarts, drain {drain}: {callers.started} calls: {seen}")
    print(f"INVITE to 200: median {at(setup, .5) * 1000:.0f} ms, p99 {at(setup, .99):.2f} s, longest {setup[-1]:.2f} s")
    print(f"SIGTERM to the end {max(drains):.2f} s at most; the end to the next whole call {max(gaps):.2f} s at most")
    print(f"browsers: closes {dict(farm.closes)}, answers {dict(farm.answers)}, trouble {dict(farm.trouble)}; "
          f"away {at(away, .5):.1f} s in the middle, {away[-1] if away else 0:.1f} s at most; "
          f"all back {max(back):.1f} s after the old end at most")
    assert refused == 0, "a connection was refused"
    assert not any("no answer" in outcome or "for ever" in outcome or "send:" in outcome for outcome in seen), seen
    # 503 while it drains; a BYE of ours ends what is still up when the drain is over.
    allowed = {"whole", "INVITE 503", "ended by the other side", "BYE 481", "INVITE 480", "INVITE 487"}
    assert set(seen) <= allowed, seen
    assert "ConnectionRefusedError" not in farm.trouble, farm.trouble


@case("restart twice under 100 calls a second and 100 browsers: nobody is refused a connection, no call is left",
      seconds=240, alone=True)
def restart_short(t):
    restarts(t, 2, 100, drain="1s")


@case("restart 10 times under 100 calls a second and 2,000 browsers: what each caller saw", seconds=1500, alone=True,
      long=True)
def restart_long(t):
    restarts(t, 10, 2000, drain="3s")
