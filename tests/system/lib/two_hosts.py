"""Two hosts and the network between them and everybody else, on one machine: network namespaces on a bridge.

The case moves into a network namespace of its own, where phones, browsers, the SIP server and the media relay live;
it ends with the case's process. Call it before the first socket or thread of the case.
"""

import os
import subprocess

from .network import ip, own_network

OUTSIDE, ADDRESS = "10.97.0.1", "10.97.0.10"  # of everybody else; that moves between the hosts
HOSTS = ("10.97.0.11", "10.97.0.12")


class TwoHosts:
    def __init__(self, t):
        own_network()
        ip("link", "add", "edge", "type", "bridge")
        ip("addr", "add", f"{OUTSIDE}/24", "dev", "edge")
        ip("link", "set", "edge", "up")
        self.spaces = [f"rw-host{number}-{os.getpid()}" for number in (1, 2)]
        for number, space in enumerate(self.spaces):
            ip("netns", "add", space)
            t.at_end(subprocess.run, ["ip", "netns", "del", space])
            ip("link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", f"port{number}", "master", "edge", "up")
            ip("link", "set", "lo", "up", space=space)
            ip("addr", "add", f"{HOSTS[number]}/24", "dev", "eth0", space=space)
            ip("link", "set", "eth0", "up", space=space)

    def run(self, host, *command):
        """That command in front of it runs a program on the host (0 or 1)."""
        return ["ip", "netns", "exec", self.spaces[host], *map(str, command)]

    def unplug(self, host):
        ip("link", "set", f"port{host}", "down")

    def has_address(self, host):
        return f"{ADDRESS}/" in ip("-o", "addr", "show", "dev", "eth0", space=self.spaces[host])

    def is_known_at(self, host):
        """Whoever is outside sends to the address on that host: it has the address and has told its neighbours."""
        if not self.has_address(host):
            return False
        mac = ip("-o", "link", "show", "dev", "eth0", space=self.spaces[host]).split("link/ether ")[1].split()[0]
        return f"lladdr {mac}" in ip("neigh", "show", ADDRESS)

    def move_by_hand(self, host):
        """What a cluster's IPaddr2 does: the address, and a word to the neighbours."""
        ip("addr", "add", f"{ADDRESS}/24", "dev", "eth0", space=self.spaces[host], check=False)
        subprocess.run(self.run(host, "arping", "-U", "-c", "2", "-I", "eth0", ADDRESS), capture_output=True)
