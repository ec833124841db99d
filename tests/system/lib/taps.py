"""Stands between a tool and a listener of the gateway, and keeps whatever the tool says and hears."""

import socket
import threading

from . import flows


class Tap:
    """A UDP port for a tool that knows UDP only. Each address of the tool becomes an end of its own at the gateway:
    a datagram socket, or a TCP, TLS, WS or WSS connection, from the address source.

    disguise: pairs of bytes; the first is replaced by the second in what the tool sends.
    """

    def __init__(self, remote, transport, source, disguise=(), front="127.0.0.1"):
        self.remote, self.transport, self.source, self.disguise = remote, transport, source, disguise
        self.said, self.heard = [], []  # messages of the tool; pieces of bytes of the gateway
        self.ends = {}
        self.lock = threading.Lock()
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind((front, 0))
        self.local = self.front.getsockname()
        self.closing = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data, tool = self.front.recvfrom(65536)
            except OSError:
                return
            if self.closing:
                return
            for old, new in self.disguise:
                data = data.replace(old, new)
            if not data.strip():
                continue  # a look whether the port is open
            self.said.append(data)
            try:
                self._end_of(tool).write(data)
            except (OSError, AssertionError):
                self.ends.pop(tool, None)  # closed meanwhile; the next one opens another

    def _end_of(self, tool):
        end = self.ends.get(tool)
        if end is None or (end.closed.is_set() and self.transport != "udp"):
            end = self.ends[tool] = self._open(tool)
        return end

    def _open(self, tool):
        hear = lambda data: self._hear(data, tool)
        if self.transport == "udp":
            try:
                port = flows.UdpPort(self.source, tool[1], name="tap")
            except OSError:
                port = flows.UdpPort(self.source, 0, name="tap")
            port.raw.put = lambda item: hear(item[0])
            end = port.to(self.remote)
            end.close = port.close
            return end
        if self.transport in ("ws", "wss"):
            context = flows.client_context() if self.transport == "wss" else None
            end = flows.upgrade(flows.connect(self.remote, tls=context, source=(self.source, 0)), self.remote, "tap")
            end.deliver = hear
        else:
            end = getattr(flows, self.transport)(self.remote, "tap", source=(self.source, 0))
            end.receive = hear
        return end

    def _hear(self, data, tool):
        with self.lock:
            self.heard.append(bytes(data))
        self.front.sendto(data, tool)

    @property
    def bytes_heard(self):
        return sum(len(data) for data in self.heard)

    def close(self):
        self.closing = True
        try:
            self.front.sendto(b"", self.local)
        except OSError:
            pass
        self.reader.join(5)
        self.front.close()
        for end in self.ends.values():
            end.close()


class Pipe:
    """A TCP port for a tool; the bytes of each connection go on to the gateway from the address source."""

    def __init__(self, remote, source, disguise=()):
        self.remote, self.source, self.disguise = remote, source, disguise
        self.said, self.heard = [], []
        self.open = []
        self.front = socket.socket()
        self.front.bind(("127.0.0.1", 0))
        self.front.listen(64)
        self.local = self.front.getsockname()
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                tool, _ = self.front.accept()
                gateway = flows.connect(self.remote, source=(self.source, 0))
            except OSError:
                return
            gateway.settimeout(None)
            self.open += [tool, gateway]
            for one, other, into in ((tool, gateway, self.said), (gateway, tool, self.heard)):
                threading.Thread(target=self._carry, args=(one, other, into), daemon=True).start()

    def _carry(self, one, other, into):
        try:
            while data := one.recv(65536):
                for old, new in self.disguise if into is self.said else ():
                    data = data.replace(old, new)
                into.append(data)
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def bytes_heard(self):
        return sum(len(data) for data in self.heard)

    def close(self):
        flows.end(self.front, self.acceptor)
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
