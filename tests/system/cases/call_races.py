"""What crosses on its way in a call, over two shards: CANCEL and 2xx, BYE and re-INVITE, requests and a new port."""

from lib import flows, sip
from lib.agents import call, hang_up
from lib.case import case
from lib.waiting import until

from cases.call_dialogs import SHORT, called, calls_of, from_new_port, no_calls, passes_twice, refresh
from cases.call_targets import phone_moves
from cases.contacts import invite_by_path, register
from cases.outlives import again, first

def two(t, transport="wss", **options):
    b = t.backend()
    g = t.gateway(transport, next_hop=b.uri(), timers=SHORT, **options)
    return b, g, t.client(g, transport)


def of_cancel(agent):
    return agent.inbox.take(lambda m: not m.is_request and m.cseq[1] == "CANCEL", 5, "answer to CANCEL")


def cancel_in_dialog(request):
    """CANCEL has the Route set of its INVITE (RFC 3261 9.1)."""
    cancel = sip.cancel_of(request)
    for route in request.lines("Route"):
        cancel.add("Route", route)
    return cancel


def call_off(flow, dialog, sender, receiver, body):
    """A re-INVITE that rings, its CANCEL on the sender's flow, and 487. Returns the re-INVITE."""
    sent = dialog.request("INVITE", body=body)
    seen = receiver.expect("INVITE")
    receiver.reply(seen, 180)
    sender.response(180, to=sent)
    flow.send(cancel_in_dialog(sent))
    receiver.reply(receiver.expect("CANCEL"), 200)
    receiver.reply(seen, 487)
    return sent


def ack_of(invite, refusal):
    ack = cancel_in_dialog(invite)
    ack.start = ack.start.replace("CANCEL", "ACK", 1)
    return ack.set("To", refusal.get("To")).set("CSeq", f"{invite.cseq[0]} ACK")


def ringing(a, b):
    """An INVITE from a that rings at b: as it was sent, and as b has it."""
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    a.response(180, to=sent)
    return sent, seen


@case("RFC 3261 9.2: a CANCEL after the 2xx changes nothing, and gets its 200", seconds=90)
def cancel_after(t):
    for transport in ("wss", "udp", "tcp"):
        b, g, a = two(t, transport, name=transport)
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 200, body=sip.sdp())
        got = a.response(200, to=sent)
        a.flow.send(sip.cancel_of(sent))
        assert of_cancel(a).status == 200
        b.no_request("CANCEL", 0.3)
        ours = a.ack(sent, got)
        b.expect("ACK")
        assert len(calls_of(g)) == 1
        hang_up(ours, a, b)
        no_calls(g)


def moved(t, g, client, message):
    """Sends a message of the client's from a new port of the same phone; that port, for what comes back."""
    port = flows.UdpPort("127.0.0.1", 0, client.inbox, "new port")
    t.at_end(port.close)
    port.to(client.flow.remote).send(message)
    return port


@case("RFC 3261 9.2: a CANCEL, and the ACK of its 487, from another port of the phone reach their INVITE on any shard",
      seconds=120)
def cancel_from_new_port(t):
    b, g, _ = two(t, "udp", shards=2)
    for attempt in range(8):
        a = t.client(g, "udp", f"user{attempt}")
        sent, seen = ringing(a, b)
        moved(t, g, a, sip.cancel_of(sent))
        assert of_cancel(a).status == 200
        b.reply(b.expect("CANCEL"), 200)
        b.reply(seen, 487)
        refusal = a.response(487, to=sent)
        moved(t, g, a, ack_of(sent, refusal))
        a.silence(1.2, lambda m: not m.is_request and m.status == 487)  # the ACK has ended it
    no_calls(g)


@case("RFC 3261 9.2: a CANCEL of an unknown INVITE gets one 481 on any shard, one from another address calls off nothing",
      seconds=90)
def foreign_cancel(t):
    b, g, _ = two(t, "udp", shards=2)
    for attempt in range(6):
        a = t.client(g, "udp", f"user{attempt}")
        sent, seen = ringing(a, b)
        unknown = sip.cancel_of(sent)
        unknown.set("Via", sent.get("Via").replace("branch=", "branch=z9hG4bKother"))
        moved(t, g, a, unknown)
        assert of_cancel(a).status == 481
        other = flows.UdpPort("127.0.0.2", 0, a.inbox, "another address")
        t.at_end(other.close)
        other.to(a.flow.remote).send(sip.cancel_of(sent))
        assert of_cancel(a).status == 481
        b.no_request("CANCEL", 0.2)
        b.reply(seen, 486)
        a.final(sent)
    assert g.metric("ringway_cancel_wrong_source_total") == 6


@case("RFC 3261 9.1: a CANCEL that the 2xx has crossed: both pass, and a BYE ends the call")
def cancel_crosses(t):
    b, g, a = two(t)
    sent, seen = ringing(a, b)
    a.flow.send(sip.cancel_of(sent))
    b.expect("CANCEL")
    b.reply(seen, 200, body=sip.sdp())
    ours = a.ack(sent, a.response(200, to=sent, where=lambda m: m.cseq[1] == "INVITE"))
    b.expect("ACK")
    hang_up(ours, a, b)
    no_calls(g)
    registered, _ = register(a, b)
    sent = invite_by_path(b, registered, body=sip.sdp())
    seen = a.expect("INVITE")
    a.reply(seen, 180)
    b.response(180, to=sent)
    b.send_to(sip.NameAddr(registered.values("Path")[0]).uri, cancel_in_dialog(sent))
    a.expect("CANCEL")
    a.reply(seen, 200, body=sip.sdp())
    theirs = b.caller_dialog(sent, b.response(200, to=sent, where=lambda m: m.cseq[1] == "INVITE"))
    theirs.request("ACK", cseq=1)
    a.expect("ACK")
    hang_up(from_new_port(t, b, theirs), b, a)
    no_calls(g)


@case("RFC 3261 15: a BYE before the ACK ends the call, and the ACK still passes")
def bye_before_ack(t):
    b, g, a = two(t)
    for side in ("caller", "callee"):
        sent = a.invite()
        seen = b.expect("INVITE")
        answer = b.reply(seen, 200, body=sip.sdp())
        ours = a.dialog(sent, a.response(200, to=sent))
        if side == "callee":
            hang_up(from_new_port(t, b, b.dialog(seen, answer)), b, a)
        else:
            hang_up(ours, a, b)
        ours.request("ACK", cseq=1)
        b.expect("ACK")
        no_calls(g)


@case("RFC 3261 14, 15: a re-INVITE and a BYE that cross, in either order of their answers", seconds=120)
def reinvite_and_bye(t):
    b, g, a = two(t)
    for bye_first in (True, False):
        for status in (481, 487, 200):
            ours, theirs, _ = call(a, b)
            sent = ours.request("INVITE", body=sip.sdp(version=2))
            at_b = b.expect("INVITE")
            bye = from_new_port(t, b, theirs).request("BYE")
            at_a = a.expect("BYE")
            body = sip.sdp(version=2) if status == 200 else b""
            if not bye_first:
                b.reply(at_b, status, body=body)
                assert a.final(sent).status == status
            a.reply(at_a, 200)
            b.response(200, to=bye)
            if bye_first:
                b.reply(at_b, status, body=body)
                assert a.final(sent).status == status
            if status == 200:
                ours.request("ACK", cseq=sent.cseq[0])
            b.expect("ACK")
            no_calls(g)


@case("RFC 3261 9.1, 14.1: a re-INVITE that is called off, by either side, leaves the call as it was")
def cancelled_reinvite(t):
    b, g, a = two(t)
    ours, theirs, _ = call(a, b)
    for dialog, sender, receiver in ((ours, a, b), (theirs, b, a)):
        flow = a.flow if sender is a else b.flow_to(dialog.next_uri)
        sent = call_off(flow, dialog, sender, receiver, sip.sdp(version=2))
        assert of_cancel(sender).status == 200
        refusal = sender.response(487, to=sent)
        receiver.expect("ACK")
        if sender is b:
            flow.send(ack_of(sent, refusal))
    assert len(calls_of(g)) == 1
    refresh(ours, a, b)
    hang_up(from_new_port(t, b, theirs), b, a)
    no_calls(g)


@case("RFC 3261 16.10: a CANCEL goes no further, whatever Max-Forwards or Proxy-Require it carries")
def odd_cancel(t):
    b, g, a = two(t)
    for name, value in (("Proxy-Require", "foo"), ("Max-Forwards", "0")):
        sent, seen = ringing(a, b)
        a.flow.send(sip.cancel_of(sent).set(name, value))
        assert of_cancel(a).status == 200, name
        b.reply(b.expect("CANCEL"), 200)
        b.reply(seen, 487)
        assert a.response(487, to=sent)
        no_calls(g)


@case("RFC 5057 5.1: NOTIFYs of a REFER go on after the BYE of its dialog")
def refer(t):
    b, g, a = two(t)
    for by_caller in (True, False):
        ours, theirs, _ = call(a, b)
        from_new_port(t, b, theirs)
        dialog, far, sender, receiver = (ours, theirs, a, b) if by_caller else (theirs, ours, b, a)
        sent = dialog.request("REFER", headers=[("Refer-To", "<sip:carol@example.test>")])
        receiver.reply(receiver.expect("REFER"), 202)
        assert sender.final(sent).status == 202
        hang_up(ours, a, b)
        no_calls(g)
        notify = far.request("NOTIFY", headers=[("Event", "refer"), ("Subscription-State", "terminated")],
                             body=b"SIP/2.0 200 OK\r\n", content_type="message/sipfrag")
        sender.reply(sender.expect("NOTIFY"), 200)
        assert receiver.final(notify).status == 200


@case("RFC 3261 18.1.1: a large request that passes us twice in a row stays the next pass's own", seconds=90)
def large_on_two_passes(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("udp", "wss", next_hop=b.uri(), timers=SHORT)
    large = sip.sdp() + b"".join(b"a=x:%d %s\r\n" % (number, b"y" * 60) for number in range(30))
    for transport in ("udp", "wss"):
        a, c = t.client(g, transport, "alice"), t.client(g, transport, "carol")
        register(a, b)
        registered, _ = register(c, b)
        ours, theirs = passes_twice(b, a, c, registered)
        for dialog, sender, receiver in ((ours, a, c), (theirs, c, a)):
            asked = dialog.request("INVITE", body=large)
            receiver.reply(receiver.expect("INVITE"), 200, body=large)
            sender.response(200, to=asked)
            dialog.request("ACK", cseq=asked.cseq[0], body=large)
            assert receiver.expect("ACK").body == large
        hang_up(ours, a, c)
        no_calls(g)


@case("what is repeated to a phone on UDP goes where that registers or speaks from by now, under its branch",
      seconds=90)
def follows_register(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("udp", next_hop=b.uri(), timers=SHORT)
    for method in ("BYE", "INFO", "INVITE"):
        a = t.client(g, "udp")
        a.contact_user = "fixed" + method
        seen, _ = register(a, b, call_id="r" + method)
        ours, theirs, _ = called(t, b, a, seen)
        asked = theirs.request(method, body=sip.sdp(version=2) if method == "INVITE" else b"")
        lost = a.expect(method)
        new = phone_moves(t, g, a)
        register(new, b, call_id="r" + method, cseq=2)
        repeated = new.expect(method)
        assert repeated.via.branch == lost.via.branch, repeated
        new.reply(repeated, 200, body=sip.sdp() if method == "INVITE" else b"")
        assert b.final(asked).status == 200
        if method == "INVITE":
            theirs.request("ACK", cseq=asked.cseq[0])
            new.expect("ACK")
        if method != "BYE":
            hang_up(theirs, b, new)
        no_calls(g)
    a = t.client(g, "udp")
    seen, _ = register(a, b)
    ours, theirs, _ = called(t, b, a, seen)
    new = phone_moves(t, g, a)
    ours.send = lambda message, dialog: new.flow.send(message)
    refresh(ours, new, b)  # it has spoken from there, and has not registered again
    bye = theirs.request("BYE")
    lost = new.expect("BYE")
    repeated = new.inbox.take(lambda m: m.is_request and m.via.branch == lost.via.branch, 5, "the BYE once more")
    new.reply(repeated, 200)
    assert b.final(bye).status == 200
    no_calls(g)


# --- CANCEL and a lost socket ------------------------------------------------------------------------------------


@case("RFC 3261 9.1, RFC 5626 4.5: a caller that is back on a new connection can still call off its call", seconds=90)
def cancel_on_new_flow(t):
    for transport in ("wss", "tcp"):
        b = t.backend()
        g = t.gateway(transport, next_hop=b.uri(), name=transport)
        for turn in range(4):  # old and new connection are on one shard or on two
            a = first(t, g, b, transport, f"user{turn}")
            sent, seen = ringing(a, b)
            a.flow.abort()
            new = again(t, g, b, a, transport)
            new.flow.send(sip.cancel_of(sent))
            assert of_cancel(new).status == 200, (transport, turn)
            b.reply(b.expect("CANCEL"), 200)
            b.reply(seen, 487)
            assert new.response(487, to=sent)
        no_calls(g)


@case("RFC 3261 9.1, RFC 5626 4.5: who is called off while its connection is lost hears the CANCEL when it is back")
def cancel_in_the_gap(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "3s", "drain": "1s"})
    for returns in (True, True, False):
        a = first(t, g, b, user=sip.token(3))
        registered = next(m for m in b.inbox.seen if m.call_id == a.user + "-registration" and m.is_request)
        invite = invite_by_path(b, registered, body=sip.sdp())
        got = a.expect("INVITE")
        a.reply(got, 180)
        b.response(180, to=invite)
        a.flow.abort()
        until(lambda: g.metric("ringway_flows", transport="wss") == 0, 5, "the connection is lost")
        b.send_to(invite.routes[0].uri, cancel_in_dialog(invite))
        assert of_cancel(b).status == 200
        if returns:
            new = again(t, g, b, a)
            cancel = new.expect("CANCEL")
            assert cancel.via.branch == got.via.branch, cancel
            new.reply(cancel, 200)
            got.flow = new.flow
            new.reply(got, 487)
            new.no_request("INVITE", 0.1)
            new.flow.close()
        assert b.final(invite, 6).status == 487
        no_calls(g)
        until(lambda: g.metric("ringway_flows", transport="wss") == 0, 5, "nobody is left")
