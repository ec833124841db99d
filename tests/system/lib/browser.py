"""Chromium with JsSIP or SIP.js pages, driven by a node program over JSON lines."""

import itertools
import json
import threading
import time
from pathlib import Path

from .programs import Program
from .waiting import Inbox

HERE = Path(__file__).resolve().parents[1] / "browser"


class Page:
    """One tab with one softphone."""

    def __init__(self, browser, name):
        self.browser, self.name = browser, name
        self.events = Inbox(f"page {name}")

    def do(self, command, timeout=20, **options):
        return self.browser.order(self.name, command, options, timeout)

    def event(self, kind, timeout=15, where=lambda event: True):
        return self.events.take(lambda event: event["type"] == kind and where(event), timeout, f"event {kind}")

    def start(self, server, user, *, library="jssip", password="secret", domain="example.test", frequency=440,
              wait=True, **options):
        """Starts the phone; server is the wss URL."""
        self.library = library
        self.do("start", library=library, server=server, uri=f"sip:{user}@{domain}", password=password,
                frequency=frequency, **options)
        if wait:
            return self.event("registered")
        return None

    def call(self, target):
        self.do("call", target=target)

    def expect_tone(self, frequency, timeout=10, tolerance=15):
        """Waits until the strongest frequency of what arrives is the wanted one."""
        end = time.monotonic() + timeout
        heard = None
        pause = threading.Event()
        while time.monotonic() < end:
            heard = self.do("hear")
            if abs(heard["frequency"] - frequency) <= tolerance and (heard["level"] or -200) > -60:
                return heard
            pause.wait(0.1)
        raise AssertionError(f"page {self.name}: no {frequency} Hz within {timeout} s, heard {heard}; "
                             f"{self.do('statistics')}")

    def close(self):
        self.do("close")


class Browser:
    def __init__(self, directory, *, args=(), name="browser"):
        self.program = Program(name, ["node", HERE / "driver.js", json.dumps({"args": list(args)})],
                               directory, stdin=True, cwd=HERE)
        self.answers = Inbox("browser")
        self.numbers = itertools.count(1)
        self.pages = {}
        self.lock = threading.Lock()
        self.index = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.answers.take(lambda line: line.get("ready"), 40, "browser start")

    def _read(self):
        index = 0
        program = self.program
        while True:
            with program.changed:
                while len(program.lines) <= index:
                    program.changed.wait()
                line = program.lines[index]
            index += 1
            if line is None:
                return
            try:
                item = json.loads(line)
            except ValueError:
                continue
            if "event" in item:
                item["event"]["at"] = time.monotonic()
                self.pages[item["page"]].events.put(item["event"])
            else:
                self.answers.put(item)

    def order(self, page, command, options, timeout):
        number = next(self.numbers)
        with self.lock:
            self.program.write(json.dumps({"id": number, "page": page, "command": command, "options": options}) + "\n")
        answer = self.answers.take(lambda item: item.get("id") == number, timeout, f"answer to {command}")
        if "error" in answer:
            raise AssertionError(f"page {page}, {command}: {answer['error']}")
        return answer["result"]

    def page(self, name, url=None):
        """A tab with the tests' own softphone, or with the page at url."""
        made = Page(self, name)
        self.pages[name] = made
        made.do("open", timeout=30, url=url)
        return made

    def end(self):
        if self.program.running:
            self.program.process.stdin.close()
            try:
                self.program.process.wait(8)
            except Exception:
                pass
        self.program.end()
