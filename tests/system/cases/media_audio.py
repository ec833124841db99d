"""What must not silence a call, judged by tones: a real browser and rtpengine, with two shards."""

from lib.case import case
from lib.office import Office

FAX = (b"v=0\r\no=- 5 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
       b"m=image 5000 udptl t38\r\na=T38FaxVersion:0\r\n")


def page_of(t, office):
    page = t.browser().page("a")
    page.start(office.server, "alice")
    return page


def talking(t):
    """A browser and a phone that hear each other."""
    office = Office(t, shards=2)
    page = page_of(t, office)
    page.call("sip:phone@example.test")
    dialog = office.phone_answers()
    page.event("confirmed")
    office.both_hear(page)
    return office, page, dialog


def hang_up(office, page, dialog):
    bye = dialog.request("BYE")
    office.phone.response(200, to=bye)
    page.event("ended")
    office.nothing_left()


@case("a fax probe by re-INVITE or UPDATE that is refused leaves the audio as it was (RFC 3261 14.1)", seconds=120)
def refused(t):
    office, page, dialog = talking(t)
    probe = dialog.request("INVITE", body=FAX)
    got = office.phone.final(probe, 10)
    assert got.status >= 400, got
    office.both_hear(page)
    update = dialog.request("UPDATE", body=FAX)
    office.phone.final(update, 10)
    office.both_hear(page)
    hang_up(office, page, dialog)


@case("an announcement's 183 and the answer of somebody else: Chromium hears both (RFC 3261 12.1)", seconds=120)
def announcement(t):
    office = Office(t, shards=2)
    page = page_of(t, office)
    for tags in (("x", "y"), ("x", "y", "z"), ("x", "x")):
        page.call("sip:phone@example.test")
        invite = office.phone.expect("INVITE", 10)
        for tag in tags[:-1]:
            office.phone.reply(invite, 183, body=office.audio.answer(invite.body), to_tag=tag)
        page.event("progress", where=lambda event: event.get("status") == 183)
        page.expect_tone(office.audio.frequency)
        answer = office.phone.reply(invite, 200, body=office.audio.answer(invite.body, version=2), to_tag=tags[-1])
        office.phone.expect("ACK", 10)
        page.event("confirmed")
        office.both_hear(page)
        hang_up(office, page, office.phone.dialog(invite, answer))


@case("a BYE with a foreign tag leaves the audio of the call (RFC 3261 15.1.2)", seconds=90)
def foreign_bye(t):
    office, page, dialog = talking(t)
    true, dialog.local = dialog.local, dialog.local.split(";tag=")[0] + ";tag=foreign"
    bye = dialog.request("BYE")
    office.phone.final(bye, 10)
    dialog.local = true
    office.both_hear(page)
    hang_up(office, page, dialog)
