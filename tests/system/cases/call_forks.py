"""Forks of one INVITE, over two shards: early dialogs of their own, late answers, more of them than are remembered."""

from lib import sip
from lib.agents import hang_up
from lib.case import case

from cases.call_dialogs import calls_of, from_new_port, no_calls
from cases.call_races import two

RELIABLE = [("Require", "100rel"), ("RSeq", "1")]


@case("RFC 3262, 3311: PRACK, UPDATE and INFO pass in each early dialog of three forks, BYE ends one alone", seconds=90)
def three_forks(t):
    b, g, a = two(t)
    sent = a.invite(headers=[("Supported", "100rel")])
    seen = b.expect("INVITE")
    dialogs = {}
    for tag in "xyz":
        answer = b.reply(seen, 183, to_tag=tag, body=sip.sdp(), headers=RELIABLE)
        got = a.response(183, to=sent, where=lambda m, tag=tag: m.to.tag == tag)
        dialogs[tag] = (a.dialog(sent, got), from_new_port(t, b, b.dialog(seen, answer)))
    for ours, theirs in dialogs.values():
        for dialog, sender, receiver, method in ((ours, a, b, "PRACK"), (ours, a, b, "UPDATE"),
                                                 (theirs, b, a, "UPDATE"), (theirs, b, a, "INFO")):
            asked = dialog.request(method, headers=[("RAck", "1 1 INVITE")] if method == "PRACK" else [])
            receiver.reply(receiver.expect(method), 200)
            assert sender.final(asked).status == 200, method
    b.reply(seen, 200, to_tag="y", body=sip.sdp())
    ours = a.ack(sent, a.response(200, to=sent, where=lambda m: m.cseq[1] == "INVITE"))
    ours.cseq = dialogs["y"][0].cseq
    b.expect("ACK")
    hang_up(dialogs["z"][0], a, b)
    assert len(calls_of(g)) == 1
    hang_up(ours, a, b)
    no_calls(g)


@case("RFC 3261 13.2.2.4: a fork that answers after the first one's BYE is heard, and ended by its own BYE")
def late_fork(t):
    b, g, a = two(t)
    sent = a.invite()
    seen = b.expect("INVITE")
    for tag in ("x", "y", "z"):
        b.reply(seen, 200, to_tag=tag, body=sip.sdp())
        ours = a.ack(sent, a.response(200, to=sent, where=lambda m, tag=tag: m.to.tag == tag and m.cseq[1] == "INVITE"))
        b.expect("ACK", where=lambda m, tag=tag: m.to.tag == tag)
        hang_up(ours, a, b)
        no_calls(g)


@case("RFC 3261 13.2.2.4: of twenty forks that ring the last one answers: its BYE, or ours, ends the call")
def twenty_forks(t):
    b, g, a = two(t)
    for end in ("caller", "callee", "gone"):
        sent = a.invite()
        seen = b.expect("INVITE")
        for number in range(20):
            b.reply(seen, 180, to_tag=f"fork{number}")
            a.response(180, to=sent, where=lambda m, number=number: m.to.tag == f"fork{number}")
        answer = b.reply(seen, 200, to_tag="fork19", body=sip.sdp())
        ours = a.ack(sent, a.response(200, to=sent))
        b.expect("ACK")
        if end == "gone":
            a.flow.close()
            b.reply(b.expect("BYE", 5), 200)
        else:
            hang_up(ours, a, b) if end == "caller" else hang_up(b.dialog(seen, answer), b, a)
        no_calls(g)
