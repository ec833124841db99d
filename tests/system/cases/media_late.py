"""Descriptions that come late, twice or where nobody can read them any more, with two shards (RFC 3264, RFC 6337).

Whatever becomes of a description, its 2xx and its ACK arrive (RFC 3261 13.2.2.4, 13.3.1.4).
"""

import os

from lib import sip
from lib.case import case
from lib.waiting import until

from cases.call_dialogs import no_calls
from cases.call_races import ack_of, call_off
from cases.contacts import invite_by_path, register
from cases.media_descriptions import lab
from cases.media_offers import FAX, answered, ended, expect_told
from cases.media_profiles import browser_answer, sdes
from cases.media_relays import hang_up, pool
from cases.outlives import again

KEYS = b"fingerprint"


def actively(version):
    return sip.webrtc_sdp(version=version).replace(b"actpass", b"active")


@case("RFC 3261 13.2.2.4: a fork that answers after the first one's BYE is heard, though no relay serves it")
def late_fork(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    for tag in ("x", "y"):
        phone.reply(seen, 200, to_tag=tag, body=sip.sdp())
        got = a.response(200, to=sent, where=lambda m, tag=tag: m.to.tag == tag and m.cseq[1] == "INVITE")
        assert b"RTP/AVP" not in got.body, got
        ours = a.ack(sent, got)
        phone.expect("ACK", where=lambda m, tag=tag: m.to.tag == tag)
        hang_up(a, ours, phone)
        until(lambda: not relay.sessions, 5, "the session is deleted")
        no_calls(g)
    assert relay.count("offer") == 1, relay.requests


@case("RFC 3261 14.1: a re-INVITE that is called off leaves the relay with the agreed pair")
def cancelled(t):
    _, a, caller, phone, callee, relay = answered(t)
    for version, dialog, sender, receiver, body in (
            (2, caller, a, phone, sip.webrtc_sdp("sendonly", version=2)), (3, callee, phone, a, FAX % 3)):
        flow = a.flow if sender is a else phone.flow_to(dialog.next_uri)
        sent = call_off(flow, dialog, sender, receiver, body)
        refusal = sender.response(487, to=sent)
        if sender is phone:
            flow.send(ack_of(sent, refusal))
        expect_told(relay, ("offer", version), ("offer", 1), ("answer", 1))
    ended(a, caller, phone, relay)


@case("RFC 3261 14.2, RFC 6337 2.3: re-INVITEs without a description, ACKs that come twice or owe an answer",
      seconds=90)
def late_offers(t):
    _, a, caller, phone, callee, relay = answered(t)
    sent = caller.request("INVITE")
    phone.reply(phone.expect("INVITE"), 200, body=sip.sdp(version=2))
    assert KEYS in a.response(200, to=sent).body
    for _ in range(2):
        caller.request("ACK", cseq=sent.cseq[0], body=actively(3))
        ack = phone.expect("ACK")
        assert b"RTP/AVP" in ack.body and KEYS not in ack.body, ack
    expect_told(relay, ("offer", 2), ("answer", 3))
    sent = callee.request("INVITE")
    a.reply(a.expect("INVITE"), 200, body=sip.webrtc_sdp(version=4))
    assert KEYS not in phone.response(200, to=sent).body
    callee.request("ACK", cseq=sent.cseq[0], body=sip.sdp(version=5))
    assert KEYS in a.expect("ACK").body
    expect_told(relay, ("offer", 4), ("answer", 5))
    sent = callee.request("INVITE")
    a.reply(a.expect("INVITE"), 200, body=sip.webrtc_sdp(version=6))
    phone.response(200, to=sent)
    callee.request("ACK", cseq=sent.cseq[0])
    a.expect("ACK")
    expect_told(relay, ("offer", 6), ("offer", 4), ("answer", 5))
    ended(a, caller, phone, relay)


@case("RFC 3261 13.3.1.4: an ACK whose answer meets a silent relay reaches its callee all the same", seconds=90)
def silent_at_the_ack(t):
    g, phone, (relay,) = pool(t, {})
    for first in (True, False):
        relay.mode = "ok"
        a = t.client(g, "wss")
        sent = a.invite(body=b"" if first else sip.webrtc_sdp())
        phone.reply(phone.expect("INVITE"), 200, body=sip.sdp(version=2))
        got = a.response(200, to=sent)
        caller = a.dialog(sent, got)
        if not first:
            caller.request("ACK", cseq=sent.cseq[0])
            phone.expect("ACK")
            sent = caller.request("INVITE")
            phone.reply(phone.expect("INVITE"), 200, body=sip.sdp(version=4))
            a.response(200, to=sent)
        relay.mode = "silent"
        caller.request("ACK", cseq=sent.cseq[0], body=actively(3))
        assert KEYS not in phone.expect("ACK", 10, where=lambda m, sent=sent: m.cseq[0] == sent.cseq[0]).body
        relay.mode = "ok"
        ended(a, caller, phone, relay)
        no_calls(g)


@case("RFC 3261 13.3.1.4: a 2xx is not lost behind many provisional responses that wait for the relay")
def many_provisional(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    relay.mode = "silent"
    phone.reply(seen, 183, body=sip.sdp())
    relay.expect("answer")
    relay.mode = "ok"
    for _ in range(10):
        phone.reply(seen, 180)
    phone.reply(seen, 200, body=sip.sdp())
    got = a.response(200, 10, to=sent)
    assert KEYS in got.body, got
    caller = a.ack(sent, got)
    phone.expect("ACK")
    ended(a, caller, phone, relay)


@case("RFC 3264 8: after a restart an SRTP phone is offered SRTP still, a WebRTC client on TCP WebRTC", seconds=90)
def profiles_after_restart(t):
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g, phone, _ = lab(t, "wss", "tcp", key_file=str(key))
    for transport in ("wss", "tcp"):
        a = t.client(g, transport)
        registered, _ = register(a, phone, call_id=a.user + "-registration")
        if transport == "wss":
            sent = invite_by_path(phone, registered, body=sdes())
            seen = a.expect("INVITE")
            answer = a.reply(seen, 200, body=browser_answer())
            phone.caller_dialog(sent, phone.response(200, to=sent)).request("ACK", cseq=1)
            a.expect("ACK")
            ours = a.callee_dialog(seen, answer)
        else:
            sent = a.invite(body=sip.webrtc_sdp())
            seen = phone.expect("INVITE")
            answer = phone.reply(seen, 200, body=sip.sdp())
            ours = a.ack(sent, a.response(200, to=sent))
            phone.expect("ACK")
        g.restart(crash=True)
        new = again(t, g, phone, a, transport)
        ours.send = lambda message, dialog, new=new: new.flow.send(message)
        ours.via = new.flow.via
        if transport == "wss":
            ours.request("INVITE", body=sip.webrtc_sdp("sendonly", version=2))
            offered = phone.expect("INVITE")
            assert b" RTP/SAVP " in offered.body and b"a=crypto:" in offered.body, offered
        else:
            phone.dialog(seen, answer).request("INVITE", body=sip.sdp(version=2))
            offered = new.expect("INVITE")
            assert b" UDP/TLS/RTP/SAVPF " in offered.body and b"a=ice-ufrag" in offered.body, offered
        offered.flow.send(sip.response(offered, 488, to_tag="x"))


@case("what a destination has refused and what it takes is known to all shards (RFC 3261 21.4.26)", seconds=90)
def known_to_all(t):
    g, phone, _ = lab(t)
    refused = tried = 0
    for _ in range(6):
        a = t.client(g, "wss")
        sent = a.invite("sip:srtp@example.test", body=sip.webrtc_sdp())
        seen = phone.expect("INVITE")
        if b" RTP/AVP " in seen.body:
            refused += 1
            phone.reply(seen, 488)
            seen = phone.expect("INVITE", where=lambda m, old=seen: m.via.branch != old.via.branch)
        phone.reply(seen, 200, body=sdes())
        caller = a.ack(sent, a.response(200, to=sent))
        phone.expect("ACK", where=lambda m, sent=sent: m.call_id == sent.call_id and "tag" in m.to.params)
        hang_up(a, caller, phone)
    assert refused == 1, refused
    for number in range(6):
        a = t.client(g, "wss")
        sent = a.invite("sip:stubborn@example.test", body=sip.webrtc_sdp())
        tried += 1
        seen = phone.expect("INVITE")
        phone.reply(seen, 488)
        if number == 0:
            tried += 1
            phone.reply(phone.expect("INVITE", where=lambda m, old=seen: m.via.branch != old.via.branch), 488)
        assert a.final(sent).status == 488
    phone.no_request("INVITE", 0.2)
    assert tried == 7, tried



@case("RFC 3264 6.1, RFC 4733: an answer with another telephone-event number, or none: the browser keeps its digits",
      seconds=60)
def event_numbers(t):
    g, phone, _ = lab(t)
    offered = b"a=rtpmap:126 telephone-event/8000\r\n"
    events = b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    own = sip.sdp()
    none = own.replace(events, b"").replace(b"0 8 101", b"0 8")
    for answer in (own, own.replace(b"101", b"126"), none):
        a = t.client(g, "wss")
        sent = a.invite(body=sip.webrtc_sdp())
        seen = phone.expect("INVITE")
        assert offered in seen.body, seen
        phone.reply(seen, 200, body=answer)
        got = a.response(200, to=sent)
        assert offered in got.body, got
        caller = a.ack(sent, got)
        phone.expect("ACK")
        sent = caller.request("INVITE", body=sip.webrtc_sdp("sendonly", version=2))
        phone.reply(phone.expect("INVITE"), 200, body=answer.replace(b"sendrecv", b"recvonly"))
        assert offered in a.response(200, to=sent).body
        caller.request("ACK", cseq=sent.cseq[0])
        phone.expect("ACK")
        hang_up(a, caller, phone)
    assert not any(one.get("event") == "digits_lost" for one in g.events())


@case("RFC 4733: where the relay takes the digits out of a call the log says so, once for each call")
def digits_lost(t):
    g, phone, (relay,) = pool(t, {})
    relay.without_events = True
    a = t.client(g, "wss")

    def told():
        return [one["call_id"] for one in g.events() if one.get("event") == "digits_lost"]
    for answer, lost in ((sip.sdp().replace(b"101", b"126"), False), (sip.sdp(), True)):
        sent = a.invite(body=sip.webrtc_sdp())
        seen = phone.expect("INVITE")
        phone.reply(seen, 183, body=answer)
        a.response(183, to=sent)
        phone.reply(seen, 200, body=answer)
        caller = a.ack(sent, a.response(200, to=sent))
        phone.expect("ACK")
        ended(a, caller, phone, relay)
        if lost:
            until(told, 5, "it is told")
        assert told() == ([sent.call_id] if lost else []), told()
