"""Two machines of a Pacemaker cluster: Debian's corosync and pacemaker, each in namespaces of its own.

A node has its own network, processes, host name, /run and /dev/shm, and writes to /etc, /usr and /var of its own (a
layer over this machine's). It is set up by what configs/cluster holds, with other addresses.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .case import Skip
from .gateway import ROOT, binary
from .programs import Program
from .two_hosts import ADDRESS, HOSTS
from .waiting import until

EXAMPLES = ROOT / "configs/cluster"
NEEDED = ("corosync", "pacemakerd", "pcs", "crm_mon", "nsenter")
NAMES = ("edge1", "edge2")

# Arguments: folder of the node, its name. Process 1 of the node; its end is the node's.
_NODE = """
mount -t tmpfs tmpfs "$1"
for one in etc usr var; do
  mkdir -p "$1/$one/upper" "$1/$one/work"
  mount -t overlay overlay -o "lowerdir=/$one,upperdir=$1/$one/upper,workdir=$1/$one/work" "/$one"
done
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t proc proc /proc
hostname "$2"
rm -rf /var/lib/corosync/* /var/lib/pacemaker/cib/* /var/lib/pacemaker/pengine/*
mkdir -p /etc/ringway /usr/lib/ocf/resource.d/ringway
cp "$1.files/corosync.conf" "$1.files/authkey" /etc/corosync/
cp "$1.files/ringway.toml" /etc/ringway/
cp "$1.files/agent" /usr/lib/ocf/resource.d/ringway/ringway
cp "$1.files/ringway" /usr/bin/ringway
corosync -f &
until corosync-cfgtool -s >/dev/null 2>&1; do sleep 0.1; done
PCMK_logfile=none PCMK_logfacility=none PCMK_stderr=1 pacemakerd -f &
wait
"""


def corosync_conf():
    """The example with the addresses of the namespaces, and its log here."""
    text = (EXAMPLES / "corosync.conf").read_text()
    for example, own in zip(("10.0.0.11", "10.0.0.12"), HOSTS):
        assert example in text, example
        text = text.replace(example, own)
    return text.replace("to_syslog: yes", "to_stderr: yes\n    to_syslog: no")


class Node:
    def __init__(self, t, hosts, host, settings, authkey):
        self.folder = t.directory / NAMES[host]
        self.folder.mkdir()
        files = Path(f"{self.folder}.files")
        files.mkdir()
        (files / "corosync.conf").write_text(corosync_conf())
        (files / "authkey").write_bytes(authkey)
        (files / "authkey").chmod(0o400)
        shutil.copy(settings, files / "ringway.toml")
        shutil.copy(ROOT / "configs/ocf/ringway", files / "agent")
        shutil.copy(binary(), files / "ringway")
        self.program = Program(NAMES[host], hosts.run(
            host, "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL", "sh", "-euc", _NODE, "sh",
            self.folder, NAMES[host]), t.directory)
        t.at_end(self.power_off)

    def power_off(self):
        """Every process of the node is gone at once."""
        if self.program.running:
            self.program.process.kill()
            self.program.wait(10)

    def do(self, *command, timeout=90):
        """Runs a command on the node; returns the finished process."""
        pid = self.program.pid
        first = until(lambda: Path(f"/proc/{pid}/task/{pid}/children").read_text(), 10, f"{self.program.name} runs").split()[0]
        return subprocess.run(["nsenter", "-t", first, "-m", "-u", "-i", "-p", "-n", *map(str, command)],
                              capture_output=True, text=True, timeout=timeout)

    def sees(self):
        """What the cluster looks like from here."""
        return self.do("crm_mon", "-1", "-r").stdout

    def log(self):
        return self.program.tail(60)


def start_nodes(t, hosts, settings):
    """Both nodes, with the resources that configs/cluster/pacemaker.sh makes."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise Skip(f"not installed: {' '.join(missing)}")
    authkey = os.urandom(256)
    nodes = [Node(t, hosts, host, settings[host], authkey) for host in (0, 1)]
    online = f"Online: [ {' '.join(NAMES)} ]"

    def are_online():
        assert all(node.program.running for node in nodes), "\n".join(node.log() for node in nodes)
        return all(online in node.sees() for node in nodes)
    until(are_online, 60, "both nodes are online", every=0.5)
    commands = (EXAMPLES / "pacemaker.sh").read_text().replace("192.0.2.10", ADDRESS)
    done = nodes[0].do("sh", "-c", commands, timeout=180)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{nodes[0].log()}"
    return nodes
