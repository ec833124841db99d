"""What strangers may ask for before a first success, what calls may cost, and what the process gives up."""

import os
import re

from lib import sip
from lib.agents import call, hang_up
from lib.case import case
from lib.waiting import until

from .defence_bans import client, ctl, door, register

CHALLENGE = [("WWW-Authenticate", 'Digest realm="x", nonce="y"')]
CREDENTIALS = [("Authorization", 'Digest username="a", response="b"')]
OFFICE = "127.0.0.20"


def sign_on(a, b):
    """A phone that comes on: 401, then in."""
    sent = a.register(send_only=True)
    b.reply(b.expect("REGISTER", where=lambda m: m.call_id == sent.call_id), 401, headers=CHALLENGE)
    assert a.final(sent).status == 401
    sent = a.register(headers=CREDENTIALS, cseq=2, call_id=sent.call_id, send_only=True)
    b.answer_register(b.expect("REGISTER", where=lambda m: m.call_id == sent.call_id and m.cseq[0] == 2))
    assert a.response(200, to=sent)


def guess(a, b, number):
    """A wrong password; None where it is cut off."""
    sent = a.register(headers=CREDENTIALS, cseq=number, send_only=True)
    try:
        seen = b.expect("REGISTER", 0.4, where=lambda m: m.call_id == sent.call_id)
    except Exception:
        return None
    b.reply(seen, 403)
    return a.final(sent).status


@case("budgets: an office of many phones comes back at once, a scanner at its address ends after four messages")
def office(t):
    g, b = door(t)
    phones = [client(t, g, "udp" if i % 2 else "tcp", OFFICE, f"p{i}") for i in range(40)]
    for transport in ("udp", "tcp"):
        scanner = client(t, g, transport, OFFICE, "mallory")
        passed = 0
        for number, phone in enumerate(phones[:20]):
            sign_on(phone, b)
            try:
                passed += guess(scanner, b, 1 + number) == 403
            except OSError:
                break
        assert passed == 4, f"{passed} messages of the scanner went on over {transport}"
        if transport == "tcp":
            scanner.flow.expect_end(5)
        phones = phones[20:]
    assert g.metric("ringway_over_budget_total", verdict="cut_off") >= 2
    assert ctl(g, "bans")[1]["bans"] == []


@case("budgets: users are guessed without passwords over one connection: it gets four answers")
def enumeration(t):
    g, b = door(t, "tcp", "udp")
    for transport in ("tcp", "udp"):
        a = client(t, g, transport, "127.0.0.30")
        for user in range(6):
            a.request("REGISTER", "sip:example.test", to_uri=f"sip:{100 + user}@example.test",
                      from_uri=f"sip:{100 + user}@example.test")
        for _ in range(4):
            b.reply(b.expect("REGISTER"), 401, headers=CHALLENGE)
        b.no_request("REGISTER", 0.3)
        assert [a.response(401).status for _ in range(4)] == [401] * 4


@case("budgets: what belongs to a dialog, answers, and listeners that are open to guests have none")
def not_budgeted(t):
    g, b = door(t, "tcp", admission="open")
    a = client(t, g, "tcp", "127.0.0.31")
    for _ in range(8):
        sent = a.invite()
        b.reply(b.expect("INVITE"), 486)
        assert a.final(sent).status == 486
    ours, theirs, _ = call(a, b)
    for _ in range(20):
        info = ours.request("INFO")
        b.reply(b.expect("INFO"), 200)
        assert a.final(info).status == 200
    hang_up(ours, a, b)


# --- Calls that cost money ---------------------------------------------------------------------

def customer(t, *rules, transport="tcp", **top):
    g, b = door(t, "ws", "tcp", "udp", fraud=list(rules), **top)
    a = client(t, g, transport, "127.0.0.40")
    register(a, b)
    return g, b, a


def refused(a, uri):
    sent = a.invite(uri)
    return a.final(sent).status


@case("fraud: the longest prefix decides, however the number is written; others go on")
def prefixes(t):
    g, b, a = customer(t, {"name": "abroad", "prefixes": ["+"], "deny": True},
                       {"name": "home", "prefixes": ["+49"], "calls": 5},
                       {"name": "premium", "prefixes": ["+49900", "0900"], "deny": True})
    for number in ("+881612345", "00881612345", "%2B881612345", "+881-612-345", "+49900111", "0900111",
                   "0049(900)111", "+881612345;phone-context=x"):
        assert refused(a, f"sip:{number}@example.test") == 403, number
    b.no_request("INVITE", 0.1)
    for number in ("+4930123", "004930123", "030123", "bob"):
        sent = a.invite(f"sip:{number}@example.test")
        b.reply(b.expect("INVITE"), 486)
        assert a.final(sent).status == 486, number
    events = [e for e in g.events() if e["event"] == "fraud_refused"]
    assert len(events) == 8, events
    for key in ("rule", "limit", "number", "prefix", "account", "from", "source", "call_id", "what"):
        assert events[0].get(key), (key, events[0])
    assert g.metric("ringway_fraud_refused_total") == 8


@case("fraud: calls at a time are exact over two shards, and free again when one ends")
def concurrent(t):
    g, b, a = customer(t, {"name": "few", "prefixes": ["+"], "calls": 3})
    others = []
    for _ in range(5):  # the same account from connections on either shard
        other = client(t, g, "tcp", "127.0.0.40")
        register(other, b)
        others.append(other)
    open_calls, refusals = [], 0
    for number, phone in enumerate(others):
        sent = phone.invite(f"sip:+88{number}@example.test")
        if number < 3:
            seen = b.expect("INVITE")
            answer = b.reply(seen, 200, body=sip.sdp(b.ip))
            received = phone.response(200, to=sent)
            open_calls.append((phone, phone.ack(sent, received)))
            b.expect("ACK")
        else:
            assert phone.final(sent).status == 403
            refusals += 1
    assert refusals == 2
    phone, ours = open_calls.pop()
    hang_up(ours, phone, b)
    ours, _, _ = call(others[4], b, uri="sip:+889@example.test")
    assert refused(others[3], "sip:+888@example.test") == 403
    # The account's other calls go on all the time.
    ours, _, _ = call(others[3], b, uri="sip:030123@example.test")
    hang_up(ours, others[3], b)


@case("fraud: a call ends at its longest time, and both sides hear it")
def longest(t):
    g, b, a = customer(t, {"name": "short", "prefixes": ["+"], "longest": "1s"})
    call(a, b, uri="sip:+881@example.test")
    a.reply(a.expect("BYE", 8), 200)
    b.reply(b.expect("BYE", 8), 200)
    until(lambda: any(e["event"] == "fraud_ended" and e["limit"] == "longest" for e in g.events()), 5, "the event")


@case("fraud: the usual story: hundreds of calls of a stolen account end, the customer's others go on")
def story(t):
    g, b, a = customer(t, {"name": "abroad", "prefixes": ["+"], "calls": 4, "calls_a_minute": 30,
                           "minutes_a_day": 60})
    tries = [a.invite(f"sip:+88299{number:03d}@example.test") for number in range(100)]
    arrived = []
    for _ in range(4):
        seen = b.expect("INVITE")
        arrived.append(seen)
        b.reply(seen, 200, body=sip.sdp(b.ip))
    statuses = [a.final(sent).status for sent in tries]
    assert statuses.count(200) == 4 and statuses.count(403) == 96, statuses
    b.no_request("INVITE", 0.2)
    ours, _, _ = call(a, b, uri="sip:030555@example.test")
    hang_up(ours, a, b)


@case("fraud: what a phone transfers or forwards to is judged like a call")
def refer_and_redirect(t):
    g, b, a = customer(t, {"name": "abroad", "prefixes": ["+"], "deny": True})
    for target in ("<sip:+881@example.test>", "<tel:+881-12>", "sip:00881@example.test"):
        sent = a.request("REFER", headers=[("Refer-To", target)])
        assert a.final(sent).status == 403, target
    b.no_request("REFER", 0.1)
    sent = a.request("REFER", headers=[("Refer-To", "<sip:030@example.test>")])
    b.reply(b.expect("REFER"), 202)
    assert a.final(sent).status == 202


@case("fraud: From is not believed: another name in it changes nothing")
def names(t):
    g, b, a = customer(t, {"name": "lobby", "accounts": ["sip:alice@example.test"], "deny": True})
    for who in ("sip:alice@example.test", "sip:boss@example.test"):
        sent = a.request("INVITE", "sip:030@example.test", from_uri=who, body=sip.sdp())
        assert a.final(sent).status == 403, who
    other = client(t, g, "tcp", "127.0.0.41", "boss")
    register(other, b)
    sent = other.invite("sip:030@example.test")
    b.reply(b.expect("INVITE"), 486)
    assert other.final(sent).status == 486


@case("fraud: rules are read again on reload, and from their file")
def reloaded(t):
    listed = t.directory / "ranges.txt"
    listed.write_text("# ranges\n+881 satellites\n")
    g, b, a = customer(t, {"name": "file", "prefix_file": str(listed), "deny": True})
    assert refused(a, "sip:+8811@example.test") == 403
    listed.write_text("+882\n")
    until(lambda: any(e["event"] == "reloaded" for e in g.events()), 5, "the file is read again")
    assert refused(a, "sip:+8821@example.test") == 403
    sent = a.invite("sip:+8811@example.test")
    b.reply(b.expect("INVITE"), 486)
    assert a.final(sent).status == 486


# --- Answers and the process -------------------------------------------------------------------

@case("answers: with alike nobody learns from a refusal who exists; without it they stay as they are")
def alike(t):
    for setting in (True, False):
        g, b = door(t, "tcp", answers={"alike": setting}, name=f"alike-{setting}")
        seen = []
        for answer in (403, 404, 604):
            a = client(t, g, "tcp", "127.0.0.50")
            sent = a.register(headers=CREDENTIALS, send_only=True)
            b.reply(b.expect("REGISTER"), answer, headers=[("Warning", f'399 x "{answer}"')])
            got = a.final(sent)
            seen.append((got.status, len(re.sub(rb"rport=\d+", b"", got.to_bytes()))))
        assert (len(set(seen)) == 1 and seen[0][0] == 403) if setting else [s for s, _ in seen] == [403, 404, 604], seen
        g.stop()


@case("the process: no new privileges, not dumpable, its system calls listed; root becomes the user named")
def process(t):
    root = os.geteuid() == 0
    g, b = door(t, "udp", "tcp", **({"process": {"user": "nobody"}} if root else {}))
    status = open(f"/proc/{g.program.pid}/status").read()
    assert "NoNewPrivs:\t1" in status
    if "asan" not in os.environ.get("RINGWAY_SANITIZE", ""):
        assert "Seccomp:\t2" in status
    for task in os.listdir(f"/proc/{g.program.pid}/task"):
        assert "NoNewPrivs:\t1" in open(f"/proc/{g.program.pid}/task/{task}/status").read(), task
    if root:
        assert re.search(r"Uid:\t(\d+)\t\1\t\1\t\1", status) and "Uid:\t0" not in status
    a = client(t, g, "tcp", "127.0.0.60")
    register(a, b)
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)
