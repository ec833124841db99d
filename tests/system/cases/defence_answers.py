"""What answers tell a stranger: nothing by their time, and never more bytes than he has sent."""

import time

from lib import flows, sip
from lib.agents import call, hang_up
from lib.case import case
from lib.waiting import until

from .defence_bans import client, door, register
from .defence_budgets import CHALLENGE

AFTER = 0.25


@case("answers: who exists cannot be told by the time of a refusal; nobody waits for those who are made to wait")
def equal_delay(t):
    g, b = door(t, "udp", "tcp", answers={"alike": True, "refuse_after": "250ms"})
    phone = client(t, g, "tcp", "127.0.0.60", "phone")
    register(phone, b)
    for transport in ("tcp", "udp"):
        times = {"known": [], "unknown": []}
        asked = []
        for number in range(30):
            kind = "known" if number % 2 else "unknown"
            a = client(t, g, transport, f"127.0.1.{number + 1}", kind)
            began = time.monotonic()
            asked.append((kind, a, a.register(send_only=True), began))
        seen = {}
        for _ in asked:
            request = b.expect("REGISTER")
            if request.to.uri.user == "unknown":  # its registrar has nothing to look up
                b.reply(request, 404)
            else:
                seen[request.call_id] = request
        until(lambda began=time.monotonic(): time.monotonic() - began > 0.06, 1, "the registrar looks them up")
        for request in seen.values():
            b.reply(request, 401, headers=CHALLENGE)
        # A call of somebody who is known goes through in between.
        began = time.monotonic()
        ours, _, _ = call(phone, b)
        spoke = time.monotonic() - began
        hang_up(ours, phone, b)
        for kind, a, sent, began in asked:
            got = a.final(sent)
            assert got.status == (401 if kind == "known" else 403), got.status
            times[kind].append(got.at - began)
        print(f"{transport}: known {min(times['known']):.3f} to {max(times['known']):.3f} s, unknown "
              f"{min(times['unknown']):.3f} to {max(times['unknown']):.3f} s; a call beside them {spoke:.3f} s")
        assert min(times["known"] + times["unknown"]) >= AFTER - 0.002, times
        assert spoke < AFTER


@case("answers: the time is the same to within noise, measured one by one over both shards")
def same_time(t):
    g, b = door(t, "udp", answers={"alike": True, "refuse_after": "200ms"}, budgets={"enabled": False},
                bans={"enabled": False})
    times = {}
    for number in range(24):
        kind, wait = (("quick", 0), ("slow", 0.08), ("slower", 0.15))[number % 3]
        a = client(t, g, "udp", f"127.0.2.{number + 1}", kind)
        began = time.monotonic()
        sent = a.register(send_only=True)
        request = b.expect("REGISTER")
        until(lambda began=began, wait=wait: time.monotonic() - began >= wait, 1, "the registrar", every=0.005)
        b.reply(request, 404 if kind == "quick" else 403)
        got = a.final(sent)
        assert got.status == 403
        times.setdefault(kind, []).append(got.at - began)
    medians = {kind: sorted(values)[len(values) // 2] for kind, values in times.items()}
    print({kind: f"{value * 1000:.1f} ms" for kind, value in medians.items()})
    assert max(medians.values()) - min(medians.values()) < 0.02, medians
    assert min(min(values) for values in times.values()) >= 0.198, times


@case("answers: without alike nothing waits; a registered phone's refusals never do")
def no_delay(t):
    g, b = door(t, "tcp", answers={"alike": False, "refuse_after": "5s"})
    a = client(t, g, "tcp", "127.0.0.61")
    sent = a.register(send_only=True)
    b.reply(b.expect("REGISTER"), 401, headers=CHALLENGE)
    assert a.response(401, 2, to=sent)
    g.stop()
    g, b = door(t, "tcp", answers={"alike": True, "refuse_after": "5s"}, name="alike")
    a = client(t, g, "tcp", "127.0.0.61")
    register(a, b)
    sent = a.invite()
    b.reply(b.expect("INVITE"), 486)
    assert a.response(486, 2, to=sent)


# --- Bytes -------------------------------------------------------------------------------------

MINIMAL = ("{method} sip:{host} SIP/2.0\r\nv:SIP/2.0/UDP {via};branch=z9hG4bK{branch}\r\nf:<sip:a@b>;tag=1\r\n"
           "t:<sip:{host}>\r\ni:{branch}\r\nCSeq:{cseq} {method}\r\n{more}l:0\r\n\r\n")


def exchange(t, g, text, seconds=0.4, ip="127.0.3.1"):
    """Bytes sent and bytes that came for them, over UDP, from a port that said nothing before."""
    port = flows.UdpPort(ip, name="stranger")
    t.at_end(port.close)
    port.to(g.listeners["access-udp"]).send(text)
    sent_at = time.monotonic()
    until(lambda: time.monotonic() - sent_at > seconds, 5, "what came", every=0.01)
    came = [data for data, _ in port.raw.seen]
    return len(text), sum(len(data) for data in came), [int(data.split()[1]) for data in came]


@case("RFC 3261 21, no amplifier: a datagram of a stranger never brings back more bytes than it had")
def no_amplifier(t):
    g, b = door(t, "udp", "tcp", budgets={"enabled": False}, bans={"enabled": False})
    host = f"127.0.0.1:{g.listeners['access-udp'][1]}"
    total = {}
    for method in ("OPTIONS", "INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE", "BYE", "CANCEL", "PUBLISH", "FOO", "ACK"):
        for more, cseq in (("", 1), ("Max-Forwards: 0\r\n", 1), ("Proxy-Require: a, b, c, d\r\n", 1), ("", "x"),
                           ("Max-Breadth: 0\r\n", 1), ("l: 5\r\n", 1)):
            for via in ("127.0.3.1", "h;rport", "10.255.255.255:60000"):
                text = MINIMAL.format(method=method, host=host, via=via, branch=sip.token(3), cseq=cseq, more=more)
                sent, came, statuses = exchange(t, g, text.encode(), 0.02)
                assert came <= sent and len(statuses) <= 1, (text, sent, came, statuses)
                total[method] = total.get(method, 0) + came
    print({method: came for method, came in total.items()})
    # One with what every phone writes gets its answer, and a phone that is known all that there is to say.
    text = MINIMAL.format(method="OPTIONS", host=host, via="127.0.3.1:5060;rport", branch="b", cseq=1,
                          more="Max-Forwards: 70\r\nm:<sip:alice@127.0.3.1:5060>\r\nUser-Agent: a phone/1.0\r\n")
    sent, came, statuses = exchange(t, g, text.encode())
    assert statuses == [200] and came <= sent, (sent, came)
    phone = client(t, g, "udp", "127.0.3.2")
    sent = phone.register(send_only=True)
    b.answer_register(b.expect("REGISTER", where=lambda m: m.call_id == sent.call_id))
    assert phone.response(200, to=sent)
    got = phone.final(phone.request("OPTIONS", f"sip:{host}", to_uri=f"sip:{host}"))
    assert got.get("Allow") and got.get("Supported")


@case("RFC 3261 17.2.1: a refusal that is never acknowledged is sent three times to a guest on UDP, to a registered "
      "phone for 64*T1", seconds=120)
def repeats(t):
    g, b = door(t, "udp", admission="open", timers={"t1": "100ms", "drain": "1s"})
    for known in (False, True):
        a = client(t, g, "udp", "127.0.3.3" if known else "127.0.3.4")
        if known:
            register(a, b)
        sent = a.invite()
        b.reply(b.expect("INVITE"), 486)
        a.response(486, to=sent)

        def finals(a=a, sent=sent):
            return [m for m in a.inbox.seen if hasattr(m, "status") and not m.is_request and m.status == 486
                    and m.call_id == sent.call_id]
        until(lambda: len(finals()) >= 3, 5, "repetitions")
        if known:
            until(lambda: len(finals()) >= 5, 10, "more of them")
        else:
            began = time.monotonic()
            until(lambda: time.monotonic() - began > 1.5, 3, "no more")
            assert len(finals()) == 3, len(finals())
