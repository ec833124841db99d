"""User agents and scripted servers on top of flows."""

import time

from . import flows, sip
from .sip import Message, NameAddr, Uri
from .waiting import Inbox


class Receiver:
    """What an agent may expect from its inbox. Retransmissions of requests are passed over."""

    def __init__(self, inbox):
        self.inbox = inbox
        self.taken = set()

    def expect(self, method, timeout=5, where=lambda message: True):
        """The next new request of that method."""
        def wanted(message):
            return (message.is_request and message.method == method and where(message)
                    and (message.via.branch, method) not in self.taken)
        message = self.inbox.take(wanted, timeout, f"{method} request")
        self.taken.add((message.via.branch, method))
        return message

    def response(self, status, timeout=5, to=None, where=lambda message: True):
        """The next response with that status (a number, a class like 2, or None for a final one)."""
        def wanted(message):
            if message.is_request or not where(message):
                return False
            if to is not None and (message.call_id, message.cseq) != (to.call_id, to.cseq):
                return False
            if status is None:
                return message.status >= 200
            if status < 10:
                return message.status // 100 == status
            return message.status == status
        return self.inbox.take(wanted, timeout, f"{status or 'final'} response")

    def final(self, to, timeout=5):
        return self.response(None, timeout, to)

    def silence(self, timeout, where=lambda message: True):
        self.inbox.none(where, timeout, "message")

    def no_request(self, method, timeout):
        self.inbox.none(lambda m: m.is_request and m.method == method
                        and (m.via.branch, method) not in self.taken, timeout, method)


class Dialog:
    """One side of a dialog (RFC 3261 12). send gets the finished request and routes it."""

    def __init__(self, local, remote, call_id, target, routes, cseq, send, via):
        self.local, self.remote, self.call_id = local, remote, call_id
        self.target, self.routes, self.cseq = target, routes, cseq
        self.send, self.via = send, via
        self.contact = None

    @property
    def next_uri(self):
        """The URI that the request travels to: the top route, or the target."""
        return self.routes[0].uri if self.routes else Uri(self.target)

    def build(self, method, *, body=b"", headers=(), cseq=None, branch=None, content_type="application/sdp"):
        if cseq is None and method != "ACK":
            self.cseq += 1
        message = Message(f"{method} {self.target} SIP/2.0")
        message.add("Via", self.via(branch))
        message.add("Max-Forwards", "70")
        for route in self.routes:
            message.add("Route", f"<{route.uri.text}>")
        message.add("From", self.local)
        message.add("To", self.remote)
        message.add("Call-ID", self.call_id)
        message.add("CSeq", f"{self.cseq if cseq is None else cseq} {method}")
        if self.contact and method in ("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"):
            message.add("Contact", self.contact)
        for name, value in headers:
            message.add(name, value)
        if body:
            message.add("Content-Type", content_type)
        message.body = body
        return message

    def request(self, method, **options):
        message = self.build(method, **options)
        self.send(message, self)
        return message


class Client(Receiver):
    """A user agent on the access side, on one flow to the gateway."""

    def __init__(self, flow, user="alice", domain="example.test"):
        super().__init__(flow.inbox)
        self.flow, self.user, self.domain = flow, user, domain
        self.aor = f"sip:{user}@{domain}"
        self.instance = f"<urn:uuid:00000000-0000-4000-8000-{sip.token(6)}>"
        self.contact_user = sip.token(4)

    @property
    def contact_uri(self):
        if self.flow.transport in ("WS", "WSS"):
            return f"sip:{self.contact_user}@{self.flow.invalid};transport=ws"
        ip, port = self.flow.local
        suffix = "" if self.flow.transport == "UDP" else f";transport={self.flow.transport.lower()}"
        return f"sip:{self.contact_user}@{sip.host(ip)}:{port}{suffix}"

    @property
    def contact(self):
        return f"<{self.contact_uri}>"

    def build(self, method, uri=None, **options):
        options.setdefault("from_uri", self.aor)
        options.setdefault("via", self.flow.via())
        if method in ("INVITE", "SUBSCRIBE", "REFER", "UPDATE", "REGISTER", "NOTIFY"):
            options.setdefault("contact", self.contact)
        return sip.request(method, uri or f"sip:bob@{self.domain}", **options)

    def request(self, method, uri=None, **options):
        return self.flow.send(self.build(method, uri, **options))

    def register(self, *, reg_id=1, expires=300, headers=(), call_id=None, cseq=1, timeout=5, send_only=False):
        contact = f"{self.contact};+sip.instance=\"{self.instance}\";reg-id={reg_id};expires={expires}" \
            if reg_id else f"{self.contact};expires={expires}"
        message = self.request("REGISTER", f"sip:{self.domain}", to_uri=self.aor, contact=contact, cseq=cseq,
                               call_id=call_id, headers=[("Supported", "path, outbound, gruu"), *headers])
        if send_only:
            return message
        return self.final(message, timeout)

    def invite(self, uri=None, **options):
        options.setdefault("body", sip.sdp())
        return self.request("INVITE", uri, **options)

    def send_in_dialog(self, message, dialog):
        self.flow.send(message)

    def dialog(self, invite, answer):
        """The caller's dialog after a 2xx."""
        made = Dialog(invite.get("From"), answer.get("To"), invite.call_id, answer.contact.uri.text,
                      list(reversed(answer.record_routes)), invite.cseq[0], self.send_in_dialog, self.flow.via)
        made.contact = self.contact
        return made

    def callee_dialog(self, invite, answer):
        made = Dialog(answer.get("To"), invite.get("From"), invite.call_id, invite.contact.uri.text,
                      invite.record_routes, 100, self.send_in_dialog, self.flow.via)
        made.contact = self.contact
        return made

    def ack(self, invite, answer):
        dialog = self.dialog(invite, answer)
        dialog.request("ACK", cseq=invite.cseq[0])
        return dialog

    def reply(self, to, status, **options):
        options.setdefault("to_tag", "c" + to.from_.tag[:6] if to.from_.tag else sip.token(4))
        if 100 < status < 300 and to.method in ("INVITE", "SUBSCRIBE", "UPDATE", "REFER"):
            options.setdefault("contact", self.contact)
        message = sip.response(to, status, **options)
        to.flow.send(message)
        return message


class Backend(Receiver):
    """A scripted server on the network side: UDP and TCP on one port number, TLS on another.

    In-dialog requests go to where the top Route (or the target) points, literally: a wrong
    Record-Route shows as a request that never arrives.
    """

    def __init__(self, ip="127.0.0.1", *, tcp=True, udp=True, tls=None, name="B"):
        super().__init__(Inbox(name))
        self.name, self.ip = name, ip
        self.tls_context = tls
        self.udp = self.tcp = self.tls = None
        for _ in range(50):
            try:
                self.udp = flows.UdpPort(ip, 0, self.inbox, name)
                self.port = self.udp.local[1]
                if tcp:
                    self.tcp = flows.StreamListener(ip, self.port, inbox=self.inbox, name=name)
                break
            except OSError:
                self.udp.close()
        if not udp:
            self.udp.close()
        if tls:
            self.tls = flows.StreamListener(ip, 0, tls=tls, inbox=self.inbox, name=name)
        self.outgoing = {}

    def expect(self, method, timeout=5, where=lambda message: True):
        """As Receiver's, but for the probes of the gateway, which come when it likes: OPTIONS with its Via alone."""
        return super().expect(method, timeout,
                              lambda message: not (method == "OPTIONS" and len(message.vias) == 1) and where(message))

    def expect_probe(self, timeout=5):
        return super().expect("OPTIONS", timeout, lambda message: len(message.vias) == 1)

    def uri(self, transport="udp", user=None):
        port = self.tls.local[1] if transport == "tls" else self.port
        return f"sip:{user + '@' if user else ''}{sip.host(self.ip)}:{port};transport={transport}"

    def contact(self, transport="udp"):
        return f"<{self.uri(transport, 'b')}>"

    def reply(self, to, status, **options):
        options.setdefault("to_tag", "b" + (to.from_.tag or "x")[:6])
        if 100 < status < 300 and to.method in ("INVITE", "SUBSCRIBE", "UPDATE", "REFER"):
            options.setdefault("contact", self.contact(to.flow.transport.lower()))
        message = sip.response(to, status, **options)
        to.flow.send(message)
        return message

    def answer_register(self, register, expires=300, headers=()):
        """A registrar that returns what it was given."""
        contacts = [("Contact", value if "expires=" in value else value + f";expires={expires}")
                    for value in register.values("Contact")]
        path = [("Path", value) for value in register.lines("Path")]
        return self.reply(register, 200, headers=[*contacts, *path, *headers])

    def flow_to(self, uri):
        """A flow to the host, port and transport that a URI names; connections are kept."""
        transport = uri.transport or "udp"
        if uri.scheme == "sips" and transport in ("udp", "tcp", "tls"):
            transport = "tls"
        remote = (uri.host, uri.port or (5061 if transport == "tls" else 5060))
        if transport == "udp":
            return self.udp.to((resolve(remote[0]), remote[1]))
        key = (transport, remote)
        if key not in self.outgoing or self.outgoing[key].closed.is_set():
            context = flows.client_context() if transport == "tls" else None
            connection = flows.connect((resolve(remote[0]), remote[1]), tls=context)
            self.outgoing[key] = flows.StreamFlow(connection, self.name, self.inbox).start()
        return self.outgoing[key]

    def via(self, flow):
        port = self.tls.local[1] if flow.transport == "TLS" and self.tls else self.port
        return f"SIP/2.0/{flow.transport} {sip.host(self.ip)}:{port};branch={sip.branch()}"

    def send_to(self, uri, message):
        flow = self.flow_to(uri if isinstance(uri, Uri) else Uri(uri))
        if message.get("Via") is None:
            message.push("Via", self.via(flow))
        flow.send(message)
        return message

    def send_in_dialog(self, message, dialog):
        flow = self.flow_to(dialog.next_uri)
        message.set("Via", self.via(flow))
        flow.send(message)

    def dialog(self, invite, answer):
        """The called side's dialog."""
        made = Dialog(answer.get("To"), invite.get("From"), invite.call_id, invite.contact.uri.text,
                      invite.record_routes, 500, self.send_in_dialog, lambda branch: "SIP/2.0/UDP x")
        made.contact = answer.get("Contact")
        return made

    def caller_dialog(self, invite, answer):
        made = Dialog(invite.get("From"), answer.get("To"), invite.call_id, answer.contact.uri.text,
                      list(reversed(answer.record_routes)), invite.cseq[0], self.send_in_dialog,
                      lambda branch: "SIP/2.0/UDP x")
        made.contact = invite.get("Contact")
        return made

    def build(self, method, uri, **options):
        options.setdefault("from_uri", f"sip:bob@{sip.host(self.ip)}")
        if method in ("INVITE", "SUBSCRIBE"):
            options.setdefault("contact", self.contact())
        return sip.request(method, uri, **options)

    def close(self):
        if self.udp:
            self.udp.close()
        for one in (self.tcp, self.tls):
            if one:
                one.close()
        for flow in self.outgoing.values():
            flow.close()


def resolve(name):
    """Test names stand for loopback; addresses stand for themselves."""
    return "127.0.0.1" if name.endswith(".test") or name == "localhost" else name


def call(client, backend, *, ring=True, transport="udp", uri=None, **options):
    """A whole set-up from the access side: (client's dialog, backend's dialog, the INVITE at the backend)."""
    sent = client.invite(uri, **options)
    seen = backend.expect("INVITE")
    if ring:
        backend.reply(seen, 180)
        client.response(180, to=sent)
    answer = backend.reply(seen, 200, body=sip.sdp(backend.ip))
    received = client.response(200, to=sent)
    ours = client.ack(sent, received)
    backend.expect("ACK")
    return ours, backend.dialog(seen, answer), seen


def hang_up(dialog_side, sender, receiver, timeout=5):
    """BYE from one side, 200 from the other."""
    bye = dialog_side.request("BYE")
    seen = receiver.expect("BYE", timeout)
    receiver.reply(seen, 200)
    sender.response(200, timeout, to=bye)
    return seen


def serves(client, backend):
    """A request gets from client to backend, and its answer back."""
    sent = client.request("OPTIONS")
    backend.reply(backend.expect("OPTIONS", where=lambda seen: seen.call_id == sent.call_id), 200)
    assert client.final(sent).status == 200


def elapsed_ms(start):
    return (time.monotonic() - start) * 1000


__all__ = ["Backend", "Client", "Dialog", "NameAddr", "call", "elapsed_ms", "hang_up"]
