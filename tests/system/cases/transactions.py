"""Transactions and proxy duties as seen from outside (RFC 3261 16, 17, 4320, 6026)."""

import time

from lib import flows, sip
from lib.agents import Client, call, elapsed_ms, hang_up
from lib.case import case


@case("100 within 200 ms, without a To tag; a silent next hop ends in a final answer (RFC 3261 17.2.1, 16.8)",
      seconds=90)
def answer_100_within_200_ms_without(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri())
    pending = []
    for transport in ("udp", "wss"):
        a = t.client(g, transport)
        begin = time.monotonic()
        sent = a.invite()
        got = a.response(100, 2, to=sent)
        took = elapsed_ms(begin)
        assert took < 300 and "tag" not in got.to.params, (took, got)
        pending.append((a, sent))
        first = b.expect("INVITE")
        # UDP: the gateway repeats its INVITE (timer A).
        b.inbox.take(lambda m: m.is_request and m.via.branch == first.via.branch, 3, "repeated INVITE")
    for a, sent in pending:
        got = a.final(sent, 45)
        assert got.status in (408, 500, 503, 504), got
        a.flow.send(ack_for(sent, got))


def ack_for(invite, answer):
    """The ACK for a non-2xx answer: same branch, the answer's To."""
    ack = sip.Message(f"ACK {invite.uri} SIP/2.0")
    ack.add("Via", invite.get("Via")).add("Max-Forwards", "70").add("From", invite.get("From"))
    ack.add("To", answer.get("To")).add("Call-ID", invite.call_id).add("CSeq", f"{invite.cseq[0]} ACK")
    return ack


@case("a silent next hop and a non-INVITE: 100 after 3.5 s, never 408 (RFC 4320 4.1, 4.2)", seconds=90)
def silent_next_hop_non_invite(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    begin = time.monotonic()
    sent = a.request("OPTIONS")
    got = a.response(100, 6, to=sent)
    assert 3300 < (got.at - begin) * 1000 < 4600, got.at - begin
    a.silence(36, lambda m: m.call_id == sent.call_id)


@case("a response that matches nothing goes nowhere (RFC 6026 7.3)")
def response_that_matches_nothing_goes(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri())
    a = t.client(g, "udp")
    ip, port = g.listeners["network-udp"]
    ours, theirs, seen = call(a, b)
    for branch in (sip.branch(), seen.via.branch[:-4] + "AAAA", "z9hG4bK"):
        stray = sip.Message("SIP/2.0 200 OK")
        stray.add("Via", f"SIP/2.0/UDP {ip}:{port};branch={branch}")
        for via in seen.vias[1:]:
            stray.add("Via", via.text)
        for name in ("From", "To", "Call-ID"):
            stray.add(name, seen.get(name))
        stray.add("CSeq", "1 INVITE").add("Contact", b.contact())
        b.udp.to((ip, port)).send(stray)
    a.silence(0.5, lambda m: not m.is_request and m.status != 100)
    hang_up(ours, a, b)


@case("repeated 2xx pass for 64*T1; a repeated INVITE is absorbed (RFC 6026 7.1, 7.2)", seconds=90)
def repeated_2xx_pass_for_64t1(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    sent = a.invite()
    seen = b.expect("INVITE")
    answer = b.reply(seen, 200, body=sip.sdp())
    for number in range(4):
        a.response(200, 2, to=sent)
        if number == 1:
            a.flow.send(sent)
        b.inbox.none(lambda m: m.is_request and m.method == "INVITE" and m.via.branch != seen.via.branch, 3.2)
        if number < 3:
            seen.flow.send(answer)
    assert b.inbox.count(lambda m: m.is_request and m.method == "INVITE") == 1
    a.silence(0.3, lambda m: m.status == 200)


@case("retransmissions of a request are absorbed and answered again, on UDP and in every state")
def absorb(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    for method in ("OPTIONS", "INVITE"):
        sent = a.invite() if method == "INVITE" else a.request(method)
        seen = b.expect(method)
        for _ in range(3):
            a.flow.send(sent)
        b.inbox.none(lambda m: m.is_request and m.method == method and m.call_id == sent.call_id, 0.3)
        if method == "INVITE":
            b.reply(seen, 180)
            a.response(180, to=sent)
            a.flow.send(sent)
            a.response(180, to=sent)
        b.reply(seen, 486)
        a.response(486, to=sent)
        a.flow.send(sent)
        got = a.response(486, to=sent)
        if method == "INVITE":
            b.expect("ACK")
            a.flow.send(ack_for(sent, got))
    assert b.inbox.count(lambda m: m.is_request and m.method == "INVITE") == 1


@case("a non-2xx answer is repeated until its ACK, and the ACK stays with us")
def repeat_final(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    sent = a.invite()
    b.reply(b.expect("INVITE"), 404)
    b.expect("ACK")
    got = a.response(404, to=sent)
    a.response(404, 2, to=sent)  # timer G
    a.flow.send(ack_for(sent, got))
    a.silence(2.5, lambda m: m.status == 404)
    assert b.inbox.count(lambda m: m.is_request and m.method == "ACK") == 1


@case("a lone 503 becomes 500 (RFC 3261 16.7)", sanitize=True)
def lone_503_becomes_500(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    sent = a.invite()
    b.reply(b.expect("INVITE"), 503, headers=[("Retry-After", "1")])
    assert a.final(sent).status == 500
    b.expect("ACK")


@case("every challenge of an answer passes, in its order (RFC 3261 16.7)")
def every_challenge_an_answer_passes(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    challenges = [f'Digest realm="r{index}", nonce="n{index}", algorithm={name}'
                  for index, name in enumerate(("SHA-512-256", "SHA-256", "MD5", "X-OWN"))]
    sent = a.invite()
    b.reply(b.expect("INVITE"), 407, headers=[("Proxy-Authenticate", one) for one in challenges]
            + [("WWW-Authenticate", challenges[0])])
    got = a.final(sent)
    assert got.lines("Proxy-Authenticate") == challenges and got.lines("WWW-Authenticate") == challenges[:1], got


@case("CANCEL is answered at once, travels with the INVITE's branch, 487 passes (RFC 3261 9.2, 16.10)", sanitize=True)
def cancel_answered_at_once_travels(t):
    b = t.backend()
    g = t.gateway("wss", "udp", next_hop=b.uri())
    for transport in ("wss", "udp"):
        a = t.client(g, transport)
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 180)
        a.response(180, to=sent)
        cancel = sip.Message(f"CANCEL {sent.uri} SIP/2.0")
        for name in ("Via", "Max-Forwards", "From", "To", "Call-ID"):
            cancel.add(name, sent.get(name))
        cancel.add("CSeq", f"{sent.cseq[0]} CANCEL")
        begin = time.monotonic()
        a.flow.send(cancel)
        a.response(200, 2, to=cancel)
        assert elapsed_ms(begin) < 150
        at_b = b.expect("CANCEL")
        assert at_b.via.branch == seen.via.branch and at_b.uri == seen.uri and len(at_b.vias) == 1, at_b
        b.reply(at_b, 200)
        b.reply(seen, 487)
        got = a.response(487, to=sent)
        a.flow.send(ack_for(sent, got))
        assert b.expect("ACK").via.branch == seen.via.branch


@case("CANCEL before any answer waits for a provisional one (RFC 3261 9.1)")
def cancel_early(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    sent = a.invite()
    seen = b.expect("INVITE")
    cancel = sip.Message(f"CANCEL {sent.uri} SIP/2.0")
    for name in ("Via", "Max-Forwards", "From", "To", "Call-ID"):
        cancel.add(name, sent.get(name))
    cancel.add("CSeq", f"{sent.cseq[0]} CANCEL")
    a.flow.send(cancel)
    a.response(200, 2, to=cancel)
    b.no_request("CANCEL", 0.3)
    b.reply(seen, 180)
    at_b = b.expect("CANCEL")
    b.reply(at_b, 200)
    b.reply(seen, 487)
    a.response(487, to=sent)


@case("a CANCEL that matches nothing is 481 or forwarded, never lost in silence (RFC 3261 16.10)")
def cancel_unknown(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    sent = a.request("CANCEL")
    try:
        b.reply(b.expect("CANCEL", 1), 481)
    except AssertionError:
        pass
    assert a.final(sent).status == 481


@case("Max-Forwards 0 is 483, absent becomes one, others fall by one (RFC 3261 16.3, 16.6)")
def max_forwards_0_483_absent(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    assert a.final(a.request("INVITE", max_forwards=0, body=sip.sdp())).status == 483
    got = a.final(a.request("OPTIONS", max_forwards=0))
    assert got.status in (483, 200), got
    b.silence(0.2, lambda m: m.is_request)
    a.request("MESSAGE", max_forwards=None)
    assert b.expect("MESSAGE").lines("Max-Forwards") == ["70"]
    a.request("MESSAGE", max_forwards=7)
    assert b.expect("MESSAGE").lines("Max-Forwards") == ["6"]


@case("exactly one Max-Breadth leaves (RFC 5393 5.3.3)")
def exactly_one_max_breadth_leaves(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    for given, wanted in ((None, ["60"]), ("500", ["60"]), ("3", ["3"])):
        a.request("INVITE", body=sip.sdp(), headers=[("Max-Breadth", given)] if given else [])
        assert b.expect("INVITE").lines("Max-Breadth") == wanted, given


@case("a request that comes back unchanged is a loop: 482 (RFC 5393 4.2)")
def request_that_comes_back_unchanged(t):
    g = t.gateway("udp", start=False)
    g.next_hop("sip:%s:%d;transport=udp" % g.listeners["access-udp"])
    g.start()
    a = t.client(g, "udp")
    got = a.final(a.invite())
    assert got.status == 482, got


@case("unknown Proxy-Require is 420 with Unsupported (RFC 3261 16.3)")
def unknown_proxy_require_420_with(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    got = a.final(a.request("INVITE", body=sip.sdp(), headers=[("Proxy-Require", "foo"), ("Require", "bar")]))
    assert got.status == 420 and got.values("Unsupported") == ["foo"], got
    b.no_request("INVITE", 0.2)


@case("unknown methods and headers pass, byte for byte (RFC 3261 16.6)")
def unknown_methods_headers_pass_byte(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    odd = "  strange ;;,\"' value\t<x> "
    sent = a.request("XYZZY", headers=[("X-Odd", odd), ("x-twice", "1"), ("X-Twice", "2")], body=b"\x00\x01",
                     content_type="application/x-odd")
    seen = b.expect("XYZZY")
    assert seen.get("X-Odd").strip() == odd.strip() and seen.lines("X-Twice") == ["1", "2"], seen
    assert seen.body == b"\x00\x01"
    b.reply(seen, 299, reason="Odd but fine")
    got = a.final(sent)
    assert got.start == "SIP/2.0 299 Odd but fine"


@case("unknown schemes are 416, a broken Request-URI is 400, SIP/3.0 is 505")
def refusals(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri())
    for transport in ("udp", "wss"):
        a = t.client(g, transport)
        for uri, status in (("mailto:x@example.test", 416), ("sip:", 400)):
            got = a.final(a.request("OPTIONS", uri, to_uri="sip:x@example.test"))
            assert got.status == status, (uri, got)
        message = a.build("OPTIONS")
        message.start = message.start.replace("SIP/2.0", "SIP/3.0")
        got = a.final(a.flow.send(message))
        assert got.status == 505, got


@case("a transport error towards the next hop is answered at once")
def transport_error(t):
    b = t.backend(tcp=False)
    g = t.gateway("wss", next_hop=b.uri("tcp"), network=("tcp",))
    a = t.client(g, "wss")
    begin = time.monotonic()
    got = a.final(a.invite())
    assert got.status in (500, 503) and elapsed_ms(begin) < 1500, got


@case("OPTIONS to the gateway itself is answered")
def options_self(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri())
    a = t.client(g, "udp")
    ip, port = g.listeners["access-udp"]
    got = a.final(a.request("OPTIONS", f"sip:{ip}:{port}", max_forwards=0))
    assert got.status in (200, 483), got


@case("the INVITE of a browser that vanishes is cancelled, the phone gets CANCEL")
def vanish_while_ringing(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "1s", "drain": "1s"})
    a = t.client(g, "wss")
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    a.response(180, to=sent)
    a.flow.abort()
    b.reply(b.expect("CANCEL", 20), 200)
    b.reply(seen, 487)
    b.expect("ACK")


@case("session timer: what a proxy may and must do")
def session_timer(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    values = [("Supported", "timer"), ("Session-Expires", "1800;refresher=uac"), ("Min-SE", "120")]
    sent = a.invite(headers=values)
    seen = b.expect("INVITE")
    assert seen.get("Session-Expires") == "1800;refresher=uac" and seen.get("Min-SE") == "120", seen
    b.reply(seen, 200, body=sip.sdp(), headers=[("Require", "timer"), ("Session-Expires", "1800;refresher=uas")])
    got = a.final(sent)
    assert got.get("Session-Expires") == "1800;refresher=uas" and got.values("Require") == ["timer"], got
    # The callee ignores it, the caller supports it: the proxy must complete the answer (RFC 4028 8.2).
    sent = a.invite(headers=values)
    seen = b.expect("INVITE")
    b.reply(seen, 200, body=sip.sdp())
    got = a.final(sent)
    assert (got.get("Session-Expires") or "").replace(" ", "") == "1800;refresher=uac", got
    assert "timer" in got.values("Require"), got
