"""A service manager as small as a test needs: starts the program as systemd does, and keeps its sockets.

It speaks sd_notify(3) (READY, STOPPING, RELOADING, WATCHDOG, FDSTORE, FDSTOREREMOVE) and gives back by
sd_listen_fds(3) what it keeps. What systemd would do about a watchdog that is not fed is left to the test.
"""

import array
import json
import os
import socket
import sys
import threading
import time

from .waiting import Inbox

# Becomes the program: descriptors to 3 and up, and the variables that name this very process.
_LAUNCHER = """
import fcntl, json, os, sys
given = json.loads(sys.argv[1])
high = [fcntl.fcntl(one, fcntl.F_DUPFD, 200) for one in given["descriptors"]]
for one in given["descriptors"]:
    os.close(one)
for place, one in enumerate(high):
    os.dup2(one, 3 + place)
    os.close(one)
if high:
    os.environ["LISTEN_FDS"] = str(len(high))
    os.environ["LISTEN_PID"] = str(os.getpid() + given["pid_offset"])
    os.environ["LISTEN_FDNAMES"] = ":".join(given["names"])
if given["watchdog"]:
    os.environ["WATCHDOG_USEC"] = str(given["watchdog"])
    os.environ["WATCHDOG_PID"] = str(os.getpid() + given["pid_offset"])
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Note:
    """One datagram of the program: its fields, and when it came."""

    def __init__(self, data):
        self.at = time.monotonic()
        self.fields = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)

    def __repr__(self):
        return f"\n    {self.fields}"


class ServiceManager:
    """pid_offset: not 0 tells the program that what comes is for another process."""

    def __init__(self, *, watchdog_us=0, keeps=True):
        self.keeps = keeps
        self.watchdog_us = watchdog_us
        self.pid_offset = 0
        self.stored = []  # (name, descriptor)
        self.notes = Inbox("notify socket")
        self.lock = threading.Lock()
        self.path = f"@ringway-test-notify-{os.getpid()}-{id(self)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.path[1:])
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data, control, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
            except OSError:
                return
            if not data:
                return
            descriptors = array.array("i")
            for level, kind, part in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(part[:len(part) - len(part) % descriptors.itemsize])
            note = Note(data)
            self._store(note.fields, list(descriptors))
            self.notes.put(note)

    def _store(self, fields, descriptors):
        with self.lock:
            name = fields.get("FDNAME", "stored")
            if fields.get("FDSTORE") == "1" and self.keeps:
                known = {os.fstat(one).st_ino for _, one in self.stored}
                for one in descriptors:
                    if os.fstat(one).st_ino not in known:
                        self.stored.append((name, one))
                        continue
                    os.close(one)
            else:
                for one in descriptors:
                    os.close(one)
            if fields.get("FDSTOREREMOVE") == "1":
                for pair in [pair for pair in self.stored if pair[0] == name]:
                    os.close(pair[1])
                    self.stored.remove(pair)

    def give(self, name, one):
        """Socket activation: the manager made it itself."""
        with self.lock:
            self.stored.append((name, os.dup(one.fileno())))

    def names(self):
        with self.lock:
            return sorted(name for name, _ in self.stored)

    def start_with(self):
        """(command in front of the program's, descriptors it needs, environment) for the next start."""
        with self.lock:
            pairs = list(self.stored)
        given = {"descriptors": [one for _, one in pairs], "names": [name for name, _ in pairs],
                 "watchdog": self.watchdog_us, "pid_offset": self.pid_offset}
        return ([sys.executable, "-c", _LAUNCHER, json.dumps(given)], given["descriptors"],
                {"NOTIFY_SOCKET": self.path})

    def expect(self, key, value=None, timeout=10):
        return self.notes.take(lambda note: key in note.fields and value in (None, note.fields[key]), timeout,
                               f"{key}={value or ''}")

    def forget(self):
        """What the notes said until now."""
        with self.notes.changed:
            self.notes.items.clear()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.reader.join(5)
        self.socket.close()
        for _, one in self.stored:
            os.close(one)
        self.stored = []
