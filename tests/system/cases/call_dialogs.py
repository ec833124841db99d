"""Which call it is: dialogs by both tags, their numbers and targets, and the end of each (RFC 3261 12, 15)."""

import os

from lib import flows, sip
from lib.agents import call, hang_up
from lib.case import case
from lib.waiting import until

from cases.outlives import again, first, gone
from cases.contacts import invite_by_path, register

SHORT = {"grace": "1s", "drain": "1s"}


def calls_of(g):
    return g.calls().get("calls", [])


def no_calls(g, timeout=3):
    until(lambda: not calls_of(g) and g.metric("ringway_calls") == 0, timeout, "no call is left")


def from_new_port(t, b, dialog):
    """The server sends this dialog's requests from a port of its own, which another shard may read."""
    port = flows.UdpPort(b.ip, 0, b.inbox, "new port")
    t.at_end(port.close)

    def send(message, dialog):
        flow = port.to((dialog.next_uri.host, dialog.next_uri.port))
        message.set("Via", f"SIP/2.0/UDP {b.ip}:{port.local[1]};branch={sip.branch()};rport")
        flow.send(message)
    dialog.send = send
    return dialog


def called(t, b, a, seen):
    """The server calls the registered client: (the client's dialog, the server's dialog, INVITE at the client)."""
    invite = invite_by_path(b, seen, body=sip.sdp())
    got = a.expect("INVITE")
    answer = a.reply(got, 200, body=sip.sdp())
    theirs = b.caller_dialog(invite, b.response(200, to=invite))
    theirs.request("ACK", cseq=invite.cseq[0])
    a.expect("ACK")
    return a.callee_dialog(got, answer), theirs, got


def refresh(dialog, sender, receiver, method="INVITE", status=200, contact=None, **options):
    """A request in the dialog, its answer, and the ACK of an INVITE; the request as it arrived."""
    has_body = method in ("INVITE", "UPDATE")
    sent = dialog.request(method, body=sip.sdp(version=2) if has_body else b"", **options)
    seen = receiver.expect(method)
    more = {"contact": contact} if contact else {}
    receiver.reply(seen, status, body=sip.sdp() if has_body and status < 300 else b"", **more)
    got = sender.final(sent)
    assert got.status == status, got
    if method == "INVITE" and status < 300:
        dialog.request("ACK", cseq=sent.cseq[0])
        receiver.expect("ACK")
    return seen


# --- One owner ---------------------------------------------------------------------------------------------------


@case("eight calls, each ended by the phone from another port: no call stays on any shard", seconds=90)
def ended_by_phone(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), limits={"dialogs": 16}, timers=SHORT)
    for _ in range(3):
        for _ in range(8):
            a = t.client(g, "wss")
            ours, theirs, _ = call(a, b)
            hang_up(from_new_port(t, b, theirs), b, a)
        no_calls(g)
    a.flow.close()
    b.no_request("BYE", 2.5)


@case("the same with calls of the phone, ended by either side")
def ended_by_either(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for number in range(6):
        a = t.client(g, "wss")
        seen, _ = register(a, b)
        ours, theirs, _ = called(t, b, a, seen)
        hang_up(ours, a, b) if number % 2 else hang_up(from_new_port(t, b, theirs), b, a)
    no_calls(g)


@case("RFC 3261 12.2.1.1: a re-INVITE, an UPDATE and an INFO from another port belong to the call", seconds=90)
def requests_elsewhere(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for _ in range(4):
        a = t.client(g, "wss")
        ours, theirs, _ = call(a, b)
        from_new_port(t, b, theirs)
        for method in ("INVITE", "UPDATE", "INFO"):
            refresh(theirs, b, a, method)
        a.flow.close()
        bye = b.expect("BYE", 6)
        assert bye.cseq[0] == 2, bye  # the caller has used 1
        b.reply(bye, 200)
    no_calls(g)


# --- Numbers -----------------------------------------------------------------------------------------------------


def released_above(b, dialog, minimum):
    bye = b.expect("BYE", 6)
    assert bye.cseq[0] > minimum, f"CSeq {bye.cseq[0]}, but {minimum} was used"
    b.reply(bye, 200)


@case("RFC 3261 12.2.1.1: the BYE of a callee that is gone has a CSeq above its own requests")
def number_of_callee(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for methods in (("INVITE",), ("UPDATE", "INFO"), ("INFO", "INVITE", "INVITE", "MESSAGE")):
        a = t.client(g, "wss")
        seen, _ = register(a, b)
        ours, theirs, _ = called(t, b, a, seen)
        for method in methods:
            refresh(ours, a, b, method)
        a.flow.close()
        released_above(b, ours, ours.cseq)
    no_calls(g)


@case("RFC 3261 12.2.1.1: the same for a caller, whose refused requests count too")
def number_of_caller(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for methods in ((("INVITE", 488),), (("UPDATE", 200), ("INFO", 415)), (("REFER", 603), ("INVITE", 200))):
        a = t.client(g, "wss")
        ours, theirs, _ = call(a, b)
        for method, status in methods:
            refresh(ours, a, b, method, status)
        a.flow.close()
        released_above(b, ours, ours.cseq)
    no_calls(g)


@case("a call that was challenged: the BYE's CSeq is above that of the INVITE with credentials")
def number_after_challenge(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    sent = a.invite(from_tag="one", call_id="challenged@test")
    b.reply(b.expect("INVITE"), 407, headers=[("Proxy-Authenticate", 'Digest realm="x", nonce="y"')])
    assert a.final(sent).status == 407
    call(a, b, from_tag="one", call_id="challenged@test", cseq=7)
    a.flow.close()
    released_above(b, None, 7)
    no_calls(g)


# --- Forks and tags ----------------------------------------------------------------------------------------------


@case("RFC 3261 13.2.2.4: both 2xx of a fork reach the caller, and each dialog ends with its own BYE")
def two_successes(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for order in (("A", "B"), ("B", "A")):
        a = t.client(g, "wss")
        sent = a.invite()
        seen = b.expect("INVITE")
        dialogs = {}
        for tag in ("A", "B"):
            answer = b.reply(seen, 200, to_tag=tag, body=sip.sdp())
            got = a.response(200, to=sent, where=lambda m, tag=tag: m.to.tag == tag)
            dialogs[tag] = (a.ack(sent, got), b.dialog(seen, answer))
            b.expect("ACK", where=lambda m, tag=tag: m.to.tag == tag)
            b.reply(seen, 200, to_tag=tag, body=sip.sdp())  # once more
            a.response(200, to=sent, where=lambda m, tag=tag: m.to.tag == tag)
        hang_up(dialogs[order[0]][0], a, b)
        assert len(calls_of(g)) == 1, g.calls()
        refresh(dialogs[order[1]][0], a, b)
        hang_up(from_new_port(t, b, dialogs[order[1]][1]), b, a)
        no_calls(g)


@case("RFC 3261 15: a caller that is gone leaves a BYE for each of three answered dialogs")
def three_released(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    sent = a.invite()
    seen = b.expect("INVITE")
    for tag in ("A", "B", "C"):
        b.reply(seen, 200, to_tag=tag, body=sip.sdp())
        a.ack(sent, a.response(200, to=sent, where=lambda m, tag=tag: m.to.tag == tag))
    a.flow.close()
    byes = [b.expect("BYE", 5) for _ in range(3)]
    assert sorted(bye.to.tag for bye in byes) == ["A", "B", "C"], byes
    for bye in byes:
        b.reply(bye, 200)
    no_calls(g)


@case("RFC 3261 15: a BYE to an early dialog ends that one alone")
def early_bye(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 183, to_tag="B", body=sip.sdp())
    early = a.dialog(sent, a.response(183, to=sent))
    b.reply(seen, 200, to_tag="A", body=sip.sdp())
    ours = a.ack(sent, a.response(200, to=sent))
    b.expect("ACK")
    early.cseq = ours.cseq = 1
    hang_up(early, a, b)
    assert len(calls_of(g)) == 1, g.calls()
    refresh(ours, a, b)
    hang_up(ours, a, b)
    no_calls(g)


@case("a BYE with a foreign tag, whatever its answer, ends nothing")
def foreign_tag(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    ours, theirs, _ = call(a, b)
    true = ours.remote
    for status in (481, 200):
        ours.remote = true.split(";tag=")[0] + ";tag=foreign"
        bye = ours.request("BYE")
        b.reply(b.expect("BYE"), status)
        assert a.final(bye).status == status
        assert len(calls_of(g)) == 1, g.calls()
    ours.remote = true
    local, theirs.local = theirs.local, theirs.local.split(";tag=")[0] + ";tag=other"
    bye = theirs.request("BYE")
    a.reply(a.expect("BYE"), 481)
    assert b.final(bye).status == 481 and len(calls_of(g)) == 1, g.calls()
    theirs.local = local
    refresh(theirs, b, a)
    hang_up(ours, a, b)
    no_calls(g)


# --- Ends --------------------------------------------------------------------------------------------------------


@case("RFC 3261 12.2.1.2, 15.1.1: 481 or 408 to a BYE, a re-INVITE or an UPDATE ends the call")
def dialog_gone(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for method in ("BYE", "INVITE", "UPDATE", "INFO"):
        a = t.client(g, "wss")
        ours, theirs, _ = call(a, b)
        refresh(ours, a, b, method, 481)
        no_calls(g)
    for method in ("INVITE", "BYE"):
        a = t.client(g, "wss")
        ours, theirs, _ = call(a, b)
        ours.request(method, body=sip.sdp(version=2) if method == "INVITE" else b"")
        b.reply(b.expect(method), 408)
        no_calls(g)
        if method == "BYE":  # RFC 4320 4.2
            a.silence(0.3, lambda m: not m.is_request and m.status == 408 and m.cseq[1] == "BYE")


@case("RFC 3261 12.2.1.2: other refusals end nothing: 488, 491, 500 to a re-INVITE, 401 to a BYE")
def refused_and_standing(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    ours, theirs, _ = call(a, b)
    for method, status in (("INVITE", 488), ("INVITE", 491), ("INVITE", 500), ("INFO", 408), ("BYE", 401)):
        sent = ours.request(method, body=sip.sdp(version=2) if method == "INVITE" else b"")
        b.reply(b.expect(method), status)
        if status != 408:
            assert a.final(sent).status == status
        assert len(calls_of(g)) == 1, (method, status, g.calls())
    hang_up(theirs, b, a)
    no_calls(g)


@case("RFC 3261 15: two BYEs that cross are both answered")
def crossing(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    ours, theirs, _ = call(a, b)
    mine, yours = ours.request("BYE"), from_new_port(t, b, theirs).request("BYE")
    at_b, at_a = b.expect("BYE"), a.expect("BYE")
    b.reply(at_b, 200)
    assert a.final(mine).status == 200
    a.reply(at_a, 481)
    assert b.final(yours).status == 481
    no_calls(g)


@case("what comes after the end of a call wakes nothing: 481, and a BYE still goes its way")
def after_the_end(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "wss")
    ours, theirs, _ = call(a, b)
    hang_up(ours, a, b)
    no_calls(g)
    for dialog, sender, receiver in ((ours, a, b), (from_new_port(t, b, theirs), b, a)):
        for method in ("INVITE", "UPDATE", "INFO"):
            sent = dialog.request(method, body=b"" if method == "INFO" else sip.sdp(version=3))
            assert sender.final(sent).status == 481, method
            receiver.no_request(method, 0.1)
        late = dialog.request("BYE")
        receiver.reply(receiver.expect("BYE"), 481)
        assert sender.final(late).status == 481
    no_calls(g)


# --- Session timers ----------------------------------------------------------------------------------------------


def with_timer(t, answer_headers, invite_headers=(), transport="wss"):
    b = t.backend()
    g = t.gateway(transport, next_hop=b.uri(), timers=SHORT)
    a = t.client(g, transport)
    sent = a.invite(headers=[("Supported", "timer"), ("Session-Expires", "2"), ("Min-SE", "2"), *invite_headers])
    seen = b.expect("INVITE")
    answer = b.reply(seen, 200, body=sip.sdp(), headers=answer_headers)
    got = a.response(200, to=sent)
    ours = a.ack(sent, got)
    b.expect("ACK")
    return b, g, a, ours, b.dialog(seen, answer), got


@case("RFC 4028 8.3, 10: a session that nobody refreshes ends with its timer, refresher uas or uac")
def session_over(t):
    for refresher in ("uas", "uac"):
        b, g, a, ours, theirs, _ = with_timer(t, [("Session-Expires", f"2;refresher={refresher}"),
                                                  ("Require", "timer")])
        assert len(calls_of(g)) == 1
        no_calls(g, 6)
        b.no_request("BYE", 0.1)
        bye = ours.request("BYE")  # the timer of the user agent is a little slower
        b.reply(b.expect("BYE"), 200)
        assert a.final(bye).status == 200


@case("RFC 4028 8.2: where the callee knows no timers, the caller's session ends with its timer as well")
def session_of_caller_alone(t):
    b, g, a, ours, theirs, got = with_timer(t, [])
    assert got.get("Session-Expires") == "2;refresher=uac" and got.get("Require") == "timer", got
    no_calls(g, 6)


@case("RFC 4028 7.4, 9: refreshed by UPDATE or re-INVITE of either side it goes on, one without a timer switches it off")
def session_refreshed(t):
    b, g, a, ours, theirs, _ = with_timer(t, [("Session-Expires", "2;refresher=uas"), ("Require", "timer")])
    timer = [("Supported", "timer"), ("Session-Expires", "2;refresher=uac"), ("Min-SE", "2")]
    granted = [("Session-Expires", "2;refresher=uac"), ("Require", "timer")]
    for dialog, sender, receiver, method in ((theirs, b, a, "UPDATE"), (ours, a, b, "INVITE"), (theirs, b, a, "INVITE")):
        receiver.inbox.none(lambda m: m.is_request and m.method == "BYE", 1.2)
        sent = dialog.request(method, headers=timer, body=sip.sdp(version=2))
        receiver.reply(receiver.expect(method), 200, headers=granted, body=sip.sdp())
        assert sender.final(sent).status == 200
        if method == "INVITE":
            dialog.request("ACK", cseq=sent.cseq[0])
            receiver.expect("ACK")
        assert len(calls_of(g)) == 1, g.calls()
    refresh(ours, a, b, "UPDATE")
    b.no_request("BYE", 3)
    assert len(calls_of(g)) == 1, g.calls()
    hang_up(ours, a, b)


# --- Passes ------------------------------------------------------------------------------------------------------


def through(b, invite, seen_register):
    """The next hop sends the INVITE on to a registered client, as a proxy that records its route or not."""
    routes = seen_register.values("Path")
    made = sip.Message(f"INVITE {seen_register.contact.uri.text} SIP/2.0", invite.headers, invite.body)
    made.set("Route", None)
    for route in reversed(routes):
        made.push("Route", route)
    made.push("Via", f"SIP/2.0/UDP {b.ip}:{b.port};branch={sip.branch()}")
    b.udp.to((sip.NameAddr(routes[0]).uri.host, sip.NameAddr(routes[0]).uri.port)).send(made)
    return made


def back(b, to, received):
    """A response on its way back through the next hop: without its Via."""
    made = sip.Message(received.start, received.headers, received.body)
    values = received.lines("Via")
    made.set("Via", None)
    for value in reversed(values[1:]):
        made.push("Via", value)
    to.flow.send(made)


def passes_twice(b, a, c, registered):
    """A call of a to c, both behind us, by way of b. registered: the REGISTER of c as b saw it."""
    sent = a.invite(f"sip:carol@{a.domain}")
    seen = b.expect("INVITE")
    through(b, seen, registered)
    at_c = c.expect("INVITE")
    answer = c.reply(at_c, 200, body=sip.sdp())
    back(b, seen, b.response(200))
    ours = a.ack(sent, a.response(200, to=sent))
    c.expect("ACK")
    return ours, c.callee_dialog(at_c, answer)


@case("two passes of one Call-ID, phone to phone over UDP and browser to browser: both end with the BYE", seconds=90)
def two_passes(t):
    for transport in ("udp", "wss"):
        b = t.backend()
        g = t.gateway(transport, next_hop=b.uri(), timers=SHORT, name=f"ringway-{transport}")
        for side in ("caller", "callee", "gone"):
            a, c = t.client(g, transport, "alice"), t.client(g, transport, "carol")
            register(a, b)
            seen_register, _ = register(c, b)
            ours, theirs = passes_twice(b, a, c, seen_register)
            until(lambda: len(calls_of(g)) == 2, 3, "two passes")
            if side == "caller":
                hang_up(ours, a, c)
            elif side == "callee":
                refresh(theirs, c, a)
                hang_up(theirs, c, a)
            elif transport == "wss":
                refresh(ours, a, c)
                a.flow.close()
                bye = c.expect("BYE", 6)
                assert bye.cseq[0] > ours.cseq, bye
                c.reply(bye, 200)
            else:
                hang_up(theirs, c, a)
            no_calls(g)


# --- Restarts and pages ------------------------------------------------------------------------------------------


def with_key(t, *transports, **top):
    b = t.backend()
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g = t.gateway(*transports, next_hop=b.uri(), key_file=str(key), **{"timers": SHORT, **top})
    return b, g


def moved(ours, new):
    ours.send = lambda message, dialog: new.flow.send(message)
    ours.via = new.flow.via
    return ours


@case("after a restart in a call either side's request takes it up again: BYE from either side ends it", seconds=90)
def restart_and_bye(t):
    b, g = with_key(t, "wss")
    for side in ("phone", "browser"):
        a = first(t, g, b)
        ours, theirs, _ = call(a, b)
        g.restart(crash=True)
        new = again(t, g, b, a)
        moved(ours, new)
        refresh(from_new_port(t, b, theirs), b, new, "INFO")
        until(lambda: len(calls_of(g)) == 1, 3, "the call was taken up again")
        hang_up(theirs, b, new) if side == "phone" else hang_up(ours, new, b)
        no_calls(g)


@case("after a restart the tab closes: the phone gets its BYE, with a number above all that passed", seconds=90)
def restart_and_gone(t):
    b, g = with_key(t, "wss")
    for asked_by in ("browser", "phone"):
        a = first(t, g, b)
        ours, theirs, _ = call(a, b)
        refresh(ours, a, b)
        g.restart(crash=True)
        new = again(t, g, b, a)
        moved(ours, new)
        refresh(ours, new, b) if asked_by == "browser" else refresh(theirs, b, new)
        new.flow.close()
        released_above(b, ours, ours.cseq)
        no_calls(g)


@case("a page that is loaded again under its instance but with a new Contact: the old page's call ends")
def page_again(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for closed in (True, False):
        a = first(t, g, b)
        ours, theirs, _ = call(a, b)
        if closed:
            a.flow.close()
        new = again(t, g, b, a, same_contact=False)
        new.contact_user = sip.token(4)
        register(new, b, call_id=a.user + "-registration", cseq=3)
        released_above(b, ours, ours.cseq)
        no_calls(g)
        call(new, b)
        new.flow.close()
        b.reply(b.expect("BYE", 5), 200)
        a.flow.close()
        no_calls(g)


# --- A dead socket -----------------------------------------------------------------------------------------------


@case("a request that went into a dead socket follows to the new one under its branch: BYE, re-INVITE, INFO",
      seconds=90)
def dead_socket(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"drain": "1s"})
    for number, method in enumerate(("BYE", "BYE", "INVITE", "INFO")):
        a = first(t, g, b, user=f"user{number}")
        ours, theirs, _ = call(a, b)
        if number % 2:
            from_new_port(t, b, theirs)
        sent = theirs.request(method, body=sip.sdp(version=2) if method == "INVITE" else b"")
        lost = a.expect(method)  # nobody reads there any more
        new = again(t, g, b, a)
        seen = new.expect(method)
        assert seen.via.branch == lost.via.branch, f"{seen.via.text}, first {lost.via.text}"
        new.reply(seen, 200, body=sip.sdp() if method == "INVITE" else b"")
        assert b.final(sent).status == 200
        if method == "INVITE":
            theirs.request("ACK", cseq=sent.cseq[0])
            new.expect("ACK")
        if method != "BYE":
            hang_up(theirs, b, new)
        no_calls(g)
        a.flow.close()
        new.flow.close()


@case("a ringing call whose caller's socket is lost goes on: its answer follows to the new socket", seconds=90)
def ringing_caller(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"drain": "1s"})
    for answered in ("before", "after", "refused", "refused before"):
        a = first(t, g, b)
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 180)
        a.response(180, to=sent)
        a.flow.abort()
        gone(g)
        b.no_request("CANCEL", 0.3)
        status = 486 if answered.startswith("refused") else 200
        body = sip.sdp() if status == 200 else b""
        if answered.endswith("before"):
            b.reply(seen, status, body=body)
            if status != 200:
                b.expect("ACK")
        new = again(t, g, b, a)
        if not answered.endswith("before"):
            b.reply(seen, status, body=body)
        got = new.response(status, to=sent)
        if status == 200:
            ours = new.ack(sent, got)
            b.expect("ACK")
            hang_up(ours, new, b)
        no_calls(g)
        new.flow.close()
        gone(g)


@case("a refusal of the gateway's own follows a caller to the new socket, too")
def refused_in_the_gap(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"drain": "1s", "t1": "25ms", "timer_c": "2s", "grace": "8s"})
    for rings in (True, False):
        a = first(t, g, b)
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 180 if rings else 100)
        if rings:
            a.response(180, to=sent)
        a.flow.abort()
        gone(g)
        b.reply(b.expect("CANCEL", 5), 481)  # Timer C, and the callee says nothing to the INVITE
        new = again(t, g, b, a)
        assert new.final(sent, 40).status in (408, 487)
        no_calls(g)
        new.flow.close()
        gone(g)


@case("a ringing call whose caller registers on a new socket before the old one ends goes on", seconds=90)
def ringing_caller_moves(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"drain": "1s"})
    for number in range(4):
        a = first(t, g, b)
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 180)
        a.response(180, to=sent)
        new = again(t, g, b, a)
        a.flow.abort()
        until(lambda: g.metric("ringway_flows", transport="wss") == 1, 5, "the old flow is gone")
        b.no_request("CANCEL", 0.2)
        b.reply(seen, 200, body=sip.sdp())
        ours = new.ack(sent, new.response(200, to=sent))
        b.expect("ACK")
        hang_up(ours, new, b)
        no_calls(g)
        new.flow.close()
        gone(g)


@case("a ringing call whose caller stays away is called off at the end of the grace")
def ringing_caller_gone(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    a = first(t, g, b)
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    a.response(180, to=sent)
    a.flow.abort()
    b.no_request("CANCEL", 0.5)
    cancel = b.expect("CANCEL", 5)
    b.reply(cancel, 200)
    b.reply(seen, 487)
    b.expect("ACK")
    no_calls(g)


@case("a ringing browser that loses its socket rings on the new one, or the caller is told 480")
def ringing_callee(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "2s", "drain": "1s"})
    for returns in (True, False):
        a = t.client(g, "wss")
        seen, _ = register(a, b, call_id=a.user + "-registration")
        invite = invite_by_path(b, seen, body=sip.sdp())
        got = a.expect("INVITE")
        a.reply(got, 180)
        b.response(180, to=invite)
        a.flow.abort()
        gone(g)
        if not returns:
            assert b.final(invite, 6).status in (408, 480)
            break
        new = again(t, g, b, a)
        once_more = new.expect("INVITE")
        assert once_more.via.branch == got.via.branch
        answer = new.reply(once_more, 200, body=sip.sdp())
        theirs = b.caller_dialog(invite, b.response(200, to=invite))
        theirs.request("ACK", cseq=1)
        new.expect("ACK")
        hang_up(new.callee_dialog(once_more, answer), new, b)
        new.flow.close()
        gone(g)
    no_calls(g)


@case("with the default timers: BYE within 15 s of a closed tab, within 30 s of one that is only silent",
      seconds=90)
def default_timers(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    closed, silent = t.client(g, "wss", "closed"), t.client(g, "wss", "silent")
    of_silent = call(silent, b)[2].call_id
    of_closed = call(closed, b)[2].call_id
    silent.flow.answer_pings = False
    closed.flow.close()
    bye = b.expect("BYE", 15)
    assert bye.call_id == of_closed
    b.reply(bye, 200)
    bye = b.expect("BYE", 15)
    assert bye.call_id == of_silent
    b.reply(bye, 200)
    no_calls(g)
