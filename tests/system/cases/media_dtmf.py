"""Digits by INFO that become telephone-event (RFC 4733) for a next hop that wants them, with two shards."""

from lib import sip
from lib.case import case
from lib.waiting import until

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"


def lab(t, dtmf="rfc4733"):
    phone = t.backend(name="phone")
    engine = t.rtpengine()
    g = t.gateway("wss", network=("udp", "tcp"), media=engine.address, shards=2, start=False)
    g.next_hop(phone.uri(), media_profile="rtp", **({"dtmf": dtmf} if dtmf else {}))
    g.start()
    return g, phone, engine


class Call:
    """An answered call of a user agent that sends RTP of its own to a phone; both hear each other."""

    def __init__(self, t, g, phone):
        self.agent, self.phone = t.client(g, "wss"), phone
        self.speaks, self.hears = t.phone(frequency=440), t.phone(frequency=700)
        sent = self.agent.invite("sip:phone@example.test", body=self.speaks.sdp().replace(b"RTP/AVP", b"RTP/AVPF"))
        seen = phone.expect("INVITE", where=lambda m: m.call_id == sent.call_id)
        answer = phone.reply(seen, 200, body=self.hears.answer(seen.body))
        got = self.agent.response(200, to=sent)
        self.speaks.aim(got.body.replace(b"RTP/AVPF", b"RTP/AVP"))
        self.dialog = self.agent.ack(sent, got)
        phone.expect("ACK", where=lambda m: m.call_id == sent.call_id)
        self.phones = phone.dialog(seen, answer)
        self.hears.expect_tone(440)

    def info(self, body, content_type=RELAY, **options):
        return self.dialog.request("INFO", body=body, content_type=content_type, **options)

    def digits(self):
        """Those that the phone has heard to their end, in order: (event, duration in samples)."""
        found, last, audio = [], None, 0
        for _, kind, payload in list(self.hears.packets):
            if kind != self.hears.event_type or len(payload) < 4:
                audio += 1
                last = None if audio >= 3 else last  # the pause between two digits
                continue
            audio = 0
            if payload[1] & 0x80 and last != payload[0]:  # the end of an event is sent three times
                last = payload[0]
                found.append((payload[0], int.from_bytes(payload[2:4], "big")))
        return found

    def heard(self, *events):
        until(lambda: [event for event, _ in self.digits()] == list(events), 8, f"the phone hears {events}")

    def hang_up(self):
        bye = self.dialog.request("BYE")
        self.phone.reply(self.phone.expect("BYE"), 200)
        self.agent.response(200, to=bye)


@case("INFO becomes telephone-event where the next hop wants it, on each shard, and goes no further (RFC 4733)",
      seconds=90)
def played(t):
    g, phone, engine = lab(t)
    for _ in range(4):  # each connection may be on another shard
        call = Call(t, g, phone)
        bodies = ((b"Signal=5\r\nDuration=160\r\n", RELAY, 5), (b"#", PLAIN, 11), (b"signal= A\n", RELAY, 12))
        for body, content_type, _event in bodies:
            call.agent.response(200, to=call.info(body, content_type))
        call.heard(*(event for *_, event in bodies))
        assert 1000 <= call.digits()[0][1] <= 1800, call.digits()
        phone.no_request("INFO", 0.2)
        call.hang_up()
    assert g.metric("ringway_dtmf_played_total") == 12
    until(lambda: not engine.sessions(), 10, "rtpengine holds no call")


@case("bodies without a digit, with two, or with an unknown one are refused, other INFOs pass (RFC 6086)", seconds=60)
def other_bodies(t):
    g, phone, _ = lab(t)
    call = Call(t, g, phone)
    for body in (b"Duration=160\r\n", b"Signal=x\r\n", b"Signal=5\r\nSignal=6\r\n", b"Signal=5\r\nDuration=-1\r\n"):
        got = call.agent.final(call.info(body))
        assert got.status == 400, (body, got)
    for body, content_type, headers in ((b"Signal=!\r\n", RELAY, ()), (b"<x/>", "application/media_control+xml", ()),
                                        (b"Signal=5\r\n", RELAY, [("Info-Package", "x")])):
        sent = call.info(body, content_type, headers=headers)
        seen = phone.expect("INFO")
        assert seen.body == body and seen.get("Content-Type") == content_type, seen
        phone.reply(seen, 415)
        call.agent.response(415, to=sent)
    assert call.digits() == []
    call.hang_up()


@case("INFO passes untouched without the key, and where rtpengine cannot play: no digit is lost", seconds=90)
def passed_on(t):
    g, phone, engine = lab(t, dtmf=None)
    call = Call(t, g, phone)
    sent = call.info(b"Signal=5\r\nDuration=160\r\n")
    phone.reply(phone.expect("INFO"), 200)
    call.agent.response(200, to=sent)
    assert call.digits() == []
    call.hang_up()
    g.stop()
    g, phone, engine = lab(t)
    a = t.client(g, "wss")  # a browser that never sends a packet: there is no stream to play into
    sent = a.invite("sip:phone@example.test", body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    phone.reply(seen, 200, body=sip.sdp())
    dialog = a.ack(sent, a.response(200, to=sent))
    phone.expect("ACK")
    for stop in (False, True):
        if stop:
            engine.kill()  # and a relay that is gone
        info = dialog.request("INFO", body=b"Signal=5\r\n", content_type=RELAY)
        seen = phone.expect("INFO", 8)
        assert seen.body == b"Signal=5\r\n", seen
        phone.reply(seen, 200)
        a.response(200, to=info)
    assert g.metric("ringway_dtmf_passed_on_total") == 2
