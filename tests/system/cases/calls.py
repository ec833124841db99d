"""Browsers and phones, with audio: what the product is for. Audio is judged by what arrives."""

import json
import time

from lib import sip
from lib.agents import elapsed_ms
from lib.case import case
from lib.office import Office
from lib.waiting import until

LIBRARIES = ("jssip", "sipjs")


def page_for(t, office, user="alice", library="jssip", name="a", browser=None, **options):
    browser = browser or t.browser()
    page = browser.page(name)
    page.start(office.server, user, library=library, **options)
    return page


@case("a browser registers over WSS at Kamailio with digest; a wrong password is refused", seconds=90)
def register(t):
    office = Office(t)
    browser = t.browser()
    for index, library in enumerate(LIBRARIES):
        page = browser.page(library)
        page.start(office.server, f"user{index}", library=library)
        wrong = browser.page(library + "-wrong")
        wrong.start(office.server, "eve", library=library, password="wrong", wait=False)
        wrong.event("registrationFailed")


def browser_calls(t, library):
    office = Office(t)
    page = page_for(t, office, library=library)
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    # An authenticated INVITE with its SDP is one datagram of at most 1,300 bytes (RFC 3261 18.1.1).
    assert office.gateway.metric("ringway_switched_to_tcp_total") == 0
    assert b"ssrc" not in office.invite.body and b"ice-ufrag" not in office.invite.body, office.invite
    statistics = page.do("statistics")
    assert statistics["dtls"] == "connected" and statistics["in"] > 0 and statistics["out"] > 0, statistics
    assert json.dumps(office.gateway.calls()).count(office.invite.call_id) >= 1
    # Hang up from the browser.
    page.do("hangUp")
    office.phone.reply(office.phone.expect("BYE"), 200)
    page.event("ended")
    office.nothing_left()
    # And once more, hung up by the phone.
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    bye = dialog.request("BYE")
    office.phone.response(200, to=bye)
    page.event("ended")
    office.nothing_left()


for _library in LIBRARIES:
    case(f"a browser calls a phone, both hear each other, either side hangs up ({_library})", seconds=120)(
        lambda t, library=_library: browser_calls(t, library))


def phone_calls(t, library):
    office = Office(t)
    page = page_for(t, office, library=library)
    for who in ("phone", "browser"):
        invite = office.phone_calls()
        office.phone.response(180, 10, to=invite)
        page.event("incoming")
        page.do("answer")
        dialog = office.phone_called_back(invite)
        page.event("confirmed")
        office.both_hear(page)
        if who == "phone":
            bye = dialog.request("BYE")
            office.phone.response(200, to=bye)
        else:
            page.do("hangUp")
            office.phone.reply(office.phone.expect("BYE"), 200)
        page.event("ended")
        office.nothing_left()


for _library in LIBRARIES:
    case(f"a phone calls a browser, both hear each other, either side hangs up ({_library})", seconds=120)(
        lambda t, library=_library: phone_calls(t, library))


@case("late offer: a phone calls without SDP", seconds=90)
def late_offer(t):
    office = Office(t)
    page = page_for(t, office)
    invite = office.phone_calls(body=b"")
    page.event("incoming")
    page.do("answer")
    answer = office.phone.response(200, 15, to=invite)
    body = office.audio.answer(answer.body)
    dialog = office.phone.caller_dialog(invite, answer)
    dialog.request("ACK", cseq=1, body=body)
    page.event("confirmed")
    office.both_hear(page)
    bye = dialog.request("BYE")
    office.phone.response(200, to=bye)
    office.nothing_left()


def hold(t, library):
    office = Office(t)
    page = page_for(t, office, library=library)
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    # By the browser.
    page.do("hold")
    invite = office.phone_takes_reinvite("recvonly")
    assert b"a=sendonly" in invite.body or b"a=inactive" in invite.body, invite
    page.event("held")
    page.do("resume")
    office.phone_takes_reinvite("sendrecv")
    page.event("resumed")
    office.both_hear(page)
    # By the phone, in the new way and in the old one.
    for body in (office.audio.sdp("sendonly", 3), office.audio.sdp("sendonly", 5).replace(b"c=IN IP4 127.0.0.1",
                                                                                          b"c=IN IP4 0.0.0.0")):
        answer = office.phone_reinvites(dialog, body)
        assert b"a=recvonly" in answer.body or b"a=inactive" in answer.body, answer
        answer = office.phone_reinvites(dialog, office.audio.sdp("sendrecv", 4))
        office.audio.aim(answer.body)
        office.both_hear(page)
    bye = dialog.request("BYE")
    office.phone.response(200, to=bye)
    page.event("ended")
    office.nothing_left()


for _library in LIBRARIES:
    case(f"hold and resume from each side, audio afterwards ({_library})", seconds=120)(
        lambda t, library=_library: hold(t, library))


@case("CANCEL from the browser, busy, decline, and the phone that cancels", seconds=120)
def cancel_busy(t):
    office = Office(t)
    page = page_for(t, office)
    page.call("sip:phone@example.test")
    invite = office.phone.expect("INVITE", 10)
    office.phone.reply(invite, 180)
    page.event("progress", where=lambda event: event.get("status") == 180)
    page.do("hangUp")
    office.phone.reply(office.phone.expect("CANCEL"), 200)
    office.phone.reply(invite, 487)
    office.phone.expect("ACK")
    page.event("failed")
    office.nothing_left()
    for status in (486, 603):
        page.call("sip:phone@example.test")
        invite = office.phone.expect("INVITE", 10)
        office.phone.reply(invite, status)
        assert page.event("failed")["status"] == status
        office.nothing_left()
    invite = office.phone_calls()
    page.event("incoming")
    page.do("refuse", status=486)
    assert office.phone.final(invite, 10).status == 486
    office.nothing_left()
    invite = office.phone_calls()
    office.phone.response(180, 10, to=invite)
    page.event("incoming")
    office.phone.send_to(office.kamailio.uri(), sip.cancel_of(invite))
    assert office.phone.response(487, 10, to=invite).status == 487
    page.event("failed")
    office.nothing_left()


@case("digits from the browser arrive as RFC 4733 events with the number that was offered", seconds=90)
def digits(t):
    office = Office(t)
    page = page_for(t, office)
    page.call("sip:phone@example.test")
    office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    page.do("digits", tones="5")
    until(lambda: any(kind == office.audio.event_type and payload[:1] == b"\x05"
                      for _, kind, payload in list(office.audio.packets)), 8, "an event packet for 5")
    page.do("hangUp")
    office.phone.reply(office.phone.expect("BYE"), 200)


@case("two browsers call each other through the registrar: two media sessions, apart", seconds=120)
def two_browsers(t):
    office = Office(t)
    browser = t.browser()
    alice = page_for(t, office, "alice", name="a", browser=browser, frequency=440)
    bob = page_for(t, office, "bob", name="b", browser=browser, frequency=900)
    for hanging in (alice, bob):
        alice.call("sip:bob@example.test")
        bob.event("incoming")
        bob.do("answer")
        alice.event("confirmed")
        bob.event("confirmed")
        alice.expect_tone(900)
        bob.expect_tone(440)
        hanging.do("hangUp")
        alice.event("ended")
        bob.event("ended")
        office.nothing_left()


@case("a browser calls baresip, which registers at Kamailio", seconds=120)
def baresip(t):
    office = Office(t)
    phone = t.baresip(user="desk", password="secret", proxy=f"sip:127.0.0.1:{office.kamailio.port};transport=udp",
                      register=True, frequency=600)
    phone.registered()
    page = page_for(t, office)
    page.call("sip:desk@example.test")
    page.event("confirmed")
    page.expect_tone(600)
    statistics = page.do("statistics")
    assert statistics["in"] > 0 and statistics["out"] > 0
    phone.hang_up()
    page.event("ended")
    office.nothing_left()
    phone.dial("sip:alice@example.test")
    page.event("incoming")
    page.do("answer")
    page.event("confirmed")
    page.expect_tone(600)
    page.do("hangUp")
    phone.event("CALL_CLOSED")
    office.nothing_left()


@case("a default JsSIP call leaves in one datagram under 1,300 bytes", seconds=90)
def slim(t):
    phone = t.backend()
    relay = t.rtpengine()
    g = t.gateway("wss", start=False, media=relay.address)
    # Neither transport nor port range says UDP only: the size decides.
    g.next_hop(f"sip:{phone.ip}:{phone.port}")
    g.start()
    browser = t.browser()
    page = browser.page("a")
    page.start("wss://127.0.0.1:%d" % g.listeners["access-wss"][1], "alice", register=False, wait=False)
    page.event("connected")
    page.call("sip:phone@example.test")
    invite = phone.expect("INVITE", 10)
    assert invite.flow.transport == "UDP" and len(invite.raw) < 1300, (invite.flow.transport, len(invite.raw))
    for ballast in (b"a=msid", b"a=ssrc", b"a=rtcp-fb", b"a=extmap", b"a=candidate", b"a=fingerprint"):
        assert ballast not in invite.body, invite
    phone.reply(invite, 486)
    page.event("failed")


@case("a closed tab in a call: BYE at the phone within 15 s, media gone", seconds=90)
def closed_tab(t):
    office = Office(t)
    page = page_for(t, office)
    page.call("sip:phone@example.test")
    office.phone_answers()
    page.event("confirmed")
    office.audio.expect_tone(440)
    begin = time.monotonic()
    page.close()
    bye = office.phone.expect("BYE", 17)
    assert elapsed_ms(begin) < 16500
    office.phone.reply(bye, 200)
    office.nothing_left()
    assert office.gateway.metric("ringway_flows", transport="wss") == 0


@case("a browser that vanished: the phone's BYE in the gap is answered", seconds=90)
def vanished(t):
    office = Office(t)
    page = page_for(t, office)
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    page.close()
    until(lambda: office.gateway.metric("ringway_flows", transport="wss") == 0, 5, "the flow is released")
    bye = dialog.request("BYE")
    got = office.phone.final(bye, 32)
    print("the phone's BYE got", got.status)
    office.nothing_left(20)


def socket_cut(t, library):
    """The socket dies for two seconds: the call goes on, and requests of the far end find the browser."""
    office = Office(t)
    page = page_for(t, office, library=library)
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    page.do("cut")
    page.event("disconnected")
    page.event("registered", 20)
    office.both_hear(page)
    answer = office.phone_reinvites(dialog, office.audio.sdp("sendonly", 3))
    assert answer.status == 200
    bye = dialog.request("BYE")
    office.phone.response(200, 5, to=bye)
    page.event("ended")
    office.nothing_left()


case("a call outlives its socket in a browser: re-INVITE and BYE follow to the new one (jssip)", seconds=120)(
    lambda t: socket_cut(t, "jssip"))


@case("a call outlives its socket in a browser: BYE in the gap is delivered on return (jssip)", seconds=120)
def bye_in_gap(t):
    office = Office(t)
    page = page_for(t, office)
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    page.do("cut")
    page.event("disconnected")
    bye = dialog.request("BYE")
    page.event("ended", 20)
    office.phone.final(bye, 20)
    office.nothing_left()


@case("rtpengine is gone: 503 within a second, nothing leaks; it returns: calls work", seconds=90)
def relay_gone(t):
    office = Office(t, "wss")
    a = office.client("wss")
    office.register(a)
    office.rtpengine.kill()
    for _ in range(3):
        first = a.invite("sip:phone@example.test", body=sip.webrtc_sdp())
        begin = time.monotonic()
        got = a.final(first)
        assert got.status in (503, 407), got
        if got.status == 407:
            from lib.kamailio import digest
            credentials = digest(got.get("Proxy-Authenticate"), "INVITE", "sip:phone@example.test", "alice", "secret")
            begin = time.monotonic()
            got = a.final(a.invite("sip:phone@example.test", body=sip.webrtc_sdp(), call_id=first.call_id, cseq=2,
                                   from_tag=first.from_.tag, headers=[("Proxy-Authorization", credentials)]))
        assert got.status == 503 and elapsed_ms(begin) < 1300, (elapsed_ms(begin), got)
    assert office.gateway.metric("ringway_media_sessions") == 0
    office.rtpengine.start()
    def works():
        first = a.invite("sip:phone@example.test", body=sip.webrtc_sdp())
        return a.final(first).status != 503
    until(works, 15, "calls work again", every=0.5)
    sent = office.invite(a, "sip:phone@example.test")
    seen = office.phone.expect("INVITE")
    assert b"RTP/AVP" in seen.body
    office.phone.reply(seen, 486)
    a.final(sent)
    office.nothing_left()


@case("browser offers with c=0.0.0.0 and port 9 get a usable phone offer", seconds=60)
def zero_address(t):
    office = Office(t, "wss")
    a = office.client("wss")
    body = sip.webrtc_sdp().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0").replace(b"49203", b"9", 1)
    body = b"\r\n".join(line for line in body.split(b"\r\n")
                        if not line.startswith((b"a=candidate", b"a=ice-options")))
    sent = office.invite(a, "sip:phone@example.test", body=body)
    seen = office.phone.expect("INVITE")
    assert b"c=IN IP4 127.0.0.1" in seen.body and b"a=sendonly" not in seen.body, seen
    office.phone.reply(seen, 486)
    a.final(sent)


@case("early media: 183 with SDP reaches the browser as an answer it can use", seconds=60)
def early_media(t):
    office = Office(t, "wss")
    a = office.client("wss")
    sent = office.invite(a, "sip:phone@example.test")
    seen = office.phone.expect("INVITE")
    office.phone.reply(seen, 183, body=office.audio.answer(seen.body))
    early = a.response(183, to=sent)
    assert b"UDP/TLS/RTP/SAVPF" in early.body and b"a=fingerprint" in early.body, early
    office.phone.reply(seen, 200, body=office.audio.answer(seen.body))
    got = a.response(200, to=sent)
    fingerprint = [line for line in early.body.splitlines() if b"fingerprint" in line]
    assert fingerprint == [line for line in got.body.splitlines() if b"fingerprint" in line]
    a.ack(sent, got)
    office.phone.expect("ACK")


@case("the page ports: WSS and plain HTTPS on one port", seconds=60)
def page_port(t):
    import http.client
    import ssl
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), start=False)
    pages = t.directory / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<!doctype html><title>hello</title>")
    (pages / "app.js").write_text("1;" * 100000)
    g.config["page"] = {"directory": str(pages)}
    g.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for path, status in (("/", 200), ("/app.js", 200), ("/absent", 404), ("/../ringway.toml", 404),
                         ("/%2e%2e/ringway.toml", 404), ("//etc/passwd", 404)):
        connection = http.client.HTTPSConnection(*g.listeners["access-wss"], context=context, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == status or (status == 404 and answer.status in (400, 403)), (path, answer.status)
        if path == "/app.js":
            assert len(body) == 200000
        connection.close()
    a = t.client(g, "wss")
    sent = a.request("OPTIONS")
    b.reply(b.expect("OPTIONS"), 200)
    a.final(sent)
