"""Names with two shards: many requests for slow ones, next hops that wait for no other, resolv.conf, silent next hops."""

import json
import os
import random
import re
import threading
import time

from lib import sip
from lib.agents import call, hang_up, serves
from lib.case import Skip, case
from lib.dns import NameServer
from lib.waiting import until
from cases.control_dns import gateway, start_without_waiting

SHARDS = {"shards": 2}


def name_server(t, records, **options):
    names = NameServer(records, **options)
    t.at_end(names.close)
    return names


class Named:
    """A call whose callee's Contact is a name: its requests have to ask for it."""

    def __init__(self, t, g, b, transport, name):
        self.a = t.client(g, transport, user=name.replace(".", "-"))
        sent = self.a.invite()
        answer = b.reply(b.expect("INVITE"), 200, body=sip.sdp(b.ip), contact=f"<sip:b@{name}:{b.port};transport=udp>")
        assert answer.status == 200
        self.dialog = self.a.dialog(sent, self.a.response(200, to=sent))

    def ask(self, count):
        """So many requests at once, each within the call; what became of them, later."""
        return [self.dialog.request("INFO") for _ in range(count)]

    def finals(self, requests, timeout):
        """The status of each, once all have one."""
        wanted = {request.cseq for request in requests}

        def all_of_them():
            found = {}
            for message in list(self.a.inbox.seen):
                if not message.is_request and message.status >= 200 and message.cseq in wanted:
                    found[message.cseq] = message.status
            return len(found) == len(wanted) and found
        return list(until(all_of_them, timeout, "each has its answer", every=0.2).values())


@case("4,000 requests for one name that is slow, and for two: all go on when it answers, others are served meanwhile")
def thousands(t):
    b = t.backend()
    names = name_server(t, {(name, "A"): ["127.0.0.1"] for name in ("slow.test", "slower.test")})
    g = t.gateway("tcp", "udp", next_hop=b.uri(), start=False, dns={"nameservers": [names.address]}, **SHARDS)
    g.config["budgets"] = {"enabled": False}
    g.start()
    # Connections are spread over the shards.
    calls = [Named(t, g, b, "tcp", name) for name in ("slow.test", "slower.test", "slow.test", "slower.test")]
    names.silent = True
    waiting = [(one, one.ask(1_000)) for one in calls]
    until(lambda: {name for name, _ in names.asked} == {"slow.test", "slower.test"}, 10, "both are asked for")
    other = t.client(g, "udp", user="other")
    begun = time.monotonic()
    ours, _, _ = call(other, b)
    hang_up(ours, other, b)
    assert time.monotonic() - begun < 2, "others are not held up"
    names.silent = False  # the second try of each question is answered
    answering = threading.Thread(target=answer_all, args=(b, 4_000), daemon=True)
    answering.start()
    for one, requests in waiting:
        assert set(one.finals(requests, 25)) == {200}
    answering.join(10)
    assert g.metric("ringway_names_refused_total") == 0
    asked = [question for question in names.asked if question[1] == "A"]
    assert len(asked) <= 2 * 2 * 2, f"each shard asks once, and once more: {names.asked}"


def answer_all(b, count):
    for _ in range(count):
        b.reply(b.expect("INFO", 20), 200)


@case("requests for a name that never answers: each is refused in a few seconds, what has no place at once, all are counted")
def never(t):
    b = t.backend()
    names = name_server(t, {})
    names.silent = True
    g = t.gateway("tcp", next_hop=b.uri(), start=False, dns={"nameservers": [names.address]}, **SHARDS)
    g.config["budgets"] = {"enabled": False}
    g.config["limits"].update(contexts=512)
    g.start()
    one = Named(t, g, b, "tcp", "never.test")
    begun = time.monotonic()
    statuses = one.finals(one.ask(1_500), 20)
    assert set(statuses) <= {480, 500, 502, 503}, set(statuses)
    assert time.monotonic() - begun < 8
    refused = g.metric("ringway_transactions_refused_total") + g.metric("ringway_names_refused_total")
    assert refused >= 1_500 - 512 - 100, f"{refused} counted"
    serves(t.client(g, "tcp", user="other"), b)


@case("one next hop's name server is silent: others by name and by address serve at once; ready says which has no address")
def one_is_silent(t):
    b, c = t.backend(), t.backend()
    silent = {"gone.test", "_sip._udp.gone.test", "_sip._tcp.gone.test"}
    names = name_server(t, {("_sip._udp.good.test", "SRV"): [(1, 1, c.port, "h.test")], ("h.test", "A"): ["127.0.0.1"]})
    swallow(names, silent)
    g = gateway(t, names, {"name": "numeric", "address": b.uri()},
                {"name": "good", "address": "sip:good.test;transport=udp", "domains": ["good.test"], "from": "both"},
                {"name": "gone", "address": "sip:gone.test;transport=udp", "domains": ["gone.test"], "from": "both"})
    start_without_waiting(t, g)
    a = t.client(g, "udp")
    begun = time.monotonic()
    serves(a, b)
    sent = a.request("OPTIONS", "sip:x@good.test", to_uri="sip:x@good.test")
    c.reply(c.expect("OPTIONS", where=lambda m: m.call_id == sent.call_id), 200)
    assert a.final(sent).status == 200
    assert time.monotonic() - begun < 2
    sent = a.request("OPTIONS", "sip:x@gone.test", to_uri="sip:x@gone.test")
    assert a.final(sent, 10).status in (480, 500, 502, 503)
    until(lambda: any(e["event"] == "ready" for e in g.events()), 20, "ready, once the silent one was tried")
    assert next(e for e in g.events() if e["event"] == "next_hop_not_resolved")["next_hop"] == "gone"
    status, body = g.http("/healthz")
    told = next(one for one in json.loads(body)["conditions"] if one["condition"] == "next_hops")
    assert status == 200 and told["state"] == "degraded" and "gone" in told["reason"], body


def swallow(names, silent):
    """Questions for these names are heard and not answered."""
    answer = names.socket.sendto

    def reply(data, source):
        size, parts, at = data[12], [], 12
        while size:
            parts.append(data[at + 1:at + 1 + size].decode().lower())
            at += size + 1
            size = data[at]
        return None if ".".join(parts) in silent else answer(data, source)
    names.reply = reply


def places():
    """Two addresses of this host that nobody else's test uses."""
    net = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}"
    return [f"{net}.{last}" for last in (3, 4)]


def follows(name, change):
    @case(f"the system's resolv.conf is followed: {name} (two shards)")
    def run(t):
        if os.geteuid() != 0:
            raise Skip("a file of its own needs a mount namespace")
        b = t.backend()
        servers = [name_server(t, {("pbx.test", "A"): ["127.0.0.1"]}, ttl=5, ip=place, port=53) for place in places()]
        folder = t.directory / "etc"
        folder.mkdir()
        conf = folder / "resolv.conf"
        conf.write_text(f"nameserver {servers[0].socket.getsockname()[0]}\n")
        g = t.gateway("udp", start=False, **SHARDS)
        g.next_hop(f"sip:pbx.test:{b.udp.local[1]};transport=udp")
        # The file is a link into a folder of the test, as that of systemd-resolved or NetworkManager is.
        g.prefix = ["unshare", "--mount", "sh", "-c",
                    f'mount --bind "$(readlink -f /etc/resolv.conf)" {t.directory}/old 2>/dev/null; '
                    f'cp -a /etc {t.directory}/copy && ln -sf {conf} {t.directory}/copy/resolv.conf && '
                    f'mount --bind {t.directory}/copy /etc && exec "$@"', "sh"]
        g.start()
        until(lambda: servers[0].asked, 15, "the first one is asked")
        change(conf, servers[1].socket.getsockname()[0])
        until(lambda: servers[1].asked, 20, "the second one is asked")
        until(lambda: any(e["event"] == "name_servers_changed" for e in g.events()), 5, "the log says so")
        serves(t.client(g, "udp"), b)
    return run


def replaced(conf, server):
    fresh = conf.with_suffix(".new")
    fresh.write_text(f"# by a client of DHCP\nsearch example.test\nnameserver {server}\noptions timeout:1\n")
    fresh.rename(conf)


def gone_and_back(conf, server):
    conf.unlink()
    pause = threading.Event()
    pause.wait(1.5)  # it is looked at each second: for that time it is not there
    conf.write_text(f"nameserver {server}\n")


follows("a link whose target is replaced by another file", replaced)
follows("a file that is away for a while, and comes back with another server", gone_and_back)


@case("a silent only next hop is probed like others, over TCP and by name, too: Allow and our name, failed, and back")
def silent_only(t):
    names = name_server(t, {("pbx.test", "A"): ["127.0.0.1"]})
    started = []
    for transport, by_name in (("tcp", False), ("udp", True)):
        b = t.backend()
        host = f"pbx.test:{b.port}" if by_name else f"127.0.0.1:{b.port}"
        g = t.gateway("udp", network=(transport,), start=False, name=f"g-{transport}",
                      dns={"nameservers": [names.address]}, sip={"server_name": "edge-7"}, **SHARDS)
        g.next_hop(f"sip:{host};transport={transport}", name="only", probe_interval="500ms")
        g.start()
        probe = b.expect_probe(10)
        assert probe.get("User-Agent") == "edge-7", probe
        allowed = set(re.split(r",\s*", probe.get("Allow")))
        assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"} <= allowed, probe
        b.reply(probe, 200)
        for _ in range(6):  # of each shard some
            b.reply(b.expect_probe(10), 200)
        started.append((g, b))  # from here on it says nothing
    for g, b in started:
        until(lambda g=g: g.http("/healthz")[0] == 503, 40, "noticed without a call", every=0.2)
        told = next(one for one in json.loads(g.http("/healthz")[1])["conditions"] if one["condition"] == "next_hops")
        assert "only" in told["reason"], told
        a = t.client(g, "udp")
        begun = time.monotonic()
        assert a.final(a.invite(), 5).status == 503
        assert time.monotonic() - begun < 2, "at once"

        def back(b=b, g=g):
            b.reply(b.expect_probe(20), 200)
            return g.http("/healthz")[0] == 200
        until(back, 40, "it is back")
