"""sipp as caller and as called phone, with scenarios of our own."""

import csv
from pathlib import Path

from . import sip
from .ports import Reservation
from .programs import Program
from .waiting import until

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
MODES = {"udp": "u1", "tcp": "t1"}


class Sipp:
    def __init__(self, directory, name, scenario, arguments, transport="udp", ip="127.0.0.1"):
        self.directory = Path(directory) / name
        self.directory.mkdir(parents=True)
        reservation = Reservation()
        self.port, media = reservation.port(ip), reservation.port_with_next_but_one(ip)  # audio, and video above it
        self.ip, self.transport = ip, transport
        reservation.release()
        self.statistics = self.directory / "statistics.csv"
        self.program = Program(name, [
            "sipp", "-sf", SCENARIOS / f"{scenario}.xml", "-i", sip.host(ip), "-p", self.port, "-t", MODES[transport],
            "-nostdin", "-trace_stat", "-stf", self.statistics, "-fd", "1", "-trace_err", "-error_file",
            self.directory / "errors.txt", "-mp", media, *arguments], self.directory, env={"TERM": "dumb"})

    @property
    def uri(self):
        return f"sip:{sip.host(self.ip)}:{self.port};transport={self.transport}"

    def counts(self):
        """The last line of sipp's statistics as a dictionary."""
        with open(self.statistics) as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        return rows[-1] if rows else {}

    def errors(self):
        file = self.directory / "errors.txt"
        return file.read_text(errors="replace")[-3000:] if file.exists() else ""

    def end(self):
        self.program.end()


def called(context, transport="udp", name="sipp-uas", ip="127.0.0.1"):
    made = Sipp(context.directory, name, "uas", [], transport, ip)
    context.at_end(made.end)
    until(made.statistics.exists, 10, "sipp waits for calls")
    return made


def calls(context, remote, *, count, rate, transport="udp", name="sipp-uac", limit=None, seconds=120,
          ip="127.0.0.1", service="sipp"):
    """Places calls and holds that none failed."""
    made = Sipp(context.directory, name, "uac", [
        f"{sip.host(remote[0])}:{remote[1]}", "-s", service, "-m", count, "-r", rate, "-l", limit or count,
        "-timeout", f"{seconds}s", "-timeout_error"], transport, ip)
    context.at_end(made.end)
    code = made.program.wait(seconds + 30)
    found = made.counts()
    failed, good = int(found.get("FailedCall(C)", -1)), int(found.get("SuccessfulCall(C)", -1))
    if code != 0 or failed != 0 or good != count:
        raise AssertionError(f"sipp {transport}: {good} of {count} calls, {failed} failed, exit {code}\n"
                             + made.errors())
    return found
