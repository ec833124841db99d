"""SIP messages as the tests see them: a reader and a writer that share nothing with the product.

The reader is strict about what the gateway emits (CRLF only, one space, a blank line), because a
gateway must never write what it would refuse to read.
"""

import re
import secrets

COMPACT = {"v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length",
           "c": "Content-Type", "k": "Supported", "s": "Subject", "e": "Content-Encoding",
           "o": "Event", "r": "Refer-To", "b": "Referred-By", "u": "Allow-Events", "x": "Session-Expires"}
LISTS = {"via", "route", "record-route", "path", "contact", "supported", "require", "unsupported",
         "proxy-require", "allow", "service-route"}


class BadMessage(Exception):
    """The bytes are not one well-formed SIP message."""


def canonical(name):
    return COMPACT.get(name.lower(), name).lower()


def split_list(value):
    """Splits at the commas outside quotes and angle brackets."""
    parts, depth, quoted, escaped, start = [], 0, False, False, 0
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif not quoted and char == "<":
            depth += 1
        elif not quoted and char == ">":
            depth -= 1
        elif char == "," and not quoted and depth == 0:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


class Uri:
    """A sip or sips URI, taken apart; params keep their order and their bytes."""

    def __init__(self, text):
        self.text = text
        self.scheme, _, rest = text.partition(":")
        rest, _, self.headers = rest.partition("?")
        user, at, host = rest.rpartition("@")
        # Parameters may hold no "@", so the last one ends the user part.
        self.user = user if at else None
        host, *params = host.split(";")
        self.params = {}
        for param in params:
            key, _, value = param.partition("=")
            self.params[key.lower()] = value
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", host)
        if not match:
            raise BadMessage(f"bad host in {text!r}")
        self.host = match[1].strip("[]")
        self.port = int(match[2]) if match[2] else None

    @property
    def transport(self):
        return self.params.get("transport", "").lower()

    def __repr__(self):
        return f"<{self.text}>"


class NameAddr:
    """A Contact, Route, From, To ... value: URI in brackets or bare, and its header parameters."""

    def __init__(self, text):
        self.text = text
        match = re.fullmatch(r'\s*(?:"(?:[^"\\]|\\.)*"|[^<"]*)\s*<([^>]*)>(.*)', text, re.S)
        if match:
            self.uri, tail = Uri(match[1]), match[2]
        else:
            bare, _, tail = text.partition(";")
            self.uri, tail = Uri(bare.strip()), ";" + tail
        self.params = {}
        for param in tail.split(";"):
            key, _, value = param.strip().partition("=")
            if key:
                self.params[key.strip().lower()] = value.strip()

    @property
    def tag(self):
        return self.params.get("tag")


class Via:
    """One Via value."""

    def __init__(self, text):
        self.text = text
        head, *params = text.split(";")
        protocol, sent_by = head.strip().rsplit(None, 1)
        self.transport = protocol.split("/")[-1].strip().upper()
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", sent_by)
        self.host, self.port = match[1].strip("[]"), int(match[2]) if match[2] else None
        self.params = {}
        for param in params:
            key, _, value = param.strip().partition("=")
            self.params[key.lower()] = value

    @property
    def branch(self):
        return self.params.get("branch")


class Message:
    """Start line, header list and body. Header names are looked up in long or short form."""

    def __init__(self, start, headers=(), body=b""):
        self.start = start
        self.headers = list(headers)
        self.body = body
        self.raw = None
        self.flow = None  # where it came from, set by the receiver
        self.at = None  # time of arrival on the monotonic clock

    # ---- reading -------------------------------------------------------------------------------

    @classmethod
    def parse(cls, data):
        head, blank, body = data.partition(b"\r\n\r\n")
        if not blank:
            raise BadMessage(f"no end of headers in {data[:80]!r}")
        if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
            raise BadMessage(f"bare CR or LF in {head!r}")
        lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        if not re.fullmatch(r"SIP/2\.0 \d{3} .*|[^ ]+ [^ ]+ SIP/2\.0", lines[0], re.S):
            raise BadMessage(f"bad start line {lines[0]!r}")
        headers = []
        for line in lines[1:]:
            if line[:1] in " \t" and headers:
                headers[-1] = (headers[-1][0], headers[-1][1] + "\r\n" + line)
                continue
            name, colon, value = line.partition(":")
            if not colon:
                raise BadMessage(f"header without colon {line!r}")
            headers.append((name.rstrip(), value.strip(" \t")))
        message = cls(lines[0], headers, body)
        message.raw = data
        return message

    @property
    def is_request(self):
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self):
        return self.start.split(" ")[0] if self.is_request else self.cseq[1]

    @property
    def uri(self):
        return self.start.split(" ")[1]

    @property
    def status(self):
        return None if self.is_request else int(self.start.split(" ")[1])

    @property
    def reason(self):
        return self.start.split(" ", 2)[2]

    def get(self, name, default=None):
        for key, value in self.headers:
            if canonical(key) == canonical(name):
                return value
        return default

    def lines(self, name):
        """The values as they stand, one for each header line."""
        return [value for key, value in self.headers if canonical(key) == canonical(name)]

    def values(self, name):
        """The values with comma lists taken apart."""
        found = []
        for value in self.lines(name):
            found += split_list(value) if canonical(name) in LISTS else [value]
        return found

    @property
    def vias(self):
        return [Via(value) for value in self.values("Via")]

    @property
    def via(self):
        return self.vias[0]

    @property
    def cseq(self):
        number, method = self.get("CSeq").split()
        return int(number), method

    @property
    def call_id(self):
        return self.get("Call-ID")

    @property
    def contact(self):
        return NameAddr(self.values("Contact")[0])

    @property
    def to(self):
        return NameAddr(self.get("To"))

    @property
    def from_(self):
        return NameAddr(self.get("From"))

    @property
    def routes(self):
        return [NameAddr(value) for value in self.values("Route")]

    @property
    def record_routes(self):
        return [NameAddr(value) for value in self.values("Record-Route")]

    # ---- writing -------------------------------------------------------------------------------

    def set(self, name, value):
        """Replaces all values of a header (None removes it), else appends it."""
        for index, (key, _) in enumerate(self.headers):
            if canonical(key) == canonical(name):
                break
        else:
            index = len(self.headers)
        self.headers = [item for item in self.headers if canonical(item[0]) != canonical(name)]
        if value is not None:
            self.headers.insert(index, (name, value))
        return self

    def add(self, name, value):
        self.headers.append((name, value))
        return self

    def push(self, name, value):
        """Adds a header above all others."""
        self.headers.insert(0, (name, value))
        return self

    def copy(self):
        return Message(self.start, self.headers, self.body)

    def to_bytes(self, content_length=True):
        headers = list(self.headers)
        if content_length and self.get("Content-Length") is None:
            headers.append(("Content-Length", str(len(self.body))))
        head = "\r\n".join([self.start] + [f"{name}: {value}" for name, value in headers])
        return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body

    def __repr__(self):
        text = (self.raw or self.to_bytes()).decode("utf-8", "replace")
        return "\n    " + text.replace("\r\n", "\n    ").rstrip() + "\n"


def token(size=8):
    return secrets.token_hex(size)


def branch():
    return "z9hG4bK" + token()


def host(ip):
    return f"[{ip}]" if ":" in ip else ip


def request(method, uri, *, from_uri="sip:alice@example.test", to_uri=None, from_tag=None, to_tag=None,
            call_id=None, cseq=1, via=None, contact=None, routes=(), headers=(), body=b"",
            content_type="application/sdp", max_forwards=70):
    """A request as a careful user agent writes it. via is a full Via value; None leaves it out."""
    message = Message(f"{method} {uri} SIP/2.0")
    if via:
        message.add("Via", via)
    if max_forwards is not None:
        message.add("Max-Forwards", str(max_forwards))
    message.add("From", f"<{from_uri}>;tag={from_tag or token(4)}")
    message.add("To", f"<{to_uri or uri}>" + (f";tag={to_tag}" if to_tag else ""))
    message.add("Call-ID", call_id or token() + "@test")
    message.add("CSeq", f"{cseq} {method}")
    if contact:
        message.add("Contact", contact)
    for route in routes:
        message.add("Route", route)
    for name, value in headers:
        message.add(name, value)
    if body:
        message.add("Content-Type", content_type)
    message.body = body
    return message


REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
           302: "Moved Temporarily", 401: "Unauthorized", 404: "Not Found",
           407: "Proxy Authentication Required", 420: "Bad Extension", 480: "Temporarily Unavailable",
           486: "Busy Here", 487: "Request Terminated", 503: "Service Unavailable"}


def cancel_of(invite):
    """CANCEL for an INVITE that was sent with one Via value (RFC 3261 9.1)."""
    message = Message(invite.start.replace("INVITE", "CANCEL", 1))
    for name in ("Via", "Max-Forwards", "From", "To", "Call-ID"):
        message.add(name, invite.get(name))
    return message.add("CSeq", f"{invite.cseq[0]} CANCEL")


def response(to, status, *, reason=None, to_tag=None, contact=None, headers=(), body=b"",
             content_type="application/sdp"):
    """A response with what RFC 3261 8.2.6 copies; Record-Route too where it makes a dialog."""
    message = Message(f"SIP/2.0 {status} {reason or REASONS.get(status, 'Whatever')}")
    for value in to.lines("Via"):
        message.add("Via", value)
    for name in ("From", "To", "Call-ID", "CSeq"):
        message.add(name, to.get(name))
    if to_tag and "tag" not in to.to.params:
        message.set("To", to.get("To") + f";tag={to_tag}")
    if 100 < status < 300:
        for value in to.lines("Record-Route"):
            message.add("Record-Route", value)
    if contact:
        message.add("Contact", contact)
    for name, value in headers:
        message.add(name, value)
    if body:
        message.add("Content-Type", content_type)
    message.body = body
    return message


def sdp(ip="127.0.0.1", port=40000, direction="sendrecv", version=1):
    """A plain phone's session: PCMU and telephone-event."""
    family = "IP6" if ":" in ip else "IP4"
    return "\r\n".join([
        "v=0", f"o=- 3000 {version} IN {family} {ip}", "s=-", f"c=IN {family} {ip}", "t=0 0",
        f"m=audio {port} RTP/AVP 0 8 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", f"a={direction}", ""]).encode()


def webrtc_sdp(direction="sendrecv", version=1, ufrag="abcd"):
    """What a browser offers, shortened: Opus and PCMU, ICE, DTLS, BUNDLE, and the usual ballast."""
    return "\r\n".join([
        "v=0", f"o=- 4611731400430051336 {version} IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        "a=extmap-allow-mixed", "a=msid-semantic: WMS stream",
        "m=audio 49203 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "c=IN IP4 127.0.0.1",
        "a=rtcp:9 IN IP4 0.0.0.0", "a=candidate:1 1 udp 2122260223 127.0.0.1 49203 typ host generation 0",
        f"a=ice-ufrag:{ufrag}", "a=ice-pwd:aabbccddeeff00112233445566", "a=ice-options:trickle",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass", "a=mid:0",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        f"a={direction}", "a=msid:stream track", "a=rtcp-mux", "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc", "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000", "a=rtpmap:13 CN/8000", "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000", "a=ssrc:1 cname:x", "a=ssrc:1 msid:stream track", ""]).encode()
