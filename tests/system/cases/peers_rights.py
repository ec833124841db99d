"""Who may ask for what: peers, rights, targets (RFC 3261 16, RFC 5626 5.3). Two shards each.

The gateway is 127.0.0.1, its next hop 127.0.0.2, who is listed nowhere 127.0.0.3.
"""

import os

from lib import sip
from lib.agents import call
from lib.case import case
from lib.waiting import until

GATEWAY, NEXT_HOP, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def office(t, *transports, admission="registered", next_hop=None, start=True, **top):
    """A gateway with closed access listeners, its next hop, and a server that nobody has listed."""
    b = t.backend(NEXT_HOP)
    g = t.gateway(*(transports or ("ws",)), start=False, shards=2, **top)
    for listener in g.config["listen"]:
        if listener["side"] == "access":
            listener["admission"] = admission
    g.next_hop(b.uri(), **(next_hop or {}))
    if start:
        g.start()
    return g, b


def register(client, backend, **options):
    """Registers; returns the 200 as the client sees it."""
    sent = client.register(send_only=True, **options)
    backend.answer_register(backend.expect("REGISTER"))
    return client.response(200, to=sent)


def user_agent(t, g, b, transport="ws", user="alice"):
    client = t.client(g, transport, user)
    return client, register(client, b)


def refused(client, message, status=403):
    answer = client.final(message)
    assert answer.status == status, f"{answer.status} for {message!r}"


@case("RFC 5626 5.3: the own Path as Route takes a request to its next hop and nowhere else")
def own_path_is_no_ticket(t):
    g, b = office(t)
    x = t.backend(STRANGER)
    a, ok = user_agent(t, g, b)
    path = ok.lines("Path")[0]
    for method, uri in (("INVITE", f"sip:+1900@{STRANGER}:{x.port};transport=udp"),
                        ("INVITE", f"sip:+1900@{STRANGER}:{x.port};transport=tcp"),
                        ("SET", f"sip:x@{STRANGER}:{x.port};transport=tcp"),
                        ("MESSAGE", f"sip:x@{STRANGER}:{x.port};maddr={STRANGER}")):
        sent = a.request(method, uri, routes=[path], body=b"FLUSHALL\r\n", content_type="text/plain")
        seen = b.expect(method)
        assert not seen.lines("Route"), f"our Route went on: {seen!r}"
        b.reply(seen, 404)
        assert a.final(sent).status == 404
    x.silence(0.2)


@case("RFC 3261 16.3: a registered flow calls, one that has not registered is refused with 403")
def registered_flows_call(t):
    g, b = office(t, "ws", "tcp", "udp")
    for transport in ("ws", "tcp", "udp"):
        client = t.client(g, transport, f"u{transport}")
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
            refused(client, client.request(method))
        b.no_request("INVITE", 0.1)
        register(client, b)
        sent = client.invite()
        b.reply(b.expect("INVITE"), 486)
        assert client.final(sent).status == 486
    assert g.metric("ringway_requests_forbidden_total") == 9


@case("a listener with admission = \"open\" lets guests call the next hops of the access side, and nobody else")
def guests_call(t):
    g, b = office(t, "ws", admission="open", start=False)
    x = t.backend("127.0.0.4")
    g.next_hop(x.uri(), name="trunk", domains=["carrier.example"], probe_interval="0s",
               **{"from": "network"})
    g.start()
    a = t.client(g, "ws")
    sent = a.invite("sip:bob@example.test")
    b.reply(b.expect("INVITE"), 486)
    assert a.final(sent).status == 486
    refused(a, a.invite("sip:+1900@carrier.example"))
    refused(a, a.invite("sip:+1900@example.test", routes=[f"<{x.uri()};lr>"]))
    refused(a, a.request("MESSAGE", "sip:+1900@CARRIER.example"))
    refused(a, a.invite("sip:x@example.test", routes=[f"<{b.uri()};lr>", f"<sip:{STRANGER};lr>"]))
    refused(a, a.invite("sip:x@example.test", routes=[f"<sip:{STRANGER}:5099;lr>"]))
    x.silence(0.2)


@case("a stranger on a network listener is dropped, counted, and told to the administrator once")
def strangers_are_dropped(t):
    g, b = office(t, "ws")
    a, ok = user_agent(t, g, b)
    victim = t.backend("127.0.0.4")
    s = t.backend(STRANGER)
    udp = g.listeners["network-udp"]
    path = ok.lines("Path")[0]
    contact = f"{a.contact_uri}"
    for uri, routes in ((f"sip:x@{victim.ip}:{victim.port}", [f"<sip:{victim.ip}:{victim.port};lr>"]),
                        (contact, [path]), (contact, []), (f"sip:{GATEWAY}:{udp[1]}", [])):
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            message = s.build(method, uri, routes=routes)
            message.push("Via", f"SIP/2.0/UDP {s.ip}:{s.port};branch={sip.branch()};rport")
            s.udp.to(udp).send(message)
    until(lambda: g.metric("ringway_strangers_dropped_total") == 12, 5, "twelve requests are counted")
    a.silence(0.2)
    victim.silence(0.05)
    s.silence(0.05)
    lines = [one for one in g.events() if one.get("event") == "stranger_dropped"]
    assert 1 <= len(lines) <= 2, lines  # one for each shard at most
    assert f'[[trusted]] prefixes = ["{STRANGER}"]' in lines[0]["to_let_it_in"], lines[0]


@case("the next hop's address as the source of a datagram means nothing on an access listener")
def address_is_no_proof_on_the_access_side(t):
    g, b = office(t, "udp")
    x = t.backend("127.0.0.4")
    udp = g.listeners["access-udp"]
    for routes in ([f"<sip:{x.ip}:{x.port};lr>"], []):
        message = b.build("INVITE", f"sip:x@{x.ip}:{x.port}", routes=routes)
        message.push("Via", f"SIP/2.0/UDP {b.ip}:{b.port};branch={sip.branch()};rport")
        b.udp.to(udp).send(message)
        assert b.response(None, to=message).status == 403
    x.silence(0.2)


@case("[[trusted]] servers reach next hops, and registered user agents by their Path, and nobody else")
def trusted_servers(t):
    g, b = office(t, "ws", start=False)
    inner = t.backend("127.0.0.4")
    g.next_hop(inner.uri(), name="inner", domains=["inner.example"], probe_interval="0s", **{"from": "access"})
    g.config["trusted"] = [{"name": "carrier", "prefixes": ["127.0.0.5/32"]}]
    g.start()
    a, ok = user_agent(t, g, b)
    s = t.backend("127.0.0.5")
    udp = g.listeners["network-udp"]
    path = ok.lines("Path")[0]

    def sends(uri, routes):
        message = s.build("INVITE", uri, routes=routes, body=sip.sdp(s.ip))
        message.push("Via", f"SIP/2.0/UDP {s.ip}:{s.port};branch={sip.branch()};rport")
        s.udp.to(udp).send(message)
        return message
    sent = sends(a.contact_uri, [path])
    a.reply(a.expect("INVITE"), 486)
    assert s.final(sent).status == 486
    listener = f"sip:+4930@{udp[0]}:{udp[1]}"
    for uri, routes in (("sip:bob@example.test", []), (listener, []), ("sip:bob@example.test", [f"<{b.uri()};lr>"])):
        sent = sends(uri, routes)
        b.reply(b.expect("INVITE"), 486)
        assert s.final(sent).status == 486
    x = t.backend(STRANGER)
    for uri, routes in (("sip:bob@inner.example", []), ("sip:bob@example.test", [f"<{inner.uri()};lr>"]),
                        ("sip:bob@example.test", [f"<{x.uri()};lr>"]),
                        ("sip:bob@example.test", [f"<{b.uri()};lr>", f"<{x.uri()};lr>"]), (a.contact_uri + "x", [x.contact()])):
        assert s.final(sends(uri, routes)).status == 403, (uri, routes)
    for server in (inner, x):
        server.silence(0.1)
    b.no_request("INVITE", 0.1)


@case("RFC 3261 16.12: a Record-Route value without a To tag is refused, in whatever order the pair stands")
def record_route_needs_a_dialog(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    victim, _ = user_agent(t, g, b, user="victim")
    x = t.backend(STRANGER)
    ours, theirs, seen = call(a, b)
    pair = [f"<{route.uri.text}>" for route in ours.routes]
    for routes in (pair, pair[::-1]):
        refused(a, a.invite(f"sip:x@{x.ip}:{x.port}", routes=routes, call_id=seen.call_id, cseq=50))
        refused(victim, victim.invite(f"sip:x@{x.ip}:{x.port}", routes=routes, call_id=seen.call_id, cseq=50))
    # With a To tag: the network side's order does not lead to a user agent from the access side.
    refused(victim, victim.request("INFO", "sip:x@y.invalid", routes=pair[::-1], call_id=seen.call_id,
                                   to_tag="t", cseq=51))
    x.silence(0.2)
    a.no_request("INVITE", 0.05)
    a.no_request("INFO", 0.05)


@case("RFC 3261 16.7: a response that makes no dialog brings back no Record-Route of ours")
def refusals_carry_no_record_route(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    for status in (401, 486, 302):
        sent = a.invite()
        seen = b.expect("INVITE")
        routes = seen.lines("Record-Route")
        b.reply(seen, status, headers=[("Record-Route", value) for value in routes]
                + [("Record-Route", f"<sip:other.example;lr>, {routes[0]}")])
        got = a.final(sent)
        values = got.values("Record-Route")
        assert values == ["<sip:other.example;lr>"], values


@case("RFC 3261 12.2: in a dialog the far end that it named is reached, and no other place")
def far_end_only(t):
    g, b = office(t, "ws")
    x = t.backend(STRANGER)
    a, _ = user_agent(t, g, b)
    ours, theirs, _ = call(a, b)
    for uri in (f"sip:x@{x.ip}:{x.port};transport=tcp", f"sip:x@{x.ip}:{x.port}",
                f"sip:b@{b.ip}:{b.port};maddr={x.ip}", f"sip:x@{GATEWAY}:{g.admin[1]};transport=tcp"):
        target, ours.target = ours.target, uri
        sent = ours.request("INFO")
        ours.target = target
        refused(a, sent)
    x.silence(0.2)
    sent = ours.request("BYE")
    b.reply(b.expect("BYE"), 200)
    assert a.final(sent).status == 200


@case("the far end of a dialog that is no next hop is reached where members list it, after a restart, too")
def members_are_targets(t):
    g, b = office(t, "ws", next_hop={"members": ["127.0.0.6/32"]}, start=False)
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g.config["key_file"] = str(key)
    g.start()
    phone = t.backend("127.0.0.6")
    a, _ = user_agent(t, g, b)
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 200, contact=phone.contact(), body=sip.sdp(phone.ip))
    ours = a.ack(sent, a.response(200, to=sent))
    phone.expect("ACK")
    sent = ours.request("INFO")
    phone.reply(phone.expect("INFO"), 200)
    assert a.final(sent).status == 200


@case("loopback and private addresses are no far ends unless they are listed")
def inner_addresses(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    x = t.backend(STRANGER)
    for transport in ("udp", "tcp"):
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 200, contact=x.contact(transport), body=sip.sdp(x.ip))
        ours = a.ack(sent, a.response(200, to=sent))
        refused(a, ours.request("BYE"))
        x.silence(0.2)
    assert g.metric("ringway_targets_forbidden_total") >= 2


@case("RFC 3261 18.1.2: a response counts only from where its request went")
def responses_from_elsewhere(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    s = t.backend(STRANGER)
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    a.response(180, to=sent)
    for status in (302, 200, 486):
        forged = sip.response(seen, status, to_tag="evil", contact=s.contact())
        s.udp.to(g.listeners["network-udp"]).send(forged)
    until(lambda: g.metric("ringway_response_wrong_source_total") == 3, 5, "three responses are counted")
    a.silence(0.1, lambda message: not message.is_request and message.status >= 200)
    b.reply(seen, 486)
    assert a.final(sent).status == 486


@case("RFC 3261 9.2: a CANCEL counts only from where its INVITE came from")
def cancel_from_elsewhere(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    other, _ = user_agent(t, g, b, user="other")
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    a.response(180, to=sent)
    stolen = sip.cancel_of(sent)
    other.flow.send(stolen)
    assert other.response(None, to=stolen).status == 481
    b.no_request("CANCEL", 0.2)
    own = sip.cancel_of(sent).add("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
    a.flow.send(own)
    got = b.expect("CANCEL")
    assert got.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"', repr(got)
    b.reply(got, 200)
    b.reply(seen, 487)
    assert a.response(487, to=sent)


@case("RFC 3325 5 and 7: the access side asserts no identity, and sees none that asked for privacy")
def asserted_identity(t):
    g, b = office(t, "ws", start=False)
    g.config["header"] = [{"side": "access", "remove": ["Diversion", "x-internal"]}]
    g.start()
    a, ok = user_agent(t, g, b)
    identity = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln;info=<https://cert.example/x>;alg=ES256"
    sent = a.invite(headers=[("P-Asserted-Identity", "<sip:boss@example.test>"), ("p-ASSERTED-identity ", "<tel:+1>"),
                             ("P-Preferred-Identity", "<sip:alice@example.test>"), ("Identity", identity),
                             ("Diversion", "<sip:x@y>"), ("X-Internal", "1"), ("X-Other", "1")])
    seen = b.expect("INVITE")
    names = [name.strip().lower() for name, _ in seen.headers]
    for gone in ("p-asserted-identity", "diversion", "x-internal"):
        assert gone not in names, repr(seen)
    assert seen.get("P-Preferred-Identity") and seen.get("X-Other")
    assert seen.get("Identity") == identity
    b.reply(seen, 180, headers=[("P-Asserted-Identity", "<sip:bob@example.test>"), ("Privacy", "user;ID")])
    ringing = a.response(180, to=sent)
    assert ringing.get("P-Asserted-Identity") is None, repr(ringing)
    b.reply(seen, 486, headers=[("P-Asserted-Identity", "<sip:bob@example.test>")])
    assert a.final(sent).get("P-Asserted-Identity") == "<sip:bob@example.test>"


@case("RFC 3327: a Path that the user agent writes itself is taken off a REGISTER")
def own_path_is_taken_off(t):
    g, b = office(t, "ws")
    a = t.client(g, "ws")
    a.register(send_only=True, headers=[("Path", "<sip:evil@127.0.0.9;lr>"), ("path", "<sip:evil2@127.0.0.9;lr>")])
    seen = b.expect("REGISTER")
    assert len(seen.values("Path")) == 1 and "evil" not in seen.get("Path"), repr(seen)


@case("RFC 3261 21.5.4: 503 with Retry-After keeps no in-dialog request back, and no other where one server is all")
def service_unavailable_is_advice(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    ours, theirs, _ = call(a, b)
    sent = a.invite()
    b.reply(b.expect("INVITE"), 503, headers=[("Retry-After", "60")])
    assert a.final(sent).status == 500
    for message in (a.invite(), a.request("OPTIONS"), ours.request("INFO"), ours.request("BYE")):
        b.reply(b.expect(message.method), 486)
        assert a.final(message).status == 486


@case("RFC 3261 11.2: OPTIONS that names us is answered with what we can do")
def options_about_us(t):
    g, b = office(t, "ws")
    a, _ = user_agent(t, g, b)
    ip, port = g.listeners["access-ws"]
    for routes in ([], [f"<sip:{ip}:{port};transport=ws;lr>"]):
        answer = a.final(a.request("OPTIONS", f"sip:{ip}:{port};transport=ws", routes=routes))
        assert answer.status == 200 and "INVITE" in answer.get("Allow"), repr(answer)
        assert answer.get("Accept") and answer.get("Supported")
    ip, port = g.listeners["network-udp"]
    message = b.build("OPTIONS", f"sip:ping@{ip}:{port}")
    message.push("Via", f"SIP/2.0/UDP {b.ip}:{b.port};branch={sip.branch()};rport")
    b.udp.to((ip, port)).send(message)
    assert b.final(message).status == 200
