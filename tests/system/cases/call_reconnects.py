"""Calls whose user agents change their connections again and again, over two shards (RFC 5626)."""

from lib import sip
from lib.agents import call, hang_up
from lib.case import case

from cases.call_dialogs import no_calls
from cases.contacts import invite_by_path
from cases.outlives import again, first, gone


def rung(b, a):
    """The server calls the registered client, who rings: (the INVITE, as it came to the client)."""
    registered = next(m for m in reversed(b.inbox.seen) if m.is_request and m.call_id == a.user + "-registration")
    invite = invite_by_path(b, registered, body=sip.sdp())
    got = a.expect("INVITE")
    a.reply(got, 180)
    b.response(180, to=invite)
    return invite, got


@case("RFC 5626 4.5: what has no answer yet follows its user agent from connection to connection", seconds=90)
def follows(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    for turn in range(3):  # over one shard and over both
        a = first(t, g, b, user=f"user{turn}")
        ours, theirs, _ = call(a, b)
        asked = a.invite()
        rings_there = b.expect("INVITE")
        b.reply(rings_there, 180)
        a.response(180, to=asked)
        invite, got = rung(b, a)
        info = theirs.request("INFO")
        a.expect("INFO")
        now = a
        for number in range(3):
            now.flow.abort()
            gone(g)
            now = again(t, g, b, a, cseq=2 + number)
            branches = {now.inbox.take(lambda m: m.is_request, 5, "what waits").via.branch for _ in range(2)}
            assert got.via.branch in branches, branches
        got.flow = now.flow
        last = sip.response(got, 486, to_tag="c" + got.from_.tag[:6])
        now.flow.send(last)
        assert b.final(invite).status == 486
        b.reply(rings_there, 486)
        assert now.final(asked).status == 486
        now.reply(next(m for m in now.inbox.seen if m.method == "INFO" and m.is_request), 200)
        assert b.final(info).status == 200
        hang_up(theirs, b, now)
        now.flow.close()
        gone(g)
        no_calls(g)
