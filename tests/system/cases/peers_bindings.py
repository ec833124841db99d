"""What a REGISTER teaches, and what messages of odd forms come to (RFC 3261 10.3, RFC 5626). Two shards each."""

from lib import sip
from lib.agents import call
from lib.case import case
from lib.waiting import until

from .peers_rights import office, refused, user_agent


def contact(client, user, *, expires=None, instance=True):
    uri = f"<sip:{user}@{client.flow.invalid};transport=ws>"
    value = uri + (f";+sip.instance=\"{client.instance}\";reg-id=1" if instance else "")
    return value + (f";expires={expires}" if expires is not None else "")


def registers(client, backend, contacts, *, granted=None, cseq=1, call_id=None, headers=()):
    """A REGISTER with these Contact header lines; the registrar answers with granted, else with what was kept."""
    message = client.build("REGISTER", f"sip:{client.domain}", to_uri=client.aor, contact=None, cseq=cseq,
                           call_id=call_id, headers=[("Contact", one) for one in contacts] + list(headers))
    message.headers = [item for item in message.headers if item != ("Contact", client.contact)]
    client.flow.send(message)
    seen = backend.expect("REGISTER")
    kept = granted if granted is not None else [one for line in contacts for one in line.split(", ")
                                                if "expires=0" not in one and one != "*"]
    backend.reply(seen, 200, headers=[("Contact", one) for one in kept]
                  + [("Path", value) for value in seen.lines("Path")])
    return client.response(200, to=message)


def rings(backend, gateway, uri, routes=(), **options):
    """An INVITE of the next hop for that URI; returns it."""
    listener = gateway.listeners["network-udp"]
    message = backend.build("INVITE", uri, routes=routes, body=sip.sdp(backend.ip), **options)
    message.push("Via", f"SIP/2.0/UDP {backend.ip}:{backend.port};branch={sip.branch()};rport")
    backend.udp.to(listener).send(message)
    return message


@case("RFC 3261 10.3: each Contact of a REGISTER counts for itself, in any order and number of lines")
def each_contact(t):
    g, b = office(t)
    for number, split in enumerate((False, True)):
        for order in (0, 1):
            a = t.client(g, "ws", f"u{number}{order}")
            registers(a, b, [contact(a, "old", expires=300)])
            two = [contact(a, "old", expires=0), contact(a, "new", expires=300)]
            two = two[::-1] if order else two
            registers(a, b, two if split else [", ".join(two)], cseq=2)
            ours, theirs, _ = call(a, b)
            sent = theirs.request("BYE")
            a.reply(a.expect("BYE"), 200)
            assert b.final(sent).status == 200
            sent = rings(b, g, f"sip:new@{a.flow.invalid};transport=ws")
            a.reply(a.expect("INVITE"), 486)
            assert b.final(sent).status == 486


@case("RFC 3261 10.2.2: Contact * takes back every binding of the To's AOR, on any flow")
def star(t):
    g, b = office(t)
    one, _ = user_agent(t, g, b, user="alice")
    two, _ = user_agent(t, g, b, user="alice")
    other, _ = user_agent(t, g, b, user="bob")
    registers(two, b, ["*"], cseq=9, headers=[("Expires", "0")])
    refused(two, two.invite())

    def is_refused():  # once the other shard has heard it
        return one.final(one.request("MESSAGE")).status == 403
    until(is_refused, 5, "the other flow's binding is gone")
    sent = other.invite()
    b.reply(b.expect("INVITE"), 486)
    assert other.final(sent).status == 486


@case("RFC 3261 10.3: an answer to an older REGISTER undoes nothing that a newer one has done")
def older_answers(t):
    g, b = office(t)
    a, _ = user_agent(t, g, b)
    call_id = sip.token() + "@test"
    leave = a.register(send_only=True, expires=0, cseq=5, call_id=call_id)
    old = b.expect("REGISTER")
    come = a.register(send_only=True, expires=300, cseq=6, call_id=call_id)
    b.answer_register(b.expect("REGISTER"))
    a.response(200, to=come)
    b.reply(old, 200)
    a.response(200, to=leave)
    sent = a.invite()
    b.reply(b.expect("INVITE"), 486)
    assert a.final(sent).status == 486


@case("a binding that one next hop grants changes nothing of another's")
def groups(t):
    g, b = office(t, start=False)
    evil = t.backend("127.0.0.4")
    g.next_hop(evil.uri(), name="other", domains=["evil.example"], probe_interval="0s")
    g.start()
    a, _ = user_agent(t, g, b)
    m = t.client(g, "ws", "alice")
    m.instance = a.instance
    message = m.build("REGISTER", "sip:evil.example", to_uri=a.aor, contact=contact(a, a.contact_user, expires=300))
    m.flow.send(message)
    evil.answer_register(evil.expect("REGISTER"))
    m.response(200, to=message)
    sent = rings(b, g, a.contact_uri)
    a.reply(a.expect("INVITE"), 486)
    assert b.final(sent).status == 486
    m.no_request("INVITE", 0.1)


@case("RFC 5031 and 3860: urn:, im: and pres: go on like tel:, from either side")
def schemes(t):
    g, b = office(t)
    a, ok = user_agent(t, g, b)
    for uri in ("urn:service:sos", "im:bob@example.test", "pres:bob@example.test", "tel:+112"):
        sent = a.invite(uri, to_uri="sip:bob@example.test")
        seen = b.expect("INVITE")
        assert seen.start == f"INVITE {uri} SIP/2.0"
        b.reply(seen, 486)
        assert a.final(sent).status == 486
        sent = rings(b, g, uri, [ok.lines("Path")[0]], to_uri="sip:alice@example.test")
        a.reply(a.expect("INVITE"), 486)
        assert b.final(sent).status == 486


@case("RFC 3261 25.1: an empty branch and a bad escape are 400, an endless method is 501")
def malformed(t):
    g, b = office(t, "udp")
    a = t.client(g, "udp")
    bad = a.build("OPTIONS", "sip:bob@example.test")
    bad.set("Via", a.flow.via().split(";branch")[0] + ";branch=;rport")
    a.flow.send(bad)
    assert a.final(bad).status == 400
    for user in ("us%zz", "us%4", "%"):
        assert a.final(a.request("OPTIONS", f"sip:{user}@example.test")).status == 400
    long = a.request("M" * 8192)
    assert a.response(None, where=lambda one: one.call_id == long.call_id).status in (400, 501)


@case("RFC 3261 16.12: tokens of the former form are answered with 430")
def former_tokens(t):
    g, b = office(t)
    a, _ = user_agent(t, g, b)
    ip, port = g.listeners["network-udp"]
    for size in (24, 51, 52, 67):
        refused(a, a.invite(routes=[f"<sip:r{'A' * (size - 1)}@{ip}:{port};lr>"]), 430)
    b.no_request("INVITE", 0.1)


@case("RFC 5393 5.3.3: branches that are open at one time divide the Max-Breadth")
def breadth(t):
    g, b = office(t, start=False, timers={"first_answer": "500ms", "drain": "1s"}, next_hop={"priority": 0})
    second = t.backend("127.0.0.4")
    g.next_hop(second.uri(), priority=1)
    g.start()
    a, _ = user_agent(t, g, b)
    a.invite(headers=[("Max-Breadth", "9")])
    shares = [int(server.expect("INVITE").get("Max-Breadth")) for server in (b, second)]
    assert sum(shares) == 9 and min(shares) >= 1, shares


@case("RFC 3261 11: the only next hop is probed, and hears what we can do and who asks")
def only_next_hop(t):
    g, b = office(t, next_hop={"probe_interval": "1s"})
    probe = b.expect_probe()
    assert "INVITE" in probe.get("Allow") and probe.get("User-Agent"), repr(probe)
    b.reply(probe, 200)
