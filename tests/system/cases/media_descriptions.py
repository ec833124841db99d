"""Descriptions that pass the media relay, with two shards: what each side speaks, and what nobody can read."""

from lib import sip
from lib.case import case

GROUP = b"a=group:BUNDLE 0\r\n"


def lab(t, *transports, **options):
    """A gateway with rtpengine, and a plain phone as its next hop."""
    phone = t.backend(name="phone")
    engine = t.rtpengine()
    g = t.gateway(*transports or ("wss",), network=("udp", "tcp"), next_hop=phone.uri(), media=engine.address,
                  shards=2, **options)
    return g, phone, engine


def refuse(client, phone, sent, seen):
    phone.reply(seen, 486)
    assert client.final(sent).status == 486


def without(body, *prefixes):
    return b"\r\n".join(line for line in body.split(b"\r\n") if not line.startswith(prefixes))


def is_usable(body, profile=b"RTP/AVP "):
    """A phone can be reached there, and is not put on hold."""
    lines = body.split(b"\r\n")
    audio = next(line for line in lines if line.startswith(b"m=audio "))
    assert profile in audio + b" " and int(audio.split()[1]) > 9, body
    assert b"c=IN IP4 0.0.0.0" not in lines and b"c=IN IP4 127.0.0.1" in lines, body
    assert b"a=sendonly" not in lines and b"a=inactive" not in lines and b"a=recvonly" not in lines, body


def zero(body, trickle):
    """As a browser writes it that has no candidate yet; trickle: b"" , or where the option stands."""
    body = without(body, b"a=candidate", b"a=ice-options")
    body = body.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0").replace(b"m=audio 49203", b"m=audio 9")
    if trickle == b"session":
        return body.replace(b"t=0 0\r\n", b"t=0 0\r\na=ice-options:trickle\r\n")
    return body + (b"a=ice-options:trickle\r\n" if trickle else b"")


@case("a browser's zero address is never hold, wherever its trickle option stands (RFC 8840 4.1.1)", seconds=60)
def zero_address(t):
    g, phone, _ = lab(t)
    for trickle in (b"", b"session", b"media"):
        a = t.client(g, "wss")
        for body in (zero(sip.webrtc_sdp(), trickle), zero(sip.webrtc_sdp(), trickle).replace(b"IP4 0.0.0.0", b"IP6 ::")):
            sent = a.invite(body=body)
            seen = phone.expect("INVITE")
            is_usable(seen.body)
            refuse(a, phone, sent, seen)


@case("a browser that does hold is held, with a zero address or without (RFC 3264 8.4)", seconds=60)
def hold(t):
    g, phone, _ = lab(t)
    a = t.client(g, "wss")
    for body in (sip.webrtc_sdp("sendonly"), zero(sip.webrtc_sdp("sendonly"), b"session")):
        sent = a.invite(body=body)
        seen = phone.expect("INVITE")
        assert b"a=sendonly" in seen.body, seen
        refuse(a, phone, sent, seen)


@case("WebRTC over TCP, TLS and UDP is WebRTC; a plain description over WSS is plain (RFC 8839)", seconds=90)
def legs(t):
    g, phone, engine = lab(t, "wss", "tcp", "tls", "udp")
    for transport in ("tcp", "tls", "udp"):
        a = t.client(g, transport)
        sent = a.invite(body=sip.webrtc_sdp())
        seen = phone.expect("INVITE")
        is_usable(seen.body)
        assert b"fingerprint" not in seen.body and b"ice-ufrag" not in seen.body, seen
        phone.reply(seen, 200, body=sip.sdp())
        got = a.response(200, to=sent)
        assert b"UDP/TLS/RTP/SAVPF" in got.body and b"a=ice-ufrag" in got.body and GROUP in got.body, got
        dialog = a.ack(sent, got)
        phone.expect("ACK")
        bye = dialog.request("BYE")
        phone.reply(phone.expect("BYE"), 200)
        a.response(200, to=bye)
    a = t.client(g, "wss")
    sent = a.invite(body=sip.sdp(port=40004))
    seen = phone.expect("INVITE")
    assert b"m=audio 40004 RTP/AVP" in seen.body, seen
    refuse(a, phone, sent, seen)


@case("a group is offered to a browser, and answered where one was offered (RFC 9143 7.2, 7.3)", seconds=60)
def bundle(t):
    g, phone, _ = lab(t)
    for offer, group in ((sip.webrtc_sdp(), True), (without(sip.webrtc_sdp(), b"a=group"), False),
                         (sip.webrtc_sdp().replace(b"BUNDLE 0", b"BUNDLE snd").replace(b"mid:0", b"mid:snd"), b"snd")):
        a = t.client(g, "wss")
        sent = a.invite(body=offer)
        seen = phone.expect("INVITE")
        assert b"a=group" not in seen.body and b"a=mid" not in seen.body, seen
        answer = phone.reply(seen, 200, body=sip.sdp())
        got = a.response(200, to=sent)
        wanted = b"a=group:BUNDLE " + (b"0" if group is True else group or b"") + b"\r\n"
        assert (wanted in got.body) if group else (b"a=group" not in got.body), got
        a.ack(sent, got)
        phone.expect("ACK")
        theirs = phone.dialog(seen, answer)
        # An offer of the phone's has a group with the mid in use.
        asked = theirs.request("INVITE", body=sip.sdp(version=2))
        offered = a.expect("INVITE")
        lines = offered.body.split(b"\r\n")
        mid = next(line for line in lines if line.startswith(b"a=mid:"))[6:]
        assert b"a=group:BUNDLE " + mid in lines, offered
        a.reply(offered, 200, body=sip.webrtc_sdp(version=2).replace(b"actpass", b"active"))
        phone.response(200, to=asked)
        theirs.request("ACK", cseq=asked.cseq[0])
        a.expect("ACK")


@case("what the relay cannot read is 488, what is encoded 415, and no call of it stays (RFC 3261 21.4.26, 21.4.13)",
      seconds=60)
def unreadable(t):
    g, phone, engine = lab(t)
    a = t.client(g, "wss")
    host_name = sip.webrtc_sdp().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 gateway.example.test")
    for body in (b"v=0\r\nnonsense\r\n", sip.webrtc_sdp() + b"m=audio x RTP/AVP 0\r\n", host_name):
        got = a.final(a.invite(body=body))
        assert got.status == 488 and got.get("Retry-After") is None, (body, got)
    for name in ("Content-Encoding", "e"):
        got = a.final(a.invite(body=b"packed", headers=[(name, "gzip")]))
        assert got.status == 415 and got.get("Accept-Encoding") == "identity", got
    sent = a.invite(body=sip.webrtc_sdp(), headers=[("Content-Encoding", "identity")])
    seen = phone.expect("INVITE")
    is_usable(seen.body)
    refuse(a, phone, sent, seen)
    assert g.metric("ringway_media_sessions") == 0


@case("an encoded description that no relay has to read passes (RFC 3261 16.6 item 1)", seconds=60)
def encoded_passes(t):
    g, phone, _ = lab(t, "udp")
    a = t.client(g, "udp")
    sent = a.invite(body=b"\x1f\x8b\x08\x00", headers=[("Content-Encoding", "gzip")])
    seen = phone.expect("INVITE")
    assert seen.body == b"\x1f\x8b\x08\x00", seen
    refuse(a, phone, sent, seen)


@case("more than 32 media lines are 488, of a browser and of a phone", seconds=60)
def many_media(t):
    g, phone, _ = lab(t, "wss", "udp", "tcp")
    for transport, body in (("wss", sip.webrtc_sdp()), ("udp", sip.sdp()), ("tcp", sip.sdp())):
        a = t.client(g, transport)
        for count in (33, 1000):
            got = a.final(a.invite(body=body + b"m=audio 0 RTP/AVP 0\r\n" * (count - 1)))
            assert got.status == 488, got
    a = t.client(g, "tcp")
    sent = a.invite(body=sip.sdp() + b"m=audio 0 RTP/AVP 0\r\n" * 31)
    refuse(a, phone, sent, phone.expect("INVITE"))


def multipart(description, boundary="b1", before=b"", after=b""):
    delimiter = b"--" + boundary.encode()
    return (before + delimiter + b"\r\nContent-Type: application/sdp\r\n\r\n" + description + b"\r\n" + delimiter
            + b"\r\nContent-Type: application/isup; version=itu-t92+\r\nContent-Disposition: signal;handling=optional"
              b"\r\n\r\n\x01\x00\x49\x00\x00--\x03\r\n" + delimiter + b"--\r\n" + after)


@case("the description in a multipart body is rewritten, the rest stays byte for byte (RFC 5621 3.1)", seconds=60)
def multipart_body(t):
    g, phone, _ = lab(t)
    a = t.client(g, "wss")
    for kind in ("multipart/mixed;boundary=b1", 'Multipart/Mixed; boundary="b1"'):
        body = multipart(sip.webrtc_sdp(), before=b"preamble\r\n", after=b"epilogue")
        sent = a.invite(body=body, content_type=kind)
        seen = phone.expect("INVITE")
        begin, end = body.index(sip.webrtc_sdp()), body.index(sip.webrtc_sdp()) + len(sip.webrtc_sdp())
        assert seen.get("Content-Type") == kind and seen.body.startswith(body[:begin]), seen
        assert seen.body.endswith(body[end:]), seen
        is_usable(seen.body[begin:len(seen.body) - (len(body) - end)])
        assert b"fingerprint" not in seen.body, seen
        answer = multipart(sip.sdp())
        phone.reply(seen, 200, body=answer, content_type="multipart/mixed;boundary=b1")
        got = a.response(200, to=sent)
        assert got.body.endswith(answer[answer.index(sip.sdp()) + len(sip.sdp()):]), got
        assert b"UDP/TLS/RTP/SAVPF" in got.body and b"a=fingerprint" in got.body, got
        a.ack(sent, got)
        phone.expect("ACK")


@case("a Content-Type with white space, capitals or parameters is the same type (RFC 3261 25.1)", seconds=60)
def content_type(t):
    g, phone, _ = lab(t)
    a = t.client(g, "wss")
    for kind in ("application / sdp", "Application/SDP", "application/sdp;charset=utf-8"):
        sent = a.invite(body=sip.webrtc_sdp(), content_type=kind)
        seen = phone.expect("INVITE")
        is_usable(seen.body)
        refuse(a, phone, sent, seen)
