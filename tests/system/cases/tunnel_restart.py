"""`ringway tunnel` whose controller end is restarted while requests are on their way: nothing is done twice."""

from lib.carriers import Controller, FakeEngine, Tunnel
from lib.case import case
from lib.rtpengine import bdecode, bencode

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def restart(tunnel):
    tunnel.near_end.process.kill()
    tunnel.near_end.process.wait(5)
    tunnel.start_near()


@case("tunnel restart: a request and its retransmission have one cookie, whatever its form, with keys and without")
def same_cookie(t):
    for keys in (True, False):
        engine = FakeEngine(t, lambda cookie, body: None)
        tunnel = Tunnel(t, engine.address, keys=keys)
        one = Controller(t, tunnel.address)
        requests = [b"5323_1 d7:command4:pinge", b'5323_2 {"command":"ping"}', b"c" * 300 + b" d1:ae",
                    b"5323_3 d" + b"x" * (65507 - 8)]
        for request in requests:
            one.send(request)
        assert engine.wait_for(len(requests), 5)
        restart(tunnel)
        for request in requests:
            one.send(request)
        assert engine.wait_for(2 * len(requests), 5)
        before, after = (sorted(engine.received[start:start + len(requests)]) for start in (0, len(requests)))
        assert before == after


@case("tunnel restart: rtpengine answers the retransmission of an offer from before it, and makes no second call")
def answered_once(t):
    engine = t.rtpengine(udp=True)
    tunnel = Tunnel(t, engine.udp_address)
    one, other = Controller(t, tunnel.address), Controller(t, tunnel.address)

    def offer(call):
        return b"77_1 " + bencode({"command": "offer", "call-id": call, "from-tag": "a", "sdp": SDP})
    first = one.ask(offer("first"))
    assert bdecode(first, len(b"77_1 "))[0]["result"] == b"ok", first
    restart(tunnel)
    # rtpengine knows the cookie, and looks no further.
    assert one.ask(offer("second")) == first
    assert [call.decode() for call in engine.sessions()] == ["first"]
    # The same cookie of another socket is another request.
    answer = other.ask(offer("third"))
    assert bdecode(answer, len(b"77_1 "))[0]["result"] == b"ok" and answer != first
    assert sorted(call.decode() for call in engine.sessions()) == ["first", "third"]


@case("tunnel restart: another controller end with the same keys and the same cookie is another one")
def another_end(t):
    engine = FakeEngine(t, lambda cookie, body: None)
    tunnel = Tunnel(t, engine.address)
    second = Tunnel(t, engine.address, keys=tunnel.keys)
    for number, end in enumerate((tunnel, second)):
        one = Controller(t, end.address)
        one.send(b"1_1 de")
        assert engine.wait_for(2 * number + 1, 5)
        restart(end)
        one.send(b"1_1 de")
        assert engine.wait_for(2 * number + 2, 5)
    assert len({data.split(b" ")[0] for data in engine.received}) == 2, engine.received
