"""Media sessions of callers who have not registered. Two shards, Debian's rtpengine."""

from lib import sip
from lib.agents import hang_up
from lib.case import case
from lib.waiting import until

CHALLENGE = [("WWW-Authenticate", 'Digest realm="example.test", nonce="1"')]


def set_up(t, **top):
    b, relay = t.backend(), t.rtpengine()
    g = t.gateway("wss", "ws", next_hop=b.uri(), media=relay.address, **top)
    return b, relay, g


def asks(a, b, **options):
    sent = a.invite(body=sip.webrtc_sdp(), **options)
    return sent, b.expect("INVITE", where=lambda message: message.call_id == sent.call_id)


@case("a guest's fifth unanswered call on one connection is refused, others are served")
def one_flow(t):
    b, relay, g = set_up(t)
    a = t.client(g, "wss", "guest")
    held = [asks(a, b) for _ in range(4)]
    refused = a.invite(body=sip.webrtc_sdp())
    assert a.final(refused).status == 503
    b.no_request("INVITE", 0.1)
    assert len(relay.sessions()) == 4, relay.sessions()
    assert g.metric("ringway_guest_media_refused_total") == 1
    other = t.client(g, "ws", "other")
    _, seen = asks(other, b)
    b.reply(seen, 486)
    # What is answered does not count any more, nor what is over.
    sent, seen = held.pop()
    b.reply(seen, 200, body=sip.sdp())
    ours = a.ack(sent, a.response(200, to=sent))
    b.expect("ACK")
    held.append(asks(a, b))
    assert a.final(a.invite(body=sip.webrtc_sdp())).status == 503
    hang_up(ours, a, b)
    for sent, seen in held:
        b.reply(seen, 486)
        a.final(sent)
    until(lambda: not relay.sessions(), 10, "rtpengine holds no call")


@case("a guest's address has its share over all of its connections to a shard")
def one_address(t):
    b, relay, g = set_up(t, shards=1, limits={"guest_media_per_source": 6})  # the share is a shard's
    clients = [t.client(g, "ws", f"guest{i}") for i in range(4)]
    for i in range(6):
        asks(clients[i % 3], b)
    for a in clients[:2]:
        assert a.final(a.invite(body=sip.webrtc_sdp())).status == 503
    assert len(relay.sessions()) == 6
    # Who has registered needs no share.
    a = clients[3]
    sent = a.register(send_only=True)
    b.answer_register(b.expect("REGISTER"))
    a.final(sent)
    for _ in range(8):
        asks(a, b)
    assert len(relay.sessions()) == 14


@case("a guest's media session is deleted with the 401, and made again for the INVITE with credentials")
def challenged(t):
    b, relay, g = set_up(t)
    a = t.client(g, "wss", "guest")
    for status in (401, 407):
        calls = [asks(a, b) for _ in range(4)]
        for sent, seen in calls:
            b.reply(seen, status, headers=CHALLENGE)
            assert a.final(sent).status == status
        until(lambda: not relay.sessions(), 5, "rtpengine holds no call")
        for first, _ in calls:
            sent, seen = asks(a, b, call_id=first.call_id, from_tag=first.from_.tag, cseq=2)
            assert b"RTP/AVP" in seen.body, seen
            b.reply(seen, 200, body=sip.sdp())
            got = a.response(200, to=sent)
            assert b"fingerprint" in got.body, got
            ours = a.ack(sent, got)
            b.expect("ACK", where=lambda message: message.call_id == first.call_id)
            hang_up(ours, a, b)
        until(lambda: not relay.sessions(), 10, "rtpengine holds no call")


@case("122 calls of a guest, each answered 401, leave the relay's ports to the others", seconds=90)
def emptied(t):
    b, relay, g = set_up(t, bans={"enabled": False})  # which would end it sooner
    a, other = t.client(g, "wss", "guest"), t.client(g, "wss", "other")
    for _ in range(122):
        sent = a.invite(body=sip.webrtc_sdp())
        b.reply(b.expect("INVITE"), 401, headers=CHALLENGE)
        assert a.final(sent).status == 401
        assert len(relay.sessions()) <= 5
    sent, seen = asks(other, b)
    b.reply(seen, 200, body=sip.sdp())
    ours = other.ack(sent, other.response(200, to=sent))
    b.expect("ACK")
    hang_up(ours, other, b)
    until(lambda: not relay.sessions(), 10, "rtpengine holds no call")
