"""Names of next hops, with two shards: one that is slow or wrong holds up no other."""

import json
import time

from lib.agents import call, hang_up
from lib.case import case
from lib.dns import NameServer
from lib.waiting import until


def gateway(t, names, *next_hops):
    g = t.gateway("udp", shards=2, start=False, dns={"nameservers": [names.address]})
    for next_hop in next_hops:
        g.config["next_hop"].append(next_hop)
    return g


def start_without_waiting(t, g):
    """Starts the program; who asks /healthz sees how it becomes ready."""
    from lib.gateway import binary
    from lib.programs import Program
    g.enable_admin()
    g.write()
    g.ports.release()
    g.program = Program(g.name, [binary(), "run", "--config", g.file], g.directory)
    until(lambda: _health(g) is not None, 20, "the admin port answers")


def _health(g):
    try:
        status, body = g.http("/healthz")
        return status, json.loads(body)
    except (OSError, ValueError):
        return None


@case("a name server that says nothing holds up its own next hop only; ready means that all were tried")
def silent_name_server(t):
    names = NameServer({})
    names.silent = True
    t.at_end(names.close)
    b = t.backend()
    g = gateway(t, names, {"name": "numeric", "address": b.uri()},
                {"name": "named", "address": "sip:pbx.test;transport=udp", "domains": ["pbx.test"]},
                {"name": "other", "address": "sip:other.test", "domains": ["other.test"]})
    start_without_waiting(t, g)
    assert _health(g)[0] == 503 and _health(g)[1]["status"] == "starting", _health(g)
    a = t.client(g, "udp")
    before = time.monotonic()
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)
    assert _health(g)[1]["status"] == "starting", "the calls were served before all names were tried"
    assert not any(event["event"] == "ready" for event in g.events())
    assert time.monotonic() - before < 8, "at once"
    until(lambda: _health(g)[0] == 200, 40, "ready once all were tried")
    until(lambda: any(event["event"] == "ready" for event in g.events()), 5, "the log's line")
    assert "named" in json.dumps(_health(g)[1]), _health(g)


@case("an SRV record with port 0 is skipped, for one of several and for the only one (RFC 2782)")
def port_zero(t):
    b = t.backend()
    port = int(b.uri().split(":")[-1].split(";")[0])
    names = NameServer({("_sip._udp.pbx.test", "SRV"): [(1, 1, 0, "h.test"), (2, 1, port, "h.test")],
                        ("_sip._udp.none.test", "SRV"): [(1, 1, 0, "h.test")],
                        ("h.test", "A"): ["127.0.0.1"]})
    t.at_end(names.close)
    g = gateway(t, names, {"name": "pbx", "address": "sip:pbx.test;transport=udp"},
                {"name": "none", "address": "sip:none.test;transport=udp", "domains": ["none.test"], "from": "both"})
    g.start()
    a = t.client(g, "udp")
    before = time.monotonic()
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)
    assert time.monotonic() - before < 4, "port 0 was not tried first"
    sent = a.request("OPTIONS", "sip:x@none.test", to_uri="sip:x@none.test")
    assert a.final(sent).status in (480, 502, 503), "there is nowhere to send it"
