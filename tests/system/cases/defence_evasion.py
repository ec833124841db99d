"""What an attacker does who knows the rules: calls beside the number that is judged, accounts under other spellings,
guesses behind a success of his own."""

from lib import flows, sip
from lib.agents import Client, call
from lib.case import case

from .defence_bans import bans, client, door, register
from .defence_budgets import customer, refused
from .defence_fraud import passes, told
from .peers_bindings import rings

ABROAD = {"name": "abroad", "prefixes": ["+"], "deny": True}


def status_of(a, b, sent, method="INVITE"):
    """What the sender of that request hears; None where it went on to the server, which is busy."""
    try:
        seen = b.expect(method, 0.4, where=lambda m: m.call_id == sent.call_id)
    except AssertionError:
        return a.final(sent).status
    b.reply(seen, 486)
    a.final(sent)
    return None


@case("fraud: a strict router's value (RFC 3261 16.6 item 6) is the number that leaves, and is judged")
def strict_router(t):
    g, b, a = customer(t, ABROAD, {"name": "few", "prefixes": ["07"], "calls": 1})
    hop = f"127.0.0.2:{b.port}"
    ours = f"<sip:127.0.0.1:{g.listeners['access-tcp'][1]};transport=tcp;lr>"
    for routes in ([f"<sip:+88299@{hop}>"], [ours, f"<sip:0088299@{hop}>"], [f"<sip:%2B88299@{hop};transport=udp>"]):
        sent = a.invite("sip:100@example.test", routes=routes)
        assert status_of(a, b, sent) == 403, routes
    assert status_of(a, b, a.invite("sip:+88299@example.test", routes=[f"<sip:100@{hop}>"])) == 403
    for routes in ([f"<sip:100@{hop}>"], [f"<sip:{hop}>"], [f"<sip:+88299@{hop};lr>"]):
        assert status_of(a, b, a.invite("sip:100@example.test", routes=routes)) is None, routes
    assert {(e["what"], e["prefix"]) for e in told(g, 4)} == {("call", "+")}


@case("fraud: an INVITE in a dialog (RFC 3261 12.2) that calls another number than the dialog's other side is a call")
def in_dialog(t):
    g, b, a = customer(t, ABROAD)
    ours, theirs, _ = call(a, b, uri="sip:100@example.test")
    true_target, true_remote = ours.target, ours.remote
    hop = f"127.0.0.2:{b.port}"
    for number in ("+88299", "0088299", "9+88299"):
        ours.target = f"sip:{number}@{hop}"
        for ours.remote in (true_remote, f"<sip:100@example.test>;tag=forged"):
            sent = ours.request("INVITE", body=sip.sdp())
            assert status_of(a, b, sent) == 403, (number, ours.remote)
    ours.target, ours.remote = true_target, true_remote
    sent = ours.request("INVITE", body=sip.sdp())
    assert status_of(a, b, sent) is None, "the dialog's own re-INVITE goes on"


@case("fraud: a call that came in from a number that may not be called is held and resumed like any other")
def called_back(t):
    g, b, a = customer(t, ABROAD, transport="ws")
    sent = a.register(cseq=5, send_only=True)
    seen = b.expect("REGISTER")
    b.answer_register(seen)
    a.response(200, to=sent)
    came = rings(b, g, a.contact_uri, list(seen.lines("Path")), to_uri=a.aor,
                 contact=f"<sip:+88299@127.0.0.2:{b.port}>")
    invite = a.expect("INVITE")
    answer = a.reply(invite, 200, body=sip.sdp())
    got = b.final(came)
    b.caller_dialog(came, got).request("ACK", cseq=came.cseq[0])
    a.expect("ACK")
    ours = a.callee_dialog(invite, answer)
    sent = ours.request("INVITE", body=sip.sdp(direction="sendonly"))
    assert sent.start.startswith("INVITE sip:+88299@"), sent.start
    assert status_of(a, b, sent) is None


@case("fraud: a transfer in a call counts for the account of the call, over whatever connection it comes")
def transfers(t):
    g, b, a = customer(t, {**ABROAD, "accounts": ["sip:alice@example.test"]})
    ours, _, _ = call(a, b, uri="sip:100@example.test")
    other = client(t, g, "tcp", "127.0.0.41", "boss")
    register(other, b)
    stranger = client(t, g, "tcp", "127.0.0.42")
    for phone in (a, other, stranger):
        for target in ("<sip:+88299@example.test>", "<sip:100@example.test>, <sip:+88299@example.test>",
                       "<fax:+88299>"):
            message = ours.build("REFER", headers=[("Refer-To", target)])
            message.set("Via", phone.flow.via())
            phone.flow.send(message)
            assert status_of(phone, b, message, "REFER") == 403, (phone.flow.name, target)
    # Its binding is taken back, the call goes on.
    sent = a.request("REGISTER", "sip:example.test", to_uri=a.aor, contact=f"{a.contact};expires=0", cseq=9)
    b.answer_register(b.expect("REGISTER"), expires=0)
    assert a.final(sent).status == 200
    sent = ours.request("REFER", headers=[("Refer-To", "<sip:+88299@example.test>")])
    assert status_of(a, b, sent, "REFER") == 403
    sent = ours.request("REFER", headers=[("Refer-To", "<sip:100@example.test>")])
    assert status_of(a, b, sent, "REFER") is None


@case("fraud: redirections (RFC 3261 8.1.3.4) are counted like calls")
def redirections(t):
    g, b, a = customer(t, {"name": "few", "prefixes": ["+"], "calls_a_minute": 3, "calls": 1})
    sent = a.register(cseq=5, send_only=True)
    seen = b.expect("REGISTER")
    b.answer_register(seen)
    a.response(200, to=sent)
    outcomes = []
    for number in range(8):
        sent = rings(b, g, a.contact_uri, list(seen.lines("Path")), to_uri=a.aor)
        a.reply(a.expect("INVITE"), 302, contact=f"<sip:+88{number}@example.test>")
        outcomes.append(b.final(sent).status)
    # Should the minute end meanwhile, another three are let through.
    assert 3 <= outcomes.count(302) <= 6 and outcomes.count(403) == 8 - outcomes.count(302), outcomes


@case("fraud: an account is one, however its address-of-record is written (RFC 3261 10.3 item 5)")
def spellings(t):
    g, b, _ = customer(t, {**ABROAD, "accounts": ["sip:alice@example.test"]})
    for aor in ("sip:%61lice@example.test", "sip:Alice@example.test", "sip:alice@EXAMPLE.test",
                "sip:%41%4cice@example.test", "sips:alice@example.test", "sip:alice@example.test:5060"):
        a = client(t, g, "tcp", "127.0.0.42")
        a.aor = aor
        register(a, b)
        assert refused(a, "sip:+88299@example.test") == 403, aor
    a = client(t, g, "tcp", "127.0.0.42", "alice2")
    register(a, b)
    assert passes(a, b, "sip:+88299@example.test")


@case("fraud: one set of credentials is one account, under however many names it registers")
def credentials(t):
    g, b, _ = customer(t, {"name": "few", "prefixes": ["+"], "calls": 2})
    for username, expected in (("100", 2), ("200", 2)):
        went = 0
        for number in range(5):
            a = client(t, g, "tcp" if number % 2 else "udp", f"127.0.0.{60 + number}", username)
            a.aor = f"sip:{username}@host{number}.test"
            shown = f'Digest username="{username}", realm="pbx", nonce="{number}"'
            sent = a.register(headers=[("Authorization", shown)], send_only=True)
            b.answer_register(b.expect("REGISTER"))
            a.response(200, to=sent)
            sent = a.invite(f"sip:+88{number}@example.test")
            if b_leaves_ringing(b, sent):
                went += 1
            else:
                assert a.final(sent).status == 403
        assert went == expected, (username, went)


def b_leaves_ringing(b, sent):
    try:
        seen = b.expect("INVITE", 0.4, where=lambda m: m.call_id == sent.call_id)
    except AssertionError:
        return False
    b.reply(seen, 180)
    return True


def guess(a, b, username, number):
    """A wrong password for that user over a's flow. True if it reached the registrar."""
    sent = a.register(headers=[("Authorization", f'Digest username="{username}", realm="pbx", response="{number}"')],
                      cseq=number, send_only=True)
    try:
        seen = b.expect("REGISTER", 0.3, where=lambda m: m.call_id == sent.call_id)
    except AssertionError:
        return False
    b.reply(seen, 403)
    return a.final(sent).status == 403


@case("budgets: who has registered himself has so many guesses at one user, whatever To and From say", seconds=90)
def guesses_of_a_known(t):
    for transport in ("tcp", "udp"):
        g, b = door(t, "tcp", "udp", name=f"guess-{transport}")
        a = client(t, g, transport, "127.0.0.70")
        register(a, b)
        reached = 0
        for number in range(1, 31):
            a.aor = f"sip:{100 + number}@host{number}.test"
            reached += guess(a, b, "victim", number + 1)
        assert reached == 20, (transport, reached)
        a.aor = "sip:alice@example.test"
        register(a, b)  # its own goes on
        g.stop()


@case("bans: who guesses at many users between successes of his own is banned; the phones of an office are not",
      seconds=90)
def spraying(t):
    g, b = door(t, "tcp")
    office = [client(t, g, "tcp", "127.0.0.71", f"p{n}") for n in range(8)]
    a = client(t, g, "tcp", "127.0.0.72", "mallory")
    own = [("Authorization", 'Digest username="mallory", realm="pbx"')]
    for number in range(1, 140):
        if number % 10 == 1:
            sent = a.register(headers=own, send_only=True, cseq=1000 + number)
            b.answer_register(b.expect("REGISTER"))
            a.response(200, to=sent)
            for n, phone in enumerate(office):
                sent = phone.register(headers=[("Authorization", f'Digest username="p{n}", realm="pbx"')],
                                      send_only=True, cseq=number)
                b.answer_register(b.expect("REGISTER"))
                phone.response(200, to=sent)
        guess(office[0], b, f"forgotten{number}", 2000 + number)
        try:
            guess(a, b, f"user{number}", number)
        except (OSError, AssertionError):
            break
        if "127.0.0.72" in bans(g):
            break
    assert "127.0.0.72" in bans(g) and "127.0.0.71" not in bans(g), (number, bans(g))
    assert 50 <= number <= 125, number


@case("bans: a proxy that does not say whom it speaks for is not banned for what comes through it; whom it names is")
def behind_a_proxy(t):
    g, b = door(t, "ws", "tcp", start=False)
    for listener in g.config["listen"]:
        if listener["transport"] == "ws":
            listener["forwarded_from"] = ["127.0.0.90"]
        if listener["name"] == "access-tcp":
            listener["proxy_protocol_from"] = ["127.0.0.91"]
    g.start()
    local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"  # PROXY protocol 2.2, LOCAL: it speaks for itself
    named = b"PROXY TCP4 127.0.0.92 127.0.0.1 5060 5060\r\n"
    for number in range(14):
        remote = g.listeners["access-ws"]
        web = flows.upgrade(flows.connect(remote, source=("127.0.0.90", 0)), remote, "web proxy")
        phones = [Client(web)]
        for header in (local, named):
            connection = flows.connect(g.listeners["access-tcp"], source=("127.0.0.91", 0))
            connection.sendall(header)
            phones.append(Client(flows.StreamFlow(connection, "behind").start()))
        for phone in phones:
            try:
                assert phone.final(phone.invite()).status == 403
            except (OSError, AssertionError):
                assert phone is phones[2] and number >= 10, number
            phone.flow.close()
    assert set(bans(g)) == {"127.0.0.92"}, bans(g)
