"""A call outlives its socket: requests wait for the user agent, follow it, or end the call in time."""

import os
import time

from lib import sip
from lib.agents import Client, call, elapsed_ms, hang_up
from lib.case import case
from lib.waiting import until

from cases.contacts import invite_by_path, register


def gone(g, transport="wss"):
    until(lambda: g.metric("ringway_flows", transport=transport) == 0, 5, "the flow is gone")


def again(t, g, b, old, transport="wss", same_contact=True, **options):
    """The same user agent on a new flow, registered again."""
    new = t.client(g, transport, old.user)
    new.instance = old.instance
    new.contact_user = old.contact_user
    if same_contact and transport in ("ws", "wss"):
        new.flow.invalid = old.flow.invalid
    register(new, b, call_id=old.user + "-registration", cseq=options.pop("cseq", 2))
    return new


def first(t, g, b, transport="wss", user="alice"):
    a = t.client(g, transport, user)
    register(a, b, call_id=user + "-registration")
    return a


@case("in-dialog requests follow a browser to its new socket (.invalid Contact)", sanitize=True)
def follow(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    a.flow.abort()
    gone(g)
    new = again(t, g, b, a)
    for method in ("INFO", "INVITE"):
        sent = theirs.request(method, body=sip.sdp(version=2) if method == "INVITE" else b"")
        seen = new.expect(method)
        answer = new.reply(seen, 200, body=sip.sdp() if method == "INVITE" else b"")
        b.response(200, to=sent)
        if method == "INVITE":
            theirs.request("ACK", cseq=sent.cseq[0])
            new.expect("ACK")
    # And from the browser, on its new socket with the old route set.
    ours.send = lambda message, dialog: new.flow.send(message)
    ours.via = new.flow.via
    hang_up(ours, new, b)


@case("in-dialog requests follow a browser whose Contact is a GRUU")
def follow_gruu(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = first(t, g, b)
    gruu = "<sip:alice@example.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"
    sent = a.invite(contact=gruu)
    seen = b.expect("INVITE")
    answer = b.reply(seen, 200, body=sip.sdp())
    got = a.response(200, to=sent)
    a.ack(sent, got)
    b.expect("ACK")
    theirs = b.dialog(seen, answer)
    a.flow.abort()
    gone(g)
    new = again(t, g, b, a, same_contact=False)
    hang_up(theirs, b, new)


@case("a request in the gap waits, and is delivered when the browser returns", sanitize=True)
def waits(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    a.flow.abort()
    gone(g)
    bye = theirs.request("BYE")
    b.inbox.none(lambda m: not m.is_request and m.status >= 200, 1)
    new = again(t, g, b, a)
    seen = new.expect("BYE", 3)
    new.reply(seen, 200)
    b.response(200, 3, to=bye)


def cancel_it(dialog, agent, invite):
    """CANCEL, its 200, the 487 and its ACK, all with the INVITE's branch."""
    for method, status in (("CANCEL", 200), ("ACK", None)):
        message = dialog.build(method, cseq=invite.cseq[0])
        message.set("Via", invite.get("Via"))
        agent.flow_to(dialog.next_uri).send(message)
        if status:
            agent.response(status, to=message)
            agent.response(487, to=invite)


@case("of two requests in the gap one is cancelled: the other is still delivered", sanitize=True)
def waits_in_line(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "4s", "drain": "1s"})
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    a.flow.abort()
    gone(g)
    info = theirs.request("INFO")
    invite = theirs.request("INVITE", body=sip.sdp(version=2))
    until(lambda: g.metric("ringway_waits_started_total") == 2, 5, "both wait")
    cancel_it(theirs, b, invite)
    new = again(t, g, b, a)
    new.reply(new.expect("INFO", 3), 200)
    b.response(200, 3, to=info)
    # And where nobody returns, the end of the grace finds the line as it is.
    new.flow.abort()
    gone(g)
    info = theirs.request("INFO")
    invite = theirs.request("INVITE", body=sip.sdp(version=3))
    until(lambda: g.metric("ringway_waits_started_total") == 4, 5, "both wait")
    cancel_it(theirs, b, invite)
    b.response(480, 6, to=info)
    assert g.program.running


@case("a browser that does not return: BYE to the far end at the end of the grace")
def grace(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "3s", "drain": "1s"})
    a = first(t, g, b)
    ours, theirs, seen = call(a, b)
    a.flow.close()
    begin = time.monotonic()
    bye = b.expect("BYE", 8)
    assert 2500 < elapsed_ms(begin) < 5000, elapsed_ms(begin)
    # In the dialog's name: its tags, its Call-ID, our target, a number above the caller's last one.
    assert bye.call_id == seen.call_id and bye.from_.tag == seen.from_.tag and bye.to.tag, bye
    assert bye.uri == sip.NameAddr(b.contact()).uri.text and bye.cseq[0] > seen.cseq[0], bye
    b.reply(bye, 200)


@case("the same for a call that the far end began")
def grace_called(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "2s", "drain": "1s"})
    a = t.client(g, "wss")
    seen, _ = register(a, b)
    invite = invite_by_path(b, seen, body=sip.sdp())
    a.reply(a.expect("INVITE"), 200, body=sip.sdp())
    got = b.response(200, to=invite)
    theirs = b.caller_dialog(invite, got)
    theirs.request("ACK", cseq=1)
    a.expect("ACK")
    a.flow.close()
    bye = b.expect("BYE", 8)
    assert bye.from_.tag == got.to.tag and bye.to.tag == invite.from_.tag, bye
    b.reply(bye, 200)


@case("a switch leaves the end of the call to the far end")
def no_release(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"grace": "1s", "release_after_grace": False, "drain": "1s"})
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    a.flow.close()
    b.no_request("BYE", 4)
    bye = theirs.request("BYE")
    assert b.final(bye, 5).status in (200, 480, 481, 430), "BYE after the grace"


@case("a socket without FIN: the WebSocket ping notices, the far end is released within 30 s", seconds=90)
def no_fin(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"websocket_ping": "2s", "grace": "2s", "drain": "1s"})
    a = first(t, g, b)
    call(a, b)
    a.flow.answer_pings = False
    begin = time.monotonic()
    bye = b.expect("BYE", 12)
    assert elapsed_ms(begin) < 9000
    b.reply(bye, 200)
    gone(g)


@case("an answered ping keeps an idle flow alive")
def ping_answered(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers={"websocket_ping": "1s", "drain": "1s"})
    a = first(t, g, b)
    for _ in range(4):
        a.flow.frames.take(lambda frame: frame.opcode == 9, 3, "ping")
    sent = a.request("OPTIONS")
    b.reply(b.expect("OPTIONS"), 200)
    a.final(sent)


@case("RFC 5626 5.3: a dialog stays on its flow while that lives, and follows to a newer one when it is gone")
def taken_over(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    new = again(t, g, b, a)  # the old socket is still open
    info = theirs.request("INFO")
    a.reply(a.expect("INFO"), 200)
    b.response(200, to=info)
    new.no_request("INFO", 0.2)
    a.flow.close()
    until(lambda: g.metric("ringway_flows", transport="wss") == 1, 5, "the old flow is gone")
    hang_up(theirs, b, new)


@case("another user's registration does not take over a call", sanitize=True)
def not_stolen(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    thief = t.client(g, "wss", "mallory")
    thief.instance, thief.contact_user, thief.flow.invalid = a.instance, a.contact_user, a.flow.invalid
    register(thief, b)
    hang_up(theirs, b, a)
    thief.no_request("BYE", 0.2)


@case("a registration that the registrar refuses moves nothing")
def refused_registration(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    thief = t.client(g, "wss")
    thief.instance, thief.contact_user, thief.flow.invalid = a.instance, a.contact_user, a.flow.invalid
    sent = thief.register(send_only=True)
    b.reply(b.expect("REGISTER"), 401, headers=[("WWW-Authenticate", 'Digest realm="x", nonce="y"')])
    assert thief.final(sent).status == 401
    hang_up(theirs, b, a)
    thief.no_request("BYE", 0.2)


@case("a restart with the same key: the browser registers again, BYE of the old call reaches it", sanitize=True)
def restart(t):
    b = t.backend()
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g = t.gateway("wss", next_hop=b.uri(), key_file=str(key))
    a = first(t, g, b)
    ours, theirs, _ = call(a, b)
    g.restart(crash=True)
    new = again(t, g, b, a)
    hang_up(theirs, b, new)


@case("a new call to a browser in its gap is refused at once")
def call_in_gap(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    seen, _ = register(a, b)
    call(a, b)
    a.flow.abort()
    gone(g)
    begin = time.monotonic()
    got = b.final(invite_by_path(b, seen, body=sip.sdp()))
    assert got.status in (430, 480) and elapsed_ms(begin) < 150, got


@case("the same over TCP and TLS: a phone's connection dies, it registers again")
def streams(t):
    for transport in ("tcp", "tls"):
        b = t.backend()
        g = t.gateway(transport, next_hop=b.uri(), name=f"ringway-{transport}")
        a = first(t, g, b, transport)
        ours, theirs, _ = call(a, b)
        a.flow.abort()
        gone(g, transport)
        new = again(t, g, b, a, transport)
        hang_up(theirs, b, new)


@case("two shards: a dialog follows its browser to another shard")
def shards(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), shards=2)
    for number in range(6):
        a = first(t, g, b, user=f"user{number}")
        ours, theirs, _ = call(a, b)
        a.flow.abort()
        gone(g)
        new = again(t, g, b, a)
        hang_up(theirs, b, new)
        new.flow.close()
        gone(g)
