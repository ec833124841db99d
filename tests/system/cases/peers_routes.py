"""Routes and Record-Route values as peers write and read them (RFC 3261 16.6, RFC 5658, RFC 7118). Two shards."""

import os

from lib import flows, sip
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.waiting import until


def own_address(part):
    """Default ports are the point here; a loopback address of our own keeps them free."""
    return f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}.{part}"


@case("RFC 7118 5: a Route that names a WebSocket listener without a port means its default port")
def default_ports(t):
    ip = own_address(44)
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False)
    pair = t.certificate("gateway.test")
    g.listen("wss", ip=ip, port=443, advertise="gateway.test:443", certificate=str(pair[0]), key=str(pair[1]))
    g.listen("ws", ip=ip, port=80)
    g.start()
    for transport, port in (("wss", 443), ("ws", 80)):
        a = Client(getattr(flows, transport)((ip, port), "A"))
        t.at_end(a.flow.close)
        for route in (f"<sip:{ip};transport=ws;lr>", f"<sip:{ip}:{port};transport=ws;lr>",
                      "<sip:gateway.test;transport=ws;lr>", "<sip:GATEWAY.test:443;transport=ws;lr>"):
            sent = a.invite(routes=[route], body=sip.sdp())
            seen = b.expect("INVITE")
            assert not seen.routes, seen
            b.reply(seen, 486)
            assert a.final(sent).status == 486
        for route in (f"<sip:{ip}:5060;transport=ws;lr>", "<sip:203.0.113.5;transport=ws;lr>",
                      "<sip:gateway.test:444;transport=ws;lr>", "<sip:other.gateway.test;transport=ws;lr>"):
            sent = a.invite(routes=[route], body=sip.sdp())
            assert a.final(sent).status == 403, route
    b.no_request("INVITE", 0.1)


@case("RFC 5658 6.2: between TLS and UDP the UDP side's Record-Route value says transport=udp")
def tls_to_udp(t):
    b = t.backend()
    g = t.gateway("tls", "tcp", "ws", next_hop=b.uri())
    for transport in ("tls", "tcp", "ws"):
        a = t.client(g, transport)
        sent = a.invite(body=sip.sdp())
        seen = b.expect("INVITE")
        top, below = (value.uri for value in seen.record_routes)
        assert transport != "tls" or "transport=udp" in top.text, seen
        assert (f"transport={transport}" in below.text) == (transport != "tls"), seen
        answer = b.reply(seen, 200, body=sip.sdp())
        ours = a.ack(sent, a.response(200, to=sent))
        b.expect("ACK")
        hang_up(b.dialog(seen, answer), b, a)
        assert ours is not None


@case("RFC 3261 16.6 item 4: a sips request is record-routed with sips on both sides")
def sips(t):
    pair = t.certificate("b.test", names=["IP:127.0.0.1", "DNS:b.test"])
    b = t.backend(tls=flows.server_context(pair[0], pair[1]))
    g = t.gateway("tls", "wss", network=("tls",), start=False)
    g.next_hop(b.uri("tls"), tls_ca=str(t.authority.certificate), probe_interval="0s")
    g.start()
    for transport in ("tls", "wss"):
        a = t.client(g, transport)
        for uri in ("sips:bob@example.test", "sips:+4930@example.test;user=phone"):
            sent = a.invite(uri, body=sip.sdp())
            seen = b.expect("INVITE")
            assert [value.uri.scheme for value in seen.record_routes] == ["sips", "sips"], seen
            b.reply(seen, 486)
            assert a.final(sent).status == 486
        # An ordinary one stays as it was.
        sent = a.invite(body=sip.sdp())
        seen = b.expect("INVITE")
        assert all(value.uri.scheme == "sip" for value in seen.record_routes), seen
        b.reply(seen, 486)
        a.final(sent)


@case("what we originate obeys the rule of targets: no BYE of ours goes to an address that nobody listed")
def own_requests(t):
    x = t.backend("127.0.0.3", name="X")
    for contact in (f"<sip:x@{x.ip}:{x.port};transport=tcp>", f"<sip:x@{x.ip}:{x.port}>",
                    f"<sip:x@127.0.0.1:{x.port};maddr={x.ip}>"):
        b = t.backend("127.0.0.2")
        g = t.gateway("ws", start=False, name=f"ringway-{abs(hash(contact))}", timers={"grace": "1s", "drain": "1s"})
        g.next_hop(b.uri(), probe_interval="0s")
        g.start()
        a = t.client(g, "ws")
        sent = a.register(send_only=True)
        b.answer_register(b.expect("REGISTER"))
        a.final(sent)
        sent = a.invite(body=sip.sdp())
        seen = b.expect("INVITE")
        b.reply(seen, 200, body=sip.sdp(), contact=contact)
        a.ack(sent, a.response(200, to=sent))
        a.flow.close()
        until(lambda: any(event["event"] == "call_ended" for event in g.events()), 10, "the call ends")
        x.silence(0.3)


@case("RFC 5626 5.3: of two tabs of one instance on two shards, each keeps its own call's requests")
def two_tabs(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri())
    pairs = []
    for turn in range(6):  # some of them on both shards
        one = t.client(g, "ws", f"user{turn}")
        sent = one.register(send_only=True)
        b.answer_register(b.expect("REGISTER"))
        one.final(sent)
        ours, theirs, _ = call(one, b)
        two = t.client(g, "ws", f"user{turn}")
        two.instance = one.instance
        sent = two.register(send_only=True)
        b.answer_register(b.expect("REGISTER"))
        two.final(sent)
        pairs.append((one, two, ours, theirs))
    for one, two, ours, theirs in pairs:
        hang_up(theirs, b, one)
        two.no_request("BYE", 0.02)
