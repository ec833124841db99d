"""A network of its own for a case: a network namespace with loopback and whatever the case adds.

Call own_network() before the first socket or thread of the case. It ends with the case's process.
"""

import ctypes
import os
import subprocess

from .case import Skip

CLONE_NEWNET = 0x40000000
ADDRESS = "10.98.0.1"  # of a host that has a network besides loopback


def ip(*words, space=None, check=True):
    command = (["ip", "netns", "exec", space] if space else []) + ["ip", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def own_network():
    """Moves the case into a network namespace in which only loopback is up."""
    if os.geteuid() != 0:
        raise Skip("a network of its own needs root")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    ip("link", "set", "lo", "up")


def own_network_with_address():
    """The same with ADDRESS on a wire that leads nowhere, for programs that will not use loopback; returns it."""
    own_network()
    ip("link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
    ip("addr", "add", f"{ADDRESS}/24", "dev", "wire0")
    for name in ("wire0", "wire1"):
        ip("link", "set", name, "up")
    ip("route", "add", "default", "dev", "wire0")
    return ADDRESS
