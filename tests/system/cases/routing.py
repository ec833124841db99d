"""Record-Route, Route, strict routers, forged tokens (RFC 3261 16, 5658)."""

from lib import flows, sip
from lib.agents import Backend, call, elapsed_ms, hang_up
from lib.case import case
from lib.sip import NameAddr
from lib.waiting import Timeout

import time

NAMES = ("127.0.0.1", "gateway.test")


def listener_of(t, record_route, gateway, name):
    """Holds that a Record-Route names exactly that listener."""
    uri = record_route.uri
    ip, port = gateway.listeners[name]
    t_host = uri.host in (ip, "gateway.test")
    assert t_host and uri.port == port, f"{record_route.text} is not {name} at {ip}:{port}"
    assert "lr" in uri.params, f"no lr in {record_route.text}"


def flip(uri_text, position):
    """The URI with one character of its user part changed (or of its longest parameter)."""
    uri = sip.Uri(uri_text)
    part = uri.user or max(uri.params.values(), key=len)
    index = int(position * (len(part) - 1))
    other = "A" if part[index] != "A" else "B"
    return uri_text.replace(part, part[:index] + other + part[index + 1:], 1)


def check_double(t, transport, expected):
    b = t.backend()
    g = t.gateway(transport, next_hop=b.uri())
    a = t.client(g, transport)
    sent = a.invite()
    seen = b.expect("INVITE")
    routes = seen.record_routes
    assert len(routes) == 2, f"{len(routes)} Record-Route values: {seen!r}"
    listener_of(t, routes[0], g, "network-udp")
    listener_of(t, routes[1], g, f"access-{transport}")
    if transport != "tls":
        assert routes[1].uri.transport in expected, routes[1].text
    answer = b.reply(seen, 200, body=sip.sdp())
    got = a.response(200, to=sent)
    assert [one.text for one in got.record_routes] == [one.text for one in routes], "changed on the way back"
    ours = a.ack(sent, got)
    b.expect("ACK")
    hang_up(b.dialog(seen, answer), b, a)
    return ours


@case("two Record-Route values from WSS to UDP, next-hop side on top (RFC 5658 5)", sanitize=True)
def two_record_route_values_from(t):
    check_double(t, "wss", ("ws",))


@case("two Record-Route values from WS, TCP and TLS to UDP (RFC 5658 5)")
def two_record_routes_from_streams(t):
    for index, (transport, expected) in enumerate((("ws", ("ws",)), ("tcp", ("tcp",)), ("tls", ()))):
        b = t.backend()
        g = t.gateway(transport, next_hop=b.uri(), name=f"ringway-{transport}")
        a = t.client(g, transport)
        sent = a.invite()
        routes = b.expect("INVITE").record_routes
        assert len(routes) == 2, routes
        listener_of(t, routes[0], g, "network-udp")
        listener_of(t, routes[1], g, f"access-{transport}")
        assert transport == "tls" or routes[1].uri.transport in expected, routes[1].text


@case("transport=wss in Record-Route by option (RFC 7118 5.2)")
def record_route_wss_option(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), start=False)
    g.config["listen"][0]["record_route_wss"] = True
    g.start()
    a = t.client(g, "wss")
    a.invite()
    assert b.expect("INVITE").record_routes[1].uri.transport == "wss"


@case("one Record-Route where nothing changes (RFC 3261 16.6)")
def one_record_route(t):
    b, a = t.backend(), t.backend(name="A")
    g = t.gateway(start=False)
    g.next_hop(b.uri(), domains=["b.test"])
    g.next_hop(a.uri(), domains=["a.test"])
    g.start()
    invite = a.build("INVITE", "sip:bob@b.test", body=sip.sdp())
    a.send_to("sip:%s:%d" % g.listeners["network-udp"], invite)
    routes = b.expect("INVITE").record_routes
    assert len(routes) == 1, routes
    listener_of(t, routes[0], g, "network-udp")


@case("an in-dialog request leaves without our Route pair (RFC 3261 16.4)", sanitize=True)
def in_dialog_without_our_routes(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    sent = a.invite()
    seen = b.expect("INVITE")
    b.reply(seen, 200, body=sip.sdp())
    got = a.response(200, to=sent)
    ours = a.ack(sent, got)
    ack = b.expect("ACK")
    assert not ack.routes, ack
    assert ack.uri == sip.NameAddr(b.contact()).uri.text, ack.uri
    bye = ours.request("BYE")
    seen = b.expect("BYE")
    assert not seen.routes and seen.uri == ack.uri
    b.reply(seen, 200)
    a.response(200, to=bye)


@case("a foreign Route behind ours is not eaten (RFC 3261 16.4)")
def foreign_route_behind_ours(t):
    b, evil = t.backend(), t.backend(name="evil")
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    ours, theirs, _ = call(a, b)
    foreign = NameAddr(f"<sip:{evil.ip}:{evil.port};lr>")
    ours.routes = [ours.routes[0], foreign]
    options = ours.request("INFO")
    reply = None
    try:
        reply = a.final(options, 2)
    except Timeout:
        pass
    if reply is not None and reply.status == 403:
        assert b.inbox.count(lambda m: m.is_request and m.method == "INFO") == 0
        return
    carried = [m for one in (evil, b) for m in one.inbox.seen if m.is_request and m.method == "INFO"]
    assert carried and all(any(r.uri.port == evil.port for r in m.routes) for m in carried), \
        f"the foreign Route is gone: {carried} {reply}"


@case("a stranger's Route or Request-URI sends nothing to whom it names, an ACK neither")
def no_open_relay(t):
    b, victim = t.backend(), t.backend(name="victim")
    g = t.gateway("udp", "wss", next_hop=b.uri())
    for transport in ("udp", "wss"):
        a = t.client(g, transport)
        for method in ("ACK", "MESSAGE", "BYE", "OPTIONS", "INVITE"):
            for tag in (None, "of-no-dialog"):
                sent = a.request(method, f"sip:x@{victim.ip}:{victim.port}", to_tag=tag,
                                 routes=[f"<sip:{victim.ip}:{victim.port};lr>"])
                if method != "ACK":
                    assert a.final(sent).status == 403
        a.request("ACK", f"sip:x@{victim.ip}:{victim.port}", to_tag="of-no-dialog")
        ip, port = g.listeners[f"access-{transport}"]
        last = a.request("OPTIONS", f"sip:{ip}:{port}")
        assert a.final(last).status == 200  # all before it was dealt with
    victim.silence(0.1)


@case("an altered Record-Route token is refused (RFC 5626 5.3)", sanitize=True)
def an_altered_record_route_token(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    ours, theirs, _ = call(a, b)
    whole = list(ours.routes)
    for which in (0, 1):
        for position in (0.0, 0.3, 0.6, 0.9):
            ours.routes = list(whole)
            ours.routes[which] = NameAddr("<" + flip(whole[which].uri.text, position) + ">")
            info = ours.request("INFO")
            got = a.final(info, 3)
            assert got.status == 403, f"{ours.routes[which].text}: {got.status}"
    # The same from the network side.
    whole = list(theirs.routes)
    theirs.routes = [NameAddr("<" + flip(whole[0].uri.text, 0.5) + ">"), *whole[1:]]
    info = theirs.request("INFO")
    assert b.final(info, 3).status == 403
    b.no_request("INFO", 0.2)
    a.no_request("INFO", 0.1)


@case("a strict router before us: the last Route becomes the Request-URI (RFC 3261 16.4)")
def strict_router_before_us(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri())
    a = t.client(g, "tcp")
    ours, theirs, _ = call(a, b)
    target = ours.target
    first, second = ours.routes
    # What a strict caller makes of the set: its first value is the Request-URI.
    ours.target, ours.routes = first.uri.text, [second, NameAddr(f"<{target}>")]
    bye = ours.request("BYE")
    seen = b.expect("BYE")
    assert seen.uri == target and not seen.routes, seen
    b.reply(seen, 200)
    a.response(200, to=bye)


@case("a strict router before us, on the network side (RFC 3261 16.4)")
def strict_router_before_us_network(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri())
    a = t.client(g, "tcp")
    ours, theirs, _ = call(a, b)
    target = theirs.target
    first, second = theirs.routes
    theirs.target, theirs.routes = first.uri.text, [second, NameAddr(f"<{target}>")]
    bye = theirs.build("BYE")
    b.send_to(first.uri, bye.set("Via", None))
    seen = a.expect("BYE")
    assert not seen.routes, seen
    assert seen.uri == a.contact_uri, (seen.uri, a.contact_uri)
    a.reply(seen, 200)
    b.response(200, to=bye)


@case("a strict router behind us: its Route becomes the Request-URI (RFC 3261 16.6)")
def strict_router_behind_us(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri())
    a = t.client(g, "tcp")
    ours, theirs, _ = call(a, b)
    strict = f"sip:{b.ip}:{b.port}"
    old = ours.target
    ours.routes = [*ours.routes, NameAddr(f"<{strict}>")]
    bye = ours.request("BYE")
    seen = b.expect("BYE")
    assert seen.uri == strict, seen.uri
    assert seen.routes[-1].uri.text == old and len(seen.routes) == 1, seen
    b.reply(seen, 200)
    a.response(200, to=bye)


@case("our own address in the callee's Contact is no strict routing (RFC 3261 16.4)")
def own_address_in_contact(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri())
    a = t.client(g, "tcp")
    sent = a.invite()
    seen = b.expect("INVITE")
    ip, port = g.listeners["network-udp"]
    b.reply(seen, 200, body=sip.sdp(), contact=f"<sip:service@{ip}:{port}>")
    got = a.response(200, to=sent)
    ours = a.ack(sent, got)
    b.expect("ACK")
    bye = ours.request("BYE")
    seen = b.expect("BYE")
    assert not seen.routes and seen.uri == f"sip:service@{ip}:{port}", seen
    b.reply(seen, 200)
    a.response(200, to=bye)


@case("sips to a plain next hop is 480 with Warning 380; sip never becomes sips (RFC 5630 5.3)")
def sips_to_plain_next_hop(t):
    b = t.backend()
    g = t.gateway("tls", next_hop=b.uri())
    a = t.client(g, "tls")
    sent = a.invite("sips:bob@example.test")
    got = a.final(sent)
    assert got.status == 480, got
    assert (got.get("Warning") or "").startswith("380 "), got
    b.no_request("INVITE", 0.2)
    a.invite("sip:bob@example.test")
    seen = b.expect("INVITE")
    assert seen.uri.startswith("sip:") and all(r.uri.scheme == "sip" for r in seen.record_routes), seen


@case("a TLS leg is record-routed by the certificate's name, without transport=tls (RFC 5658 6.2)")
def tls_leg_by_certificate_name(t):
    b = t.backend()
    g = t.gateway("tls", next_hop=b.uri())
    a = t.client(g, "tls")
    a.invite()
    uri = b.expect("INVITE").record_routes[1].uri
    assert uri.host == "gateway.test" and uri.transport != "tls", uri


@case("transport=tls and sips in Record-Route by option (RFC 5630 5.3)")
def record_route_secure_options(t):
    for option, test in (("transport_tls", lambda uri: uri.transport == "tls"),
                         ("sips", lambda uri: uri.scheme == "sips")):
        b = t.backend()
        g = t.gateway("tls", next_hop=b.uri(), start=False, name=f"ringway-{option}")
        g.config["listen"][0]["record_route_secure"] = option
        g.start()
        a = t.client(g, "tls")
        a.invite()
        uri = b.expect("INVITE").record_routes[1].uri
        assert test(uri), f"{option}: {uri}"


@case("the port is written where it is not the transport's default (RFC 3261 19.1.2)")
def port_not_the_default(t):
    # Port 5060 is the point of this row; a loopback address of our own keeps it free.
    import os
    ip = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}.61"
    b = t.backend()
    g = t.gateway(next_hop=b.uri(), start=False)
    pair = t.certificate("gateway.test")
    g.listen("tls", ip=ip, port=5060,
             certificate=str(pair[0]), key=str(pair[1]))
    g.start()
    a = t.client(g, "tls")
    a.invite()
    text = b.expect("INVITE").record_routes[1].text
    assert ":5060" in text, text


@case("Identity headers pass byte for byte, in their order (RFC 8224 4)")
def identity_headers_pass(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    values = ["eyJhbGciOiJFUzI1NiJ9..one;info=<https://a.test/c.cer>;alg=ES256;ppt=shaken",
              "eyJhbGciOiJFUzI1NiJ9..two;info=<https://b.test/c.cer>"]
    date = "Mon, 23 Nov 2026 23:30:00 GMT"
    a.invite(headers=[("Identity", values[0]), ("Date", date), ("Identity", values[1])])
    seen = b.expect("INVITE")
    assert seen.lines("Identity") == values and seen.get("Date") == date, seen


@case("the sending listener named in the config is the one used, on UDP, TCP and TLS (RFC 3261 18.1.1)")
def sending_listener_named(t):
    pair = t.certificate("b.test")
    b = t.backend(tls=flows.server_context(pair[0], pair[1]))
    for transport in ("udp", "tcp", "tls"):
        g = t.gateway("ws", network=(), start=False, name=f"ringway-{transport}")
        own = t.certificate(f"gateway-{transport}.test")
        secure = {} if transport != "tls" else {
            "certificate": str(own[0]), "key": str(own[1])}
        g.listen(transport, side="network", ip="127.0.0.1", name="first", **secure)
        chosen = g.listen(transport, side="network", ip="127.0.0.3", name="chosen", **secure)
        options = {"tls_ca": str(t.authority.certificate), "tls_name_check": "off"} if transport == "tls" else {}
        g.next_hop(b.uri(transport), send_from="chosen", **options)
        g.start()
        a = t.client(g, "ws")
        a.invite()
        seen = b.expect("INVITE")
        assert seen.flow.remote[0] == "127.0.0.3", f"{transport}: came from {seen.flow.remote}"
        assert transport != "udp" or seen.flow.remote[1] == chosen[1]
        assert (seen.via.host, seen.via.port) in (chosen, (f"gateway-{transport}.test", chosen[1])), seen.via.text
        assert seen.via.transport == transport.upper()


@case("an impossible sending listener is an error at start")
def impossible_sending_listener(t):
    from lib.gateway import binary
    import subprocess
    b = t.backend()
    g = t.gateway("ws", network=(), start=False)
    g.listen("udp", side="network", name="only-udp")
    g.next_hop("sip:127.0.0.1:5061;transport=tls", send_from="only-udp")
    g.enable_admin()
    g.write()
    g.ports.release()
    done = subprocess.run([binary(), "run", "--config", g.file], capture_output=True, text=True, timeout=10)
    assert done.returncode not in (0, 99) and "only-udp" in done.stderr + done.stdout, done


@case("tokens outlive a restart with the same key: BYE of an old call still routes")
def tokens_restart(t):
    import os
    b = t.backend()
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g = t.gateway("udp", next_hop=b.uri(), key_file=str(key))
    a = t.client(g, "udp")
    ours, theirs, _ = call(a, b)
    g.restart(crash=True)
    hang_up(theirs, b, a)
    hang_up(ours, a, b)


@case("IPv6 on the access side, IPv4 on the network side, and the reverse")
def families(t):
    for index, (near, far) in enumerate((("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("::1", "::1"))):
        b = t.backend(far)
        g = t.gateway("wss", "udp", "tcp", next_hop=b.uri(), ip=near, network_ip=far, name=f"ringway-{index}",
                      start=False)
        for one in g.config["listen"]:
            one["name"] = one["name"].replace("-6", "")
        g.listeners = {name.replace("-6", ""): address for name, address in g.listeners.items()}
        g.start()
        for transport in ("wss", "udp", "tcp"):
            a = t.client(g, transport)
            ours, theirs, seen = call(a, b)
            hang_up(theirs, b, a)
            ours, theirs, seen = call(a, b)
            hang_up(ours, a, b)


def matrix(t, network):
    """Calls from every access transport to one network transport, in-dialog requests from both ends."""
    pair = t.certificate("b.test")
    b = t.backend(tls=flows.server_context(pair[0], pair[1]))
    g = t.gateway("udp", "tcp", "tls", "ws", "wss", network=("udp", "tcp", "tls"), start=False)
    options = {"tls_ca": str(t.authority.certificate), "tls_name_check": "off"} if network == "tls" else {}
    g.next_hop(b.uri(network), **options)
    g.start()
    for transport in ("udp", "tcp", "tls", "ws", "wss"):
        a = t.client(g, transport)
        ours, theirs, seen = call(a, b, transport=network)
        assert seen.flow.transport == network.upper(), seen.flow.transport
        for method in ("INFO", "UPDATE", "REFER", "NOTIFY", "MESSAGE"):
            for dialog, sender, receiver in ((ours, a, b), (theirs, b, a)):
                sent = dialog.request(method)
                got = receiver.expect(method)
                receiver.reply(got, 202 if method == "REFER" else 200)
                sender.response(2, to=sent)
        for dialog, sender, receiver in ((ours, a, b), (theirs, b, a)):
            sent = dialog.request("INVITE", body=sip.sdp(direction="sendonly", version=2))
            got = receiver.expect("INVITE")
            receiver.reply(got, 200, body=sip.sdp(direction="recvonly"))
            sender.response(200, to=sent)
            dialog.request("ACK", cseq=sent.cseq[0])
            receiver.expect("ACK")
        hang_up(ours, a, b) if transport in ("udp", "ws") else hang_up(theirs, b, a)


for _network in ("udp", "tcp", "tls"):
    def _run(t, network=_network):
        matrix(t, network)
    _run.__module__ = __name__
    case(f"matrix: every access transport to {_network.upper()}, requests from both ends of the dialog",
         sanitize=_network == "udp")(_run)
