"""What each side of a call speaks, for the life of the call, with two shards and rtpengine."""

from lib import sip
from lib.case import case
from lib.waiting import until

from cases.media_descriptions import lab
from cases.contacts import invite_by_path, register


def sdes(version=1, profile=b"RTP/SAVP", port=40000):
    """A phone with keys in its description (RFC 4568)."""
    body = sip.sdp(port=port, version=version).replace(b"RTP/AVP", profile)
    return body + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"


def browser_answer(version=1):
    return sip.webrtc_sdp(version=version).replace(b"actpass", b"active")


def phone_calls_browser(t, offer):
    """(browser, its dialog, phone, the phone's dialog, the answer that the phone got)."""
    g, phone, engine = lab(t)
    a = t.client(g, "wss")
    registered, _ = register(a, phone)
    sent = invite_by_path(phone, registered, body=offer)
    seen = a.expect("INVITE")
    assert b"UDP/TLS/RTP/SAVPF" in seen.body and b"a=crypto" not in seen.body, seen
    answer = a.reply(seen, 200, body=browser_answer())
    got = phone.response(200, to=sent)
    theirs = phone.caller_dialog(sent, got)
    theirs.request("ACK", cseq=sent.cseq[0])
    a.expect("ACK")
    return g, a, a.callee_dialog(seen, answer), phone, theirs, got


@case("an SRTP phone stays one for the life of its call: a hold of the browser's is offered as RTP/SAVP (RFC 3264 8)",
      seconds=90)
def srtp_stays(t):
    for profile in (b"RTP/SAVP", b"RTP/SAVPF", b"RTP/AVPF"):
        offer = sdes(profile=profile) if b"SAVP" in profile else sip.sdp().replace(b"RTP/AVP", profile)
        g, a, ours, phone, theirs, got = phone_calls_browser(t, offer)
        assert b" " + profile + b" " in got.body and b"fingerprint" not in got.body, got
        assert (b"a=crypto:" in got.body) == (b"SAVP" in profile), got
        for direction in ("sendonly", "sendrecv"):
            sent = ours.request("INVITE", body=sip.webrtc_sdp(direction, version=2))
            seen = phone.expect("INVITE")
            assert b" " + profile + b" " in seen.body and b"fingerprint" not in seen.body, seen
            assert (b"a=crypto:" in seen.body) == (b"SAVP" in profile), seen
            answer = sdes(2, profile) if b"SAVP" in profile else sip.sdp(version=2).replace(b"RTP/AVP", profile)
            if direction == "sendonly":
                answer = answer.replace(b"a=sendrecv", b"a=recvonly")
            phone.reply(seen, 200, body=answer)
            held = a.response(200, to=sent)
            assert b"UDP/TLS/RTP/SAVPF" in held.body, held
            ours.request("ACK", cseq=sent.cseq[0])
            phone.expect("ACK")
        bye = ours.request("BYE")
        phone.reply(phone.expect("BYE"), 200)
        a.response(200, to=bye)


@case("a phone that refuses RTP is asked once with SRTP, and each shard remembers that (488, 415, 606)", seconds=90)
def other_profile(t):
    g, phone, engine = lab(t)
    for index, status in enumerate((488, 415, 606)):
        uri = f"sip:phone{index}@example.test"
        refused = 0
        for attempt in range(4):
            a = t.client(g, "wss")
            sent = a.invite(uri, body=sip.webrtc_sdp())
            seen = phone.expect("INVITE")
            assert attempt != 0 or b" RTP/AVP " in seen.body, seen
            if b" RTP/AVP " in seen.body:
                refused += 1
                phone.reply(seen, status)
                seen = phone.expect("INVITE", where=lambda m, old=seen: m.via.branch != old.via.branch)
            assert b" RTP/SAVP " in seen.body and b"a=crypto:" in seen.body, seen
            assert seen.call_id == sent.call_id
            phone.reply(seen, 200, body=sdes())
            got = a.response(200, to=sent)
            assert b"UDP/TLS/RTP/SAVPF" in got.body, got
            dialog = a.ack(sent, got)
            phone.expect("ACK", where=lambda m: m.call_id == sent.call_id and "tag" in m.to.params)
            bye = dialog.request("BYE")
            phone.reply(phone.expect("BYE"), 200)
            a.response(200, to=bye)
        assert refused <= 2, "once by each shard"
    until(lambda: not engine.sessions(), 10, "rtpengine holds no call")


@case("who refuses both profiles gets no third INVITE, and the caller gets the refusal", seconds=60)
def both_refused(t):
    g, phone, engine = lab(t)
    a = t.client(g, "wss")  # one connection is one shard, whose memory is asked
    for invites in (2, 1):
        sent = a.invite("sip:stubborn@example.test", body=sip.webrtc_sdp())
        branches = set()
        for _ in range(invites):
            seen = phone.expect("INVITE", where=lambda m: m.via.branch not in branches)
            branches.add(seen.via.branch)
            phone.reply(seen, 488)
        assert a.final(sent).status == 488
    assert g.metric("ringway_media_sessions") == 0
    until(lambda: not engine.sessions(), 10, "rtpengine holds no call")


@case("a phone that takes the second try for a copy of the first gets it first next time (482, RFC 3261 8.2.2.2)",
      seconds=60)
def merged(t):
    g, phone, engine = lab(t)
    for index, status in enumerate((488, 415, 606)):
        uri = f"sip:phone{index}@example.test"
        branches, refused = set(), 0
        for _ in range(4):
            a = t.client(g, "wss")
            sent = a.invite(uri, body=sip.webrtc_sdp())
            seen = phone.expect("INVITE", where=lambda m: m.call_id == sent.call_id)
            if b" RTP/AVP " in seen.body:
                refused += 1
                branches.add(seen.via.branch)
                phone.reply(seen, status)
                phone.reply(phone.expect("INVITE", where=lambda m: m.via.branch not in branches
                                         and m.call_id == sent.call_id), 482)
                assert a.final(sent).status == status
                continue
            assert b" RTP/SAVP " in seen.body, seen
            phone.reply(seen, 200, body=sdes())
            dialog = a.ack(sent, a.response(200, to=sent))
            phone.expect("ACK", where=lambda m: m.call_id == sent.call_id)
            bye = dialog.request("BYE")
            phone.reply(phone.expect("BYE"), 200)
            a.response(200, to=bye)
        assert 1 <= refused <= 2, "once by each shard"
    until(lambda: not engine.sessions(), 10, "rtpengine holds no call")


@case("482 goes to the caller where no other profile was tried (RFC 3261 8.2.2.2)", seconds=30)
def merged_elsewhere(t):
    g, phone, _ = lab(t)
    for body in (sip.webrtc_sdp(), sip.sdp()):
        a = t.client(g, "wss")
        sent = a.invite(body=body)
        phone.reply(phone.expect("INVITE", where=lambda m: m.call_id == sent.call_id), 482)
        assert a.final(sent).status == 482


@case("a next hop's media_profile says what it is offered (rtp, srtp, webrtc), and 488 is final then", seconds=90)
def configured(t):
    phone = t.backend(name="phone")
    engine = t.rtpengine()
    for profile, wanted in (("srtp", b" RTP/SAVP "), ("webrtc", b" UDP/TLS/RTP/SAVPF "), ("rtp", b" RTP/AVP ")):
        g = t.gateway("wss", "udp", network=("udp", "tcp"), media=engine.address, shards=2, start=False, name=profile)
        g.next_hop(phone.uri(), media_profile=profile)
        g.start()
        for transport, body in (("wss", sip.webrtc_sdp()), ("udp", sip.sdp())):
            a = t.client(g, transport)
            sent = a.invite(body=body)
            seen = phone.expect("INVITE", where=lambda m: m.call_id == sent.call_id)
            assert wanted in seen.body, seen
            phone.reply(seen, 488)
            assert a.final(sent).status == 488
        g.stop()


@case("call_ended has the packets and bytes of each side, the codec, and says who was not heard", seconds=60)
def counted(t):
    g, phone, engine = lab(t)
    audio = t.phone()
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE")
    phone.reply(seen, 200, body=audio.answer(seen.body))
    got = a.response(200, to=sent)
    dialog = a.ack(sent, got)
    phone.expect("ACK")
    until(lambda: audio.sent > 25, 10, "the phone has sent half a second")
    bye = dialog.request("BYE")
    phone.reply(phone.expect("BYE"), 200)
    a.response(200, to=bye)
    def ended():
        return [event for event in g.events() if event.get("event") == "call_ended"]
    until(ended, 5, "call_ended")
    (event,) = ended()
    assert event["packets_from_callee"] >= 20 and event["bytes_from_callee"] > 20 * 160, event
    assert event["packets_from_caller"] == 0, event
    assert event["codec"] == "PCMU/8000" and event["media"].startswith("one way"), event
    assert event["relay"] == engine.address, event
