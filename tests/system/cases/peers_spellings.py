"""The same rights in other spellings, methods, transports and orders, and after a restart. Two shards each.

The gateway is 127.0.0.1, its next hop 127.0.0.2, who is listed nowhere 127.0.0.3, a trunk 127.0.0.4.
"""

import os

from lib import flows, sip
from lib.agents import call
from lib.case import case
from lib.waiting import until

from .peers_bindings import rings
from .peers_rights import GATEWAY, NEXT_HOP, STRANGER, office, refused, register, user_agent

TRUNK = "127.0.0.4"


def with_trunk(t, *transports, **options):
    """An office that also has a trunk, which is closed to the access side."""
    g, b = office(t, *transports, start=False, **options)
    x = t.backend(TRUNK)
    g.next_hop(x.uri(), name="trunk", domains=["carrier.example"], probe_interval="0s", **{"from": "network"})
    g.start()
    return g, b, x


def passes(client, backend, message, status=404):
    """The next hop gets it without a Route, and its refusal comes back."""
    seen = backend.expect(message.method)
    assert not seen.lines("Route"), repr(seen)
    backend.reply(seen, status)
    assert client.final(message).status == status
    return seen


@case("RFC 5626 5.3: the own Path leads to the next hop in each spelling of Route, on each transport")
def own_path_spelt(t):
    g, b = office(t, "ws", "tcp", "udp")
    x = t.backend(STRANGER)
    for transport in ("ws", "tcp", "udp"):
        a, ok = user_agent(t, g, b, transport, user=f"u{transport}")
        path = ok.lines("Path")[0]
        ip, port = g.listeners[f"access-{transport}"]
        plain = f"<sip:{ip}:{port};transport={transport};lr>"
        for lines in ([("rOuTe", path)], [("ROUTE ", f"\"me\" {path}")], [("Route", f"\r\n  {path}")],
                      [("Route", f"{plain}, {path}")], [("Route", plain), ("Route", path)]):
            for uri in (f"sip:x@{x.ip}:{x.port};transport=TCP", f"SIP:x@{x.ip}:{x.port}",
                        f"sip:x@example.test;maddr={x.ip}", f"sip:%78@[::ffff:{x.ip}]:{x.port}"):
                passes(a, b, a.request("MESSAGE", uri, headers=lines))
        # With another value behind it, it is no way out either.
        for route in (f"{path}, <sip:{x.ip}:{x.port};lr>", f"{path}, <{b.uri()};lr>, <sip:{x.ip}:{x.port};lr>",
                      f"{path}, <sip:{x.ip}:{x.port};transport=tcp>"):
            refused(a, a.request("MESSAGE", "sip:x@example.test", headers=[("Route", route)]))
    x.silence(0.2)


@case("RFC 5626 5.3: the Path of another flow is no way, its own user agent's older one neither, and after a restart no more")
def foreign_paths(t):
    g, b = office(t, "ws", "udp", start=False)
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g.config["key_file"] = str(key)
    g.start()
    x = t.backend(STRANGER)
    a, ok = user_agent(t, g, b)
    path = ok.lines("Path")[0]
    others = [user_agent(t, g, b, transport, user=f"m{n}{transport}")[0]
              for n, transport in enumerate(("ws", "ws", "udp", "udp"))]
    for other in others:
        for method in ("INVITE", "MESSAGE", "OPTIONS"):
            refused(other, other.request(method, f"sip:x@{x.ip}:{x.port}", routes=[path]))
    g.restart()
    for n in range(4):  # on both shards
        a, _ = user_agent(t, g, b, user=f"n{n}")
        sent = a.request("MESSAGE", f"sip:x@{x.ip}:{x.port}", routes=[path])
        assert a.final(sent).status in (403, 430)
    x.silence(0.2)


@case("a Contact alias counts from the network side only, in each spelling, from each transport")
def aliases(t):
    g, b = office(t, "ws", "tcp", "udp", next_hop={"binding": "contact"})
    s = t.backend(STRANGER)
    victim = t.client(g, "ws", "victim")
    victim.register(send_only=True)
    seen = b.expect("REGISTER")
    alias = seen.contact.uri.text
    assert GATEWAY in alias, alias
    b.answer_register(seen)
    assert victim.response(200)
    for transport in ("ws", "tcp", "udp"):
        a = t.client(g, transport, f"a{transport}")
        register(a, b)
        for uri in (alias, alias.replace("sip:", "SIP:", 1), alias + ";lr", alias + ";user=phone"):
            for method in ("INVITE", "MESSAGE"):
                refused(a, a.request(method, uri))
        stranger = t.client(g, transport, "guest")
        refused(stranger, stranger.invite(alias))
    for uri in (alias, alias.replace("sip:", "SIP:", 1)):
        message = s.build("INVITE", uri)
        message.push("Via", f"SIP/2.0/UDP {s.ip}:{s.port};branch={sip.branch()};rport")
        s.udp.to(g.listeners["network-udp"]).send(message)
    victim.silence(0.2)
    s.silence(0.05)
    sent = rings(b, g, alias)
    victim.reply(victim.expect("INVITE"), 486)
    assert b.final(sent).status == 486


@case("a next hop that is closed to the access side is reached by no dialog of another's, whatever the tags")
def closed_in_a_dialog(t):
    g, b, x = with_trunk(t, "ws", "tcp")
    for transport in ("ws", "tcp"):
        a, _ = user_agent(t, g, b, transport, user=f"u{transport}")
        ours, theirs, _ = call(a, b)
        for uri in (x.uri(), f"sip:+1900@{x.ip}:{x.port}", f"sip:+1900@{x.ip};transport=tcp",
                    f"sip:+1900@example.test;maddr={x.ip}", "sip:+1900@carrier.example"):
            target, ours.target = ours.target, uri
            for method in ("INVITE", "INFO", "MESSAGE", "BYE"):
                refused(a, ours.request(method))
            ours.target = target
        # The tags may be invented, as long as the values of Record-Route are real.
        pair = [f"<{route.uri.text}>" for route in ours.routes]
        refused(a, a.invite(f"sip:+1900@{x.ip}:{x.port}", routes=pair, call_id=ours.call_id, to_tag="x", cseq=900))
        refused(a, a.invite("sip:+1900@x.test", routes=pair + [f"<{x.uri()};lr>"], call_id=ours.call_id, to_tag="x",
                            cseq=901))
        sent = ours.request("BYE")
        b.reply(b.expect("BYE"), 200)
        assert a.final(sent).status == 200
    x.silence(0.2)


@case("guests and user agents reach no closed next hop: by Route, domain, registration, in any spelling")
def closed_next_hops(t):
    g, b, x = with_trunk(t, "ws", "udp", admission="open")
    guest = t.client(g, "ws", "guest")
    a, ok = user_agent(t, g, b, "udp", user="alice")
    path = ok.lines("Path")[0]
    for client in (guest, a):
        for method in ("INVITE", "SUBSCRIBE", "OPTIONS"):
            refused(client, client.request(method, "sip:x@Carrier.Example"))
            refused(client, client.request(method, "sip:x@carrier.example:5060;transport=tcp"))
        refused(client, client.request("REGISTER", "sip:carrier.example"))
        for route in (f"<{x.uri()};lr>", f"\"t\" <sip:{x.ip}:{x.port};lr>", f"<sip:{x.ip};lr>", f"<{x.uri('tcp')};lr>",
                      f"<{b.uri()};lr>, <{x.uri()};lr>"):
            refused(client, client.invite("sip:x@example.test", headers=[("Route", route)]))
    refused(a, a.invite("sip:x@carrier.example", routes=[path]))
    x.silence(0.2)


@case("RFC 3261 18.1.2: forged answers from other addresses, listeners, transports and next hops count for nothing")
def forged_answers(t):
    g, b, x = with_trunk(t, "ws", "udp")
    a, _ = user_agent(t, g, b)
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 180)
    a.response(180, to=sent)
    forged = 0
    for ip in (STRANGER, TRUNK, GATEWAY):
        for _ in range(4):  # some come to each shard
            port = flows.UdpPort(ip)
            t.at_end(port.close)
            for listener in ("network-udp", "access-udp"):
                port.to(g.listeners[listener]).send(sip.response(seen, 302, to_tag="evil", contact=f"<sip:x@{ip}>"))
                forged += 1
    # The next hop's address, on a listener that nobody asked from.
    b.udp.to(g.listeners["access-udp"]).send(sip.response(seen, 603, to_tag="evil"))
    over_websocket = t.client(g, "ws", "m")
    over_websocket.flow.send(sip.response(seen, 200, to_tag="evil", contact="<sip:x@y.invalid>"))
    until(lambda: g.metric("ringway_response_wrong_source_total") == forged + 2, 5, "all are counted")
    a.silence(0.1, lambda message: not message.is_request and message.status >= 200)
    b.reply(seen, 486)
    assert a.final(sent).status == 486


@case("RFC 3325 5: no method, spelling or answer of the access side asserts an identity")
def identities(t):
    g, b = office(t, "ws", "udp")
    names = ("P-Asserted-Identity", "p-asserted-identity", "P-ASSERTED-IDENTITY ", "Remote-Party-ID", "remote-party-id\t",
             "P-Asserted-Service", "P-Served-User", "Path")

    def clean(message):
        for name, value in message.headers:
            assert "boss" not in value, f"{name} went on: {message!r}"
    lines = [(name, "<sip:boss@example.test>") for name in names]
    lines += [("P-Asserted-Identity", "<sip:boss@example.test>,\r\n <tel:+1;x=boss>"),
              ("P-Asserted-Identity", "\r\n <sip:boss@example.test>")]
    for transport in ("ws", "udp"):
        a, ok = user_agent(t, g, b, transport, user=f"u{transport}")
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS", "REFER", "PUBLISH"):
            sent = a.request(method, headers=lines)
            seen = b.expect(method)
            clean(seen)
            b.reply(seen, 486)
            a.final(sent)
        ours, theirs, _ = call(a, b)
        for method in ("INFO", "UPDATE", "BYE"):
            sent = theirs.request(method)
            a.reply(a.expect(method), 200, headers=lines)
            clean(b.final(sent))
            if method == "BYE":
                break
            sent = ours.request(method, headers=lines)
            seen = b.expect(method)
            clean(seen)
            b.reply(seen, 200)
            a.final(sent)
        sent = rings(b, g, a.contact_uri, [ok.lines("Path")[0]])
        a.reply(a.expect("INVITE"), 183, headers=lines)
        clean(b.response(183, to=sent))
        a.reply(a.inbox.seen[-1], 486, headers=lines)
        clean(b.final(sent))


@case("RFC 3325 7: who asks for privacy is shown to no user agent, in requests as in responses")
def privacy(t):
    g, b = office(t, "ws", "udp")
    for transport in ("ws", "udp"):
        a, ok = user_agent(t, g, b, transport, user=f"u{transport}")
        path = ok.lines("Path")[0]
        for number, asked in enumerate(([("Privacy", "id")], [("PRIVACY ", "header;Id")],
                                        [("Privacy", "user"), ("privacy", "critical;\r\n id")], [("Privacy", "user")], [])):
            hidden = number < 3
            sent = rings(b, g, a.contact_uri, [path], headers=[
                *asked, ("P-Asserted-Identity", "<sip:boss@example.test>"), ("Remote-Party-ID", "<sip:boss@example.test>")])
            seen = a.expect("INVITE")
            for name in ("P-Asserted-Identity", "Remote-Party-ID"):
                assert (seen.get(name) is None) == hidden, repr(seen)
            a.reply(seen, 486)
            b.final(sent)


@case("RFC 3261 9.2: a CANCEL from another address, connection or listener calls nothing off")
def foreign_cancels(t):
    g, b = office(t, "ws", "udp", "tcp")
    for transport in ("udp", "tcp"):
        a, _ = user_agent(t, g, b, transport, user=f"u{transport}")
        sent = a.invite()
        seen = b.expect("INVITE")
        b.reply(seen, 180)
        a.response(180, to=sent)
        for other_transport in ("udp", "tcp", "ws"):
            for n in range(3):  # on both shards
                if other_transport == transport == "udp":  # there the address is all that counts
                    port = flows.UdpPort(f"127.0.1.{n + 1}")
                    t.at_end(port.close)
                    port.to(g.listeners["access-udp"]).send(sip.cancel_of(sent))
                    continue
                other, _ = user_agent(t, g, b, other_transport, user=f"m{transport}{other_transport}{n}")
                other.flow.send(sip.cancel_of(sent))
        b.no_request("CANCEL", 0.3)
        a.flow.send(sip.cancel_of(sent))
        b.reply(b.expect("CANCEL"), 200)
        b.reply(seen, 487)
        assert a.response(487, to=sent)


@case("RFC 3261 21.5.4: of two next hops the one that asked for peace rests; what it has begun still goes to it")
def advice_to_one_of_two(t):
    g, b = office(t, "ws", next_hop={"priority": 0, "probe_interval": "0s"}, start=False)
    c = t.backend("127.0.0.5")
    g.next_hop(c.uri(), priority=1, probe_interval="0s")
    g.start()
    a, _ = user_agent(t, g, b)
    ours, theirs, _ = call(a, b)
    sent = a.request("MESSAGE")
    b.reply(b.expect("MESSAGE"), 503, headers=[("Retry-After", "120 (in maintenance);duration=60")])
    c.reply(c.expect("MESSAGE"), 200)
    assert a.final(sent).status == 200
    for n in range(4):  # on both shards: each learns it for itself
        other = t.client(g, "ws", f"o{n}")
        sent = other.register(send_only=True)
        request = until(lambda: [m for box in (b, c) for m in box.inbox.items
                                 if m.is_request and m.method == "REGISTER" and m.call_id == sent.call_id], 5, "REGISTER")[0]
        server = b if request in b.inbox.items else c
        request = server.expect("REGISTER")
        server.reply(request, 503, headers=[("Retry-After", "60")]) if server is b else server.answer_register(request)
        if server is b:
            c.answer_register(c.expect("REGISTER"))
        assert other.final(sent).status == 200
    sent = ours.request("INFO")
    b.reply(b.expect("INFO"), 200)
    assert a.final(sent).status == 200
    sent = ours.request("BYE")
    b.reply(b.expect("BYE"), 200)
    assert a.final(sent).status == 200


@case("RFC 3326: a branch that is called off because another answered hears so")
def answered_elsewhere(t):
    g, b = office(t, "ws", start=False, timers={"first_answer": "500ms", "drain": "1s"}, next_hop={"priority": 0})
    second = t.backend("127.0.0.5")
    g.next_hop(second.uri(), priority=1)
    g.start()
    a, _ = user_agent(t, g, b)
    sent = a.invite()
    first = b.expect("INVITE")
    other = second.expect("INVITE")
    second.reply(other, 200, body=sip.sdp(second.ip))
    a.ack(sent, a.response(200, to=sent))
    b.reply(first, 180)
    cancel = b.expect("CANCEL")
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"', repr(cancel)
    b.reply(cancel, 200)
    b.reply(first, 487)


@case("RFC 3261 16.3 item 2: other schemes go on in any method, letter and place")
def schemes(t):
    g, b = office(t, "ws", "udp")
    for transport in ("ws", "udp"):
        a, ok = user_agent(t, g, b, transport, user=f"u{transport}")
        path = ok.lines("Path")[0]
        for method, uri in (("MESSAGE", "IM:bob@example.test"), ("SUBSCRIBE", "pres:bob@example.test"),
                            ("OPTIONS", "urn:service:sos.police"), ("INVITE", "URN:SERVICE:SOS"),
                            ("REFER", "tel:+49-30-1;phone-context=x"), ("INVITE", "urn:urn-7:3gpp-service.ims.icsi.mmtel")):
            seen = passes(a, b, a.request(method, uri, to_uri="sip:bob@example.test"), 486)
            assert seen.start == f"{method} {uri} SIP/2.0"
            passes(a, b, a.request(method, uri, to_uri="sip:bob@example.test", routes=[path]), 486)
            sent = rings(b, g, uri, [path], to_uri="sip:bob@example.test")
            seen = a.expect("INVITE")
            assert seen.start == f"INVITE {uri} SIP/2.0"
            a.reply(seen, 486)
            assert b.final(sent).status == 486


@case("RFC 3261 25.1: bad escapes in any URI that we read, an empty branch and endless words are refused")
def malformed(t):
    g, b = office(t, "udp", "tcp", "ws")
    for transport in ("udp", "tcp", "ws"):
        a, _ = user_agent(t, g, b, transport, user=f"u{transport}")
        for uri in ("sip:us%zz@example.test", "sip:us%@example.test", "sip:a%2@example.test", "sips:%G0@example.test",
                    "sip:a:p%w@example.test"):
            for method in ("MESSAGE", "INVITE"):
                assert a.final(a.request(method, uri)).status == 400, uri
        for branch in (";branch=", ";branch= ", ";branch"):
            bad = a.build("OPTIONS", "sip:bob@example.test")
            bad.set("Via", a.flow.via().split(";branch")[0] + branch + ";rport")
            a.flow.send(bad)
            assert a.final(bad).status == 400, branch
        long = a.request("X" * 8192, "sip:bob@example.test")
        assert a.response(None, where=lambda one: one.call_id == long.call_id).status in (400, 501)
    b.no_request("MESSAGE", 0.1)


@case("RFC 5626 5.3: a preloaded own Path is honest in a REGISTER and in a call, on each transport and shard")
def preloaded(t):
    g, b = office(t, "ws", "tcp", "udp")
    for transport in ("ws", "tcp", "udp"):
        for n in range(3):
            a, ok = user_agent(t, g, b, transport, user=f"u{transport}{n}")
            path = ok.lines("Path")[0]
            sent = a.request("REGISTER", f"sip:{a.domain}", to_uri=a.aor, routes=[path], cseq=7, contact=(
                f"{a.contact};+sip.instance=\"{a.instance}\";reg-id=1;expires=300"))
            seen = b.expect("REGISTER")
            assert not seen.lines("Route") and len(seen.values("Path")) == 1, repr(seen)
            b.answer_register(seen)
            assert a.response(200, to=sent)
            passes(a, b, a.invite(routes=[path]), 486)


@case("a next hop rings a browser by its raw Contact from whichever of its ports, on whichever shard")
def raw_contacts(t):
    g, b = office(t, "ws", "tcp", "udp")
    agents = [user_agent(t, g, b, transport, user=f"u{transport}{n}")[0]
              for transport in ("ws", "tcp", "udp") for n in range(2)]
    for _ in range(4):
        port = flows.UdpPort(NEXT_HOP)
        t.at_end(port.close)
        for a in agents:
            flow = port.to(g.listeners["network-udp"])
            message = sip.request("MESSAGE", a.contact_uri, to_uri=a.aor, via=flow.via())
            flow.send(message)
            a.reply(a.expect("MESSAGE"), 200)
            answer = port.inbox.take(lambda m, id=message.call_id: m.call_id == id and m.status >= 200, 5, "200")
            assert answer.status == 200
