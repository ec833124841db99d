"""TCP on one side, TLS on the other: gives TLS to programs that are built without it, such as Debian's sipp."""

import contextlib
import socket
import ssl
import threading


class TlsTunnel:
    """Accepts TCP connections and carries each one over TLS to the remote endpoint."""

    def __init__(self, remote, authority, name):
        self.remote, self.name = remote, name
        self.context = ssl.create_default_context(cafile=str(authority))
        self.server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = self.server.getsockname()
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = self.context.wrap_socket(socket.create_connection(self.remote), server_hostname=self.name)
                self.connections += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def close(self):
        for one in (self.server, *self.connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
