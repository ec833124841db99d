"""Starting and ending the programs that tests need, each by its own process id."""

import os
import signal
import subprocess
import threading
from pathlib import Path

from .waiting import Timeout


class Program:
    """A child process whose output goes to a file and to waiters."""

    def __init__(self, name, command, directory, *, env=None, stdin=False, cwd=None, pass_fds=()):
        self.name = name
        self.log = Path(directory) / f"{name}.log"
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, cwd=cwd or directory,
            env={**os.environ, **(env or {})}, pass_fds=pass_fds)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        with open(self.log, "wb") as log:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                with self.changed:
                    self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def text(self):
        with self.changed:
            return "\n".join(line for line in self.lines if line is not None)

    def expect_line(self, wanted, timeout=10, start=0):
        """Waits for a line that holds the text (or satisfies the function); returns it."""
        import time
        test = wanted if callable(wanted) else (lambda line: wanted in line)
        end = time.monotonic() + timeout
        index = start
        with self.changed:
            while True:
                while index < len(self.lines):
                    line = self.lines[index]
                    if line is None:
                        raise Timeout(f"{self.name} ended before {wanted!r}:\n" + self.tail())
                    if test(line):
                        return line
                    index += 1
                left = end - time.monotonic()
                if left <= 0:
                    raise Timeout(f"{self.name}: no line with {wanted!r} within {timeout} s:\n" + self.tail())
                self.changed.wait(left)

    def tail(self, count=40):
        lines = [line for line in self.lines if line is not None][-count:]
        return "\n".join("    | " + line for line in lines)

    def mark(self):
        with self.changed:
            return len(self.lines)

    def write(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, timeout):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} did not end within {timeout} s:\n{self.tail()}") from None
        self.reader.join(5)
        return code

    @property
    def running(self):
        if self.process.poll() is None:
            return True
        self.reader.join(2)
        return False

    def stop(self, how=signal.SIGTERM, timeout=5):
        """Ends the process, at last by force; returns its exit code."""
        if self.running:
            self.process.send_signal(how)
        try:
            return self.wait(timeout)
        except Timeout:
            self.process.kill()
            self.process.wait(5)
            raise

    def end(self):
        """Ends a helper whose exit code is of no interest."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.reader.join(5)
