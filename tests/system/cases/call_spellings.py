"""Calls whose messages are written in unusual ways (RFC 3261 7.3, 25.1), and where our own BYE of them goes."""

from lib import sip
from lib.agents import hang_up
from lib.case import case

from cases.call_dialogs import SHORT, calls_of, no_calls
from cases.contacts import invite_by_path, register

INVITE = ("INVITE sip:bob@example.test SIP/2.0\r\n"
          "v:  SIP / 2.0 / WSS\r\n   {via} ; branch = {branch} ; rport\r\n"
          "mAX-fORWARDS  :  0070\r\n"
          "f: \"A \\\"x, <y>\\\" ;tag=no\" <sip:alice@example.test;x=1> {before} TAG = \r\n  abc\r\n"
          "T :\r\n\t<sip:bob@example.test>\r\n"
          "i:{call_id}\r\nCSEQ:\t7   INVITE\r\n"
          "m: \"Q, R\"   <{contact}>;q=0.5\r\n"
          "c: application/sdp\r\nl: {length}\r\n\r\n")


def with_proxy(t):
    """A next hop, a proxy of its that stands in Record-Route, and a gateway."""
    b, proxy = t.backend("127.0.0.2"), t.backend("127.0.0.3")
    g = t.gateway("wss", start=False, timers=SHORT)
    g.next_hop(b.uri(), members=["127.0.0.3/32"])
    g.start()
    return b, proxy, g


def arrives(proxy, method, routes, target, strict):
    """A request at the first proxy of that Route set, routed as RFC 3261 16.12 says."""
    seen = proxy.expect(method, 6)
    left = [route.uri.text for route in seen.routes]
    if strict:
        assert seen.uri == routes[0] and left == [*routes[1:], target], seen
    else:
        assert seen.uri == target and left == routes, seen
    return seen


@case("RFC 3261 7.3.1: compact names, folded lines, white space, quoted tags: the call is known by its true tags")
def spelt(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    for number, before in enumerate(("; a=b ;", ';a="c;tag=d";')):
        a = t.client(g, "wss")
        body = sip.sdp()
        head = INVITE.format(via=a.flow.invalid, branch=sip.branch(), before=before, call_id=f"spelt{number}@test",
                             contact=a.contact_uri, length=len(body))
        a.flow.send(head.encode() + body)
        seen = b.expect("INVITE")
        answer = b.reply(seen, 200, body=sip.sdp(), to_tag="b")
        ours = a.dialog(seen, a.response(200))
        ours.local, ours.cseq, ours.routes = seen.get("From"), 7, list(reversed(seen.record_routes))
        ours.request("ACK", cseq=7)
        b.expect("ACK")
        assert len(calls_of(g)) == 1
        if number:
            theirs = b.dialog(seen, answer)
            theirs.remote = "<sip:alice@example.test>;tag=abc"
            hang_up(theirs, b, a)
        else:
            a.flow.close()
            bye = b.expect("BYE", 5)
            assert bye.from_.tag == "abc" and bye.to.tag == "b" and bye.cseq[0] > 7, bye
            b.reply(bye, 200)
        no_calls(g)


@case("RFC 3261 16.12: Record-Route and Route values in one line, loose and strict: ACK, BYE of either side and ours",
      seconds=120)
def in_one_line(t):
    b, proxy, g = with_proxy(t)
    target = b.contact()[1:-1]
    for strict in (False, True):
        for end in ("caller", "callee", "gone"):
            a = t.client(g, "wss")
            sent = a.invite()
            seen = b.expect("INVITE")
            route = f"sip:{proxy.ip}:{proxy.port}" + ("" if strict else ";lr")
            ours_top, ours_below = seen.values("Record-Route")
            answer = sip.response(seen, 200, to_tag="x", contact=b.contact(), body=sip.sdp())
            answer.set("Record-Route", f"<{route}> ,{ours_top},  {ours_below}")
            seen.flow.send(answer)
            got = a.response(200, to=sent)
            assert len(got.record_routes) == 3, got
            caller = a.dialog(sent, got)
            caller.send = lambda message, _, a=a: a.flow.send(message.set("Route", ",".join(message.lines("Route"))))
            caller.request("ACK", cseq=1)
            arrives(proxy, "ACK", [route], target, strict)
            if end == "callee":
                callee = b.dialog(seen, answer)
                callee.routes = [sip.NameAddr(ours_top), sip.NameAddr(ours_below)]
                hang_up(callee, b, a)
            else:
                caller.request("BYE") if end == "caller" else a.flow.close()
                proxy.reply(arrives(proxy, "BYE", [route], target, strict), 200)
            no_calls(g)


@case("RFC 3261 16.12: the same towards a caller of the network side behind two proxies", seconds=90)
def behind_two_proxies(t):
    b, proxy, g = with_proxy(t)
    a = t.client(g, "wss")
    registered, _ = register(a, b)
    for strict in (False, True):
        loose = "" if strict else ";lr"
        routes = [f"sip:{proxy.ip}:{proxy.port}{loose}", f"sip:far.example{loose}"]
        recorded = [("Record-Route", f"<{routes[0]}>,<{routes[1]}>")]
        sent = invite_by_path(b, registered, body=sip.sdp(), headers=recorded)
        seen = a.expect("INVITE")
        answer = a.reply(seen, 200, body=sip.sdp())
        caller = b.caller_dialog(sent, b.response(200, to=sent))
        caller.routes = caller.routes[2:]
        caller.request("ACK", cseq=1)
        a.expect("ACK")
        asked = a.callee_dialog(seen, answer).request("INFO")
        proxy.reply(arrives(proxy, "INFO", routes, sent.contact.uri.text, strict), 200)
        assert a.final(asked).status == 200
        if strict:
            a.flow.close()
            proxy.reply(arrives(proxy, "BYE", routes, sent.contact.uri.text, strict), 200)
        else:
            hang_up(caller, b, a)
        no_calls(g)


@case("RFC 3261 20.10: a Contact without brackets, with a name, parameters or escapes: ACK, BYE, and our BYE", seconds=90)
def contacts(t):
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri(), timers=SHORT)
    at = f"{b.ip}:{b.port}"
    for contact in (f"sip:b@{at};expires=3", f"\"B, \\\"b\\\"\" <sip:b@{at}>;expires=5", f"sip:{at}",
                    f"<sip:%62:p%40@{at};transport=UDP;gr;x=%41>", f"<sip:b@{at};user=phone>;q=0.5"):
        for ours in (True, False):
            a = t.client(g, "wss")
            sent = a.invite()
            seen = b.expect("INVITE")
            b.reply(seen, 200, body=sip.sdp(), contact=contact)
            got = a.response(200, to=sent)
            caller = a.ack(sent, got)
            b.expect("ACK")
            if ours:
                a.flow.close()
                bye = b.expect("BYE", 5)
                assert bye.uri == got.contact.uri.text, (bye.uri, contact)
                b.reply(bye, 200)
            else:
                hang_up(caller, a, b)
            no_calls(g)
