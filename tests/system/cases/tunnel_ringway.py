"""Ringway's own control over UDP through `ringway tunnel`, beside other controllers."""

import time

from cases.media_relays import call, hang_up, states
from cases.tunnel_ends import SDP, SipServer
from lib import sip
from lib.agents import elapsed_ms
from lib.carriers import Controller, Tunnel
from lib.case import case
from lib.rtpengine import bdecode, bencode
from lib.waiting import Timeout, until


@case("tunnel ringway: Ringway over UDP, a Kamailio and a third controller share one tunnel and one rtpengine",
      seconds=120)
def shared(t):
    engine = t.rtpengine(udp=True)
    tunnel = Tunnel(t, engine.udp_address)
    address = "%s:%d" % tunnel.address
    phone = t.backend(name="phone")
    g = t.gateway("wss", next_hop=phone.uri(), shards=2, relay=[{"address": address, "transport": "udp"}])
    server, third = SipServer(t, tunnel.address, "kamailio"), Controller(t, tunnel.address)
    calls = []
    for number in range(4):
        calls.append(call(t, g, phone))
        assert server.ask("INVITE", f"kamailio-{number}", body=SDP) == "offered"
        answer = third.ask(b"1_%d " % number + bencode(
            {"command": "offer", "call-id": f"third-{number}", "from-tag": "a", "sdp": SDP}), 5)
        assert bdecode(answer.split(b" ", 1)[1])[0]["result"] == b"ok", answer
    names = {one.decode() for one in engine.sessions()}
    assert len(names) == 12, names
    for a, dialog in calls:
        hang_up(a, dialog, phone)
    for number in range(4):
        assert server.ask("BYE", f"kamailio-{number}") == "deleted"
    # What is left is the third one's: nobody deletes another's session.
    third_ones = {f"third-{number}" for number in range(4)}
    until(lambda: {one.decode() for one in engine.sessions()} == third_ones, 5, "the others' sessions are deleted")
    assert states(g) == {address: "connected"}


@case("tunnel ringway: while the far end is away a call is refused at once with 503, and served again later",
      seconds=90)
def away(t):
    engine = t.rtpengine(udp=True)
    tunnel = Tunnel(t, engine.udp_address)
    phone = t.backend(name="phone")
    g = t.gateway("wss", next_hop=phone.uri(), shards=2,
                  relay=[{"address": "%s:%d" % tunnel.address, "transport": "udp"}])
    hang_up(*call(t, g, phone), phone)
    # A delete that is under way when the far end dies is the orphan reaper's, a minute later.
    until(lambda: not engine.sessions(), 5, "rtpengine has deleted the first call")
    tunnel.kill_far()
    until(lambda: tunnel.counters()["connections"] == 0, 5, "the tunnel knows")
    a = t.client(g, "wss")
    begin = time.monotonic()
    answer = a.final(a.invite(body=sip.webrtc_sdp()))
    assert answer.status == 503 and elapsed_ms(begin) < 1500, (answer.status, elapsed_ms(begin))
    tunnel.start_far()

    # A relay that had no room pauses for 5 s; then calls get through again.
    def gets_through():
        sent = a.invite(body=sip.webrtc_sdp())
        try:
            return sent, phone.expect("INVITE", 1)
        except Timeout:
            return None
    sent, seen = until(gets_through, 15, "a call gets through", every=0.5)
    phone.reply(seen, 200, body=sip.sdp())
    dialog = a.ack(sent, a.response(200, to=sent))
    phone.expect("ACK")
    hang_up(a, dialog, phone)
    until(lambda: not engine.sessions(), 5, "rtpengine holds no call")
