"""The container's root file system, made by the lines of its Containerfile, and run without an engine."""

import re
import shutil
import subprocess
import os
from pathlib import Path

from root_file_system import run


def last_stage(containerfile):
    """The instructions of the last stage: (word, rest), continued lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", Path(containerfile).read_text(), flags=re.M))
    instructions = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    start = max(index for index, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[start:]


def make(instructions, packages, root):
    """Does what FROM, COPY and RUN say in `root`, a Debian root file system; returns the other instructions."""
    settings = {}
    for word, rest in instructions:
        if word == "FROM":
            assert rest.startswith("debian:"), rest
        elif word == "COPY":
            source, target = rest.replace("--from=build", "").split()
            for package in packages:
                if Path(package).match(Path(source).name):
                    shutil.copy(package, root / target.lstrip("/"))
        elif word == "RUN":
            shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
            run("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "chroot", root, "sh", "-ec", rest,
                timeout=300, env={"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})
        else:
            settings[word] = rest
    return settings


# Arguments: root file system, filter, folder with the configuration, user, program of the load, command...
SERVE = r"""
set -euo pipefail
root=$1 filter=$2 settings=$3 user=${4%:*} group=${4#*:} load=$5
shift 5
ip link set lo up
inside=(bwrap --unshare-user --uid "$user" --gid "$group" --unshare-pid --unshare-ipc --cap-drop ALL --die-with-parent
  --ro-bind "$root" / --proc /proc --dev /dev --tmpfs /tmp --tmpfs /run --dir /run/ringway
  --ro-bind "$settings/ringway.toml" /etc/ringway/ringway.toml --ro-bind "$settings/secret" /etc/ringway/secret)
"${inside[@]}" --bind "$settings/run" /run/ringway --seccomp 9 "$@" 9<"$filter" 2>"$settings/log" &
gateway=$!
for ((tries = 0; tries < 100; ++tries)); do
  "$root/usr/bin/ringway" ctl --socket "$settings/run/control.sock" status >"$settings/status" 2>&1 && break
  kill -0 $gateway 2>/dev/null || { cat "$settings/log"; exit 1; }
  sleep 0.1
done
cat "$settings/status"
"$load" call --transport wss --to 127.0.0.1:8443 --register --answer-udp 127.0.0.1:5060 --flows 2 --rate 50 \
  --duration 2 --quiet --json "$settings/calls.json"
kill -TERM $gateway
wait $gateway || true
cat "$settings/log"
"""


def serve(root, filter_file, settings_folder, user, load, command):
    """Runs the image's command with its user, without a right, under the filter; calls go through it. Returns
    what it said."""
    return run("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "bash", "-c", SERVE,
               "bash", root, filter_file, settings_folder, user, load, *command, timeout=100,
               stdin=subprocess.DEVNULL)
