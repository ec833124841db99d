"""Janus as a phone: its SIP plugin registers through the gateway, a second page is its WebRTC side."""

from cases.interop import Row, hold_when_ready
from lib.case import case
from lib.janus import Janus
from lib.network import own_network_with_address
from lib.office import Office
from lib.waiting import until


class Desk:
    """The user "desk" at Janus, told what to do through a page of its own."""

    def __init__(self, t, browser, office, address, transport, srtp):
        self.srtp = srtp
        self.janus = Janus(t.directory, address=address)
        t.at_end(self.janus.end)
        remote = office.gateway.listeners[f"access-{transport}"]
        self.page = browser.page("desk")
        self.page.start(self.janus.server, "desk", library="janus", frequency=600,
                        srtp="sdes_mandatory" if srtp else None,
                        proxy=f"sip:{remote[0]}:{remote[1]};transport={transport}")

    def answers(self):
        incoming = self.page.event("incoming")
        assert incoming.get("srtp") == ("sdes_mandatory" if self.srtp else None), incoming
        self.page.do("answer")
        self.page.event("confirmed")

    def reoffers(self, command):
        """Holds or resumes, and waits for the answer: before it has that, Janus forgets what it is asked for."""
        before = self.janus.program.mark()
        self.page.do(command)
        self.janus.program.expect_line("[nua_i_active]: 200 Call active", start=before)

    def is_idle(self, before, *lines):
        """Waits until Janus has put the media of a call away: before that it is busy, or takes those of the next call
        for the old one's."""
        for line in (*lines, "WebRTC resources freed"):
            self.janus.program.expect_line(line, start=before)

    def hangs_up(self):
        before = self.janus.program.mark()
        self.page.do("hangUp")
        self.page.event("ended")
        self.is_idle(before, "Leaving SIP relay thread")


def both_hear(page, desk):
    page.expect_tone(600)
    desk.expect_tone(440)


def packets_flow(page):
    """More packets in and out than before, as the browser counts them."""
    before = page.do("statistics")
    until(lambda: all(page.do("statistics")[way] > before[way] + 20 for way in ("in", "out")), 10,
          f"packets both ways at page {page.name}", every=0.2)


def insist_on_srtp(page, phone):
    """Janus takes a second INVITE for a copy of the refused one (482, RFC 3261 8.2.2.2): the next call has SRTP."""
    before = phone.janus.program.mark()
    page.call("sip:desk@example.test")
    assert phone.page.event("incoming").get("srtp") is None
    phone.page.do("refuse", status=488)
    assert page.event("failed")["status"] == 488
    phone.page.event("ended")
    phone.is_idle(before)


def remote(event):
    return event.get("originator") == "remote"


def janus_row(t, transport, srtp):
    row = Row(f"Janus 1.1.2 over {transport.upper()}, {'SDES' if srtp else 'plain RTP'}", "Kamailio 5.6 with Path, UDP")
    address = own_network_with_address()
    office = Office(t, transport, "wss")
    browser = t.browser()
    page = browser.page("a")
    page.start(office.server, "alice")
    phone = Desk(t, browser, office, address, transport, srtp)
    desk = phone.page
    row("register")
    if srtp:
        insist_on_srtp(page, phone)
    page.call("sip:desk@example.test")
    phone.answers()
    page.event("confirmed")
    both_hear(page, desk)
    packets_flow(page)
    packets_flow(desk)
    row("call")
    # Each side holds and resumes, and sends INFO (RFC 6086).
    phone.reoffers("hold")
    page.event("hold", where=remote)
    phone.reoffers("resume")
    page.event("unhold", where=remote)
    both_hear(page, desk)
    hold_when_ready(page)
    page.event("held")
    assert "a=sendonly" in desk.event("reoffered")["sdp"]
    page.do("resume")
    page.event("resumed")
    desk.event("reoffered")
    both_hear(page, desk)
    row("hold")
    page.do("info", contentType="text/plain", body="from the page")
    assert desk.event("info")["body"] == "from the page"
    desk.do("info", contentType="text/plain", body="from Janus")
    assert page.event("info")["body"] == "from Janus"
    page.do("message", target="sip:desk@example.test", body="a line")
    assert desk.event("message")["body"] == "a line"
    row("requests from both ends")
    phone.hangs_up()
    page.event("ended")
    # The other way round.
    desk.call("sip:alice@example.test")
    page.event("incoming")
    page.do("answer")
    page.event("confirmed")
    desk.event("confirmed")
    both_hear(page, desk)
    packets_flow(page)
    packets_flow(desk)
    page.do("hangUp")
    desk.event("ended")
    row("hang up")
    office.nothing_left()


for _transport in ("udp", "tcp"):
    for _srtp in (False, True):
        case(f"Janus over {_transport.upper()}, {'SDES' if _srtp else 'plain RTP'}", seconds=120)(
            lambda t, transport=_transport, srtp=_srtp: janus_row(t, transport, srtp))
