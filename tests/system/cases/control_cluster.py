"""Pacemaker and the OCF agent: the agent as Pacemaker calls it, and a cluster of Debian's corosync and pacemaker
that runs what configs/cluster shows, in namespaces.
"""

import os
import shutil
import subprocess
from pathlib import Path

from lib import cluster
from lib.agents import call, hang_up, serves
from lib.case import Skip, case
from lib.gateway import ROOT, binary
from lib.waiting import Timeout, until
from cases.control_two_nodes import Pair, node_dies


class Cluster(Pair):
    """Pacemaker starts the gateways and moves the address."""

    def __init__(self, t, *, relay=None):
        super().__init__(t, relay=relay, needed=cluster.NEEDED)

    def start(self):
        self.nodes = cluster.start_nodes(self.t, self.hosts, [g.write() for g in self.gateways])
        try:
            until(lambda: self.holder is not None, 60, "one machine has the address", every=0.2)
            until(lambda: self.status(0) == 0 and self.status(1) == 0, 30, "both are ready", every=0.2)
        except Timeout as error:
            seen = [done.stdout + done.stderr for done in (self.ctl(0, "status"), self.ctl(1, "status"))]
            raise AssertionError("\n".join([self.nodes[0].log(), self.nodes[0].sees(), *seen, str(error)])) from None

    def kill(self, host):
        """Its power is gone."""
        self.hosts.unplug(host)
        self.nodes[host].power_off()


@case("Pacemaker: a machine dies under 16 calls and 60 browsers, and the other takes the address and all of them",
      seconds=480, alone=True, long=True)
def pacemaker_small(t):
    node_dies(t, Cluster(t, relay=True), 16, 60)


@case("Pacemaker: a machine dies under 50 calls and 200 browsers, and the other takes the address and all of them",
      seconds=480, alone=True, long=True)
def pacemaker_whole(t):
    node_dies(t, Cluster(t, relay=True), 50, 200)


@case("Pacemaker: a process that dies is started again, and standby moves the address; calls are hung up after both",
      seconds=420, alone=True, long=True)
def pacemaker_moves(t):
    pair = Cluster(t)
    pair.start()
    phone = pair.client("udp", "phone")
    first = pair.holder
    ours, _, _ = call(phone, pair.calls, uri="sip:bob@calls.test")
    nodes = pair.nodes
    state = "/run/resource-agents/ringway-ringway.pid"
    before = nodes[first].do("cat", state).stdout
    assert nodes[first].do("sh", "-c", f"kill -9 $(cat {state})").returncode == 0, nodes[first].log()
    until(lambda: nodes[first].do("cat", state).stdout not in ("", before), 40, "the monitor has seen it", every=0.2)
    until(lambda: pair.status(first) == 0 and pair.holder is not None, 30, "it serves again", every=0.2)
    hang_up(ours, phone, pair.calls)
    first = pair.holder
    _, theirs, _ = call(phone, pair.calls, uri="sip:bob@calls.test")
    done = nodes[first].do("pcs", "node", "standby", cluster.NAMES[first])
    assert done.returncode == 0, done.stderr
    until(lambda: pair.hosts.has_address(1 - first), 30, "the address has moved", every=0.1)
    hang_up(theirs, pair.calls, phone)
    ours, _, _ = call(phone, pair.calls, uri="sip:bob@calls.test")
    until(lambda: nodes[first].do("pgrep", "-x", "ringway").returncode == 1, 60, "the one on standby has ended", every=0.2)
    done = nodes[1 - first].do("pcs", "node", "unstandby", cluster.NAMES[first])
    assert done.returncode == 0, done.stderr
    until(lambda: pair.status(first) == 0, 40, "it runs again", every=0.2)
    assert pair.hosts.has_address(1 - first), "the address stays: each move is an interruption"
    hang_up(ours, phone, pair.calls)


# ---- The resource agent ----------------------------------------------------------------------------

AGENT = ROOT / "configs/ocf/ringway"


class Agent:
    """The OCF agent as Pacemaker calls it."""

    def __init__(self, t, **parameters):
        self.t = t
        if not Path("/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs").exists():
            raise Skip("resource-agents is not installed")
        self.env = {**os.environ, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "edge", "OCF_RESKEY_binary": str(binary()),
                    "HA_RSCTMP": str(t.directory), "OCF_RESKEY_state": str(t.directory / "s"),
                    "OCF_RESKEY_log": str(t.directory / "agent.log"), "OCF_RESKEY_CRM_meta_timeout": "20000",
                    **{f"OCF_RESKEY_{key}": str(value) for key, value in parameters.items()}}

    def __call__(self, action, timeout=40):
        done = subprocess.run([AGENT, action], env=self.env, capture_output=True, text=True, timeout=timeout)
        return done.returncode

    def pid(self):
        return int((self.t.directory / "s.pid").read_text())


def agent_and_gateway(t, **parameters):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    g.write()
    g.ports.release()
    agent = Agent(t, config=g.file, **parameters)
    t.at_end(agent, "stop")
    return agent, g, b


SUCCESS, GENERIC, NOT_INSTALLED, NOT_CONFIGURED, NOT_RUNNING = 0, 1, 5, 6, 7


@case("OCF agent: start, monitor, stop, each twice; a broken file and a missing program are named", seconds=90)
def agent_life(t):
    agent, g, b = agent_and_gateway(t)
    assert agent("monitor") == NOT_RUNNING and agent("stop") == SUCCESS
    for _ in range(2):
        assert agent("start") == SUCCESS
        assert agent("start") == SUCCESS and agent("monitor") == SUCCESS
        client = t.client(g, "udp")
        serves(client, b)
        assert agent("stop") == SUCCESS and agent("stop") == SUCCESS and agent("monitor") == NOT_RUNNING
    assert agent("start") == SUCCESS
    os.kill(agent.pid(), 9)
    until(lambda: agent("monitor") == NOT_RUNNING, 5, "a crash is seen")
    whole = g.file.read_text()
    g.file.write_text(whole + "\nnonsense = 1\n")
    assert agent("start") == NOT_CONFIGURED and agent("validate-all") == NOT_CONFIGURED
    g.file.write_text(whole)
    agent.env["OCF_RESKEY_binary"] = "/nowhere/ringway"
    assert agent("validate-all") == NOT_INSTALLED
    agent.env["OCF_RESKEY_binary"] = str(binary())
    assert agent("meta-data") == SUCCESS and agent("nonsense") == 3


@case("OCF agent: a shard that stands still, and with needs_ready a lost next hop, count as failed", seconds=90)
def agent_monitor(t):
    from cases.control_restart import Stopped
    agent, g, b = agent_and_gateway(t)
    g.config["next_hop"][0]["probe_interval"] = "1s"
    g.write()
    assert agent("start") == SUCCESS
    with Stopped(agent.pid(), "shard-1"):
        assert agent("monitor") == GENERIC
    until(lambda: agent("monitor") == SUCCESS, 10, "it is well again")
    b.close()
    agent.env["OCF_RESKEY_needs_ready"] = "true"
    until(lambda: agent("monitor") == GENERIC, 40, "no next hop answers", every=0.5)
    agent.env["OCF_RESKEY_needs_ready"] = "false"
    assert agent("monitor") == SUCCESS


@case("OCF agent: passes ocf-tester of Debian's resource-agents", seconds=120)
def agent_tester(t):
    if not shutil.which("ocf-tester"):
        raise Skip("ocf-tester is not installed (resource-agents)")
    agent, g, _ = agent_and_gateway(t)
    done = subprocess.run(["ocf-tester", "-n", "edge", "-o", f"config={g.file}", "-o", f"binary={binary()}", "-o",
                           f"state={t.directory}/s", str(AGENT)], env={**os.environ, "OCF_ROOT": "/usr/lib/ocf"},
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "passed all tests" in done.stdout, done.stdout + done.stderr


