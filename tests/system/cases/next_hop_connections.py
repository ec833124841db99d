"""Connections to and from SIP servers that end with something under way (RFC 3261 17.1.4, 18.2.2, 18.4)."""

import time

from lib import flows, sip
from lib.agents import call, elapsed_ms, hang_up
from lib.case import case
from lib.dns import NameServer
from lib.sip import NameAddr
from lib.waiting import until


def gateway(t, *next_hops, **top):
    g = t.gateway("ws", network=("udp", "tcp"), start=False, **top)
    for priority, uri in enumerate(next_hops, 1):
        g.next_hop(uri, priority=priority, probe_interval="0s")
    g.start()
    return g


def repeated(b, first):
    """The same request once more, which expect() would take for a retransmission."""
    return b.inbox.take(lambda m: m.is_request and m.method == first.method and m is not first, 5, "repetition")


def once_more(t, answered, end):
    """The connection ends after `answered` was said; the request is there again on a new one."""
    b = t.backend()
    g = gateway(t, b.uri("tcp"))
    a = t.client(g, "ws")
    sent = a.invite()
    first = b.expect("INVITE")
    if answered:
        b.reply(first, answered)
        a.response(answered, to=sent) if answered != 100 else None
    end(first.flow)
    again = repeated(b, first)
    assert again.flow is not first.flow and again.via.branch == first.via.branch, (first, again)
    b.reply(again, 486)
    assert a.final(sent).status == 486
    b.expect("ACK")


for _name, _end in (("closed", lambda flow: flow.close()), ("reset", lambda flow: flow.abort())):
    for _status in (None, 100, 180):
        case(f"an INVITE whose connection is {_name} after {_status or 'nothing'} goes out once more, "
             "under the same branch")(lambda t, status=_status, end=_end: once_more(t, status, end))


@case("a REGISTER and an OPTIONS whose connection is reset are sent once more, and answered")
def others(t):
    b = t.backend()
    g = gateway(t, b.uri("tcp"))
    a = t.client(g, "ws")
    for method in ("REGISTER", "OPTIONS"):
        sent = a.register(send_only=True) if method == "REGISTER" else a.request(method)
        first = b.expect(method)
        first.flow.abort()
        again = repeated(b, first)
        assert again.via.branch == first.via.branch and again.flow is not first.flow
        b.answer_register(again) if method == "REGISTER" else b.reply(again, 200)
        assert a.final(sent).status == 200


@case("what has its final response is not sent again when the connection ends")
def answered(t):
    b = t.backend()
    g = gateway(t, b.uri("tcp"))
    a = t.client(g, "ws")
    call(a, b, transport="tcp")
    for method, status in (("INVITE", 486), ("OPTIONS", 200)):
        sent = a.invite() if method == "INVITE" else a.request(method)
        seen = b.expect(method)
        b.reply(seen, status)
        assert a.final(sent).status == status
    b.expect("ACK")
    seen.flow.close()
    until(lambda: g.metric("ringway_flows", transport="tcp") == 0, 5, "the end is noticed")
    b.silence(0.3, lambda message: message.is_request)
    assert g.metric("ringway_requests_sent_again_total") == 0


@case("a server that resets each connection is given up at once: the next target serves")
def next_target(t):
    bad, good = t.backend(name="bad"), t.backend(name="good")
    g = gateway(t, bad.uri("tcp"), good.uri("tcp"))
    a = t.client(g, "ws")
    begin = time.monotonic()
    sent = a.invite()
    first = bad.expect("INVITE")
    first.flow.abort()
    repeated(bad, first).flow.abort()
    b = good.expect("INVITE")
    good.reply(b, 486)
    assert a.final(sent).status == 486
    assert elapsed_ms(begin) < 3000
    bad.silence(0.1, lambda message: message.is_request)


@case("where it is the only one, the caller is told at once")
def only_one(t):
    b = t.backend()
    g = gateway(t, b.uri("tcp"))
    a = t.client(g, "ws")
    sent = a.invite()
    first = b.expect("INVITE")
    first.flow.abort()
    repeated(b, first).flow.abort()
    begin = time.monotonic()
    assert a.final(sent).status in (500, 503)
    assert elapsed_ms(begin) < 1000
    b.silence(0.1, lambda message: message.is_request)


@case("the first request after a pause in which the server has closed gets its answer")
def after_a_pause(t):
    b = t.backend()
    g = gateway(t, b.uri("tcp"))
    a = t.client(g, "ws")
    ours, _, _ = call(a, b, transport="tcp")
    for flow in list(b.tcp.flows):
        flow.close()
    hang_up(ours, a, b)


def ask(b, seen, method, **options):
    """A request of the SIP server to the registered client, over a connection that it opens."""
    routes = seen.values("Path")
    made = b.build(method, seen.contact.uri.text, routes=routes, **options)
    b.send_to(NameAddr(routes[0]).uri, made)
    return made


def registered(t):
    b = t.backend()
    g = gateway(t, b.uri("tcp"))
    a = t.client(g, "ws")
    sent = a.register(send_only=True)
    seen = b.expect("REGISTER")
    b.answer_register(seen)
    a.final(sent)
    return b, g, a, seen


def asked_and_gone(t, b, g, a, seen, method, end, **options):
    made = ask(b, seen, method, **options)
    got = a.expect(method)
    before = g.metric("ringway_flows", transport="tcp")
    flow = next(iter(b.outgoing.values()))
    end(flow)
    b.outgoing.clear()
    until(lambda: g.metric("ringway_flows", transport="tcp") < before, 5, "the connection's end is noticed")
    return made, got


for _name, _end in (("closed", lambda flow: flow.close()), ("reset", lambda flow: flow.abort())):
    @case(f"RFC 3261 18.2.2: the connection of a server's INVITE is {_name} while the client rings: the answer "
          "comes over a new one")
    def ringing(t, end=_end):
        b, g, a, seen = registered(t)
        for status in (486, 200):
            made, got = asked_and_gone(t, b, g, a, seen, "INVITE", end, body=sip.sdp())
            a.reply(got, 180)
            answer = b.response(180, to=made)
            assert answer.flow.transport == "TCP" and answer.flow not in b.outgoing.values()
            a.reply(got, status, **({"body": sip.sdp()} if status == 200 else {}))
            answer = b.final(made)
            assert answer.status == status
            if status == 200:
                ours = b.caller_dialog(made, answer)
                ours.request("ACK", cseq=made.cseq[0])
                a.expect("ACK")
                hang_up(ours, b, a)


@case("RFC 3261 18.2.2: the same for MESSAGE and OPTIONS, whose answer comes once")
def short_ones(t):
    b, g, a, seen = registered(t)
    for method in ("MESSAGE", "OPTIONS"):
        made, got = asked_and_gone(t, b, g, a, seen, method, lambda flow: flow.close())
        a.reply(got, 200)
        assert b.final(made).status == 200
        b.silence(0.1, lambda message: not message.is_request)


@case("RFC 3261 18.1.1: that a server takes no TCP is learnt once, by all shards")
def no_tcp(t):
    b = t.backend(tcp=False)
    g = t.gateway("ws", next_hop=f"sip:{b.ip}:{b.port}")
    large = [("Subject", "x" * 1200)]
    for _ in range(8):
        a = t.client(g, "ws")
        sent = a.invite(headers=large)
        seen = b.expect("INVITE")
        assert seen.flow.transport == "UDP" and len(seen.to_bytes()) > 1300
        b.reply(seen, 486)
        assert a.final(sent).status == 486
    assert g.metric("ringway_switched_to_tcp_total") == 1


@case("RFC 3261 9.1: a server's CANCEL counts over another connection and on another shard than its INVITE")
def cancel_elsewhere(t):
    b, g, a, seen = registered(t)
    contact = seen.contact.uri.text
    for with_path in (True, False):
        for turn in range(6):
            made = b.build("INVITE", contact, routes=seen.values("Path") if with_path else (), body=sip.sdp())
            made.push("Via", f"SIP/2.0/TCP {b.ip}:{b.port};branch={sip.branch()}")
            one, two = (b_flow(t, g, b) for _ in range(2))
            one.send(made)
            got = a.expect("INVITE")
            a.reply(got, 180)
            b.response(180, to=made)
            cancel = sip.Message(f"CANCEL {made.uri} SIP/2.0")
            for name in ("Via", "Route", "From", "To", "Call-ID"):
                for value in made.lines(name):
                    cancel.add(name, value)
            cancel.add("Max-Forwards", "70").add("CSeq", f"{made.cseq[0]} CANCEL")
            two.send(cancel)
            assert b.final(cancel).status == 200, (with_path, turn)
            a.reply(a.expect("CANCEL"), 200)
            a.reply(got, 487)
            assert b.final(made).status == 487


@case("RFC 3261 9.2: a server's CANCEL and ACK without the Route of their INVITE are known by its branch")
def without_route(t):
    b, g, a, seen = registered(t)
    reached = flows.UdpPort(b.ip, 0, b.inbox, b.name)
    t.at_end(reached.close)
    flow = reached.to(g.listeners["network-udp"])
    for turn in range(6):  # their Call-IDs belong to both shards
        made = b.build("INVITE", seen.contact.uri.text, routes=seen.values("Path"), body=sip.sdp())
        made.push("Via", flow.via())
        flow.send(made)
        got = a.expect("INVITE")
        a.reply(got, 180)
        b.response(180, to=made)
        cancel = sip.cancel_of(made)
        flow.send(cancel)
        assert b.final(cancel).status == 200, turn
        a.reply(a.expect("CANCEL"), 200)
        a.reply(got, 487)
        refusal = b.final(made)
        ack = sip.cancel_of(made).set("To", refusal.get("To")).set("CSeq", "1 ACK")
        ack.start = ack.start.replace("CANCEL", "ACK", 1)
        flow.send(ack)
    b.inbox.none(lambda m: not m.is_request and m.status == 487, 1.2, "487 again")
    nothing = sip.cancel_of(made).set("Call-ID", "nothing@test").set("Via", flow.via())
    flow.send(nothing)
    assert b.final(nothing).status == 481


def b_flow(t, g, b):
    flow = flows.StreamFlow(flows.connect(g.listeners["network-tcp"]), b.name, b.inbox).start()
    t.at_end(flow.close)
    return flow


@case("RFC 5922 7.1: who holds a next hop's certificate is that next hop on every shard, whatever its address")
def certificate_on_every_shard(t):
    names = NameServer({("trunk.test", "A"): ["127.0.0.2"]})
    t.at_end(names.close)
    pair, ours = t.certificate("trunk.test", names=["DNS:trunk.test"]), t.certificate("gateway.test")
    b = t.backend("127.0.0.2", tls=flows.server_context(pair[0], pair[1]))
    g = t.gateway("ws", network=(), start=False, dns={"nameservers": [names.address]})
    g.listen("tls", name="trunk", side="network", client_certificates="require",
             client_ca=str(t.authority.certificate), certificate=str(ours[0]), key=str(ours[1]))
    g.next_hop(f"sip:trunk.test:{b.tls.local[1]};transport=tls", tls_ca=str(t.authority.certificate),
               probe_interval="0s")
    g.start()
    context = flows.client_context(certificate=pair[0], key=pair[1])
    trunk = flows.StreamFlow(flows.connect(g.listeners["trunk"], tls=context, source=("127.0.0.3", 0)), b.name,
                             b.inbox).start()
    t.at_end(trunk.close)
    for turn in range(8):
        a = t.client(g, "ws", f"user{turn}")
        sent = a.register(send_only=True)
        seen = b.expect("REGISTER")
        b.answer_register(seen)
        a.final(sent)
        made = b.build("INVITE", seen.contact.uri.text, routes=seen.values("Path"), body=sip.sdp())
        made.push("Via", f"SIP/2.0/TLS 127.0.0.3:5061;branch={sip.branch()}")
        trunk.send(made)
        got = a.expect("INVITE")
        a.reply(got, 486)
        assert b.final(made).status == 486
