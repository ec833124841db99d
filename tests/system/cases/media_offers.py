"""Offers and answers through the media relay, with two shards: what is outstanding decides (RFC 3264, RFC 6337).

The relay is a stand-in that writes down what it is told; descriptions are told apart by the version in o=.
"""

import time

from cases.media_relays import hang_up, pool
from lib import sip
from lib.agents import elapsed_ms
from lib.case import case
from lib.waiting import Timeout, until

FAX = (b"v=0\r\no=- 1 %d IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
       b"m=image 5000 udptl t38\r\n")
RELIABLE = (("Require", "100rel"), ("RSeq", "1"))


def told(relay):
    """(command, version of the description) in the order of the relay's requests."""
    def version(request):
        lines = request.get("sdp", b"").split(b"\r\n")
        return int(next((line.split()[2] for line in lines if line.startswith(b"o=")), 0))
    with relay.lock:
        return [(request["command"].decode(), version(request)) for request in relay.requests]


def expect_told(relay, *wanted):
    try:
        until(lambda: told(relay)[-len(wanted):] == list(wanted), 5, f"the relay is told {wanted}")
    except Timeout:
        raise AssertionError(f"{told(relay)} does not end with {wanted}") from None


def prack(dialog, invite, **options):
    return dialog.request("PRACK", headers=[("RAck", f"1 {invite.cseq[0]} INVITE")], **options)


def answered(t):
    """An answered call of a browser: offer 1 and answer 1 are what the relay was told."""
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    answer = phone.reply(seen, 200, body=sip.sdp())
    caller = a.ack(sent, a.response(200, to=sent))
    phone.expect("ACK")
    expect_told(relay, ("offer", 1), ("answer", 1))
    return g, a, caller, phone, phone.dialog(seen, answer), relay


def ended(a, caller, phone, relay):
    hang_up(a, caller, phone)
    until(lambda: not relay.sessions, 5, "the session is deleted")


@case("a refused re-INVITE leaves the relay with the agreed pair, whoever offered (RFC 3261 14.1, RFC 6337 3.4)")
def refused(t):
    _, a, caller, phone, callee, relay = answered(t)
    version = 2
    for status in (488, 491, 500):
        sent = callee.request("INVITE", body=FAX % version)
        a.reply(a.expect("INVITE"), status)
        assert phone.final(sent).status == status
        expect_told(relay, ("offer", version), ("offer", 1), ("answer", 1))
        version += 1
        sent = caller.request("INVITE", body=sip.webrtc_sdp("sendonly", version=version))
        phone.reply(phone.expect("INVITE"), status)
        assert a.final(sent).status == status
        expect_told(relay, ("offer", version), ("offer", 1), ("answer", 1))
        version += 1
    # An UPDATE, and an answer that was only a preview.
    sent = caller.request("UPDATE", body=sip.webrtc_sdp("sendonly", version=20))
    phone.reply(phone.expect("UPDATE"), 504)
    assert a.final(sent).status == 504
    expect_told(relay, ("offer", 20), ("offer", 1), ("answer", 1))
    sent = caller.request("INVITE", body=sip.webrtc_sdp(version=21))
    seen = phone.expect("INVITE")
    phone.reply(seen, 183, body=sip.sdp(version=21))
    assert b"fingerprint" in a.response(183, to=sent).body
    phone.reply(seen, 603)
    assert a.final(sent).status == 603
    expect_told(relay, ("offer", 21), ("answer", 21), ("offer", 1), ("answer", 1))
    ended(a, caller, phone, relay)


@case("an offer in a reliable 183 is answered in the PRACK, and repeated in the 2xx (RFC 3262 5, RFC 6337 2.2)")
def late_and_reliable(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=b"", headers=[("Supported", "100rel")])
    seen = phone.expect("INVITE")
    early = phone.reply(seen, 183, body=sip.sdp(version=3), headers=RELIABLE)
    got = a.response(183, to=sent)
    assert b"a=setup" in got.body or b"fingerprint" in got.body, got
    caller, callee = a.dialog(sent, got), phone.dialog(seen, early)
    asked = prack(caller, sent, body=sip.webrtc_sdp(version=4))
    seen_prack = phone.expect("PRACK")
    assert b"RTP/AVP" in seen_prack.body and b"fingerprint" not in seen_prack.body, seen_prack
    phone.reply(seen_prack, 200)
    a.response(200, to=asked)
    expect_told(relay, ("offer", 3), ("answer", 4))
    # Before the call is answered: the callee changes its mind by UPDATE.
    update = callee.request("UPDATE", body=sip.sdp(version=5))
    a.reply(a.expect("UPDATE"), 200, body=sip.webrtc_sdp(version=6))
    phone.response(200, to=update)
    expect_told(relay, ("offer", 5), ("answer", 6))
    phone.reply(seen, 200, body=sip.sdp(version=5))
    got = a.response(200, to=sent)
    assert b"fingerprint" in got.body, got
    a.ack(sent, got)
    assert phone.expect("ACK").body == b""
    assert told(relay)[-1] == ("answer", 6) and len(told(relay)) == 4, told(relay)
    ended(a, caller, phone, relay)


@case("an answer in a reliable 183 is the answer: PRACK may offer again, the 2xx has nothing new (RFC 6337 2.2)")
def prack_offers(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp(), headers=[("Supported", "100rel")])
    seen = phone.expect("INVITE")
    phone.reply(seen, 183, body=sip.sdp(), headers=RELIABLE)
    got = a.response(183, to=sent)
    caller = a.dialog(sent, got)
    asked = prack(caller, sent, body=sip.webrtc_sdp(version=2))
    seen_prack = phone.expect("PRACK")
    assert b"RTP/AVP" in seen_prack.body, seen_prack
    phone.reply(seen_prack, 200, body=sip.sdp(version=2))
    assert b"fingerprint" in a.response(200, to=asked).body
    phone.reply(seen, 200)
    got = a.response(200, to=sent)
    a.ack(sent, got)
    phone.expect("ACK")
    assert told(relay) == [("offer", 1), ("answer", 1), ("offer", 2), ("answer", 2)], told(relay)
    ended(a, caller, phone, relay)


@case("a late offer in the 2xx is answered in the ACK; an early one that is not reliable is nobody's (RFC 3261 13.2.1)")
def late(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=b"")
    seen = phone.expect("INVITE")
    phone.reply(seen, 183, body=sip.sdp(version=2))
    assert a.response(183, to=sent).body == b""
    assert told(relay) == []
    phone.reply(seen, 200, body=sip.sdp(version=2))
    got = a.response(200, to=sent)
    assert b"fingerprint" in got.body, got
    caller = a.dialog(sent, got)
    caller.request("ACK", cseq=sent.cseq[0], body=sip.webrtc_sdp(version=3))
    assert b"RTP/AVP" in phone.expect("ACK").body
    assert told(relay) == [("offer", 2), ("answer", 3)], told(relay)
    ended(a, caller, phone, relay)


@case("two offers at one time: 491 for the other side's, 500 for one's own second, the first goes on (RFC 3261 14.2)")
def glare(t):
    _, a, caller, phone, callee, relay = answered(t)
    first = caller.request("INVITE", body=sip.webrtc_sdp(version=2))
    seen = phone.expect("INVITE")
    sent = callee.request("INVITE", body=sip.sdp(version=7))
    assert phone.final(sent).status == 491
    sent = callee.request("UPDATE", body=sip.sdp(version=8))
    assert phone.final(sent).status == 491
    sent = caller.request("UPDATE", body=sip.webrtc_sdp(version=9))
    got = a.final(sent)
    assert got.status == 500 and 0 <= int(got.get("Retry-After")) <= 10, got
    # What offers nothing passes.
    sent = callee.request("UPDATE")
    a.reply(a.expect("UPDATE"), 200)
    assert phone.final(sent).status == 200
    phone.reply(seen, 200, body=sip.sdp(version=2))
    a.response(200, to=first)
    caller.request("ACK", cseq=first.cseq[0])
    phone.expect("ACK")
    assert told(relay) == [("offer", 1), ("answer", 1), ("offer", 2), ("answer", 2)], told(relay)
    # Afterwards either side may offer.
    sent = callee.request("INVITE", body=sip.sdp(version=10))
    a.reply(a.expect("INVITE"), 200, body=sip.webrtc_sdp(version=10))
    phone.response(200, to=sent)
    callee.request("ACK", cseq=sent.cseq[0])
    a.expect("ACK")
    expect_told(relay, ("offer", 10), ("answer", 10))
    ended(a, caller, phone, relay)


@case("183 with an answer and at once a 200 without: both in order, and that answer counts (RFC 3261 13.2.1)")
def settled(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    phone.reply(seen, 183, body=sip.sdp(version=4))
    answer = phone.reply(seen, 200)
    first = a.inbox.take(lambda m: not m.is_request and m.status > 100, 5, "a response above 100")
    assert first.status == 183 and b"fingerprint" in first.body, first
    got = a.response(200, to=sent)
    caller, callee = a.dialog(sent, got), phone.dialog(seen, answer)
    caller.request("ACK", cseq=sent.cseq[0])
    phone.expect("ACK")
    refused_one = callee.request("INVITE", body=sip.sdp(version=9))
    a.reply(a.expect("INVITE"), 488)
    assert phone.final(refused_one).status == 488
    expect_told(relay, ("offer", 1), ("answer", 4), ("offer", 9), ("offer", 1), ("answer", 4))


@case("each fork's answer is told to the relay under the same name (RFC 3261 13.2.2.4)")
def forks(t):
    g, phone, (relay,) = pool(t, {})
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    for tag, version in (("x", 2), ("y", 3)):
        phone.reply(seen, 183, body=sip.sdp(version=version), to_tag=tag)
        assert b"fingerprint" in a.response(183, to=sent, where=lambda m, tag=tag: m.to.tag == tag).body
    phone.reply(seen, 200, body=sip.sdp(version=4), to_tag="z")
    caller = a.ack(sent, a.response(200, to=sent))
    phone.expect("ACK")
    assert told(relay) == [("offer", 1), ("answer", 2), ("answer", 3), ("answer", 4)], told(relay)
    names = {(request["from-tag"], request["to-tag"]) for request in relay.requests[1:]}
    assert len(names) == 1, names
    ended(a, caller, phone, relay)


@case("a re-INVITE's 2xx meets a relay that says nothing: it goes on with what was agreed (RFC 3264 8)", seconds=60)
def silent(t):
    _, a, caller, phone, _, relay = answered(t)
    sent = caller.request("INVITE", body=sip.webrtc_sdp(version=2))
    seen = phone.expect("INVITE")
    relay.mode = "silent"
    phone.reply(seen, 200, body=sip.sdp(version=2))
    begin = time.monotonic()
    got = a.response(200, 5, to=sent)
    assert b"fingerprint" in got.body and elapsed_ms(begin) < 3500, (elapsed_ms(begin), got)
    caller.request("ACK", cseq=sent.cseq[0])
    phone.expect("ACK")
    relay.mode = "ok"
    sent = caller.request("UPDATE")  # the dialog stands
    phone.reply(phone.expect("UPDATE"), 200)
    assert a.final(sent).status == 200
