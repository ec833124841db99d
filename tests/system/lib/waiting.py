"""Waiting for events with a deadline. Nothing in these tests sleeps."""

import threading
import time


class Timeout(AssertionError):
    """The awaited event did not come."""


class Inbox:
    """What arrived, in order; takers wait for an item that they like and leave the others."""

    def __init__(self, name):
        self.name = name
        self.items = []
        self.seen = []  # everything ever put, for failure messages
        self.changed = threading.Condition()

    def put(self, item):
        with self.changed:
            self.items.append(item)
            self.seen.append(item)
            self.changed.notify_all()

    def take(self, wanted, timeout, what="an event"):
        """Removes and returns the first item for which wanted(item) holds."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for index, item in enumerate(self.items):
                    if wanted(item):
                        return self.items.pop(index)
                left = end - time.monotonic()
                if left <= 0:
                    last = "".join(repr(item) for item in self.seen[-4:]) or " nothing"
                    raise Timeout(f"{self.name}: no {what} within {timeout} s; last seen:{last}")
                self.changed.wait(left)

    def none(self, unwanted, timeout, what="event"):
        """Holds that no such item arrives within the time."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for item in self.items:
                    if unwanted(item):
                        raise AssertionError(f"{self.name}: unexpected {what}: {item!r}")
                left = end - time.monotonic()
                if left <= 0:
                    return
                self.changed.wait(left)

    def count(self, wanted):
        with self.changed:
            return sum(1 for item in self.seen if wanted(item))


def until(probe, timeout, what, every=0.05):
    """Calls probe until it gives something true, and returns that."""
    pause = threading.Event()
    end = time.monotonic() + timeout
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() >= end:
            raise Timeout(f"not within {timeout} s: {what}")
        pause.wait(every)
