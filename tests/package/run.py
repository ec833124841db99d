#!/usr/bin/env python3
"""Builds the Debian packages and lives with them on a clean root file system. Root; no systemd, no docker.

    tests/package/run.py --build BUILD

    --build BUILD   meson build directory that is built (buildtype=release); packages come from it, and
                    archives of root file systems are kept in it

Steps stand on those before them. Closes with "package: N passed, N failed, N skipped".
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

import container
from root_file_system import RootFileSystem, dependencies, reachable, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OLDER = "0.0.1"


class Steps:
    """Shared by all steps: the packages, the root file system and what is known about it."""

    def __init__(self, build):
        self.build = Path(build).resolve()
        self.folder = self.build / "package"
        self.cache = self.build / "root-file-systems"
        self.cache.mkdir(exist_ok=True)
        self.root = self.image = self.booted = None

    def package(self, name, folder=None):
        found = list((folder or self.folder).glob(f"{name}_*.deb"))
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def close(self):
        for one in (self.root, self.image, self.booted):
            if one:
                one.remove()

    # ---- steps, in this order ------------------------------------------------------------------

    def build_packages(self):
        """debian/build makes ringway and ringway-tools from what is built"""
        run(ROOT / "debian/build", "--reuse", self.build, self.folder)
        for name, file in (("ringway", "./usr/bin/ringway"), ("ringway-tools", "./usr/bin/ringway-load")):
            assert file in run("dpkg-deb", "-c", self.package(name)), file

    def configure(self):
        """a plain dpkg-buildpackage configures as a release, hardened, with -O3"""
        tree = self.folder / "plain"
        if tree.exists():
            shutil.rmtree(tree)
        tree.mkdir()
        for name in ("meson.build", "meson_options.txt", "debian", "configs", "gateway", "protocol", "tls", "bench"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tree / name)
        run("dpkg-buildpackage", "-us", "-uc", "-b", "-d", "--rules-target=override_dh_auto_configure", cwd=tree)
        commands = next(tree.glob("obj-*/compile_commands.json"))
        command = next(one["command"] for one in json.loads(commands.read_text()) if one["file"].endswith("gateway/main.cc"))
        assert re.findall(r" -O\S+", command)[-1] == " -O3", command
        assert "-D_FORTIFY_SOURCE=2" in command and "-fstack-protector-strong" in command, command
        shutil.rmtree(tree)

    def lintian(self):
        """lintian finds no error"""
        changes = next(self.folder.glob("*.changes"))
        root = ["--allow-root"] if os.getuid() == 0 else []
        done = subprocess.run(["lintian", *root, "--fail-on", "error", "--tag-display-limit", "0", changes],
                              capture_output=True, text=True, timeout=200)
        print(done.stdout + done.stderr, end="")
        assert done.returncode == 0, "lintian"

    def install(self):
        """an older version installs on a clean root file system, with its user, key and modes"""
        older = self.folder / "older"
        older.mkdir(exist_ok=True)
        for name in ("ringway", "ringway-tools"):
            self._make_older(name, older)
        files = [self.package(name, older) for name in ("ringway", "ringway-tools")]
        path = self.folder / "root"
        if path.exists():
            shutil.rmtree(path)
        self.root = RootFileSystem(path, self.cache, dependencies(files)).make()
        self.before = self.root.files()
        for file in files:
            shutil.copy(file, path / "tmp")
        print(self.root.do("dpkg -i /tmp/*.deb"), end="")
        said = self.root.do("id -un ringway; stat -c '%n %a %U %G' /etc/ringway /etc/ringway/*; ringway --version")
        for line in ("ringway", "/etc/ringway 750 root ringway", "/etc/ringway/token.key 400 ringway ringway",
                     "/etc/ringway/ringway.toml 644 root root"):
            assert line in said.splitlines(), f"no line {line!r} in\n{said}"

    def _make_older(self, name, folder):
        """The same package with an older version and another default configuration."""
        tree = folder / name
        if tree.exists():
            shutil.rmtree(tree)
        run("dpkg-deb", "-R", self.package(name), tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^Version: .*$", f"Version: {OLDER}", control.read_text(), flags=re.M))
        settings = tree / "etc/ringway/ringway.toml"
        if settings.exists():
            settings.write_text(settings.read_text() + "# A line that the newer version's default lacks.\n")
        run("dpkg-deb", "-Znone", "-b", tree, folder / f"{name}_{OLDER}_{run('dpkg', '--print-architecture').strip()}.deb")
        shutil.rmtree(tree)

    def upgrade(self):
        """an upgrade keeps the file that the user edited, and the key of the tokens"""
        etc = self.root.path / "etc/ringway"
        edited = (etc / "ringway.toml").read_text() + "\n# the user's line\n[timers]\ndrain = \"1s\"\n"
        (etc / "ringway.toml").write_text(edited)
        key = (etc / "token.key").read_bytes()
        assert len(key) == 32, key
        for file in self.root.path.glob("tmp/*.deb"):
            file.unlink()
        for name in ("ringway", "ringway-tools"):
            shutil.copy(self.package(name), self.root.path / "tmp")
        self.root.do("dpkg --force-confdef --force-confold -i /tmp/*.deb")
        assert (etc / "ringway.toml").read_text() == edited, "the user's file was changed"
        assert (etc / "token.key").read_bytes() == key, "the key was replaced"
        assert f"Version: {OLDER}" not in self.root.do("dpkg -s ringway")

    def first_call(self):
        """README.Debian leads to calls over WSS on port 443, served by the user ringway"""
        said = self.root.do((HERE / "first_call.sh").read_text())
        result = json.loads((self.root.path / "tmp/calls.json").read_text())
        print(said[:600])
        assert result["completed"] > 0, result
        assert not any(result[name] for name in ("lost", "refused", "flow_failures")), result

    def under_systemd(self):
        """under systemd the hardened unit starts, serves by io_uring, reloads, restarts and stops"""
        self.booted = RootFileSystem(self.folder / "booted", self.cache, [])
        try:
            self.booted.lay_over()
        except AssertionError as reason:
            raise Skip(f"no overlay file system here: {reason}") from None
        path = self.booted.path
        for name in ("ringway", "ringway-tools"):
            shutil.copy(self.package(name), path / "tmp")
        self.booted.do("dpkg -i /tmp/ringway*.deb")
        (path / "trial.sh").write_text((HERE / "under_systemd.sh").read_text())
        (path / "etc/systemd/system/trial.service").write_text(
            "[Unit]\nRequires=basic.target\nAfter=basic.target\n[Service]\nType=oneshot\nEnvironment=LC_ALL=C\n"
            "ExecStart=/bin/bash /trial.sh\n")
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe",
                   f"--directory={path}", "--boot", "--", "--unit=trial.service"]
        done = subprocess.run(["timeout", "--kill-after=5", "90", *command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        log = path / "trial.log"
        if not log.exists():
            raise Skip(f"systemd does not start in a namespace here: {(done.stdout + done.stderr)[-300:]}")
        text = log.read_text()
        assert "\nended with 0\n" in text, text
        result = json.loads((path / "calls.json").read_text())
        assert result["completed"] > 0 and not result["lost"] and not result["refused"], result

    def manuals(self):
        """each command has a manual page, and completion offers each command"""
        pages = run("dpkg-deb", "-c", self.package("ringway")) + run("dpkg-deb", "-c", self.package("ringway-tools"))
        for page in ("ringway.8", "ringway-ctl.8", "ringway-tunnel.8", "ringway-load.1", "ringway-lab.1"):
            assert f"/{page}.gz" in pages, f"no manual page {page}"
        offered = self.root.do("""
            . /usr/share/bash-completion/completions/ringway
            COMP_WORDS=(ringway ctl calls '') COMP_CWORD=3; _ringway; echo "${COMPREPLY[@]}"
            COMP_WORDS=(ringway '') COMP_CWORD=1; _ringway; echo "${COMPREPLY[@]}" """)
        for word in ("show", "end", "run", "check", "ctl", "tunnel", "certificate"):
            assert word in offered.split(), offered
        manual = (ROOT / "configs/man/ringway.8").read_text().replace("\\-", "-").splitlines()
        for word in offered.splitlines()[1].split():
            assert word.startswith("--") or f".B {word}" in manual, f"ringway(8) does not explain {word}"

    def remove(self):
        """remove keeps the configuration; purge leaves nothing"""
        etc = self.root.path / "etc/ringway"
        self.root.do("dpkg -r ringway-tools ringway")
        assert (etc / "ringway.toml").exists() and (etc / "token.key").exists(), "remove took the configuration"
        assert not (self.root.path / "usr/bin/ringway").exists()
        self.root.do("dpkg -P ringway-tools ringway")
        after = self.root.files()
        backups = {f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")}
        left = sorted(set(after) - set(self.before) - backups - {"var/log/dpkg.log"})
        assert not left, f"left behind: {left}"
        gone = sorted(set(self.before) - set(after))
        assert not gone, f"gone: {gone}"
        assert "ringway" not in (self.root.path / "etc/passwd").read_text()

    def manifests(self):
        """compose and Kubernetes accept the manifests; check accepts their configurations"""
        run("/usr/bin/docker-compose", "-f", "compose.yaml", "config", "-q", cwd=ROOT / "configs/container")
        manifest = ROOT / "configs/kubernetes/ringway.yaml"
        settings = run("/usr/bin/python3", HERE / "manifests.py", manifest)
        pair = self._certificate(self.folder / "manifest")
        for text in (settings, (ROOT / "configs/container/ringway.toml").read_text()):
            text = re.sub(r'^(certificate|key|key_file) = "[^"]*"', lambda found: f'{found[1]} = "{pair[found[1]]}"', text,
                          flags=re.M)
            (self.folder / "manifest/ringway.toml").write_text(text)
            run(self.build / "gateway/ringway", "check", "--config", self.folder / "manifest/ringway.toml")
        wrong = self.folder / "manifest/wrong.yaml"
        wrong.write_text(manifest.read_text().replace("livenessProbe:", "livelinessProbe:"))
        done = subprocess.run(["/usr/bin/python3", HERE / "manifests.py", wrong], capture_output=True, text=True)
        assert done.returncode != 0 and "livelinessProbe" in done.stderr, "an unknown field passes"

    def _certificate(self, folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        run(self.build / "gateway/ringway", "certificate", "--out", folder, "--name", "sip.example.org")
        (folder / "token.key").write_bytes(os.urandom(32))
        return {"certificate": folder / "certificate.pem", "key": folder / "key.pem", "key_file": folder / "token.key"}

    def run_container(self):
        """the container's root file system serves: with io_uring under seccomp.json, with epoll without it"""
        if not reachable():
            raise Skip("no Debian mirror answers")
        instructions = container.last_stage(ROOT / "configs/container/Containerfile")
        packages = dependencies([self.package("ringway"), self.package("ringway-tools")])
        self.image = RootFileSystem(self.folder / "image", self.cache, packages)
        if self.image.path.exists():
            shutil.rmtree(self.image.path)
        self.image.make()
        said = container.make(instructions, [self.package("ringway")], self.image.path)
        (self.image.path / "etc/ringway/secret").mkdir()  # an engine makes the places of its mounts by itself
        command = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])
        folder = self.folder / "container"
        self._certificate(self.folder / "container")
        (folder / "secret").mkdir()
        for name in ("certificate.pem", "key.pem", "token.key"):
            (folder / name).rename(folder / "secret" / name)
        settings = (ROOT / "configs/container/ringway.toml").read_text()
        # The calls here carry no media.
        (folder / "ringway.toml").write_text(re.sub(r"^\[media\]\n.*\n", "", settings, flags=re.M))
        (folder / "run").mkdir()
        for arguments, epoll in ((["--without-ring"], True), ([], False)):
            filter_file = folder / "filter"
            run("/usr/bin/python3", HERE / "seccomp_filter.py", *arguments, ROOT / "configs/container/seccomp.json",
                filter_file)
            output = container.serve(self.image.path, filter_file, folder, said["USER"], self.build / "bench/ringway-load",
                                     command)
            result = json.loads((folder / "calls.json").read_text())
            assert result["completed"] > 0 and result["lost"] == 0, (result, output)
            assert ('"reactor_epoll"' in output) == epoll, f"epoll is {epoll}:\n{output}"


class Skip(Exception):
    """What this machine lacks."""


STEPS = [Steps.build_packages, Steps.configure, Steps.lintian, Steps.install, Steps.upgrade, Steps.first_call,
         Steps.under_systemd, Steps.manuals,
         Steps.remove, Steps.manifests, Steps.run_container]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="meson build directory")
    options = parser.parse_args()
    count = {"passed": 0, "failed": 0, "skipped": 0}
    if os.getuid() != 0:
        print("skipped: a root file system is made by root\npackage: 0 passed, 0 failed, 1 skipped")
        return 0
    if not os.environ.get("RINGWAY_PACKAGE_INSIDE"):
        # Mounts stay in here.
        return subprocess.run(["unshare", "--mount", sys.executable, *sys.argv],
                              env={**os.environ, "RINGWAY_PACKAGE_INSIDE": "1"}).returncode
    steps = Steps(options.build)
    try:
        for step in STEPS:
            began = time.monotonic()
            try:
                step(steps)
                outcome = "passed"
            except Skip as reason:
                print(f"skipped: {reason}")
                outcome = "skipped"
            except Exception:
                traceback.print_exc(file=sys.stdout)
                outcome = "failed"
            count[outcome] += 1
            print(f"{outcome} {time.monotonic() - began:6.1f} s  {step.__doc__}", flush=True)
            if outcome == "failed" and step in (Steps.build_packages, Steps.install):
                break
    finally:
        steps.close()
    print("package: {passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
