"""A media relay that fails as it is told: rtpengine's ng protocol over TCP and UDP, no media."""

import contextlib
import selectors
import socket
import threading

from . import sip
from .ports import Reservation
from .rtpengine import bdecode, bencode
from .waiting import until


class StandInRelay:
    """mode: ok, load_limit (with the word for it), limit_error (as an error), no_ports, silent, or unknown."""

    def __init__(self, name="relay"):
        self.name, self.mode = name, "ok"
        self.requests = []  # dictionaries, in order, without pings and lists
        self.cookies = []   # of the same
        self.drop_next = 0  # connections to cut in the middle of an offer
        self.lose = 0       # datagrams to lose before an answer
        self.without_events = False  # it takes telephone-event out of what it writes
        self.sessions = {}
        self.lock = threading.Lock()
        reservation = Reservation()
        self.port = reservation.port()
        reservation.release()
        self.address = f"127.0.0.1:{self.port}"
        self.selector = selectors.DefaultSelector()
        self.wake = socket.socketpair()
        self.selector.register(self.wake[0], selectors.EVENT_READ, "wake")
        self.pending = {}
        self.tcp = self.udp = None
        self._open()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.running = True
        self.thread.start()

    def _open(self):
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", self.port))
        self.tcp.listen()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.selector.register(self.tcp, selectors.EVENT_READ, "accept")
        self.selector.register(self.udp, selectors.EVENT_READ, "datagram")

    def _run(self):
        while self.running:
            for key, _ in self.selector.select():
                if key.data == "wake":
                    self.wake[0].recv(1)
                elif key.data == "accept":
                    connection, _ = self.tcp.accept()
                    self.pending[connection] = b""
                    self.selector.register(connection, selectors.EVENT_READ, "stream")
                elif key.data == "datagram":
                    data, sender = self.udp.recvfrom(65536)
                    cookie, _, body = data.partition(b" ")
                    reply = self._reply(cookie, bdecode(body)[0], datagram=True)
                    if reply:
                        self.udp.sendto(reply, sender)
                else:
                    self._stream(key.fileobj)

    def _cut(self, connection):
        self.selector.unregister(connection)
        connection.close()
        self.pending.pop(connection, None)

    def cut_all(self):
        """Ends every connection; the thread that serves them notices."""
        for connection in list(self.pending):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _stream(self, connection):
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            return self._cut(connection)
        if self.drop_next and b"5:offer" in data:
            self.drop_next -= 1
            return self._cut(connection)
        self.pending[connection] += data
        while True:
            cookie, space, body = self.pending[connection].partition(b" ")
            try:
                request, used = bdecode(body) if space else (None, 0)
            except (ValueError, IndexError):
                return None
            if request is None:
                return None
            self.pending[connection] = body[used:]
            reply = self._reply(cookie, request)
            if reply:
                connection.sendall(reply)

    def _reply(self, cookie, request, datagram=False):
        command = request["command"].decode()
        if command not in ("ping", "list", "query"):
            with self.lock:
                self.requests.append(request)
                self.cookies.append(cookie)
        if self.mode == "silent":
            return None
        if datagram and self.lose and command == "offer":
            self.lose -= 1
            return None
        return cookie + b" " + bencode(self._answer(command, request))

    def _answer(self, command, request):
        if command == "ping":
            return {"result": "pong"}
        if command == "list":
            return {"result": "ok", "calls": list(self.sessions)}
        name = request["call-id"].decode()
        if command == "query":
            if name not in self.sessions:
                return {"result": "error", "error-reason": "Unknown call-id"}
            return {"result": "ok", "totals": {"RTP": {"packets": self.sessions[name]}}}
        if command == "delete":
            known = self.sessions.pop(name, None) is not None
            return {"result": "ok"} if known else {"result": "error", "error-reason": "Unknown call-id"}
        if command == "offer" and self.mode == "load_limit":
            return {"result": "load limit", "message": "Parallel session limit reached"}
        if command == "offer" and self.mode == "limit_error":
            return {"result": "error", "error-reason": "Load limit exceeded"}
        if command == "offer" and self.mode == "no_ports":
            return {"result": "error", "error-reason": "Ran out of ports"}
        if command == "answer" and (self.mode == "unknown" or name not in self.sessions):
            return {"result": "error", "error-reason": "Unknown call-id"}
        self.sessions.setdefault(name, 0)
        webrtc = request.get("ICE") == b"force"
        body = sip.webrtc_sdp() if webrtc else sip.sdp(port=40000 + len(self.requests))
        if self.without_events:
            body = body.replace(b"telephone-event", b"unknown")
        return {"result": "ok", "sdp": body}

    # ---- what a test asks ----------------------------------------------------------------------

    def count(self, command):
        with self.lock:
            return sum(request["command"] == command.encode() for request in self.requests)

    def expect(self, command, count=1, timeout=5):
        until(lambda: self.count(command) >= count, timeout, f"{self.name} has {count} of {command}")
        with self.lock:
            return [request for request in self.requests if request["command"] == command.encode()]

    def end(self):
        self.running = False
        self.wake[1].send(b"x")
        self.thread.join(5)
        for connection in [*self.pending, self.tcp, self.udp, *self.wake]:
            connection.close()
        self.selector.close()
