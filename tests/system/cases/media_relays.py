"""A pool of media relays that fail in every way there is, with two shards."""

import os
import time

from lib import sip
from lib.agents import elapsed_ms
from lib.case import case
from lib.relay import StandInRelay
from lib.waiting import until


def pool(t, *settings, more=None, **media):
    """A gateway with one stand-in for each of settings ([[relay]] tables), and a plain phone as its next hop."""
    relays = []
    for index, _ in enumerate(settings):
        relay = StandInRelay(f"relay{index}")
        t.at_end(relay.end)
        relays.append(relay)
    phone = t.backend(name="phone")
    tables = [{"address": relay.address, **options} for relay, options in zip(relays, settings)]
    g = t.gateway("wss", "udp", next_hop=phone.uri(), shards=2, relay=tables, **{"media": media} if media else {},
                  **(more or {}))
    return g, phone, relays


def states(g):
    import json
    return {relay["address"]: relay["state"] for relay in json.loads(g.http("/relays")[1])["relays"]}


def call(t, g, phone, timeout=5):
    """A browser's call that the phone answers: (client, dialog)."""
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    seen = phone.expect("INVITE", timeout)
    phone.reply(seen, 200, body=sip.sdp())
    got = a.response(200, timeout, to=sent)
    dialog = a.ack(sent, got)
    phone.expect("ACK")
    return a, dialog


def hang_up(a, dialog, phone):
    bye = dialog.request("BYE")
    phone.reply(phone.expect("BYE"), 200)
    a.response(200, to=bye)


def refused_by(t, mode):
    g, phone, (full, free) = pool(t, {"weight": 100}, {"weight": 1})
    full.mode = mode
    calls = [call(t, g, phone) for _ in range(6)]
    assert free.count("answer") == 6 and full.count("answer") == 0, (free.requests, full.requests)
    assert full.count("offer") <= 2, "each shard asks it once, then pauses"
    assert full.count("delete") == 0, "nothing was made there"
    assert set(states(g).values()) == {"connected"}, states(g)  # full is not dead
    for a, dialog in calls:
        hang_up(a, dialog, phone)
    until(lambda: not free.sessions, 5, "every session is deleted where it is")
    assert g.metric("ringway_media_sessions") == 0


for _mode in ("load_limit", "limit_error", "no_ports"):
    case(f"a relay without room ({_mode}): the next one takes the call, and that one pauses", seconds=90)(
        lambda t, mode=_mode: refused_by(t, mode))


@case("all relays are full: 503 with Retry-After, and the first call after that is asked again", seconds=60)
def all_full(t):
    g, phone, relays = pool(t, {}, {})
    for relay in relays:
        relay.mode = "load_limit"
    a = t.client(g, "wss")
    begin = time.monotonic()
    got = a.final(a.invite(body=sip.webrtc_sdp()))
    assert got.status == 503 and got.get("Retry-After") is not None and elapsed_ms(begin) < 900, got
    relays[1].mode = "ok"
    hang_up(*call(t, g, phone), phone)


@case("a silent relay: its call goes on to the next one in time, and it comes back by itself", seconds=90)
def silent(t):
    g, phone, (mute, other) = pool(t, {"weight": 100}, {"weight": 0})
    mute.mode = "silent"
    a = t.client(g, "wss")
    sent = a.invite(body=sip.webrtc_sdp())
    begin = time.monotonic()
    seen = phone.expect("INVITE", 5)
    assert elapsed_ms(begin) < 2500, elapsed_ms(begin)
    phone.reply(seen, 486)
    a.final(sent)
    # Whoever asks now does not wait: pings have told both shards, or the call before has.
    until(lambda: states(g)[mute.address] == "silent", 10, "it counts as silent")
    for _ in range(4):
        begin = time.monotonic()
        a, dialog = call(t, g, phone)
        assert elapsed_ms(begin) < 900, elapsed_ms(begin)
        hang_up(a, dialog, phone)
    assert other.count("answer") == 4
    mute.mode = "ok"
    until(lambda: states(g)[mute.address] == "connected", 10, "a ping has found it")
    def back():
        hang_up(*call(t, g, phone), phone)
        return mute.count("answer") > 0
    until(back, 10, "it gets calls again")
    until(lambda: g.metric("ringway_media_sessions") == 0, 5, "no session")


@case("every relay is silent: 503 in the time of two answers, and a BYE passes though Delete fails", seconds=60)
def none_answers(t):
    g, phone, (one, two) = pool(t, {}, {})
    a, dialog = call(t, g, phone)
    one.mode = two.mode = "silent"
    b = t.client(g, "wss")
    begin = time.monotonic()
    got = b.final(b.invite(body=sip.webrtc_sdp()))
    assert got.status == 503 and got.get("Retry-After") is not None and elapsed_ms(begin) < 3500, (got, elapsed_ms(begin))
    begin = time.monotonic()
    hang_up(a, dialog, phone)
    assert elapsed_ms(begin) < 800, elapsed_ms(begin)


@case("a connection cut in the middle of an offer: the offer is sent again and the call succeeds", seconds=60)
def cut(t):
    g, phone, (only,) = pool(t, {})
    only.drop_next = 1
    hang_up(*call(t, g, phone), phone)
    assert g.metric("ringway_ng_resends_total") >= 1
    until(lambda: not only.sessions, 5, "the session is deleted")


@case("a relay that has forgotten its sessions: one call fails, others stay, a re-INVITE builds a new session",
      seconds=60)
def forgotten(t):
    g, phone, (only,) = pool(t, {})
    a, dialog = call(t, g, phone)
    b, other = call(t, g, phone)
    only.sessions.clear()
    sent = dialog.request("INVITE", body=sip.webrtc_sdp(version=2))
    seen = phone.expect("INVITE")
    assert b"RTP/AVP" in seen.body, seen
    phone.reply(seen, 200, body=sip.sdp(version=2))
    got = a.response(200, to=sent)
    assert b"UDP/TLS/RTP/SAVPF" in got.body, got
    dialog.request("ACK", cseq=sent.cseq[0])
    phone.expect("ACK")
    assert len(only.sessions) == 1
    for client, side in ((a, dialog), (b, other)):
        hang_up(client, side, phone)
    until(lambda: not only.sessions and g.metric("ringway_media_sessions") == 0, 5, "nothing is left")


@case("calls stay with their relay, and a drained one gets no new ones (reload)", seconds=90)
def drain(t):
    g, phone, (one, two) = pool(t, {"weight": 1}, {"weight": 0})
    calls = [call(t, g, phone) for _ in range(3)]
    assert one.count("answer") == 3
    g.config["relay"][0]["drain"] = True
    g.write()
    g.reload()
    until(lambda: states(g)[one.address] == "draining", 10, "the reload is in force")
    a, dialog = calls[0]
    sent = dialog.request("INVITE", body=sip.webrtc_sdp(version=2))
    phone.reply(phone.expect("INVITE"), 200, body=sip.sdp(version=2))
    a.response(200, to=sent)
    dialog.request("ACK", cseq=sent.cseq[0])
    phone.expect("ACK")
    assert one.count("answer") == 4 and two.count("offer") == 0
    calls.append(call(t, g, phone))
    assert two.count("answer") == 1 and one.count("offer") == 4
    for client, side in calls:
        hang_up(client, side, phone)
    until(lambda: not one.sessions and not two.sessions, 5, "each session is deleted at its relay")


@case("ng by UDP: large offers pass, a lost one is sent again under its cookie", seconds=60)
def datagrams(t):
    g, phone, (only,) = pool(t, {"transport": "udp"})
    only.lose = 2
    hang_up(*call(t, g, phone), phone)
    offers = [cookie for request, cookie in zip(only.requests, only.cookies) if request["command"] == b"offer"]
    assert len(offers) == 3 and len(set(offers)) == 1, offers
    big = sip.webrtc_sdp() + b"".join(b"a=x-filler:%060d\r\n" % i for i in range(300))
    a = t.client(g, "wss")
    sent = a.invite(body=big)
    seen = phone.expect("INVITE")
    assert len(only.expect("offer", 4)[-1]["sdp"]) > 20_000
    phone.reply(seen, 486)
    a.final(sent)
    until(lambda: not only.sessions, 5, "no session")
    only.mode = "silent"
    begin = time.monotonic()
    assert a.final(a.invite(body=sip.webrtc_sdp())).status == 503 and elapsed_ms(begin) < 1500
    only.mode = "ok"
    until(lambda: states(g)[only.address] == "connected", 10, "a ping has found it")
    hang_up(*call(t, g, phone), phone)


@case("ng by UDP with rtpengine: a call, and its packets are counted", seconds=60)
def real_datagrams(t):
    engine = t.rtpengine(udp=True)
    phone = t.backend(name="phone")
    g = t.gateway("wss", next_hop=phone.uri(), shards=2, relay=[{"address": engine.udp_address, "transport": "udp"}])
    a, dialog = call(t, g, phone)
    assert len(engine.sessions()) == 1
    hang_up(a, dialog, phone)
    until(lambda: not engine.sessions(), 5, "rtpengine holds no call")


@case("60 s after a kill the relay holds no session of ours, and others' sessions stay", seconds=120)
def orphans(t):
    g, phone, (only,) = pool(t, {})
    call(t, g, phone)
    call(t, g, phone)
    assert len(only.sessions) == 2
    only.sessions["somebody-else"] = 0
    foreign = "rw00000000" + next(iter(only.sessions))[10:]
    only.sessions[foreign] = 0
    g.restart(crash=True)
    until(lambda: len(only.sessions) == 2, 60, "the orphans are gone", every=0.5)
    assert set(only.sessions) == {"somebody-else", foreign}, only.sessions


@case("a session of a call that has outlived a restart stays while packets come", seconds=120)
def lives_on(t):
    key = t.directory / "token.key"
    key.write_bytes(os.urandom(32))
    g, phone, (only,) = pool(t, {}, more={"key_file": str(key)})
    a, dialog = call(t, g, phone)
    name = next(iter(only.sessions))
    g.restart(crash=True)
    begin = time.monotonic()
    def packets():
        only.sessions[name] += 50
        return time.monotonic() - begin > 50
    until(packets, 60, "50 s of packets", every=0.5)
    assert name in only.sessions
    until(lambda: name not in only.sessions, 60, "without packets it goes", every=0.5)
