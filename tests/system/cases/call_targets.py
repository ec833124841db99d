"""Where the requests of a call go: transports, next hops, listeners, moved phones, new Contacts (RFC 3261 12.2, RFC 3263).

The gateway is 127.0.0.1, its next hops are 127.0.0.2 and up.
"""

import os

from lib import flows, sip
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.waiting import until

from cases.call_dialogs import SHORT, called, from_new_port, no_calls, refresh
from cases.contacts import invite_by_path, register


def answered(a, b, *, contact=None, sender=None, headers=(), **options):
    """A call whose 200 has that Contact; the answering side's requests are read at sender."""
    sent = a.invite(**options)
    seen = b.expect("INVITE")
    more = {"contact": contact} if contact else {}
    answer = b.reply(seen, 200, body=sip.sdp(), headers=headers, **more)
    ours = a.ack(sent, a.response(200, to=sent))
    ack = (sender or b).expect("ACK")
    return ours, b.dialog(seen, answer), ack, seen


# --- The transport that a Contact names --------------------------------------------------------------------------


@case("RFC 3263 4.1: ACK and BYE go by the transport that the callee's Contact names", seconds=90)
def transport_of_contact(t):
    b = t.backend("127.0.0.2")
    for network, hop, wanted in (("udp", "udp", "tcp"), ("tcp", "tcp", "udp"), ("udp", "udp", "udp")):
        g = t.gateway("ws", next_hop=b.uri(hop), network=("udp", "tcp"), name=f"ringway-{hop}-{wanted}", timers=SHORT)
        a = t.client(g, "ws")
        ours, theirs, ack, seen = answered(a, b, contact=b.contact(wanted))
        assert seen.flow.transport == hop.upper() and ack.flow.transport == wanted.upper(), ack.flow.transport
        info = ours.request("INFO")
        at_b = b.expect("INFO")
        assert at_b.flow.transport == wanted.upper()
        b.reply(at_b, 200)
        assert a.final(info).status == 200
        a.flow.close()
        bye = b.expect("BYE", 6)
        assert bye.flow.transport == wanted.upper() and bye.via.transport == wanted.upper(), bye
        b.reply(bye, 200)
        no_calls(g)


@case("a Contact without a transport at the next hop's own port keeps the next hop's transport")
def transport_of_next_hop(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("ws", next_hop=b.uri("tcp"), network=("udp", "tcp"), timers=SHORT)
    a = t.client(g, "ws")
    ours, _, ack, _ = answered(a, b, contact=f"<sip:b@{b.ip}:{b.port}>")
    assert ack.flow.transport == "TCP"
    hang_up(ours, a, b)
    no_calls(g)


@case("RFC 3261 19.1.1: maddr of the callee's Contact is where its ACK and BYE go")
def maddr(t):
    b, c = t.backend("127.0.0.2"), t.backend("127.0.0.3")
    g = t.gateway("ws", start=False, timers=SHORT)
    g.next_hop(b.uri(), members=["127.0.0.3/32"])
    g.start()
    a = t.client(g, "ws")
    ours, _, ack, _ = answered(a, b, contact=f"<sip:b@pbx.example:{c.port};maddr={c.ip}>", sender=c)
    hang_up(ours, a, c)
    no_calls(g)


# --- The next hop that the call was made with --------------------------------------------------------------------




@case("RFC 3261 12.2: the requests of a call leave from the listener of the next hop that it was made with", seconds=90)
def listener_of_call(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("ws", network=(), start=False, timers=SHORT)
    g.listen("udp", side="network", ip="127.0.0.1", name="one")
    two = g.listen("udp", side="network", ip="127.0.0.4", name="two")
    g.next_hop(b.uri(), domains=["one.test"], send_from="one")
    g.next_hop(b.uri(), domains=["two.test"], send_from="two")
    g.start()
    for end in ("ours", "gone"):
        a = t.client(g, "ws")
        ours, theirs, ack, seen = answered(a, b, uri="sip:bob@two.test")
        assert seen.flow.remote == two and ack.flow.remote == two, (seen.flow.remote, ack.flow.remote)
        at_b = refresh(ours, a, b)
        assert at_b.flow.remote == two, at_b.flow.remote
        a.flow.close() if end == "gone" else ours.request("BYE")
        bye = b.expect("BYE", 6)
        assert bye.flow.remote == two and bye.via.host == "127.0.0.4", bye
        b.reply(bye, 200)
        no_calls(g)


def trunks(t, **settings):
    """A gateway with two mutual TLS trunks, the second one's server and a sibling of it."""
    pair = t.certificate("pbx.test", names=["DNS:pbx.test", "DNS:localhost", "IP:127.0.0.2", "IP:127.0.0.3"])
    tls = flows.server_context(pair[0], pair[1], str(t.authority.certificate))
    pbx, sibling = t.backend("127.0.0.2", tls=tls), t.backend("127.0.0.3", tls=tls)
    g = t.gateway("ws", network=("udp",), start=False, timers=SHORT, **settings)
    g.listen("tls", side="network", name="tls", certificate=str(t.certificate("gateway.test")[0]),
             key=str(t.certificate("gateway.test")[1]), record_route_secure="transport_tls", advertise="127.0.0.1")
    for name in ("first", "second"):
        own = t.certificate(f"{name}.test")
        g.next_hop(pbx.uri("tls"), domains=[f"{name}.example"], tls_ca=str(t.authority.certificate),
                   tls_certificate=str(own[0]), tls_key=str(own[1]), members=["127.0.0.3/32"])
    g.start()
    return g, pbx, sibling


def name_of_peer(flow):
    names = [value for group in flow.socket.getpeercert()["subject"] for key, value in group if key == "commonName"]
    return names[0]


@case("RFC 3261 26.2.1: a call by a mutual TLS trunk keeps that trunk's certificate, at a sibling of its members, too",
      seconds=90)
def certificate_of_call(t):
    g, pbx, sibling = trunks(t)
    for server in (pbx, sibling):
        a = t.client(g, "ws")
        sent = a.invite("sip:bob@second.example")
        seen = pbx.expect("INVITE")
        assert name_of_peer(seen.flow) == "second.test"
        route = [("Record-Route", f"<sip:{server.ip}:{server.tls.local[1]};transport=tls;lr>")]
        answer = sip.response(seen, 200, to_tag="x", contact=pbx.contact("tls"), body=sip.sdp())
        answer.headers[len(seen.lines("Via")) + 4:len(seen.lines("Via")) + 4] = route
        seen.flow.send(answer)
        got = a.response(200, to=sent)
        ours = a.ack(sent, got)
        ack = server.expect("ACK")
        assert name_of_peer(ack.flow) == "second.test", name_of_peer(ack.flow)
        if server is pbx:
            ours.request("BYE")
        else:
            a.flow.close()
        bye = server.expect("BYE", 6)
        assert name_of_peer(bye.flow) == "second.test" and bye.routes, bye
        server.reply(bye, 200)
        no_calls(g)


# --- A listener of another transport -----------------------------------------------------------------------------


def from_udp_only(t, b, *more):
    """send_from names a UDP listener that has no TCP twin."""
    g = t.gateway("ws", network=(), start=False, timers=SHORT)
    g.listen("udp", side="network", ip="127.0.0.1", name="plain", tcp_twin=False)
    ports = [g.listen("tcp", side="network", ip=ip, name=f"stream-{ip}") for ip in more]
    g.next_hop(b.uri(), send_from="plain")
    g.start()
    return g, ports


@case("send_from names a UDP listener and a request needs TCP: the listener on its address, else any of the network side")
def twin(t):
    for ips, wanted in ((("127.0.0.4", "127.0.0.1"), "127.0.0.1"), (("127.0.0.4",), "127.0.0.4")):
        b = t.backend("127.0.0.2")
        g, _ = from_udp_only(t, b, *ips)
        a = t.client(g, "ws")
        ours, _, ack, _ = answered(a, b, contact=b.contact("tcp"))
        assert ack.flow.transport == "TCP" and ack.flow.remote[0] == wanted, ack.flow.remote
        hang_up(ours, a, b)
        sent = a.invite(headers=[("X-Long", "x" * 2500)])  # RFC 3261 18.1.1
        seen = b.expect("INVITE")
        assert seen.flow.transport == "TCP" and seen.via.transport == "TCP", seen.flow.transport
        assert seen.via.host == wanted and seen.flow.remote[0] == wanted, seen.via.text
        b.reply(seen, 486)
        assert a.final(sent).status == 486
        g.stop()


@case("where no listener speaks TCP at all the large request leaves in datagrams, and the call goes on")
def no_twin(t):
    b = t.backend("127.0.0.2")
    g, _ = from_udp_only(t, b)
    a = t.client(g, "ws")
    sent = a.invite(headers=[("X-Long", "x" * 2500)])
    seen = b.expect("INVITE")
    assert seen.flow.transport == "UDP"
    b.reply(seen, 486)
    assert a.final(sent).status == 486


# --- A new Contact -----------------------------------------------------------------------------------------------


def members(t, *transports, **top):
    b, c = t.backend("127.0.0.2"), t.backend("127.0.0.3")
    g = t.gateway(*(transports or ("ws",)), start=False, network=("udp", "tcp"), timers=SHORT, **top)
    g.next_hop(b.uri(), members=["127.0.0.3/32"])
    g.start()
    return g, b, c


@case("RFC 3261 12.2.1.2: a far end that moves by re-INVITE or UPDATE gets the BYE where it is now", seconds=90)
def far_end_moves(t):
    g, b, c = members(t)
    for method in ("INVITE", "UPDATE"):
        for by in ("its request", "its answer"):
            a = t.client(g, "ws")
            ours, theirs, _, _ = answered(a, b)
            if by == "its request":
                theirs.contact = c.contact("tcp")
                sent = theirs.request(method, body=sip.sdp(version=2))
                a.reply(a.expect(method), 200, body=sip.sdp())
                b.response(200, to=sent)
                if method == "INVITE":
                    theirs.request("ACK", cseq=sent.cseq[0])
                    a.expect("ACK")
                ours.target = c.uri("tcp", "b")
            else:
                sent = ours.request(method, body=sip.sdp(version=2))
                b.reply(b.expect(method), 200, contact=c.contact(), body=sip.sdp())
                ours.target = a.response(200, to=sent).contact.uri.text
                if method == "INVITE":
                    ours.request("ACK", cseq=sent.cseq[0])
                    c.expect("ACK")
            refresh(ours, a, c, "INFO")
            a.flow.close()
            bye = c.expect("BYE", 6)
            assert bye.cseq[0] > ours.cseq and bye.flow.transport == ("TCP" if by == "its request" else "UDP"), bye
            c.reply(bye, 200)
            b.no_request("BYE", 0.1)
            no_calls(g)


@case("RFC 3261 12.2.1.2: a refused re-INVITE moves nobody")
def refused_move(t):
    g, b, c = members(t)
    a = t.client(g, "ws")
    ours, theirs, _, _ = answered(a, b)
    theirs.contact = c.contact()
    sent = theirs.request("INVITE", body=sip.sdp(version=2))
    a.reply(a.expect("INVITE"), 488)
    assert b.final(sent).status == 488
    a.flow.close()
    b.reply(b.expect("BYE", 6), 200)
    c.silence(0.1)
    no_calls(g)


@case("a browser that names another Contact in a re-INVITE is still reached by its flow")
def browser_moves(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("ws", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "ws")
    ours, theirs, _, _ = answered(a, b)
    a.contact_user = "elsewhere"
    ours.contact = a.contact
    seen = refresh(ours, a, b)
    assert seen.contact.uri.user == "elsewhere"
    theirs.target = seen.contact.uri.text
    at_a = hang_up(theirs, b, a)
    assert at_a.uri == a.contact_uri
    no_calls(g)


# --- A phone whose port changes ----------------------------------------------------------------------------------


def phone_moves(t, g, a):
    """The same phone behind a NAT that has given it another port."""
    flow = g.flow("udp")
    t.at_end(flow.port.close)
    new = Client(flow, a.user)
    new.instance = a.instance
    return new


@case("a phone on UDP whose NAT port changes is reached where its newest request came from: re-INVITE, INFO",
      seconds=90)
def moves_by_request(t):
    for side in ("caller", "callee"):
        b = t.backend("127.0.0.2")
        g = t.gateway("udp", next_hop=b.uri(), timers=SHORT, name=f"ringway-{side}")
        for method in ("INVITE", "INFO", "UPDATE"):
            a = t.client(g, "udp")
            seen, _ = register(a, b)
            ours, theirs = called(t, b, a, seen)[:2] if side == "callee" else call(a, b)[:2]
            new = phone_moves(t, g, a)
            ours.send = lambda message, dialog, new=new: new.flow.send(message)
            refresh(ours, new, b, method)
            at_new = hang_up(from_new_port(t, b, theirs), b, new)
            assert at_new.uri.startswith("sip:")
            a.no_request("BYE", 0.1)
            no_calls(g)


@case("a phone on UDP whose NAT port changes is reached where it registers from, with its old Contact or a new one",
      seconds=90)
def moves_by_register(t):
    for side in ("caller", "callee"):
        b = t.backend("127.0.0.2")
        g = t.gateway("udp", next_hop=b.uri(), timers=SHORT, name=f"ringway-{side}")
        for contact in ("old", "new"):
            a = t.client(g, "udp")
            a.contact_user = "fixed" + side + contact
            seen, _ = register(a, b, call_id="r" + a.contact_user)
            ours, theirs = called(t, b, a, seen)[:2] if side == "callee" else call(a, b)[:2]
            new = phone_moves(t, g, a)
            new.contact_user = a.contact_user
            old = a.contact
            if contact == "old":
                sent = new.request("REGISTER", f"sip:{new.domain}", to_uri=new.aor, cseq=2, call_id="r" + a.contact_user,
                                   contact=f"{old};+sip.instance=\"{a.instance}\";reg-id=1;expires=300",
                                   headers=[("Supported", "path, outbound")])
                b.answer_register(b.expect("REGISTER"))
                assert new.final(sent).status == 200
            else:
                register(new, b, call_id="r" + a.contact_user, cseq=2)
            b.no_request("BYE", 1.5)  # no page was loaded again: the call stands
            refresh(theirs, b, new, "INFO")
            hang_up(from_new_port(t, b, theirs), b, new)
            a.no_request("BYE", 0.1)
            no_calls(g)


@case("a phone on TCP that connects again with a new port in its Contact keeps its call")
def stream_moves(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("tcp", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "tcp")
    seen, _ = register(a, b, call_id="phone")
    ours, theirs, _ = call(a, b)
    a.flow.close()
    until(lambda: g.metric("ringway_flows", transport="tcp") == 0, 5, "the connection is gone")
    new = t.client(g, "tcp")
    new.instance, new.contact_user = a.instance, a.contact_user
    register(new, b, call_id="phone", cseq=2)
    b.no_request("BYE", 2)
    hang_up(theirs, b, new)
    no_calls(g)


@case("a phone on UDP that registers no more in a call: its call ends, and the other side gets a BYE")
def phone_gone(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("udp", next_hop=b.uri(), timers=SHORT)
    a = t.client(g, "udp")
    sent = a.register(send_only=True, expires=1)
    b.answer_register(b.expect("REGISTER"), expires=1)
    a.final(sent)
    ours, theirs, _ = call(a, b)
    bye = b.expect("BYE", 30)
    assert bye.cseq[0] > ours.cseq, bye
    b.reply(bye, 200)
    no_calls(g)


# --- 408 ---------------------------------------------------------------------------------------------------------


@case("RFC 3263 4.3, RFC 4320 4.2: a 408 that a server sent is its answer: for an INVITE it is passed on, for others not")
def received_408(t):
    one, two = t.backend("127.0.0.2"), t.backend("127.0.0.3")
    g = t.gateway("ws", start=False, timers=SHORT)
    g.next_hop(one.uri())
    g.next_hop(two.uri(), priority=2)
    g.start()
    a = t.client(g, "ws")
    for ring in (True, False):
        sent = a.invite()
        seen = one.expect("INVITE")
        if ring:
            one.reply(seen, 180)
            a.response(180, to=sent)
        one.reply(seen, 408)
        assert a.final(sent).status == 408
        one.expect("ACK")
    for method in ("MESSAGE", "OPTIONS", "SUBSCRIBE"):
        sent = a.request(method)
        one.reply(one.expect(method), 408)
        a.silence(0.3, lambda m, sent=sent: not m.is_request and m.call_id == sent.call_id and m.status >= 200)
    two.silence(0.1, lambda m: m.is_request and m.method != "OPTIONS")
    no_calls(g)


@case("a browser reaches a phone on UDP by its Path, and that call has an end like others")
def phone_by_path(t):
    b = t.backend("127.0.0.2")
    g = t.gateway("ws", "udp", next_hop=b.uri(), timers=SHORT)
    phone = t.client(g, "udp", "bob")
    seen, _ = register(phone, b)
    a = t.client(g, "ws")
    for end in ("phone", "gone"):
        sent = a.invite("sip:bob@example.test")
        at_b = b.expect("INVITE")
        made = sip.Message(f"INVITE {seen.contact.uri.text} SIP/2.0", at_b.headers, at_b.body)
        made.set("Route", None)
        for route in reversed(seen.values("Path")):
            made.push("Route", route)
        made.push("Via", f"SIP/2.0/UDP {b.ip}:{b.port};branch={sip.branch()}")
        path = sip.NameAddr(seen.values("Path")[0]).uri
        b.udp.to((path.host, path.port)).send(made)
        at_phone = phone.expect("INVITE")
        answer = phone.reply(at_phone, 200, body=sip.sdp())
        got = b.response(200)
        values = got.lines("Via")
        got.set("Via", None)
        for value in reversed(values[1:]):
            got.push("Via", value)
        at_b.flow.send(got)
        ours = a.ack(sent, a.response(200, to=sent))
        phone.expect("ACK")
        if end == "phone":
            hang_up(phone.callee_dialog(at_phone, answer), phone, a)
        else:
            a.flow.close()
            bye = phone.expect("BYE", 6)
            assert bye.cseq[0] > ours.cseq, bye
            phone.reply(bye, 200)
        no_calls(g)
