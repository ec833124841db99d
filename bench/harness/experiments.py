"""Questions about the kernel and OpenSSL that decided something in the product, asked of the floors.

Their answers stand beside the code that they decided; here they can be asked again on another
machine or kernel."""

import json
import subprocess

from . import servers, works
from .table import figure


def variant(base, label, *arguments):
    class Variant(base):
        name = label

        def command(self):
            return super().command() + list(arguments)

    return Variant


def sends(bench):
    """How a datagram leaves, and how many with one call."""
    kinds = [variant(servers.Floor, way, "--send", way)
             for way in ("ring", "ring-skip", "ring-address", "inline", "sendmmsg", "train")]
    kinds += [variant(servers.Floor, f"ring-address by {n}", "--send", "ring-address", "--batch",
                      str(n)) for n in (1, 8, 32)]
    load = bench.load("options", "udp", flows=4).at(60000)
    bench.compare("experiment: how a datagram is sent, 60,000 a second", kinds, lambda _: load)


def buffers(bench):
    """Where receive buffers lie: touched lines that share a cache set, and pages."""
    shapes = (("2 kB, side by side", 2048, 2048), ("2 kB in a page each", 2048, 4096),
              ("64 kB, aligned", 65536, 65536), ("64 kB, a page apart", 65536, 69632),
              ("64 kB, skewed", 65536, 69632 + 7 * 64))
    kinds = [variant(servers.Floor, label, "--buffer", str(size), "--stride", str(stride))
             for label, size, stride in shapes]
    load = bench.load("options", "udp", flows=4).at(60000)
    bench.compare("experiment: receive buffers of 512 datagrams, 60,000 a second", kinds,
                  lambda _: load)


def descriptors(bench):
    """Direct descriptors spare a reference count for each operation."""
    kinds = [variant(servers.FloorWss, "descriptors"),
             variant(servers.FloorWss, "direct descriptors", "--direct")]
    load = bench.load("options", "wss", flows=1000, extra=("--engine", "own")).at(30000)
    bench.compare("experiment: direct descriptors, 1,000 WSS flows, 30,000 a second", kinds,
                  lambda _: load)


def accepting(bench):
    """TCP_DEFER_ACCEPT: one wake less for each connection, if the client speaks first."""
    kinds = [variant(servers.FloorWss, "accept at once"),
             variant(servers.FloorWss, "accept with the first bytes", "--defer-accept")]
    bench.compare("experiment: TCP_DEFER_ACCEPT, full handshakes with upgrade, 1,500 a second",
                  kinds, lambda _: bench.load("handshake", "wss").at(1500))


def wakes(bench):
    title = "experiment: waking another ring's thread"
    print(title, flush=True)
    rows = bench.table.section(title, ["way", "target", "p50 us", "p99 us", "sender CPU us",
                                       "target CPU us"])
    command = [bench.context.program("ringway-wake-experiment"), "--cpu", str(bench.context.cpu)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for found in map(json.loads, said.splitlines()):
        rows.append([found["way"], found["target"]] + [
            figure(found[key], 2) for key in ("p50_us", "p99_us", "sender_cpu_us",
                                              "target_cpu_us")])
        print("  " + "  ".join(rows[-1]), flush=True)


def library_contexts(bench):
    """OpenSSL 3 counts references and takes read locks in its library context."""
    title = "experiment: OpenSSL's library context, and the steps of a full handshake"
    print(title, flush=True)
    rows = bench.table.section(title, ["threads", "full us", "first step", "last step",
                                       "resumed us"])
    for label, extra in (("one", []), ("one, context of its own", ["--own-library-context"]),
                         ("two", ["--threads", "2"]),
                         ("two, each its own context", ["--threads", "2", "--own-library-context"])):
        found = works.handshake_floor(bench, 1000, *extra)
        rows.append([label, figure(found["full_us"])] + [
            "{:.0f}, of 100 one {:.0f}".format(*found[key])
            for key in ("first_step_us", "last_step_us")] + [figure(found["resumed_us"])])
        print("  " + "  ".join(rows[-1]), flush=True)


def experiments(bench):
    for ask in (sends, buffers, descriptors, accepting, wakes, library_contexts):
        ask(bench)
