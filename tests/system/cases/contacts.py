"""Contact, Path, flow tokens, registrations (RFC 5626, 5627, 3327)."""

import os
import time

from lib import sip
from lib.agents import call, elapsed_ms, hang_up
from lib.case import case
from lib.dns import NameServer
from lib.sip import NameAddr, Uri
from lib.waiting import until


def register(a, b, **options):
    """REGISTER through to a scripted registrar; returns (what the registrar saw, what the client got)."""
    sent = a.register(send_only=True, **options)
    seen = b.expect("REGISTER")
    b.answer_register(seen)
    return seen, a.final(sent)


def invite_by_path(b, register_seen, method="INVITE", **options):
    """A request to the registered Contact along the Path, as a registrar's proxy sends it."""
    routes = register_seen.values("Path")
    contact = register_seen.contact.uri.text
    made = b.build(method, contact, routes=routes, **options)
    return b.send_to(NameAddr(routes[0]).uri if routes else Uri(contact), made)


@case("Contact is left alone when we are not the first hop (RFC 5626 5.1)")
def contact_left_alone_when_we(t):
    b = t.backend()
    g = t.gateway("udp", "tcp", next_hop=b.uri())
    for transport in ("udp", "tcp"):
        a = t.client(g, transport)
        contact = "<sip:a@192.168.7.9:5144;transport=tls;x=1>;q=0.5"
        invite = a.build("INVITE", contact=contact, body=sip.sdp())
        invite.headers.insert(1, ("Via", "SIP/2.0/UDP 192.168.7.9:5144;branch=z9hG4bKinner"))
        a.flow.send(invite)
        assert b.expect("INVITE").lines("Contact") == [contact]


@case("a .invalid Contact is reachable, on the same WebSocket, without DNS (RFC 7118 8.1, 2606 2)", sanitize=True)
def invalid_contact_reachable_same_websocket(t):
    b = t.backend()
    names = NameServer({})
    t.at_end(names.close)
    g = t.gateway("wss", next_hop=b.uri(), dns={"nameservers": [names.address]})
    a = t.client(g, "wss")
    ours, theirs, seen = call(a, b)
    hang_up(theirs, b, a)
    assert not [name for name, _ in names.asked if name.endswith("invalid")], names.asked


@case("gr, ob and pn-* of a Contact arrive byte for byte (RFC 5627 4, 5626 4.3, 8599 4)")
def gr_ob_pn_contact_arrive(t):
    b = t.backend()
    g = t.gateway("wss", "udp", next_hop=b.uri())
    for transport in ("wss", "udp"):
        a = t.client(g, transport)
        for contact in ("<sip:alice@example.test;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>",
                        "<sip:alice@example.test;gr=x;pn-provider=acme;pn-prid=%41ab;pn-param=p>;+sip.x=\"y\"",
                        f"<{a.contact_uri};ob>"):
            a.invite(contact=contact)
            assert b.expect("INVITE").lines("Contact") == [contact]
        contact = f'<{a.contact_uri};pn-provider=acme;pn-prid=%41ab>;+sip.instance="{a.instance}";reg-id=1'
        a.request("REGISTER", "sip:example.test", to_uri=a.aor, contact=contact,
                  headers=[("Supported", "path, outbound")])
        assert b.expect("REGISTER").lines("Contact") == [contact]


@case("REGISTER keeps its Contact and gets a Path with a token and ob (RFC 3327 5.2, 5626 5.1)", sanitize=True)
def register_keeps_contact_gets_path(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    sent = a.register(send_only=True)
    seen = b.expect("REGISTER")
    assert seen.lines("Contact") == sent.lines("Contact")
    paths = [NameAddr(value) for value in seen.values("Path")]
    assert paths and all("lr" in path.uri.params for path in paths), seen
    assert any("ob" in path.uri.params for path in paths), seen
    assert any(path.uri.user for path in paths), "no token"
    top = paths[0].uri
    assert (top.host, top.port) == g.listeners["network-udp"], f"{top} is not the next hop's way to us"
    b.answer_register(seen)
    assert a.final(sent).status == 200


@case("no ob when we are not the first hop (RFC 5626 5.1)")
def no_ob_when_we_are(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri())
    a = t.client(g, "tcp")
    message = a.build("REGISTER", "sip:example.test", to_uri=a.aor,
                      contact=f'{a.contact};+sip.instance="{a.instance}";reg-id=1',
                      headers=[("Supported", "path, outbound")])
    message.headers.insert(1, ("Via", "SIP/2.0/UDP 192.168.7.9:5144;branch=z9hG4bKinner"))
    a.flow.send(message)
    seen = b.expect("REGISTER")
    assert seen.values("Path"), seen
    assert not any("ob" in NameAddr(value).uri.params for value in seen.values("Path")), seen


@case("a call to a registered browser arrives on its flow", sanitize=True)
def call_by_path(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    seen, got = register(a, b)
    assert got.status == 200
    invite = invite_by_path(b, seen, body=sip.sdp())
    at_a = a.expect("INVITE")
    assert at_a.uri == a.contact_uri and not at_a.routes, at_a
    answer = a.reply(at_a, 200, body=sip.sdp())
    got = b.response(200, to=invite)
    theirs = b.caller_dialog(invite, got)
    theirs.request("ACK", cseq=1)
    a.expect("ACK")
    hang_up(theirs, b, a)


def dead_flow(t, transport, end):
    b = t.backend()
    g = t.gateway(transport, next_hop=b.uri())
    a = t.client(g, transport)
    seen, got = register(a, b)
    assert got.status == 200
    getattr(a.flow, end)()
    until(lambda: g.metric("ringway_flows", transport=transport) == 0, 5, "the flow is gone")
    for _ in range(3):
        begin = time.monotonic()
        invite = invite_by_path(b, seen, body=sip.sdp())
        got = b.final(invite)
        took = elapsed_ms(begin)
        assert got.status in (430, 480), got
        assert took < 100, f"{got.status} after {took:.0f} ms"
    return g


@case("a call to a dead flow is 430 at once (RFC 5626 5.3)", sanitize=True)
def call_dead_flow_430_at(t):
    dead_flow(t, "wss", "close")


@case("a call to a dead flow is 430 over WS, TCP and TLS (RFC 5626 5.3)")
def call_dead_flow_430_over(t):
    for transport, end in (("ws", "abort"), ("tcp", "close"), ("tls", "abort")):
        b = t.backend()
        g = t.gateway(transport, next_hop=b.uri(), name=f"ringway-{transport}")
        a = t.client(g, transport)
        seen, got = register(a, b)
        getattr(a.flow, end)()
        until(lambda: g.metric("ringway_flows", transport=transport) == 0, 5, f"the {transport} flow is gone")
        begin = time.monotonic()
        got = b.final(invite_by_path(b, seen, body=sip.sdp()))
        assert got.status in (430, 480) and elapsed_ms(begin) < 100, got


@case("a token of the peer node with the same key is dead, not forged (RFC 5626 5.3)")
def token_peer_node_with_same(t):
    b = t.backend()
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g = t.gateway("wss", next_hop=b.uri(), key_file=str(key))
    a = t.client(g, "wss")
    seen, _ = register(a, b)
    g.restart(crash=True)
    got = b.final(invite_by_path(b, seen, body=sip.sdp()))
    assert got.status in (430, 480), got


@case("a token of another key is refused")
def other_key(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    seen, _ = register(a, b)
    g.restart(crash=True)
    got = b.final(invite_by_path(b, seen, body=sip.sdp()))
    assert got.status == 403, got


@case("420 of a registrar without Path passes; the switch adds path to Supported (RFC 3327 5.2)")
def answer_420_registrar_without_path_passes(t):
    for switch in (False, True):
        b = t.backend()
        g = t.gateway("wss", start=False, name=f"ringway-{switch}")
        g.next_hop(b.uri(), binding="path", add_supported_path=switch)
        g.start()
        a = t.client(g, "wss")
        sent = a.request("REGISTER", "sip:example.test", to_uri=a.aor, contact=f"{a.contact};expires=60",
                         headers=[("Supported", "gruu")])
        seen = b.expect("REGISTER")
        assert ("path" in seen.values("Supported")) == switch, seen
        b.reply(seen, 420, headers=[("Unsupported", "path")])
        got = a.final(sent)
        assert got.status == 420 and got.values("Unsupported") == ["path"], got


@case("binding = contact: the registrar gets a Contact at us, the client sees its own")
def binding_contact(t):
    b = t.backend()
    g = t.gateway("wss", start=False)
    g.next_hop(b.uri(), binding="contact")
    g.start()
    a = t.client(g, "wss")
    sent = a.register(send_only=True, expires=120)
    seen = b.expect("REGISTER")
    uri = seen.contact.uri
    assert (uri.host, uri.port) == g.listeners["network-udp"], uri
    assert not seen.values("Path"), seen
    b.answer_register(seen, 120)
    got = a.final(sent)
    assert got.status == 200 and got.contact.uri.text == a.contact_uri, got
    assert got.contact.params.get("expires") == "120", got
    invite = b.send_to(uri, b.build("INVITE", uri.text, body=sip.sdp()))
    at_a = a.expect("INVITE")
    assert at_a.uri == a.contact_uri, at_a.uri
    a.reply(at_a, 486)
    b.response(486, to=invite)


@case("binding = auto: Path where the registrar keeps it, else a Contact at us")
def binding_auto(t):
    b = t.backend()
    g = t.gateway("wss", start=False)
    g.next_hop(b.uri(), binding="auto")
    g.start()
    a = t.client(g, "wss")
    # A registrar that ignores Path: its 200 shows no Path. Within two registrations a call must arrive.
    call_id = sip.token()
    contact = None
    for number in (1, 2):
        sent = a.register(send_only=True, call_id=call_id, cseq=number)
        while True:
            seen = b.expect("REGISTER")
            b.reply(seen, 200, headers=[("Contact", seen.get("Contact") + ";expires=300")])
            contact = seen.contact.uri
            final = [m for m in a.inbox.items if not m.is_request and m.status >= 200]
            if final or a.final(sent, 5):
                break
    assert (contact.host, contact.port) == g.listeners["network-udp"], contact
    invite = b.send_to(contact, b.build("INVITE", contact.text, body=sip.sdp()))
    a.reply(a.expect("INVITE"), 486)
    b.response(486, to=invite)


@case("de-registration and 3xx Contacts pass untouched")
def contacts_untouched(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    register(a, b)
    sent = a.request("REGISTER", "sip:example.test", to_uri=a.aor, contact="*", cseq=2,
                     headers=[("Expires", "0")])
    seen = b.expect("REGISTER")
    assert seen.lines("Contact") == ["*"], seen
    b.reply(seen, 200)
    a.response(200, to=sent)
    sent = a.invite()
    seen = b.expect("INVITE")
    targets = "<sip:c@192.168.1.9>;q=0.9, <sip:d@other.invalid>;q=0.1"
    b.reply(seen, 302, headers=[("Contact", targets)])
    got = a.response(302, to=sent)
    assert ", ".join(got.lines("Contact")) == targets, got


@case("two flows of one instance: a request reaches the flow that its token names")
def two_flows(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    first, second = t.client(g, "wss"), t.client(g, "wss")
    second.instance = first.instance
    seen_first, _ = register(first, b, reg_id=1)
    seen_second, _ = register(second, b, reg_id=2)
    for client, seen in ((first, seen_first), (second, seen_second)):
        invite = invite_by_path(b, seen, body=sip.sdp())
        client.reply(client.expect("INVITE"), 486)
        b.response(486, to=invite)


@case("SUBSCRIBE and NOTIFY both ways, MESSAGE out of dialog both ways")
def subscribe(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    seen_register, _ = register(a, b)
    sent = a.request("SUBSCRIBE", headers=[("Event", "presence"), ("Expires", "60")])
    seen = b.expect("SUBSCRIBE")
    answer = b.reply(seen, 200, headers=[("Expires", "60")])
    got = a.response(200, to=sent)
    theirs = b.dialog(seen, answer)
    notify = theirs.request("NOTIFY", headers=[("Event", "presence"), ("Subscription-State", "active")])
    a.reply(a.expect("NOTIFY"), 200)
    b.response(200, to=notify)
    message = invite_by_path(b, seen_register, "MESSAGE", body=b"hello", content_type="text/plain")
    at_a = a.expect("MESSAGE")
    assert at_a.body == b"hello"
    a.reply(at_a, 200)
    b.response(200, to=message)
    sent = a.request("MESSAGE", body="grüße".encode(), content_type="text/plain")
    seen = b.expect("MESSAGE")
    assert seen.body == "grüße".encode()
    b.reply(seen, 200)
    a.response(200, to=sent)
