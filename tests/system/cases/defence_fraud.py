"""Rules for calls that cost money: hours, minutes, redirection, and the story of a stolen account."""

import time

from lib import sip
from lib.agents import call, hang_up
from lib.case import case
from lib.waiting import until

from .defence_bans import client, register
from .defence_budgets import customer, refused
from .peers_bindings import rings

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def clock(offset_hours):
    return time.strftime("%H:%M", time.localtime(time.time() + offset_hours * 3600))


def told(g, count):
    """The refusals that were logged, which is done by a thread of its own."""
    def found():
        return [e for e in g.events() if e["event"] == "fraud_refused"]
    until(lambda: len(found()) >= count, 5, "the events")
    assert count == 1 or len(found()) == count, found()
    return found()


def passes(a, b, uri):
    sent = a.invite(uri)
    b.reply(b.expect("INVITE", where=lambda m: m.call_id == sent.call_id), 486)
    return a.final(sent).status == 486


@case("fraud: a rule for off-hours holds in them and not outside, over midnight too, and on its days")
def hours(t):
    today = DAYS[time.localtime().tm_wday]
    other = DAYS[(time.localtime().tm_wday + 3) % 7]
    g, b, a = customer(
        t, {"name": "now", "prefixes": ["+881"], "from": clock(-1), "to": clock(1), "deny": True},
        {"name": "later", "prefixes": ["+882"], "from": clock(2), "to": clock(4), "deny": True},
        {"name": "but now", "prefixes": ["+883"], "from": clock(1), "to": clock(-1), "deny": True},
        {"name": "today", "prefixes": ["+870"], "days": [today], "deny": True},
        {"name": "another day", "prefixes": ["+871"], "days": [other], "deny": True})
    assert refused(a, "sip:+8811@example.test") == 403
    assert passes(a, b, "sip:+8821@example.test")
    assert passes(a, b, "sip:+8831@example.test")
    assert refused(a, "sip:+8701@example.test") == 403
    assert passes(a, b, "sip:+8711@example.test")
    assert [e["rule"] for e in told(g, 2)] == ["now", "today"]


@case("fraud: minutes a day are of a prefix, not of one number: other numbers of it are refused when they are used up")
def minutes(t):
    g, b, a = customer(t, {"name": "abroad", "prefixes": ["+"], "minutes_a_day": 1})
    phones = [a]
    for _ in range(5):  # connections on either shard, one account
        phones.append(client(t, g, "tcp", "127.0.0.40"))
        register(phones[-1], b)
    open_calls = [call(phone, b, uri=f"sip:+88{n}000@example.test")[0] for n, phone in enumerate(phones)]

    # Ten seconds of each of the six are paid for: the minute is gone, for a number that nobody has called too.
    def used_up():
        sent = a.invite("sip:+4412345@example.test")
        got = a.final(sent) if not b_takes(b, sent) else None
        return got is not None and got.status == 403
    until(used_up, 10, "the day's minute is used up")
    events = told(g, 1)
    assert events[-1]["limit"] == "minutes_a_day" and events[-1]["prefix"] == "+", events[-1]
    assert passes(a, b, "sip:030123@example.test")  # no prefix of the rule
    # Who hangs up early gets back what was not spoken.
    hang_up(open_calls[0], phones[0], b)
    until(lambda: passes_or_refused(a, b, "sip:+4412345@example.test"), 5, "the rest of a call that ended is free")
    # The others end when what they have paid for is over.
    ended = until(lambda: [e for e in g.events() if e["event"] == "fraud_ended"], 20, "the end of a call")
    assert ended[0]["limit"] == "minutes_a_day", ended


def b_takes(b, sent):
    """True if the call went on to the server, which is busy."""
    try:
        seen = b.expect("INVITE", 0.3, where=lambda m: m.call_id == sent.call_id)
    except AssertionError:
        return False
    b.reply(seen, 486)
    return True


def passes_or_refused(a, b, uri):
    sent = a.invite(uri)
    went = b_takes(b, sent)
    a.final(sent)
    return went


@case("fraud: a phone that redirects (RFC 3261 8.1.3.4) to a number that its account may not call is not obeyed")
def redirects(t):
    g, b, a = customer(t, {"name": "abroad", "prefixes": ["+"], "deny": True})
    sent = a.register(cseq=5, send_only=True)
    path = b.expect("REGISTER")
    b.answer_register(path)
    a.response(200, to=sent)
    routes = path.lines("Path")
    for number, (target, status) in enumerate((
            ("<sip:+8811@example.test>", 403), ("<sip:030123@example.test>", 302), ("<tel:+88-12>", 403),
            ("<sip:030@example.test>, <sip:008813@example.test>;q=0.1", 403),
            ("sip:+8814@example.test;user=phone", 403), ("<sip:bob@example.test>", 302))):
        sent = rings(b, g, a.contact_uri, list(routes), to_uri=a.aor)
        a.reply(a.expect("INVITE"), 302, contact=target)
        got = b.final(sent)
        assert got.status == status, (target, got.status)
        if status == 302:
            assert got.lines("Contact") == [target], got
    assert {e["what"] for e in told(g, 4)} == {"redirect"}


@case("fraud: a Friday night: an account is stolen, hundreds of calls to one expensive prefix begin from elsewhere; "
      "they end, the customer's own go on", seconds=120)
def friday_night(t):
    rule = {"name": "international", "prefixes": ["+"], "calls": 2, "calls_a_minute": 20, "minutes_a_day": 60,
            "longest": "4s"}
    g, b, customer_phone = customer(t, rule)
    # The thief has the password: he registers the same account from other addresses, over both shards.
    thieves = []
    for number in range(12):
        thief = client(t, g, "tcp" if number % 2 else "udp", f"127.0.0.{90 + number}")
        register(thief, b)
        thieves.append(thief)
    ours, _, _ = call(customer_phone, b, uri="sip:0301234@example.test")
    tries = [(thief, thief.invite(f"sip:+88299{wave:02d}{number:02d}@example.test"))
             for wave in range(20) for number, thief in enumerate(thieves)]
    went = []
    for _ in range(2):
        seen = b.expect("INVITE")
        went.append(seen.call_id)
        b.reply(seen, 200, body=sip.sdp(b.ip))
    statuses = []
    for thief, sent in tries:
        answer = thief.final(sent, 20)
        statuses.append(answer.status)
        if answer.status == 200:
            thief.ack(sent, answer)
    assert statuses.count(200) == 2 and statuses.count(403) == len(tries) - 2, \
        {status: statuses.count(status) for status in set(statuses)}
    b.no_request("INVITE", 0.2)
    # What did begin ends after its longest time, on both sides.
    for _ in went:
        b.reply(b.expect("BYE", 10), 200)
    until(lambda: len([e for e in g.events() if e["event"] == "fraud_ended"]) == 2, 5, "both ends are told")
    # All the while the customer speaks, and calls whom he always calls.
    info = ours.request("INFO")
    b.reply(b.expect("INFO"), 200)
    assert customer_phone.final(info).status == 200
    hang_up(ours, customer_phone, b)
    another, _, _ = call(customer_phone, b, uri="sip:0305678@example.test")
    hang_up(another, customer_phone, b)
    events = until(lambda: [e for e in g.events() if e["event"] == "fraud_refused"], 5, "the events")
    assert {e["prefix"] for e in events} == {"+"}, events[:1]
    assert len({e["account"] for e in events}) == 1, "one account, wherever it calls from"
    assert g.metric("ringway_fraud_refused_total") == len(tries) - 2
