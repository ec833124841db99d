"""Many browsers at once over WSS, in one thread: each registers, stays, and comes back when its socket ends.

They wait before they come back as JsSIP does: a random part of a time that doubles with each failure.
"""

import asyncio
import collections
import random
import socket
import ssl
import struct
import threading
import time

from . import sip, websocket


class Browser:
    def __init__(self, farm, number):
        self.farm, self.number = farm, number
        self.user = f"b{number}"
        self.instance = f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"
        self.contact = f"<sip:{self.user}@{sip.token(6)}.invalid;transport=ws>"
        self.call_id, self.cseq = sip.token(8), 0
        self.registered = False
        self.lost_at = None
        self.failures = 0

    async def live(self):
        while self.farm.running:
            try:
                await self.connection()
            except (OSError, ssl.SSLError, EOFError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
                self.farm.trouble[type(error).__name__] += 1
                self.failures += 1
            if self.registered:
                self.lost_at = time.monotonic()
            self.registered = False
            if self.farm.running:
                most = min(self.farm.back_first * 2 ** min(self.failures, 8), self.farm.back_most)
                await asyncio.sleep(random.uniform(0, most))

    async def connection(self):
        async with self.farm.handshakes:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(*self.farm.remote, ssl=self.farm.tls, server_hostname="gateway.test"), 60)
            writer.write(websocket.upgrade_request("gateway.test")[1])
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            if b" 101 " not in head.split(b"\r\n", 1)[0] + b" ":
                raise ValueError(head)
        plain = writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.farm.keepalive)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.farm.keepalive)
        try:
            self.register(writer)
            while True:
                await self.message(reader, writer)
        finally:
            writer.transport.abort()

    async def message(self, reader, writer):
        first, second = await reader.readexactly(2)
        size = second & 0x7f
        if size == 126:
            size = struct.unpack(">H", await reader.readexactly(2))[0]
        payload = await reader.readexactly(size) if size else b""
        opcode = first & 15
        if opcode == websocket.PING:
            writer.write(websocket.frame(websocket.PONG, payload))
        elif opcode == websocket.CLOSE:
            code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 0
            self.farm.closes[code] += 1
            writer.write(websocket.frame(websocket.CLOSE, payload[:2]))
            raise EOFError
        elif payload.startswith(b"SIP/2.0 "):
            self.answered(int(payload[8:11]))

    def register(self, writer):
        self.cseq += 1
        text = "\r\n".join([
            f"REGISTER sip:{self.farm.domain} SIP/2.0",
            f"Via: SIP/2.0/WSS {sip.token(6)}.invalid;branch={sip.branch()}", "Max-Forwards: 70",
            f"From: <sip:{self.user}@{self.farm.domain}>;tag={sip.token(4)}", f"To: <sip:{self.user}@{self.farm.domain}>",
            f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} REGISTER",
            f'Contact: {self.contact};+sip.instance="{self.instance}";reg-id=1;expires=600',
            "Supported: path, outbound", "Content-Length: 0", "", ""])
        writer.write(websocket.frame(websocket.TEXT, text.encode()))

    def answered(self, status):
        self.farm.answers[status] += 1
        if status != 200:
            return
        self.registered, self.failures = True, 0
        if self.lost_at is not None:
            self.farm.away.append(time.monotonic() - self.lost_at)
        self.lost_at = None


class Browsers:
    def __init__(self, remote, count, *, domain="example.test", back_first=1.0, back_most=8.0, keepalive=45):
        self.remote, self.count, self.domain = remote, count, domain
        self.back_first, self.back_most = back_first, back_most
        self.keepalive = keepalive  # seconds: TCP's, as Chromium sets it
        self.answers, self.closes, self.trouble = (collections.Counter() for _ in range(3))
        self.away = []  # seconds without a registration, each time one came back
        self.running = True
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.browsers = [Browser(self, number) for number in range(count)]
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.thread.start()

    async def _main(self):
        self.handshakes = asyncio.Semaphore(64)
        tasks = [asyncio.create_task(one.live()) for one in self.browsers]
        while self.running:
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def here(self):
        return sum(one.registered for one in self.browsers)

    def stop(self):
        self.running = False
        self.thread.join(30)
