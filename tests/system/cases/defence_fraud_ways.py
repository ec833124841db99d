"""Ways round the rules for calls that cost money: other spellings, other fields, other messages, other identities."""

from lib import flows, sip
from lib.agents import Client, call, hang_up
from lib.case import case

from .defence_bans import client, register
from .defence_budgets import customer, refused
from .defence_fraud import passes, told
from .peers_bindings import rings

NEVER = {"name": "never", "prefixes": ["+882"], "deny": True}


def invite(a, uri, like=None, cseq=1, headers=()):
    """like: an INVITE whose Call-ID and From tag it has."""
    options = {"call_id": like.call_id, "from_tag": like.from_.tag} if like else {}
    return a.request("INVITE", uri, body=sip.sdp(), cseq=cseq, headers=list(headers), **options)


@case("fraud: a number is the same in every spelling of a Request-URI (RFC 3261 19.1, RFC 3966 5.1)")
def spellings(t):
    g, b, a = customer(t, NEVER)
    for uri in ("sip:+882991@example.test;user=phone", "sips:+882991@example.test", "SIP:+882991@example.test",
                "tel:+882991", "TEL:+882-99-1", "tel:+882991;isub=1", "tel:+882991;ext=2;phone-context=+49",
                "sip:00882991@example.test;user=phone", "sip:+882(99)1@example.test", "sip:+882.99.1@example.test",
                "sip:+%3882991@example.test", "sip:%2b%38%38%32991@example.test", "sip:00882991;isub=12@example.test",
                "sip:+882991;npdi;rn=+4930@example.test", "sip:+882991:secret@example.test", "sip:991;phone-context=+882@example.test",
                "sip:991@example.test;phone-context=+882;user=phone", "sip:991@example.test;user=phone;phone-context=00882",
                "sip:+882991@192.0.2.77:5099;transport=tcp;maddr=192.0.2.78", "sip:+882991@example.test?Replaces=x"):
        assert refused(a, uri) in (400, 403), uri
    b.no_request("INVITE", 0.1)
    for uri in ("sip:991@example.test;phone-context=+49", "sip:+49882@example.test", "sip:0882991@example.test",
                "sip:882@example.test"):
        assert passes(a, b, uri), uri


@case("fraud: a number in the user of a Route (RFC 3261 16.4) is called, too: some servers take it from there")
def routes(t):
    g, b, a = customer(t, NEVER, {"name": "few", "prefixes": ["+881"], "calls": 1})
    target = f"{b.ip}:{b.port}"
    for route in (f"<sip:+882991@{target};lr>", f"<sip:00882991@{target}>", f"<sip:x@{target};lr>, <sip:+882991@{target};lr>",
                  f'"a, <b>" <sip:+882991@{target};lr>', f"<tel:+882991>", f"<sip:+882991@evil.test;lr>"):
        sent = invite(a, f"sip:{target}", headers=[("Route", route)])
        assert a.final(sent).status in (400, 403, 416), route
    b.no_request("INVITE", 0.1)


@case("fraud: the Call-ID of a call that may be made carries no other one to a number that may not be called")
def same_call_id(t):
    g, b, a = customer(t, NEVER, {"name": "few", "prefixes": ["+881"], "calls": 1}, {"name": "more", "prefixes": ["+883"], "calls": 2})
    sent = invite(a, "sip:+8811@example.test")
    seen = b.expect("INVITE")
    b.reply(seen, 407, headers=[("Proxy-Authenticate", 'Digest realm="x", nonce="y"')])
    assert a.final(sent).status == 407
    again = invite(a, "sip:+882991@example.test", sent, 2, [("Proxy-Authorization", 'Digest username="alice"')])
    assert a.final(again).status == 403
    # The account's one call is still that which was challenged; with credentials it goes on and is counted once.
    again = invite(a, "sip:+8811@example.test", sent, 3, [("Proxy-Authorization", 'Digest username="alice"')])
    seen = b.expect("INVITE")
    b.reply(seen, 200, body=sip.sdp(b.ip))
    assert a.final(again).status == 200
    # While it lasts, others under its Call-ID are calls of their own.
    for uri in ("sip:+8812@example.test", "sip:+8811@example.test", "sip:+882991@example.test"):
        more = invite(a, uri, sent, 4)
        assert a.final(more).status == 403, uri
    b.no_request("INVITE", 0.1)


@case("fraud: a call that is challenged and comes again with credentials counts once, refused ones are given back")
def retried(t):
    g, b, a = customer(t, {"name": "few", "prefixes": ["+"], "calls": 1, "calls_a_minute": 3})
    for number in range(3):
        call_id = None
        for cseq in (1, 2):
            sent = a.build("INVITE", f"sip:+88{number}@example.test", body=sip.sdp(), cseq=cseq,
                           **({"call_id": call_id, "from_tag": tag} if call_id else {}))
            a.flow.send(sent)
            call_id, tag = sent.call_id, sent.from_.tag
            seen = b.expect("INVITE")
            b.reply(seen, 407 if cseq == 1 else 486, headers=[("Proxy-Authenticate", 'Digest realm="x", nonce="y"')])
            assert a.final(sent).status == (407 if cseq == 1 else 486)
    assert refused(a, "sip:+889@example.test") == 403
    assert told(g, 1)[-1]["limit"] == "calls_a_minute"


@case("fraud: what a phone transfers to is found in each value and spelling of Refer-To (RFC 3515 2.1, RFC 5368)")
def refer_to(t):
    g, b, a = customer(t, NEVER, {"name": "few", "prefixes": ["+881"], "calls_a_minute": 1})
    bad = [[("Refer-To", value)] for value in (
        "<sip:bob@example.test>, <sip:+882991@example.test>", '"x, y" <sip:+882991@example.test;user=phone>',
        "<sip:00882991@example.test?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>", "<tel:+882-991>;method=INVITE",
        "sip:991;phone-context=+882@example.test", "<sip:991@example.test;phone-context=+882>", "<cid:list@example.test>",
        "<sip:+882991@example.test", "<<sip:+882991@example.test>>", "sip:+%38%38%32991@example.test")]
    bad += [[("r", "<sip:+882991@example.test>")], [("REFER-TO", "<sip:+882991@example.test>")],
            [("Refer-To", "<sip:bob@example.test>"), ("r", "<sip:+882991@example.test>")]]
    for headers in bad:
        sent = a.request("REFER", headers=headers)
        assert a.final(sent).status in (400, 403), headers
    b.no_request("REFER", 0.1)
    # Within a dialog it is the same.
    ours, _, _ = call(a, b, uri="sip:030@example.test")
    sent = ours.request("REFER", headers=[("Refer-To", "<sip:+882991@example.test>")])
    assert a.final(sent).status == 403
    # Limits count transfers like calls.
    for status in (202, 403):
        sent = ours.request("REFER", headers=[("Refer-To", "<sip:+8811@example.test>")])
        if status == 202:
            b.reply(b.expect("REFER"), 202)
        assert a.final(sent).status == status
    hang_up(ours, a, b)


@case("fraud: limits hold for what a phone redirects to, as for its calls (RFC 3261 8.1.3.4)")
def redirected(t):
    g, b, a = customer(t, {"name": "few", "prefixes": ["+881"], "calls_a_minute": 2})
    sent = a.register(cseq=5, send_only=True)
    path = b.expect("REGISTER")
    b.answer_register(path)
    a.response(200, to=sent)
    for status in (302, 302, 403):
        sent = rings(b, g, a.contact_uri, list(path.lines("Path")), to_uri=a.aor)
        a.reply(a.expect("INVITE"), 302, contact="<sip:bob@example.test>;q=1.0, <sip:+8811@example.test>;q=0.1")
        assert b.final(sent).status == status
    assert told(g, 1)[-1]["limit"] == "calls_a_minute" and told(g, 1)[-1]["what"] == "redirect"


@case("fraud: the addresses of one /64 (RFC 4291 2.5.1) are one guest, those of another are another")
def guests(t):
    b = t.backend("127.0.0.2")
    g = t.gateway(start=False, shards=2, fraud=[{"name": "few", "prefixes": ["+"], "calls": 1}])
    g.listen("tcp", proxy_protocol_from=["127.0.0.3"])
    g.next_hop(b.uri())
    g.start()

    def guest(address):
        connection = flows.connect(g.listeners["access-tcp"], source=("127.0.0.3", 0))
        t.at_end(connection.close)
        connection.sendall(f"PROXY TCP6 {address} ::1 4000 5060\r\n".encode())
        return Client(flows.StreamFlow(connection, address).start(), "guest")
    first = guest("2001:db8::1")
    ours, _, _ = call(first, b, uri="sip:+881@example.test")
    for number in range(2, 6):
        assert refused(guest(f"2001:db8::{number}"), f"sip:+88{number}@example.test") == 403
    other = guest("2001:db8:0:1::1")
    theirs, _, _ = call(other, b, uri="sip:+881@example.test")
    hang_up(ours, first, b)
    hang_up(theirs, other, b)


@case("check: a rule that is never in force, or whose list is empty, is said with its place")
def never(t):
    import subprocess
    from lib.gateway import binary
    g, b, a = customer(t, NEVER)
    for settings, said in (({"from": "18:00", "to": "18:00", "deny": True}, "never in force"),
                           ({"prefixes": [], "deny": True}, "empty list"), ({"accounts": [], "deny": True}, "empty list"),
                           ({"sources": [], "deny": True}, "empty list")):
        g.config["fraud"] = [{"name": "x", **settings}]
        g.write()
        done = subprocess.run([str(binary()), "check", "--config", str(g.file)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and said in done.stderr and f"{g.file}:" in done.stderr, (settings, done)
