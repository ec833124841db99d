"""Foreign user agents and servers on both sides of the gateway. Each pair is a row of the table.

A row names the user agent, the server behind the gateway, and what they did with each other:
register, call, requests inside the dialog from both ends, hold, transfer by REFER, hang up.
"""

import json
import os
from pathlib import Path

from lib import sip, sipp
from lib.case import case, plain_tls
from lib.linphone import Linphone
from lib.office import Office
from lib.ports import Reservation
from lib.programs import Program
from lib.tunnel import TlsTunnel
from lib.waiting import until

COLUMNS = ("register", "call", "requests from both ends", "hold", "transfer", "hang up")


class Row:
    """Collects what was shown; the file becomes a row of the table."""

    def __init__(self, agent, server):
        self.agent, self.server, self.done = agent, server, {}

    def __call__(self, *columns):
        for column in columns:
            assert column in COLUMNS, column
            self.done[column] = "yes"
        self.write()

    def write(self):
        folder = os.environ.get("RINGWAY_TABLE_FOLDER")
        if folder:
            file = Path(folder) / f"{self.agent}-{self.server}.json".replace(" ", "-").replace("/", "-")
            file.write_text(json.dumps({"agent": self.agent, "server": self.server, "done": self.done}))


def hold_when_ready(page):
    """A user agent starts no re-INVITE while another one is under way (RFC 3261 14.1)."""
    until(lambda: page.do("hold"), 5, "the page may hold", every=0.2)


def browser_row(t, library, label, **office_options):
    row = Row({"jssip": "JsSIP 3.13.8", "sipjs": "SIP.js 0.21.2"}[library], label)
    office = Office(t, "wss", **office_options)
    desk = t.baresip(user="desk", password="secret", proxy=office.kamailio.uri(), register=True, frequency=600)
    desk.registered()
    page = t.browser().page("a")
    page.start(office.server, "alice", library=library)
    row("register")
    # To baresip, from it.
    page.call("sip:desk@example.test")
    page.event("confirmed")
    page.expect_tone(600)
    desk.hang_up()
    page.event("ended")
    desk.dial("sip:alice@example.test")
    page.event("incoming")
    page.do("answer")
    page.event("confirmed")
    page.expect_tone(600)
    page.do("hangUp")
    desk.event("CALL_CLOSED")
    row("call", "hang up")
    # To the scripted phone: hold from both ends, audio after it.
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    hold_when_ready(page)
    office.phone_takes_reinvite("recvonly")
    page.event("held")
    page.do("resume")
    office.phone_takes_reinvite("sendrecv")
    page.event("resumed")
    office.phone_reinvites(dialog, office.audio.sdp("sendonly", 3))
    answer = office.phone_reinvites(dialog, office.audio.sdp("sendrecv", 4))
    office.audio.aim(answer.body)
    office.both_hear(page)
    row("hold", "requests from both ends")
    bye = dialog.request("BYE")
    office.phone.response(200, to=bye)
    page.event("ended")
    # The browser transfers baresip to the scripted phone.
    page.call("sip:desk@example.test")
    page.event("confirmed")
    page.expect_tone(600)
    page.do("refer", target="sip:phone@example.test")
    page.event("referTaken")
    transferred = office.phone.expect("INVITE", 10)
    office.phone.reply(transferred, 200, body=office.audio.answer(transferred.body))
    office.phone.expect("ACK")
    page.event("referDone")
    office.audio.expect_tone(600)
    row("transfer")


for _library in ("jssip", "sipjs"):
    for _label, _options in (("Kamailio 5.6 with Path, UDP", {"hop": "udp"}),
                             ("Kamailio 5.6 with Path, TCP", {"hop": "tcp"}),
                             ("Kamailio 5.6 with Path, TLS", {"hop": "tls"}),
                             ("Kamailio 5.6 without Path, UDP", {"path": False, "binding": "contact"})):
        case(f"{_library} with {_label}", seconds=180)(
            lambda t, library=_library, label=_label, options=_options: browser_row(t, library, label, **options))


def baresip_row(t, transport, label, **office_options):
    row = Row(f"baresip 1.0 over {transport.upper()}", label)
    office = Office(t, transport, **office_options)
    remote = office.gateway.listeners[f"access-{transport}"]
    own = t.certificate("desk.test")
    desk = t.baresip(user="desk", password="secret", register=True, frequency=600, transport=transport,
                     proxy=f"sip:{remote[0]}:{remote[1]};transport={transport}", certificate=own[:2])
    desk.registered()
    row("register")
    desk.dial("sip:phone@example.test")
    dialog = office.phone_answers()
    office.audio.expect_tone(600)
    row("call")
    answer = office.phone_reinvites(dialog, office.audio.sdp("sendonly", 3))
    answer = office.phone_reinvites(dialog, office.audio.sdp("sendrecv", 4))
    office.audio.aim(answer.body)
    office.audio.expect_tone(600)
    desk.command("hold")
    office.phone_takes_reinvite("recvonly")
    desk.command("resume")
    office.phone_takes_reinvite("sendrecv")
    row("hold", "requests from both ends")
    desk.hang_up()
    office.phone.reply(office.phone.expect("BYE"), 200)
    # The phone calls, transfers, hangs up.
    invite = office.phone_calls("desk")
    dialog = office.phone_called_back(invite)
    office.audio.expect_tone(600)
    bye = dialog.request("BYE")
    office.phone.response(200, to=bye)
    row("hang up")
    desk.dial("sip:phone@example.test")
    dialog = office.phone_answers()
    refer = dialog.request("REFER", headers=[("Refer-To", "<sip:phone@example.test>")])
    office.phone.response(2, to=refer)
    second = office.phone.expect("INVITE", 10)
    office.phone.reply(second, 486)
    notify = office.phone.expect("NOTIFY", 10)
    office.phone.reply(notify, 200)
    row("transfer")


for _transport in ("udp", "tcp", "tls"):
    case(f"baresip over {_transport.upper()} with Kamailio 5.6 with Path", seconds=120)(
        lambda t, transport=_transport: baresip_row(t, transport, "Kamailio 5.6 with Path, UDP"))
case("baresip over TLS with Kamailio 5.6 without Path", seconds=120)(
    lambda t: baresip_row(t, "tls", "Kamailio 5.6 without Path, UDP", path=False, binding="contact"))
case("baresip over TLS with Kamailio 5.6 behind TLS", seconds=120)(
    lambda t: baresip_row(t, "tls", "Kamailio 5.6 with Path, TLS", hop="tls"))


def lab_row(t, library):
    row = Row({"jssip": "JsSIP 3.13.8", "sipjs": "SIP.js 0.21.2"}[library], "sofia-sip (ringway-lab), UDP")
    lab = t.lab()
    relay = t.rtpengine()
    g = t.gateway("wss", next_hop=lab.uri, media=relay.address)
    page = t.browser().page("a")
    page.start("wss://127.0.0.1:%d" % g.listeners["access-wss"][1], "alice", library=library)
    row("register")
    page.call("sip:101@example.test")
    page.event("confirmed")
    page.expect_tone(1000)
    page.do("hangUp")
    page.event("ended")
    page.call("sip:100@example.test")
    page.event("confirmed")
    page.expect_tone(440)
    page.do("hangUp")
    page.event("ended")
    page.call("sip:102@example.test")
    assert page.event("failed")["status"] == 486
    page.call("sip:104@example.test")
    page.event("confirmed")
    page.event("ended", 12)
    row("hang up")
    lab.call("sip:alice@example.test")
    page.event("incoming")
    page.do("answer")
    page.event("confirmed")
    page.expect_tone(1000)
    row("call")
    page.do("hangUp")
    page.event("ended")
    page.call("sip:106@example.test")
    page.event("confirmed")
    lab.event("hold", 12)
    lab.event("resume", 12)
    page.expect_tone(1000)
    hold_when_ready(page)
    page.event("held")
    page.do("resume")
    page.event("resumed")
    page.expect_tone(1000)
    row("hold", "requests from both ends")
    page.do("hangUp")
    page.event("ended")
    until(lambda: not relay.sessions(), 10, "rtpengine holds no call")


for _library in ("jssip", "sipjs"):
    case(f"{_library} with the sofia-sip registrar and its phones", seconds=120)(
        lambda t, library=_library: lab_row(t, library))


@case("sipp behind Kamailio as a proxy, and before it, UDP and TCP", seconds=120)
def sipp_row(t):
    for transport in ("udp", "tcp"):
        row = Row(f"sipp 3.6 over {transport.upper()}", f"Kamailio 5.6 as a proxy, {transport.upper()}")
        called = sipp.called(t, transport, name=f"uas-{transport}")
        kamailio = t.kamailio(forwards={"sipp": called.uri}, name=f"kamailio-{transport}", authenticate_calls=False)
        g = t.gateway("udp", "tcp", network=("udp", "tcp"), next_hop=kamailio.uri(transport),
                      name=f"ringway-{transport}")
        sipp.calls(t, g.listeners[f"access-{transport}"], count=200, rate=50, transport=transport,
                   name=f"uac-{transport}")
        row("call", "requests from both ends", "hang up")


@case("sipp over TLS, before Kamailio as a proxy over TLS", seconds=120)
def sipp_tls_row(t):
    row = Row("sipp 3.6 over TLS (through a tunnel: Debian's is built without)", "Kamailio 5.6 as a proxy, TLS")
    called = sipp.called(t, "tcp", name="uas")
    kamailio = t.kamailio(forwards={"sipp": called.uri}, authenticate_calls=False, transports=("udp", "tcp", "tls"),
                          certificate=t.certificate("kamailio.test")[:2])
    g = t.gateway(network=("tls",), start=False)
    pair = t.certificate("gateway.test")
    g.listen("tls", certificate=str(pair[0]), key=str(pair[1]), **plain_tls(g))
    g.next_hop(kamailio.uri("tls"), tls_ca=str(t.authority.certificate), tls_name_check="off")
    g.start()
    tunnel = TlsTunnel(g.listeners["access-tls"], t.authority.certificate, "gateway.test")
    t.at_end(tunnel.close)
    sipp.calls(t, tunnel.endpoint, count=200, rate=50, transport="tcp", name="uac")
    row("call", "requests from both ends", "hang up")


def linphone_row(t, srtp):
    """It describes SRTP with keys in SDP (RFC 4568) and takes nothing else, or plain RTP."""
    row = Row(f"linphone 5.1, {'SDES' if srtp else 'plain RTP'}", "Kamailio 5.6 with Path, UDP")
    office = Office(t, "udp", "wss")
    remote = office.gateway.listeners["access-udp"]
    desk = Linphone(t.directory, user="desk", password="secret", srtp=srtp,
                    proxy=f"sip:{remote[0]}:{remote[1]};transport=udp")
    t.at_end(desk.end)
    desk.registered()
    page = page_of(t, office)
    row("register")
    page.call("sip:desk@example.test")
    page.event("confirmed")
    desk.state("StreamsRunning")
    desk.play()
    page.expect_tone(600)
    desk.command("call-pause")
    page.event("hold", where=lambda event: event.get("originator") == "remote")
    desk.state("CallPaused")
    desk.command("call-resume " + desk.call_id())
    page.event("unhold", where=lambda event: event.get("originator") == "remote")
    hold_when_ready(page)
    page.event("held")
    desk.state("PausedByRemote")
    page.do("resume")
    page.event("resumed")
    desk.state("StreamsRunning")
    row("hold", "requests from both ends")
    desk.command("terminate")
    page.event("ended")
    desk.command("call sip:alice@example.test")
    page.event("incoming")
    page.do("answer")
    page.event("confirmed")
    page.do("hangUp")
    desk.state("CallReleased")
    row("call", "hang up")
    office.nothing_left()


@case("Net::SIP over UDP, plain RTP", seconds=90)
def net_sip_row(t):
    row = Row("Net::SIP 0.835", "Kamailio 5.6 with Path, UDP")
    office = Office(t, "udp", "wss")
    ports = Reservation()
    local = ports.port()
    ports.release()
    remote = office.gateway.listeners["access-udp"]
    script = Path(__file__).parent.parent / "lib" / "net_sip_phone.pl"
    desk = t.start(Program("net-sip", ["perl", script, f"127.0.0.1:{local}", f"{remote[0]}:{remote[1]}", "desk",
                                       "secret", "example.test"], t.directory, stdin=True))
    desk.expect_line("registered")
    page = page_of(t, office)
    row("register")
    # It sends back what it hears.
    page.call("sip:desk@example.test")
    page.event("confirmed")
    desk.expect_line("established")
    page.expect_tone(440)
    desk.write("hang up\n")
    page.event("ended")
    desk.expect_line("ended")
    desk.write("call sip:alice@example.test\n")
    page.event("incoming")
    page.do("answer")
    page.event("confirmed")
    desk.expect_line("call: OK")
    page.expect_tone(440)
    hold_when_ready(page)
    page.event("held")
    page.do("resume")
    page.event("resumed")
    page.expect_tone(440)
    desk.write("hold\n")
    desk.expect_line("hold: OK")
    row("hold", "requests from both ends")
    page.do("hangUp")
    desk.expect_line("ended by the other side")
    row("call", "hang up")
    office.nothing_left()


def page_of(t, office):
    page = t.browser().page("a")
    page.start(office.server, "alice")
    return page


for _srtp in (False, True):
    case(f"linphone over UDP, {'SDES' if _srtp else 'plain RTP'}", seconds=90)(
        lambda t, srtp=_srtp: linphone_row(t, srtp))
