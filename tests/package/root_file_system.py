"""A clean Debian root file system in a folder, and commands that run inside it, apart from this machine."""

import hashlib
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

MIRROR_FILES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")


def run(*command, timeout=300, **options):
    """Ends with the command's output where it fails."""
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=timeout, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def mirror():
    """The Debian mirror that this machine installs from."""
    for file in MIRROR_FILES:
        if Path(file).is_file():
            found = re.search(r"^(?:deb(?: \[.*?\])?|URIs:)\s+(https?://\S+)", Path(file).read_text(), re.M)
            if found:
                return found[1]
    return "http://deb.debian.org/debian"


def suite():
    return dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
                if "=" in line)["VERSION_CODENAME"].strip('"')


def reachable():
    try:
        with urllib.request.urlopen(f"{mirror()}/dists/{suite()}/InRelease", timeout=10):
            return True
    except OSError:
        return False


def dependencies(package_files):
    """Names of what the packages depend on, the first of alternatives, and standalone sysusers for systemd."""
    names = set()
    for file in package_files:
        for one in run("dpkg-deb", "-f", file, "Depends").split(","):
            alternatives = [re.split(r"[\s(]", name.strip())[0] for name in one.split("|")]
            small = [name for name in alternatives if name.startswith("systemd-standalone")]
            names.add((small or alternatives)[0])
    return sorted(name for name in names if name)


class RootFileSystem:
    """Debian's essential packages and `packages`, unpacked from an archive that is kept in `cache`; where no
    mirror answers, a writable layer over this machine's own root."""

    def __init__(self, folder, cache, packages):
        self.path, self.cache = Path(folder), Path(cache)
        self.packages = sorted([*packages, "apt", "passwd", "systemd-standalone-tmpfiles"])
        self.overlay = False

    def make(self):
        self.path.mkdir(parents=True)
        key = hashlib.sha256(f"{suite()} {self.packages}".encode()).hexdigest()[:12]
        archive = self.cache / f"root-{key}.tar"
        if not archive.exists():
            if not reachable():
                return self.lay_over()
            for old in self.cache.glob("root-*.tar"):
                old.unlink()
            unfinished = archive.with_suffix(".unfinished")
            run("mmdebstrap", "--quiet", "--format=tar", "--variant=essential", "--dpkgopt=force-unsafe-io",
                f"--include={','.join(self.packages)}", suite(), unfinished, mirror(), timeout=600)
            unfinished.rename(archive)
        run("tar", "-C", self.path, "-xf", archive)
        return self

    def lay_over(self):
        """A writable layer over this machine's own root."""
        self.path.mkdir(parents=True, exist_ok=True)
        upper, work = self.path.with_suffix(".upper"), self.path.with_suffix(".work")
        upper.mkdir()
        work.mkdir()
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", self.path)
        self.overlay = True
        return self

    def do(self, script, timeout=120):
        """Runs a shell script inside, in namespaces of its own: loopback is all the network there is, and no
        process outlives it. Returns its output; fails with it where the script fails."""
        outside = 'ip link set lo up && mount -t proc proc "$1/proc" && { [ -c "$1/dev/null" ] || mount --bind /dev ' \
                  '"$1/dev"; } && exec chroot "$1" bash -euo pipefail -c "$2"'
        return run("unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL",
                   "sh", "-c", outside, "sh", self.path, script, timeout=timeout,
                   env={"PATH": os.environ["PATH"], "HOME": "/root", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                   stdin=subprocess.DEVNULL)

    def files(self):
        """Every path outside of what dpkg and the tests themselves write, to its kind and contents."""
        found = {}
        for base, folders, names in os.walk(self.path):
            inside = "/" + os.path.relpath(base, self.path).removeprefix(".")
            if inside in ("/", ""):
                folders[:] = [one for one in folders if one not in ("proc", "sys", "dev", "tmp")]
            if inside == "/var/lib":
                folders[:] = [one for one in folders if one != "dpkg"]
            for name in folders + names:
                path = Path(base) / name
                text = str(path.relative_to(self.path))
                if path.is_symlink() or not path.is_file():
                    found[text] = "not a file"
                else:
                    found[text] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def remove(self):
        if self.overlay:
            run("umount", self.path)
            shutil.rmtree(self.path.with_suffix(".upper"))
            shutil.rmtree(self.path.with_suffix(".work"))
        shutil.rmtree(self.path, ignore_errors=True)
