"""Drives the ringway-lab program over UDP on loopback, as the gateway does. Argument: the program."""

import hashlib
import json
import math
import os
import queue
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import unittest

PROGRAM = None
WAIT = 20  # seconds; reached only by a failure


class Lab:
    """The program under test, its events and its command line."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "--die-with-parent", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.expect("ready")
        host, port = self.ready["sip"].removeprefix("udp:").rsplit(":", 1)
        self.address = (host.strip("[]"), int(port))

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def expect(self, name, **fields):
        while True:
            event = self.events.get(timeout=WAIT)
            if event["event"] == name and fields.items() <= event.items():
                return event

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=WAIT)
        self.process.stdin.close()
        self.process.stdout.close()
        return code


class Message:
    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name):
        return (self.all(name) or [""])[0]

    @property
    def status(self):
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0


class Agent:
    """A SIP socket with just enough memory for one dialog at a time."""

    count = 0

    def __init__(self, lab, user, host="127.0.0.1"):
        self.lab, self.user = lab, user
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.host = f"[{host}]" if ":" in host else host
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(WAIT)
        self.port = self.socket.getsockname()[1]
        self.cseq = 0
        Agent.count += 1
        self.call_id = f"{user}-{Agent.count}-{os.getpid()}"

    def uri(self):
        return f"sip:{self.user}@{self.host}:{self.port}"

    def request(self, method, uri, to=None, extra=(), body="", cseq=None, branch=None):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or f"z9hG4bK-{self.call_id}-{cseq}-{method}"
        lines = [f"{method} {uri} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport",
                 f"From: <sip:{self.user}@lab.example>;tag={self.user}",
                 f"To: {to or '<' + uri + '>'}",
                 f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}", "Max-Forwards: 70",
                 f"Contact: <{self.uri()}>" if method != "REGISTER" else "", *extra,
                 "Content-Type: application/sdp" if body else "",
                 f"Content-Length: {len(body)}"]
        text = "\r\n".join(line for line in lines if line) + "\r\n\r\n" + body
        self.socket.sendto(text.encode(), self.lab.address)

    def receive(self, start=""):
        while True:
            message = Message(self.socket.recvfrom(65535)[0].decode())
            if message.start.startswith(start):
                return message

    def final(self):
        while True:
            message = self.receive("SIP/2.0")
            if message.status >= 200:
                return message

    def reply(self, request, status, phrase="Answer", extra=(), body=""):
        to = request.one("To") + ("" if "tag=" in request.one("To") else f";tag={self.user}-in")
        lines = [f"SIP/2.0 {status} {phrase}", *(f"Via: {via}" for via in request.all("Via")),
                 *(f"Record-Route: {route}" for route in request.all("Record-Route")),
                 f"From: {request.one('From')}", f"To: {to}", f"Call-ID: {request.one('Call-ID')}",
                 f"CSeq: {request.one('CSeq')}", f"Contact: <{self.uri()}>", *extra,
                 "Content-Type: application/sdp" if body else "", f"Content-Length: {len(body)}"]
        text = "\r\n".join(line for line in lines if line) + "\r\n\r\n" + body
        self.socket.sendto(text.encode(), self.lab.address)

    def register(self, extra=(), contact=None, expires=60):
        self.request("REGISTER", "sip:lab.example", to=f"<sip:{self.user}@lab.example>",
                     extra=(f"Contact: {contact or '<' + self.uri() + '>'}",
                            f"Expires: {expires}", *extra))
        return self.final()

    def invite(self, uri, body, extra=()):
        self.request("INVITE", uri, body=body, extra=extra)

    def in_dialog(self, method, response, cseq=None, body=""):
        routes = tuple(f"Route: {route}" for route in reversed(response.all("Record-Route")))
        target = re.search("<(.*)>", response.one("Contact")).group(1)
        self.request(method, target, to=response.one("To"), extra=routes, cseq=cseq, body=body)

    def close(self):
        self.socket.close()


class Rtp:
    """A PCMU stream."""

    def __init__(self, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.host = host
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(WAIT)

    def sdp(self, formats="0 126", maps="a=rtpmap:126 telephone-event/8000\r\n", extra=""):
        family = "IP6" if ":" in self.host else "IP4"
        return (f"v=0\r\no=- 1 1 IN {family} {self.host}\r\ns=-\r\nc=IN {family} {self.host}\r\n"
                f"t=0 0\r\n{extra}m=audio {self.socket.getsockname()[1]} RTP/AVP {formats}\r\n{maps}")

    def send(self, sdp, packets, hz=440, payload_type=0):
        port = int(re.search(r"m=audio (\d+)", sdp).group(1))
        for number in range(packets):
            samples = [math.sin(2 * math.pi * hz * (number * 160 + i) / 8000) for i in range(160)]
            payload = bytes(encode_pcmu(int(8000 * sample)) for sample in samples)
            header = struct.pack("!BBHII", 0x80, payload_type, number, number * 160, 77)
            self.socket.sendto(header + payload, (self.host, port))

    def send_digit(self, sdp, event, payload_type=126):
        port = int(re.search(r"m=audio (\d+)", sdp).group(1))
        for number in range(3):
            header = struct.pack("!BBHII", 0x80, payload_type, 1000 + number, 4711, 77)
            end = 0x8a if number == 2 else 0x0a
            self.socket.sendto(header + bytes([event, end, 1, number]), (self.host, port))

    def receive(self, packets):
        return [self.socket.recv(2048) for _ in range(packets)]

    def close(self):
        self.socket.close()


def encode_pcmu(sample):
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    segment = magnitude.bit_length() - 8
    return ~(sign | segment << 4 | magnitude >> segment + 3 & 15) & 0xff


def decode_pcmu(code):
    code = ~code & 0xff
    magnitude = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


def loudest_hz(packets):
    samples = [decode_pcmu(code) for packet in packets for code in packet[12:]]

    def power(hz):
        real = sum(s * math.cos(2 * math.pi * hz * i / 8000) for i, s in enumerate(samples))
        imaginary = sum(s * math.sin(2 * math.pi * hz * i / 8000) for i, s in enumerate(samples))
        return real * real + imaginary * imaginary

    return max(range(200, 2000, 40), key=power)


class LabTest(unittest.TestCase):
    host = "127.0.0.1"

    def setUp(self):
        self.lab = Lab(*self.options())
        self.closing = []

    def options(self):
        return ["--listen", f"{self.host}:0"]

    def tearDown(self):
        for thing in self.closing:
            thing.close()
        self.assertEqual(self.lab.stop(), 0)

    def agent(self, user):
        self.closing.append(Agent(self.lab, user, self.host.strip("[]")))
        return self.closing[-1]

    def rtp(self):
        self.closing.append(Rtp(self.host.strip("[]")))
        return self.closing[-1]

    def call(self, alice, number, rtp):
        alice.invite(f"sip:{number}@lab.example", rtp.sdp())
        answer = alice.final()
        self.assertEqual(answer.status, 200)
        alice.in_dialog("ACK", answer, cseq=alice.cseq)
        self.lab.expect("established")
        return answer

    def hang_up(self, alice, answer):
        alice.in_dialog("BYE", answer)
        self.assertEqual(alice.final().status, 200)
        return self.lab.expect("ended")

    def test_echo_returns_the_packets_and_names_their_tone(self):
        alice, rtp = self.agent("alice"), self.rtp()
        answer = self.call(alice, "echo", rtp)
        self.assertIn("RTP/AVP 0 126", answer.body)
        rtp.send(answer.body, 50)
        self.assertEqual(loudest_hz(rtp.receive(50)), 440)
        self.assertEqual(self.lab.expect("tone")["hz"], 440)
        rtp.send_digit(answer.body, 11)
        self.assertEqual(self.lab.expect("digit")["digit"], "#")
        rtp.receive(3)
        ended = self.hang_up(alice, answer)
        self.assertEqual((ended["packets_received"], ended["packets_sent"]), (53, 53))
        self.assertEqual((ended["tone_hz"], ended["by"]), (440, "peer"))

    def test_tone_is_sent(self):
        alice, rtp = self.agent("alice"), self.rtp()
        answer = self.call(alice, "101", rtp)
        self.assertEqual(loudest_hz(rtp.receive(20)), 1000)
        self.hang_up(alice, answer)

    def test_late_offer(self):
        alice, rtp = self.agent("alice"), self.rtp()
        alice.invite("sip:101@lab.example", "")
        answer = alice.final()
        self.assertIn("RTP/AVP 0 8 101", answer.body)
        alice.in_dialog("ACK", answer, cseq=alice.cseq, body=rtp.sdp("0", ""))
        self.assertEqual(loudest_hz(rtp.receive(20)), 1000)
        self.hang_up(alice, answer)

    def test_hold_by_the_caller_stops_the_tone(self):
        alice, rtp = self.agent("alice"), self.rtp()
        answer = self.call(alice, "101", rtp)
        alice.in_dialog("INVITE", answer, body=rtp.sdp() + "a=sendonly\r\n")
        held = alice.final()
        self.assertIn("a=recvonly", held.body)
        alice.in_dialog("ACK", answer, cseq=alice.cseq)
        self.lab.expect("media", sending=0)
        alice.in_dialog("INVITE", answer, body=rtp.sdp())
        self.assertIn("a=sendrecv", alice.final().body)
        alice.in_dialog("ACK", answer, cseq=alice.cseq)
        self.lab.expect("media", sending=1)
        self.hang_up(alice, answer)

    def test_hold_by_the_phone(self):
        alice, rtp = self.agent("alice"), self.rtp()
        answer = self.call(alice, "106", rtp)
        for direction in ("a=sendonly", "a=sendrecv"):
            again = alice.receive("INVITE")
            self.assertIn(direction, again.body)
            alice.reply(again, 200, body=rtp.sdp())
            alice.receive("ACK")
        self.hang_up(alice, answer)

    def test_other_media_lines_are_refused_and_browser_offers_are_not(self):
        alice, rtp = self.agent("alice"), self.rtp()
        body = rtp.sdp().replace("RTP/AVP", "UDP/TLS/RTP/SAVPF")
        alice.invite("sip:100@lab.example", body)
        self.assertEqual(alice.final().status, 488)
        alice = self.agent("alice")
        alice.invite("sip:100@lab.example", rtp.sdp() + "m=video 9 RTP/AVP 31\r\n")
        answer = alice.final()
        self.assertIn("m=video 0 RTP/AVP 31", answer.body)
        alice.in_dialog("ACK", answer, cseq=alice.cseq)
        self.hang_up(alice, answer)

    def test_refusals(self):
        for number, status in (("102", 486), ("105", 603), ("999", 404)):
            alice = self.agent("alice")
            alice.invite(f"sip:{number}@lab.example", self.rtp().sdp())
            self.assertEqual(alice.final().status, status)
            self.assertEqual(alice.lab.process.poll(), None)

    def test_cancel_of_a_slow_answer(self):
        alice = self.agent("alice")
        branch = "z9hG4bK-cancel"
        alice.request("INVITE", "sip:103@lab.example", body=self.rtp().sdp(), branch=branch)
        alice.receive("SIP/2.0 180")
        alice.request("CANCEL", "sip:103@lab.example", cseq=alice.cseq, branch=branch)
        finals = {alice.final().one("CSeq").split()[1]: 0 for _ in range(2)}
        self.assertEqual(set(finals), {"CANCEL", "INVITE"})
        self.assertEqual(self.lab.expect("ended")["by"], "peer")

    def test_register_lists_bindings_and_echoes_path(self):
        alice = self.agent("alice")
        answer = alice.register(extra=("Path: <sip:token@127.0.0.1:9;lr>", "Supported: path"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.one("Path"), "<sip:token@127.0.0.1:9;lr>")
        self.assertIn(alice.uri(), " ".join(answer.all("Contact")))
        self.assertIn("expires=60", " ".join(answer.all("Contact")))
        answer = alice.register(contact="<sip:other@127.0.0.1:10>")
        self.assertIn(alice.uri(), " ".join(answer.all("Contact")))
        self.assertIn("sip:other@127.0.0.1:10", " ".join(answer.all("Contact")))
        answer = alice.register(expires=0)
        self.assertNotIn(alice.uri(), " ".join(answer.all("Contact")))
        answer = alice.register(contact="*", expires=0)
        self.assertEqual(" ".join(answer.all("Contact")), "")

    def test_call_between_users_follows_path_both_ways(self):
        alice, bob, edge = self.agent("alice"), self.agent("bob"), self.agent("edge")
        path = f"<sip:flow@{edge.host}:{edge.port};lr>"
        bob.register(extra=(f"Path: {path}",), contact="<sip:bob@xyz.invalid;transport=ws>")
        alice.invite("sip:bob@lab.example", self.rtp().sdp())
        arrived = edge.receive("INVITE")
        self.assertEqual(arrived.start.split()[1], "sip:bob@xyz.invalid;transport=ws")
        self.assertEqual(arrived.one("Route"), path)
        self.assertEqual(arrived.one("Max-Forwards"), "69")
        self.assertIn(";lr", arrived.one("Record-Route"))
        edge.reply(arrived, 180)
        edge.reply(arrived, 200, body=self.rtp().sdp())
        answer = alice.final()
        edge.reply(arrived, 200, body=self.rtp().sdp())  # repeated: passes too
        self.assertEqual(alice.final().status, 200)
        alice.in_dialog("ACK", answer, cseq=alice.cseq)
        edge.receive("ACK")
        alice.in_dialog("BYE", answer)
        edge.reply(edge.receive("BYE"), 200)
        self.assertEqual(alice.final().status, 200)

    def test_all_bindings_ring_and_the_others_are_cancelled(self):
        alice, first, second = self.agent("alice"), self.agent("bob"), self.agent("bob")
        gone = self.agent("bob")
        for agent in (first, second, gone):
            agent.register()
        alice.invite("sip:bob@lab.example", self.rtp().sdp())
        one, two = first.receive("INVITE"), second.receive("INVITE")
        gone.reply(gone.receive("INVITE"), 430, "Flow Failed")
        gone.receive("ACK")
        first.reply(one, 180)
        second.reply(two, 180)
        second.reply(two, 200, body=self.rtp().sdp())
        cancel = first.receive("CANCEL")
        first.reply(cancel, 200)
        first.reply(one, 487)
        first.receive("ACK")
        answer = alice.final()
        self.assertEqual(answer.status, 200)
        alice.in_dialog("ACK", answer, cseq=alice.cseq)
        second.receive("ACK")
        # The flow that failed is forgotten.
        self.assertNotIn(gone.uri(), " ".join(second.register().all("Contact")))

    def test_dead_flow_alone_is_480(self):
        alice, bob = self.agent("alice"), self.agent("bob")
        bob.register()
        for _ in range(2):  # the second finds no binding
            alice.invite("sip:bob@lab.example", self.rtp().sdp())
            if _ == 0:
                bob.reply(bob.receive("INVITE"), 430)
                bob.receive("ACK")
            self.assertEqual(alice.final().status, 480)
            alice = self.agent("alice")

    def test_gruu_is_granted_and_routes(self):
        alice, bob = self.agent("alice"), self.agent("bob")
        answer = bob.register(contact=f'<{bob.uri()}>;+sip.instance="<urn:uuid:1>"',
                              extra=("Supported: path, gruu",))
        gruu = re.search('pub-gruu="([^"]*)"', answer.one("Contact")).group(1)
        self.assertEqual(gruu, "sip:bob@lab.example;gr=urn:uuid:1")
        alice.request("OPTIONS", gruu)
        bob.reply(bob.receive("OPTIONS"), 200)
        self.assertEqual(alice.final().status, 200)
        # The same instance with a new Contact replaces the old one.
        answer = bob.register(contact='<sip:new@127.0.0.1:11>;+sip.instance="<urn:uuid:1>"')
        self.assertNotIn(bob.uri(), " ".join(answer.all("Contact")))

    def test_phone_calls_a_user(self):
        bob, rtp = self.agent("bob"), self.rtp()
        bob.register()
        self.lab.command("call sip:bob@lab.example tone")
        offered = bob.receive("INVITE")
        bob.reply(offered, 180)
        bob.reply(offered, 200, body=rtp.sdp())
        bob.receive("ACK")
        self.assertEqual(loudest_hz(rtp.receive(20)), 1000)
        rtp.send(offered.body, 20, hz=600)
        self.assertEqual(self.lab.expect("tone")["hz"], 600)
        self.lab.command("hangup 1")
        bob.reply(bob.receive("BYE"), 200)
        self.assertEqual(self.lab.expect("ended")["by"], "us")

    def test_options_and_rubbish(self):
        alice = self.agent("alice")
        seed = 20
        print("seed", seed)
        bytes_of = random.Random(seed).randbytes
        for size in range(0, 400, 21):  # few enough for the socket's buffer
            alice.socket.sendto(bytes_of(size) if size % 2 else b"INVITE sip:1 SIP/2.0\r\n" * size,
                                self.lab.address)
        alice.request("OPTIONS", "sip:lab.example")
        self.assertEqual(alice.final().status, 200)


class LabOverIpv6Test(LabTest):
    host = "[::1]"


class DigestTest(LabTest):
    def options(self):
        return ["--password", "demo", "--realm", "ringway"]

    def authorization(self, alice, challenge, password):
        nonce = re.search('nonce="([^"]*)"', challenge).group(1)
        uri = "sip:lab.example"

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        secret = md5(f"{alice.user}:ringway:{password}")
        response = md5(f"{secret}:{nonce}:00000001:c:auth:{md5('REGISTER:' + uri)}")
        return (f'Authorization: Digest username="{alice.user}", realm="ringway", nonce="{nonce}", '
                f'uri="{uri}", response="{response}", algorithm=MD5, cnonce="c", qop=auth, '
                f'nc=00000001')

    def test_password(self):
        alice = self.agent("alice")
        asked = alice.register()
        self.assertEqual(asked.status, 401)
        challenge = asked.one("WWW-Authenticate")
        wrong = alice.register(extra=(self.authorization(alice, challenge, "wrong"),))
        self.assertEqual(wrong.status, 403)
        right = alice.register(extra=(self.authorization(alice, challenge, "demo"),))
        self.assertEqual(right.status, 200)
        forged = challenge.replace('nonce="', 'nonce="9')
        self.assertEqual(alice.register(
            extra=(self.authorization(alice, forged, "demo"),)).status, 401)


# What LabTest shows needs no second run with a password.
for name in [name for name in dir(LabTest) if name.startswith("test_")]:
    setattr(DigestTest, name, None)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
