#!/usr/bin/env python3
"""Runs the system tests: each case in a process of its own, several at a time.

    tests/system/run.py [--binary PATH] [--jobs N] [--long] [--sanitized] [--reactor NAME] [--list]
                         [PATTERN ...]

A pattern is looked for in "group: name". Closes with "N passed, N failed, N skipped".

Four cases at a time on two cores starve each other now and then. Up to three that failed are run again
with nothing beside them: the second result counts, and the first is printed with it, to be looked into.
"""

import argparse
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from lib import case as registry  # noqa: E402

SKIPPED = 77
AGAIN = 3  # more failures than that are no chance


def load():
    for file in sorted((HERE / "cases").glob("*.py")):
        if file.stem != "__init__":
            importlib.import_module(f"cases.{file.stem}")
    return registry.CASES


def run_one(name):
    """In the child: exactly the case of that full name."""
    for one in load():
        if f"{one.group}: {one.name}" == name:
            break
    else:
        sys.exit(f"no case {name}")
    try:
        with registry.Context(one.name) as context:
            one.work(context)
    except registry.Skip as reason:
        print(f"skipped: {reason}")
        # Threads of flows may still be reading; nothing is left to do for them.
        sys.stdout.flush()
        os._exit(SKIPPED)
    except BaseException:
        import traceback
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


class Runner:
    def __init__(self, cases, jobs, scale):
        self.waiting = list(cases)
        self.jobs, self.scale = jobs, scale
        self.lock = threading.Condition()
        self.running = 0
        self.alone = False
        self.count = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []
        self.starved = []  # failed beside others, passed alone
        self.total = len(self.waiting)

    def next(self):
        """The next case that may start now; None when there is none left."""
        with self.lock:
            while True:
                if not self.waiting:
                    return None
                one = self.waiting[0]
                if not self.alone and (not one.alone or self.running == 0):
                    self.waiting.pop(0)
                    self.running += 1
                    self.alone = one.alone
                    return one
                self.lock.wait()

    def work(self):
        while (one := self.next()) is not None:
            name = f"{one.group}: {one.name}"
            start = time.monotonic()
            outcome, output = self.execute(name, one.seconds * self.scale)
            with self.lock:
                self.running -= 1
                self.alone = False
                self.count[outcome] += 1
                done = sum(self.count.values())
                print(f"[{done}/{self.total}] {outcome:7} {time.monotonic() - start:6.1f} s  {name}", flush=True)
                if outcome == "failed":
                    text = "\n".join("      " + line for line in output.splitlines()[-80:])
                    self.failures.append((name, text))
                    print(text, flush=True)
                elif outcome == "skipped":
                    print("      " + (output.splitlines() or [""])[-1], flush=True)
                self.lock.notify_all()

    def again(self):
        """Runs what failed once more, each alone; what passes then is in self.starved."""
        if not 0 < len(self.failures) <= AGAIN:
            return
        for name, text in list(self.failures):
            one = next(one for one in load() if f"{one.group}: {one.name}" == name)
            outcome, output = self.execute(name, one.seconds * self.scale)
            print(f"again, alone: {outcome}  {name}", flush=True)
            if outcome == "failed":
                print("\n".join("      " + line for line in output.splitlines()[-80:]), flush=True)
                continue
            self.failures.remove((name, text))
            self.starved.append((name, text))
            self.count["failed"] -= 1
            self.count[outcome] += 1

    @staticmethod
    def execute(name, seconds):
        child = subprocess.Popen([sys.executable, __file__, "--one", name], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            output = child.communicate(timeout=seconds)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            output = f"timed out after {seconds} s"
            child.send_signal(signal.SIGUSR1)  # faulthandler prints where it stands
            try:
                output = child.communicate(timeout=3)[0].decode("utf-8", "replace") + output
            except subprocess.TimeoutExpired:
                pass
        try:
            # The child leads a session of its own: what it left behind goes with it.
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if child.poll() is None:
            child.communicate()
        outcome = {0: "passed", SKIPPED: "skipped"}.get(child.returncode, "failed")
        if "timed out after" in output:
            outcome = "failed"
        return outcome, output


def write_table(folder, file):
    """What foreign user agents and servers did with each other through the gateway, as Markdown."""
    from cases.interop import COLUMNS
    lines = ["| user agent | server behind | " + " | ".join(COLUMNS) + " |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for one in sorted(Path(folder).glob("*.json")):
        row = json.loads(one.read_text())
        cells = [row["done"].get(column, "-") for column in COLUMNS]
        lines.append("| " + " | ".join([row["agent"], row["server"], *cells]) + " |")
    Path(file).write_text("# Who works with whom\n\nWritten by `tests/system/run.py --table FILE interop`: each row is "
                          "a test with real programs on\nloopback; a dash means that the pair was not asked to do it."
                          "\n\n" + "\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--binary", help="the program under test")
    parser.add_argument("--failures", metavar="FILE", help="add what failed, with its output, to this file")
    parser.add_argument("--jobs", type=int, default=4, help="cases at a time (4)")
    parser.add_argument("--long", action="store_true", help="also the long cases")
    parser.add_argument("--sanitized", action="store_true", help="the short selection, with more patience")
    parser.add_argument("--reactor", choices=("auto", "io_uring", "epoll"), help="what the program waits with")
    parser.add_argument("--table", help="write the table of foreign user agents and servers to this file")
    parser.add_argument("--list", action="store_true", help="names only")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    if options.binary:
        os.environ["RINGWAY"] = str(Path(options.binary).resolve())
    if options.reactor:
        os.environ["RINGWAY_REACTOR"] = options.reactor
    if options.one:
        import faulthandler
        faulthandler.register(signal.SIGUSR1, file=sys.stdout)
        run_one(options.one)
    os.environ["RINGWAY_LONG"] = "1" if options.long else ""
    cases = [one for one in load() if (options.long or not one.long)
             and (not options.sanitized or one.sanitize)
             and (not options.patterns or any(re.search(pattern, f"{one.group}: {one.name}")
                                              for pattern in options.patterns))]
    if options.list:
        print("\n".join(f"{one.group}: {one.name}" for one in cases))
        return 0
    folder = tempfile.mkdtemp(prefix="ringway-table-")
    os.environ["RINGWAY_TABLE_FOLDER"] = folder
    # Cases that need the machine for themselves come last; the slowest of the others first.
    cases.sort(key=lambda one: (one.alone, -one.seconds))
    runner = Runner(cases, options.jobs, 2 if options.sanitized else 1)
    workers = [threading.Thread(target=runner.work) for _ in range(max(1, options.jobs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    runner.again()
    if options.table:
        write_table(folder, options.table)
    shutil.rmtree(folder)
    told = [("failed", *one) for one in runner.failures]
    told += [("failed beside others, passed alone", *one) for one in runner.starved]
    for how, name, _ in told:
        print(f"{how}: {name}")
    if options.failures:
        with open(options.failures, "a", encoding="utf-8") as file:
            file.writelines(f"{how}: {name}\n{text}\n" for how, name, text in told)
    print("system: {passed} passed, {failed} failed, {skipped} skipped".format(**runner.count))
    return 1 if runner.count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
