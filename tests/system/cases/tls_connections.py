"""TLS identities, reload, versions (RFC 5922, 5923)."""

import shutil
import socket
import ssl
import time

from lib import flows, sip
from lib.agents import Client, call, hang_up
from lib.case import case
from lib.waiting import until


def served(remote, name, **options):
    """The certificate that a server shows for that name, as DER; None if it refuses."""
    context = flows.client_context(**options)
    try:
        with flows.connect(remote, tls=context, server_name=name) as connection:
            # A refusal of TLS 1.3 comes after the client's part is done: read for it.
            connection.settimeout(0.3)
            try:
                connection.recv(1)
            except (TimeoutError, socket.timeout):
                pass
            return connection.getpeercert(binary_form=True)
    except (ssl.SSLError, OSError):
        return None


def der(pair):
    return ssl.PEM_cert_to_DER_cert(open(pair[0]).read())


@case("the certificate follows SNI: exact, wildcard, default, unknown by policy (RFC 6066 3)", sanitize=True)
def certificate_follows_sni_exact_wildcard(t):
    b = t.backend()
    a_pair = t.certificate("a.test", names=["DNS:a.test"])
    b_pair = t.certificate("b.test", names=["DNS:b.test"])
    wild = t.certificate("*.w.test", names=["DNS:*.w.test"])
    default = t.certificate("default.test", names=["DNS:default.test"])

    def table(pair, **more):
        return {"certificate": str(pair[0]), "key": str(pair[1]), **more}
    g = t.gateway(next_hop=b.uri(), start=False)
    g.config["certificate"] = [table(a_pair), table(b_pair), table(wild), table(default, default=True)]
    g.listen("wss", name="any")
    g.listen("tls", name="strict", unknown_server_name="refuse")
    g.start()
    for name in ("any", "strict"):
        remote = g.listeners[name]
        assert served(remote, "a.test") == der(a_pair), name
        assert served(remote, "b.test") == der(b_pair), name
        assert served(remote, "A.TEST") == der(a_pair), name
        assert served(remote, "x.w.test") == der(wild), name
        assert served(remote, "x.y.w.test") in (der(default), None), name
    assert served(g.listeners["any"], None) == der(default)
    assert served(g.listeners["any"], "unknown.test") == der(default)
    assert served(g.listeners["strict"], "unknown.test") is None


@case("ECDSA first, RSA for those who cannot (RFC 8446 4.2.3)")
def rsa(t):
    b = t.backend()
    ec = t.certificate("gateway.test")
    rsa_pair = t.authority.issue("rsa", common="gateway.test", names=["DNS:gateway.test"], kind="rsa")
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("tls", certificate=str(ec[0]), key=str(ec[1]), rsa_certificate=str(rsa_pair[0]),
             rsa_key=str(rsa_pair[1]))
    g.start()
    remote = g.listeners["access-tls"]
    assert served(remote, "gateway.test") == der(ec)
    context = flows.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with flows.connect(remote, tls=context, server_name="gateway.test") as connection:
        assert connection.getpeercert(binary_form=True) == der(rsa_pair)


@case("TLS 1.2 and 1.3 are spoken, 1.1 is not; a ticket resumes the session")
def versions(t):
    b = t.backend()
    g = t.gateway("tls", "wss", next_hop=b.uri())
    for transport in ("tls", "wss"):
        remote = g.listeners[f"access-{transport}"]
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            context = flows.client_context()
            context.minimum_version = context.maximum_version = version
            with flows.connect(remote, tls=context) as connection:
                assert connection.version() == name
                session = None
                if name == "TLSv1.3":
                    # Tickets arrive with the first data.
                    connection.sendall(b"\r\n\r\n" if transport == "tls" else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    connection.recv(100)
                session = connection.session
            with flows.connect(remote) as plain:
                with context.wrap_socket(plain, session=session) as connection:
                    assert connection.session_reused, f"{transport} {name}: not resumed"
        old = flows.client_context()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            flows.connect(remote, tls=old).close()
            raise AssertionError("TLS 1.1 was accepted")
        except (ssl.SSLError, OSError):
            pass


@case("client certificates by listener: WSS needs none, the trunk does (RFC 5922 7.4)")
def client_certificates_by_listener_wss(t):
    b = t.backend()
    pair = t.certificate("gateway.test")
    client = t.certificate("trunk.test")
    secure = {"certificate": str(pair[0]), "key": str(pair[1])}
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("wss", **secure)
    g.listen("tls", name="trunk", client_certificates="require", client_ca=str(t.authority.certificate), **secure)
    g.start()
    a = Client(g.flow("wss"))
    t.at_end(a.flow.close)
    b_call(a, b)
    flow = None
    try:
        flow = g.flow("tls", "trunk")
        flow.write(b"\r\n\r\n")
        flow.expect_end(5)
        assert not flow.other.count(lambda item: item == b"\r\n")
    except (ssl.SSLError, OSError):
        pass
    good = flows.client_context(certificate=client[0], key=client[1])
    a = Client(g.flow("tls", "trunk", context=good))
    t.at_end(a.flow.close)
    b_call(a, b)


def b_call(a, b):
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)


def tls_hop(t, g, b, ca, **options):
    g.next_hop(b.uri("tls").replace("127.0.0.1", options.pop("host", "127.0.0.1")), tls_ca=str(ca), **options)


@case("outbound names are checked: wildcards only by choice, a wrong name goes to the next target (RFC 5922 7.2, 7.3)")
def outbound_names_are_checked_wildcards(t):
    from lib.dns import NameServer
    wild = t.certificate("*.x.test", names=["DNS:*.x.test"])
    exact = t.certificate("a.x.test", names=["DNS:a.x.test"])
    names = NameServer({("a.x.test", "A"): ["127.0.0.1"], ("z.x.test", "A"): ["127.0.0.1"]})
    t.at_end(names.close)
    for check, pair, good in (("strict", wild, False), ("wildcard", wild, True), ("strict", exact, True),
                              ("off", t.certificate("other.test", names=["DNS:other.test"]), True)):
        b = t.backend(tls=flows.server_context(pair[0], pair[1]))
        g = t.gateway("ws", network=("tls",), start=False, dns={"nameservers": [names.address]},
                      name=f"ringway-{check}-{good}")
        tls_hop(t, g, b, t.authority.certificate, host="a.x.test", tls_name_check=check)
        g.start()
        a = t.client(g, "ws")
        sent = a.invite()
        if good:
            seen = b.expect("INVITE")
            assert seen.flow.transport == "TLS"
            b.reply(seen, 486)
            assert a.final(sent).status == 486
        else:
            assert a.final(sent).status in (500, 503)
            b.no_request("INVITE", 0.1)
    # With a second target: the call arrives there.
    bad = t.backend(tls=flows.server_context(wild[0], wild[1]), name="bad")
    good = t.backend(tls=flows.server_context(exact[0], exact[1]), name="good")
    g = t.gateway("ws", network=("tls",), start=False, dns={"nameservers": [names.address]}, name="ringway-two")
    tls_hop(t, g, bad, t.authority.certificate, host="z.x.test", priority=1)
    tls_hop(t, g, good, t.authority.certificate, host="a.x.test", priority=2)
    g.start()
    a = t.client(g, "ws")
    sent = a.invite()
    good.reply(good.expect("INVITE", 10), 486)
    assert a.final(sent).status == 486
    bad.no_request("INVITE", 0.1)


@case("a certificate of an unknown authority is refused outbound (RFC 5922 7.3)")
def unknown_authority(t):
    from lib.certificates import Authority
    other = Authority(t.directory / "other")
    pair = other.issue("b.test", names=["IP:127.0.0.1"])
    b = t.backend(tls=flows.server_context(pair[0], pair[1]))
    g = t.gateway("ws", network=("tls",), start=False)
    tls_hop(t, g, b, t.authority.certificate, tls_name_check="off")
    g.start()
    a = t.client(g, "ws")
    assert a.final(a.invite()).status in (500, 503)
    b.no_request("INVITE", 0.1)


@case("a revoked client is refused after a reload, old connections live (RFC 5280 6.3)")
def revoked_client_refused_after_reload(t):
    b = t.backend()
    pair = t.certificate("gateway.test")
    chain, key, serial = t.certificate("trunk.test")
    crl = t.directory / "clients.crl"
    t.authority.crl(crl)
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("tls", client_certificates="require", client_ca=str(t.authority.certificate), client_crl=str(crl),
             certificate=str(pair[0]), key=str(pair[1]))
    g.start()
    context = flows.client_context(certificate=chain, key=key)
    old = Client(g.flow("tls", context=context))
    t.at_end(old.flow.close)
    b_call(old, b)
    t.authority.crl(crl, [serial])
    g.reload()

    def refused():
        try:
            flow = g.flow("tls", context=context)
            flow.write(b"\r\n\r\n")
        except (ssl.SSLError, OSError):
            return True
        try:
            flow.other.take(lambda item: item == b"\r\n", 1)
            return False
        except AssertionError:
            return True
        finally:
            flow.close()
    until(refused, 8, "the revoked certificate is refused")
    b_call(old, b)


@case("another client certificate means another connection (RFC 5923 7)")
def another_client_certificate_means_another(t):
    server = t.certificate("b.test", names=["IP:127.0.0.1", "DNS:b.test"])
    b = t.backend(tls=flows.server_context(server[0], server[1], client_ca=t.authority.certificate))
    one, two = t.certificate("one.test"), t.certificate("two.test")
    g = t.gateway("ws", network=("tls",), start=False)
    for pair, domain in ((one, "one.test"), (two, "two.test")):
        tls_hop(t, g, b, t.authority.certificate, tls_name_check="off", domains=[domain],
                tls_certificate=str(pair[0]), tls_key=str(pair[1]), probe_interval="0s")
    g.start()
    a = t.client(g, "ws")
    seen_names = {}
    for round_ in range(2):
        for domain in ("one.test", "two.test"):
            a.request("OPTIONS", f"sip:x@{domain}")
            seen = b.expect("OPTIONS", where=lambda m: m.uri.endswith(domain))
            subject = dict(item[0] for item in seen.flow.socket.getpeercert()["subject"])["commonName"]
            assert subject == domain, (subject, domain)
            seen_names.setdefault(domain, set()).add(id(seen.flow))
            b.reply(seen, 200)
            a.response(200)
    assert all(len(flows_) == 1 for flows_ in seen_names.values()), "a connection was not reused"
    assert len(b.tls.flows) == 2


@case("alias in a Via is no reason to reuse a client's connection without a certificate (RFC 5923 8)")
def alias_via_no_reason_reuse(t):
    b = t.backend()
    g = t.gateway("tcp", next_hop=b.uri(), start=False)
    listener = flows.StreamListener("127.0.0.1", name="A's own port")
    t.at_end(listener.close)
    g.next_hop(f"sip:127.0.0.1:{listener.local[1]};transport=tcp", domains=["a.test"], probe_interval="0s")
    g.listen("tcp", side="network")
    g.start()
    a = t.client(g, "tcp")
    a.request("OPTIONS", via=f"SIP/2.0/TCP 127.0.0.1:{listener.local[1]};branch={sip.branch()};alias")
    b.reply(b.expect("OPTIONS"), 200)
    a.response(200)
    b.send_to("sip:%s:%d;transport=udp" % g.listeners["network-udp"], b.build("OPTIONS", "sip:x@a.test"))
    listener.inbox.take(lambda m: m.method == "OPTIONS", 5, "OPTIONS on a new connection")
    a.no_request("OPTIONS", 0.1)


@case("certificates reload on SIGHUP and on change, without losing a connection; a bad pair keeps the old")
def reload(t):
    b = t.backend()
    first, second = t.certificate("gateway.test"), t.authority.issue("second", common="gateway.test",
                                                                     names=["DNS:gateway.test"])
    chain, key = t.directory / "live.pem", t.directory / "live.key"

    def place(pair):
        shutil.copy(pair[1], key)
        shutil.copy(pair[0], chain)
    place(first)
    g = t.gateway(next_hop=b.uri(), start=False)
    g.listen("wss", certificate=str(chain), key=str(key))
    g.start()
    remote = g.listeners["access-wss"]
    a = t.client(g, "wss")
    b_call(a, b)
    place(second)
    g.reload()
    until(lambda: served(remote, "gateway.test") == der(second), 8, "the new certificate is served")
    b_call(a, b)
    mark = g.program.mark()
    key.write_text("rubbish")
    g.reload()
    g.program.expect_line(lambda line: "live.key" in line or "live.pem" in line, 8, mark)
    assert served(remote, "gateway.test") == der(second)
    b_call(a, b)
    place(first)  # no signal: the change of the files is enough
    until(lambda: served(remote, "gateway.test") == der(first), 30, "the change of the files is noticed")
    b_call(a, b)


@case("a burst of handshakes does not hold up an established flow")
def handshake_burst(t):
    import threading
    b = t.backend()
    g = t.gateway("wss", next_hop=b.uri())
    a = t.client(g, "wss")
    remote = g.listeners["access-wss"]
    stop = threading.Event()

    def hammer():
        while not stop.is_set():
            try:
                flows.connect(remote, tls=flows.client_context()).close()
            except OSError:
                pass
    workers = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]
    for worker in workers:
        worker.start()
    worst = 0
    for _ in range(30):
        begin = time.monotonic()
        sent = a.request("OPTIONS")
        b.reply(b.expect("OPTIONS"), 200)
        a.final(sent)
        worst = max(worst, time.monotonic() - begin)
    stop.set()
    for worker in workers:
        worker.join()
    assert worst < 0.5, f"{worst:.3f} s"
