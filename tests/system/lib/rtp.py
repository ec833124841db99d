"""RTP with PCMU tones: a sender, a receiver, and Goertzel to judge what arrived."""

import math
import random
import socket
import struct
import threading
import time

from . import flows

RATE, FRAME = 8000, 160


def _encode(sample):
    bias, clip = 0x84, 32635
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), clip) + bias
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 15
    return ~(sign | exponent << 4 | mantissa) & 0xFF


def _decode(byte):
    byte = ~byte & 0xFF
    magnitude = (((byte & 15) << 3) + 0x84) << ((byte >> 4) & 7)
    return (0x84 - magnitude) if byte & 0x80 else (magnitude - 0x84)


DECODE = [_decode(value) for value in range(256)]


def tone(frequency, count):
    """count samples of a tone as PCMU."""
    return bytes(_encode(int(9000 * math.sin(2 * math.pi * frequency * n / RATE))) for n in range(count))


def power(samples, frequency):
    """Goertzel: the share of the whole energy that lies at the frequency, 0 to about 1."""
    energy = sum(value * value for value in samples)
    if not samples or energy < len(samples) * 100:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    before = last = 0.0
    for value in samples:
        before, last = last, value + coefficient * last - before
    found = before * before + last * last - coefficient * before * last
    return 2 * found / (len(samples) * energy)


class RtpPhone:
    """The media of a plain phone: sends a tone to where the other SDP points, keeps what comes."""

    def __init__(self, ip="127.0.0.1", frequency=700):
        self.ip = ip
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((ip, 0))
        self.port = self.socket.getsockname()[1]
        self.frequency = frequency
        self.remote = None
        self.event_type = 101
        self.sent = 0
        self.packets = []  # (time, payload type, payload)
        self.changed = threading.Condition()
        self.stopped = threading.Event()
        self.receiver = threading.Thread(target=self._receive, daemon=True)
        self.sender = threading.Thread(target=self._send, daemon=True)
        self.receiver.start()
        self.sender.start()

    def sdp(self, direction="sendrecv", version=1):
        from . import sip
        return sip.sdp(self.ip, self.port, direction, version)

    def answer(self, offer, direction="sendrecv", version=1):
        """PCMU and the offered 8 kHz telephone-event; aims at the offer too."""
        import re
        self.aim(offer)
        event = re.search(rb"a=rtpmap:(\d+) telephone-event/8000", offer)
        body = self.sdp(direction, version).decode()
        number = event[1].decode() if event else "101"
        self.event_type = int(number)
        return (body.replace(" 0 8 101", f" 0 {number}").replace(":101 ", f":{number} ")
                .replace("a=rtpmap:8 PCMA/8000\r\n", "")).encode()

    def aim(self, body):
        """Takes address and port of the first audio line of the other side's SDP."""
        ip = port = None
        for line in body.decode().splitlines():
            if line.startswith("c=IN "):
                ip = line.split()[2]
            elif line.startswith("m=audio "):
                port = int(line.split()[1])
                profile = line.split()[2]
                if profile != "RTP/AVP":
                    raise AssertionError(f"a phone got the profile {profile}")
        if ip in ("0.0.0.0", "::"):
            raise AssertionError("a phone got a zero address")
        self.remote = (ip, port)

    def _send(self):
        loop = tone(self.frequency, RATE)
        sequence, ssrc, start = random.randrange(65536), random.getrandbits(32), time.monotonic()
        count = 0
        while not self.stopped.wait(max(0, start + count * 0.02 - time.monotonic())):
            count += 1
            if self.remote is None:
                continue
            offset = (count * FRAME) % RATE
            payload = (loop + loop)[offset:offset + FRAME]
            header = struct.pack("!BBHII", 0x80, 0, (sequence + count) & 0xFFFF, (count * FRAME) & 0xFFFFFFFF, ssrc)
            try:
                self.socket.sendto(header + payload, self.remote)
                self.sent += 1
            except OSError:
                pass

    def _receive(self):
        while not self.stopped.is_set():
            try:
                data, _ = self.socket.recvfrom(2048)
            except OSError:
                return
            if len(data) < 12 or data[0] >> 6 != 2 or 200 <= data[1] <= 207:
                continue
            offset = 12 + 4 * (data[0] & 15)
            with self.changed:
                self.packets.append((time.monotonic(), data[1] & 127, data[offset:]))
                self.changed.notify_all()

    def expect_tone(self, frequency, timeout=8, share=0.5):
        """Waits until half a second of what arrives is mostly the tone."""
        end = time.monotonic() + timeout
        best = 0.0
        with self.changed:
            while True:
                audio = b"".join(payload for _, kind, payload in self.packets[-25:] if kind == 0)
                if len(audio) >= 4000:
                    best = max(best, power([DECODE[byte] for byte in audio[-4000:]], frequency))
                    if best >= share:
                        return best
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {frequency} Hz within {timeout} s: {len(self.packets)} packets, "
                                         f"best share {best:.2f}")
                self.changed.wait(min(left, 0.1))

    def mark(self):
        with self.changed:
            return len(self.packets)

    def quiet_since(self, seconds):
        """True if no packet came in the last seconds."""
        with self.changed:
            return not self.packets or self.packets[-1][0] < time.monotonic() - seconds

    def close(self):
        self.stopped.set()
        self.sender.join()
        flows.end(self.socket, self.receiver)
