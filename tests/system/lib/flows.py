"""Flows: UDP ports, TCP, TLS, WS and WSS connections, all with one face.

A flow has send(bytes or Message), an inbox of whole SIP messages, and a second inbox of what else
happened on it (keepalives, frames, the end of the connection).
"""

import select
import socket
import ssl
import threading
import time

from . import sip, websocket
from .sip import Message
from .waiting import Inbox, Timeout

READ_SIZE = 65536


class Ended:
    """The other end closed the connection; how says by what."""

    def __init__(self, how):
        self.how = how
        self.at = time.monotonic()

    def __repr__(self):
        return f"\n    <ended: {self.how}>"


def family_of(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def end(connection, reader, how=socket.SHUT_RDWR):
    """Closes a socket once its reader has left it.

    A descriptor's number is given out again as soon as it is free, so a reader that still holds the old
    number would take the bytes of somebody else's new connection.
    """
    try:
        connection.shutdown(how)
    except OSError:
        pass
    if reader and reader is not threading.current_thread():
        reader.join(10)
        if reader.is_alive():
            raise AssertionError(f"the reader of {connection} does not end")
    connection.close()


class Framer:
    """SIP messages on a stream by Content-Length (RFC 3261 18.3); CRLFs between them are kept apart."""

    def __init__(self):
        self.data = b""

    def receive(self, piece):
        self.data += piece
        found = []
        while self.data:
            if self.data.startswith(b"\r\n"):
                found.append(b"\r\n")
                self.data = self.data[2:]
                continue
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                break
            message = Message.parse(self.data[:end + 4])
            length = message.get("Content-Length")
            if length is None:
                raise sip.BadMessage(f"no Content-Length on a stream: {message!r}")
            size = end + 4 + int(length)
            if len(self.data) < size:
                break
            found.append(self.data[:size])
            self.data = self.data[size:]
        return found


class Flow:
    """What all flows share. transport is the token of the Via header."""

    transport = ""

    def __init__(self, name, inbox=None):
        self.name = name
        self.inbox = inbox or Inbox(name)
        self.other = Inbox(name + " other events")
        self.closed = threading.Event()

    def deliver(self, data):
        try:
            message = Message.parse(data)
        except sip.BadMessage as error:
            self.other.put(error)
            return
        message.flow = self
        message.at = time.monotonic()
        self.inbox.put(message)

    def send(self, message):
        data = message.to_bytes() if isinstance(message, Message) else message
        self.write(data)
        return message

    def via(self, branch=None, rport=True):
        """A Via value that describes this flow's own end truly."""
        ip, port = self.local
        return (f"SIP/2.0/{self.transport} {sip.host(ip)}:{port};branch={branch or sip.branch()}"
                + (";rport" if rport else ""))

    def expect_end(self, timeout=5):
        if not self.closed.wait(timeout):
            raise Timeout(f"{self.name}: the connection did not end within {timeout} s; seen: {self.other.seen}")


class UdpFlow(Flow):
    """A UDP port, seen as a flow to one peer address."""

    transport = "UDP"

    def __init__(self, port, remote):
        super().__init__(port.name, port.inbox)
        self.port, self.remote, self.local = port, remote, port.local

    def write(self, data):
        self.port.socket.sendto(data, self.remote)


class UdpPort:
    """A bound UDP socket; messages carry a flow back to where they came from."""

    def __init__(self, ip, port=0, inbox=None, name="udp"):
        self.name = name
        self.inbox = inbox or Inbox(name)
        self.raw = Inbox(name + " raw datagrams")
        self.socket = socket.socket(family_of(ip), socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((ip, port))
        self.local = self.socket.getsockname()[:2]
        self.running = True
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def to(self, remote):
        return UdpFlow(self, remote)

    def _read(self):
        while self.running:
            try:
                data, source = self.socket.recvfrom(READ_SIZE)
            except OSError:
                return
            if source is None:
                return
            self.raw.put((data, source[:2]))
            if data[:1].isalpha():
                UdpFlow(self, source[:2]).deliver(data)

    def close(self):
        self.running = False
        end(self.socket, self.reader)


class StreamFlow(Flow):
    """A connected TCP or TLS socket that carries framed SIP."""

    def __init__(self, connection, name, inbox=None, transport=None):
        super().__init__(name, inbox)
        self.socket = connection
        self.transport = transport or ("TLS" if isinstance(connection, ssl.SSLSocket) else "TCP")
        self.local = connection.getsockname()[:2]
        self.remote = connection.getpeername()[:2]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self.framer = Framer()
        self.closing = False
        self.lock = threading.Lock()     # a TLS connection is one thread's at a time
        self.writing = threading.Lock()  # one write after the other
        self.thread = None

    def start(self, early=b""):
        self.thread = threading.Thread(target=self._read, args=(early,), daemon=True)
        self.thread.start()
        return self

    def _read(self, early):
        how = "FIN"
        readable = select.poll()
        readable.register(self.socket, select.POLLIN | select.POLLRDHUP)
        try:
            if early:
                self.receive(early)
            while True:
                with self.lock:
                    data = None if self.closing else self._take()
                if data:
                    self.receive(data)
                elif self.closing or data == b"":
                    break
                else:
                    readable.poll()
        except sip.BadMessage as error:
            self.other.put(error)
            how = "bad message"
        except (OSError, ssl.SSLError, ValueError) as error:
            how = repr(error)
        self.closed.set()
        self.other.put(Ended(how))

    def _take(self):
        """What has arrived; None is nothing yet, b"" the end."""
        try:
            return self.socket.recv(READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def receive(self, data):
        for piece in self.framer.receive(data):
            if piece == b"\r\n":
                self.other.put(piece)
            else:
                self.deliver(piece)

    def write(self, data):
        rest = memoryview(data)
        with self.writing:
            while rest:
                with self.lock:
                    if self.closing:
                        raise BrokenPipeError("the flow was closed here")
                    try:
                        rest = rest[self.socket.send(rest):]
                        continue
                    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        pass
                select.select([], [self.socket], [], 0.1)

    def close(self):
        """An orderly end."""
        self._end(socket.SHUT_RDWR)

    def abort(self):
        """Ends with RST: the other side learns it at once, without an orderly end."""
        if not self.closing:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._end(socket.SHUT_RD)

    def _end(self, how):
        with self.writing, self.lock:
            if self.closing:
                return
            self.closing = True
        end(self.socket, self.thread, how)


class WebSocketFlow(StreamFlow):
    """A client's WebSocket after the upgrade: one message, one frame (RFC 7118 5)."""

    def __init__(self, connection, name, early=b""):
        super().__init__(connection, name)
        self.transport = "WSS" if isinstance(connection, ssl.SSLSocket) else "WS"
        self.frames = Inbox(name + " frames")
        self.reader = websocket.FrameReader()
        self.parts = []
        self.answer_pings = True
        # A browser does not know its address (RFC 7118 5.2).
        self.invalid = sip.token(6) + ".invalid"
        self.start(early)

    def via(self, branch=None, rport=False):
        return (f"SIP/2.0/{self.transport} {self.invalid};branch={branch or sip.branch()}"
                + (";rport" if rport else ""))

    def receive(self, data):
        for frame in self.reader.receive(data):
            self.frames.put(frame)
            self._handle(frame)

    def _handle(self, frame):
        if frame.opcode == websocket.PING and self.answer_pings:
            self.raw(websocket.frame(websocket.PONG, frame.payload))
        elif frame.opcode in (websocket.TEXT, websocket.BINARY, websocket.CONTINUATION):
            self.parts.append(frame.payload)
            if frame.fin:
                whole, self.parts = b"".join(self.parts), []
                if whole.strip(b"\r\n") == b"":
                    self.other.put(whole)
                else:
                    self.deliver(whole)

    def raw(self, data):
        super().write(data)

    def write(self, data):
        self.raw(websocket.frame(websocket.TEXT, data))

    def expect_close(self, timeout=5):
        """The close frame's code, or None for a bare end."""
        end = time.monotonic() + timeout
        while True:
            for frame in list(self.frames.seen):
                if frame.opcode == websocket.CLOSE:
                    return frame.close_code
            if self.closed.is_set():
                return None
            if time.monotonic() > end:
                raise Timeout(f"{self.name}: no close within {timeout} s; frames: {self.frames.seen[-3:]}")
            self.closed.wait(0.02)


def client_context(ca=None, certificate=None, key=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def server_context(certificate, key, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def connect(remote, *, tls=None, server_name=None, timeout=5, source=None):
    """A connected socket, wrapped if tls is a context."""
    connection = socket.socket(family_of(remote[0]), socket.SOCK_STREAM)
    connection.settimeout(timeout)
    if source:
        connection.bind(source)
    connection.connect(remote)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        connection = tls.wrap_socket(connection, server_hostname=server_name)
    return connection


def tcp(remote, name="tcp client", **options):
    return StreamFlow(connect(remote, **options), name).start()


def tls(remote, name="tls client", context=None, **options):
    return StreamFlow(connect(remote, tls=context or client_context(), **options), name).start()


def upgrade(connection, remote, name, **options):
    host = options.pop("host", f"{sip.host(remote[0])}:{remote[1]}")
    key, request = websocket.upgrade_request(host, **options)
    connection.sendall(request)
    answer = websocket.read_http_response(connection)
    if answer.status != 101:
        raise AssertionError(f"{name}: no upgrade: {answer}")
    if answer.headers.get("sec-websocket-accept") != websocket.accept_for(key):
        raise AssertionError(f"{name}: wrong Sec-WebSocket-Accept: {answer}")
    return WebSocketFlow(connection, name, answer.rest)


def ws(remote, name="ws client", **options):
    return upgrade(connect(remote), remote, name, **options)


def wss(remote, name="wss client", context=None, server_name=None, **options):
    connection = connect(remote, tls=context or client_context(), server_name=server_name)
    return upgrade(connection, remote, name, **options)


class StreamListener:
    """Accepts TCP or TLS connections; each becomes a StreamFlow that feeds the given inbox."""

    def __init__(self, ip, port=0, *, tls=None, inbox=None, name="listener"):
        self.name, self.tls = name, tls
        self.inbox = inbox or Inbox(name)
        self.flows = []
        self.events = Inbox(name + " connections")
        self.socket = socket.socket(family_of(ip), socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((ip, port))
        self.socket.listen(128)
        self.local = self.socket.getsockname()[:2]
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._open, args=(connection,), daemon=True).start()

    def _open(self, connection):
        try:
            if self.tls:
                connection.settimeout(10)
                connection = self.tls.wrap_socket(connection, server_side=True)
            flow = StreamFlow(connection, self.name, self.inbox)
        except (OSError, ssl.SSLError) as error:
            self.events.put(error)
            return
        self.flows.append(flow)
        self.events.put(flow)
        flow.start()

    def close(self):
        end(self.socket, self.acceptor)
        for flow in self.flows:
            flow.close()
