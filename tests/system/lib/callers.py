"""Callers over UDP at a rate: each call set up, held for a moment, hung up; and what each of them saw."""

import collections
import heapq
import multiprocessing
import re
import select
import socket
import threading
import time

from . import sip

T1 = 0.5
GIVE_UP = 32.0  # 64 * T1 (RFC 3261 17.1.1.2, timer B)

_HEADER = {name: re.compile(rf"^(?:{name}|{short})[ \t]*:[ \t]*(.*?)\r$", re.M | re.I)
           for name, short in (("Call-ID", "i"), ("CSeq", "CSeq"), ("From", "f"), ("To", "t"), ("Via", "v"),
                               ("Contact", "m"), ("Record-Route", "Record-Route"))}


def values(text, name):
    return _HEADER[name].findall(text)


class Callers:
    """rate calls a second to remote until stop(). seen counts outcomes in words."""

    def __init__(self, remote, rate, *, hold=0.2, ip="127.0.0.1"):
        self.remote, self.rate, self.hold = remote, rate, hold
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((ip, 0))
        self.local = "%s:%d" % self.socket.getsockname()
        self.seen = collections.Counter()
        self.setup = []  # seconds from INVITE to 200, of those that were answered
        self.started = 0
        self.calls = {}
        self.due = []  # (when, number, call, what)
        self.number = 0
        self.running = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _later(self, delay, call, work):
        self.number += 1
        heapq.heappush(self.due, (time.monotonic() + delay, self.number, call, work))

    def _send(self, text):
        try:
            self.socket.sendto(text.encode(), self.remote)
        except OSError as error:  # ICMP: nobody listens there
            self.seen[f"send: {error.strerror}"] += 1

    def _build(self, call, method, uri, cseq, routes=(), body="", to=None):
        lines = [f"{method} {uri} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.local};branch={call['branch' + method]};rport", "Max-Forwards: 70",
                 *[f"Route: {route}" for route in routes], f"From: <sip:caller@example.test>;tag={call['tag']}",
                 f"To: {to or call['to']}", f"Call-ID: {call['id']}", f"CSeq: {cseq} {method}",
                 f"Contact: <sip:caller@{self.local}>"]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])

    def _begin(self):
        self.started += 1
        call = {"id": sip.token(8) + "@callers", "tag": sip.token(4), "to": "<sip:sipp@example.test>",
                "branchINVITE": sip.branch(), "branchACK": sip.branch(), "branchBYE": sip.branch(), "state": "inviting",
                "since": time.monotonic()}
        call["message"] = self._build(call, "INVITE", "sip:sipp@example.test", 1, body=sip.sdp().decode())
        self.calls[call["id"]] = call
        self._send(call["message"])
        self._later(T1, call, ("again", "inviting", T1))
        self._later(GIVE_UP, call, ("over", "inviting", 0))

    def _end(self, call, outcome):
        if self.calls.pop(call["id"], None) is not None:
            self.seen[outcome] += 1

    def _serve(self, call, work):
        kind, state, interval = work
        if call["id"] not in self.calls or call["state"] != state:
            return
        if kind == "again":
            self._send(call["message"])
            self._later(interval * 2, call, ("again", state, interval * 2))
        elif kind == "over":
            self._end(call, f"{state}: no answer")
        else:
            call["state"] = "hanging up"
            call["message"] = self._build(call, "BYE", call["target"], 2, call["routes"])
            self._send(call["message"])
            self._later(T1, call, ("again", "hanging up", T1))
            self._later(GIVE_UP, call, ("over", "hanging up", 0))

    def _receive(self, text):
        found = values(text, "Call-ID")
        call = self.calls.get(found[0]) if found else None
        if not text.startswith("SIP/2.0"):
            self._request(text, call)
            return
        if call is None:
            return
        status, cseq = int(text[8:11]), values(text, "CSeq")[0]
        if cseq.endswith("INVITE"):
            self._invite_answer(call, status, text)
        elif cseq.endswith("BYE") and status >= 200 and call["state"] == "hanging up":
            self._end(call, "whole" if status == 200 else f"BYE {status}")

    def _invite_answer(self, call, status, text):
        if status < 200:
            call["state"] = "ringing" if call["state"] == "inviting" else call["state"]
            if call["state"] == "ringing" and not call.get("watched"):
                call["watched"] = True
                self._later(2 * GIVE_UP, call, ("over", "ringing", 0))
            return
        call["to"] = values(text, "To")[0]
        if status >= 300:
            self._send(self._build({**call, "branchACK": call["branchINVITE"]}, "ACK", "sip:sipp@example.test", 1))
            self._end(call, f"INVITE {status}")
            return
        contact = values(text, "Contact")[0]
        call["target"] = contact[contact.index("<") + 1:contact.index(">")]
        call["routes"] = [one.strip() for line in reversed(values(text, "Record-Route"))
                          for one in reversed(line.split(","))]
        self._send(self._build(call, "ACK", call["target"], 1, call["routes"]))
        if call["state"] != "talking":
            call["state"] = "talking"
            self.setup.append(time.monotonic() - call["since"])
            self._later(self.hold, call, ("hang up", "talking", 0))

    def _request(self, text, call):
        lines = ["SIP/2.0 200 OK", *[f"Via: {via}" for via in values(text, "Via")],
                 *[f"{name}: {values(text, name)[0]}" for name in ("From", "To", "Call-ID", "CSeq")],
                 "Content-Length: 0", "", ""]
        self._send("\r\n".join(lines))
        if call is not None:
            self._end(call, "ended by the other side")

    def _run(self):
        begun = time.monotonic()
        ready = select.poll()  # not select(): beside thousands of browsers the descriptor is above 1,024
        ready.register(self.socket, select.POLLIN)
        while self.running or (self.calls and time.monotonic() < self.stopped + 2 * GIVE_UP):
            now = time.monotonic()
            if self.running and self.started < (now - begun) * self.rate:
                self._begin()
            while self.due and self.due[0][0] <= now:
                _, _, call, work = heapq.heappop(self.due)
                self._serve(call, work)
            while ready.poll(2):
                try:
                    self._receive(self.socket.recv(65536).decode("utf-8", "replace"))
                except OSError:
                    continue
                if time.monotonic() - now > 0.02:
                    break

    def stop(self):
        """Begins no more and waits until each has seen its end; then what they saw."""
        self.stopped = time.monotonic()
        self.running = False
        self.thread.join()
        self.socket.close()
        for call in list(self.calls.values()):
            self._end(call, f"{call['state']} for ever")
        return dict(self.seen)


class CallersApart:
    """Callers in a process of their own, so that thousands of browsers in this one do not make them late."""

    def __init__(self, remote, rate):
        spawn = multiprocessing.get_context("spawn")
        self._whole, self._stop = spawn.Value("L", 0), spawn.Event()
        self._result, theirs = spawn.Pipe(False)
        self._process = spawn.Process(target=_live, args=(remote, rate, self._whole, self._stop, theirs),
                                      daemon=True)
        self._process.start()

    @property
    def whole(self):
        """Calls that were set up and hung up until now."""
        return self._whole.value

    def stop(self):
        """Begins no more and waits until each has seen its end; then what they saw."""
        self._stop.set()
        seen, self.setup, self.started = self._result.recv()
        self._process.join()
        return seen


def _live(remote, rate, whole, stop, result):
    callers = Callers(remote, rate)
    while not stop.wait(0.01):
        whole.value = callers.seen["whole"]
    seen = callers.stop()
    result.send((seen, callers.setup, callers.started))
