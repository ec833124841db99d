"""Service drain with two shards: who may stay how long, what comes meanwhile, and how it ends."""

import signal
import socket
import time

from lib import sip
from lib.agents import call, hang_up
from lib.case import case
from lib.waiting import until


def draining(t, *transports, drain, **options):
    b = t.backend()
    g = t.gateway(*transports, next_hop=b.uri(), timers={"drain": drain}, shards=2, **options)
    return b, g


def signalled(g, number=signal.SIGTERM):
    g.program.process.send_signal(number)
    return time.monotonic()


def ended(g, begun, below, above=0):
    program, g.program = g.program, None
    assert program.process.wait(max(20, below)) == 0
    taken = time.monotonic() - begun
    assert above <= taken < below, f"{taken:.1f} s"
    return program


@case("service drain: a second SIGTERM, or SIGINT, ends at once, calls or not; connections are closed, not reset")
def second_signal(t):
    for second in (signal.SIGTERM, signal.SIGINT):
        b, g = draining(t, "ws", "tcp", drain="30s", name=f"g{second}")
        callers = [t.client(g, "ws"), t.client(g, "tcp")]
        for a in callers:
            call(a, b)
        begun = signalled(g)
        until(lambda: any(e["event"] == "draining" for e in g.events()), 5, "it drains")
        signalled(g, second)
        ended(g, begun, 4)
        for a in callers:
            a.flow.expect_end(5)


@case("service drain: idle flows over every transport are closed within a second where no call runs, however long it may take")
def idle_only(t):
    b, g = draining(t, "tcp", "tls", "ws", "wss", drain="1h")
    clients = [t.client(g, transport, user=f"{transport}{number}") for number in range(4)
               for transport in ("tcp", "tls", "ws", "wss")]
    silent = socket.create_connection(g.listeners["access-wss"], 5)
    t.at_end(silent.close)
    for a in clients[:8]:
        a.register(send_only=True)
        b.answer_register(b.expect("REGISTER"))
        a.response(200)
    begun = signalled(g)
    for a in clients:
        if a.flow.transport in ("WS", "WSS"):
            assert a.flow.expect_close(5) == 1001
        else:
            a.flow.expect_end(5)
    ended(g, begun, 5)
    silent.settimeout(5)
    assert silent.recv(100) == b""


@case("service drain: what comes meanwhile: new calls hear 503 with Retry-After, calls that ring or run go on and end it")
def meanwhile(t):
    b, g = draining(t, "ws", "udp", drain="25s")
    running, ringing = t.client(g, "ws", user="running"), t.client(g, "udp", user="ringing")
    _, theirs, _ = call(running, b)
    sent = ringing.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    ringing.response(180, to=sent)
    begun = signalled(g)
    until(lambda: g.http("/healthz")[0] == 503, 5, "it says that it is not ready")
    for a in (running, ringing):
        refused = a.invite()
        answer = a.final(refused)
        assert answer.status == 503 and answer.get("Retry-After"), answer
        a.request("ACK", cseq=refused.cseq[0], call_id=refused.call_id, via=refused.get("Via"))
        sent_options = a.request("OPTIONS", "sip:127.0.0.1:{}".format(g.listeners["access-udp"][1]))
        assert a.final(sent_options).status == 503, "a balancer that asks is told to go elsewhere"
    answer = b.reply(seen, 200, body=sip.sdp(b.ip))
    ours = ringing.ack(sent, ringing.response(200, to=sent))
    b.expect("ACK")
    info = ours.request("INFO")
    b.reply(b.expect("INFO"), 200)
    assert ringing.final(info).status == 200
    again = theirs.request("INVITE", body=sip.sdp(b.ip))
    running.reply(running.expect("INVITE"), 200, body=sip.sdp())
    b.response(200, to=again)
    theirs.request("ACK", cseq=again.cseq[0])
    running.expect("ACK")
    hang_up(b.dialog(seen, answer), b, ringing)
    hang_up(theirs, b, running)
    assert running.flow.expect_close(10) == 1001
    ended(g, begun, 15)


@case("service drain: at its end BYE to both sides over every transport, though nobody answers them; then 1001")
def nobody_answers(t):
    b, g = draining(t, "udp", "tcp", "tls", "ws", "wss", drain="1s")
    callers = [t.client(g, transport, user=transport) for transport in ("udp", "tcp", "tls", "ws", "wss")]
    called = [call(a, b)[2] for a in callers]
    begun = signalled(g)
    for seen in called:
        b.expect("BYE", 10, where=lambda m, seen=seen: m.call_id == seen.call_id)
    for a in callers:
        a.expect("BYE", 10)
    for a in callers[3:]:
        assert a.flow.expect_close(10) == 1001
    ended(g, begun, 8, above=1)


@case("service drain: a call that still rings at its end is called off: 487 or 503 to the caller, CANCEL to the far end")
def still_rings(t):
    b, g = draining(t, "ws", "udp", drain="1s")
    callers = [t.client(g, "ws"), t.client(g, "udp")]
    sent = [a.invite() for a in callers]
    arrived = [b.expect("INVITE") for _ in callers]
    for seen in arrived:
        b.reply(seen, 180)
    for a, invite in zip(callers, sent):
        a.response(180, to=invite)
    begun = signalled(g)
    for _ in callers:
        cancel = b.expect("CANCEL", 10)
        b.reply(cancel, 200)
        b.reply(next(seen for seen in arrived if seen.call_id == cancel.call_id), 487)
    for a, invite in zip(callers, sent):
        assert a.final(invite, 10).status in (480, 487, 503)
    ended(g, begun, 8)
