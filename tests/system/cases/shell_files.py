"""What an operator, or a script of his, does to a running gateway by mistake: odd files, odd signals, odd requests."""

import http.client
import os
import signal

from lib import sip
from lib.agents import call, hang_up, serves
from lib.carriers import Controller, FakeEngine, Tunnel
from lib.case import case
from lib.waiting import until

SHARDS = {"shards": 2}
RULES = '[[rule]]\nname = "tool"\nmatch = "prefix"\ntext = "tool"\n'


def put(kind, path, text):
    """Something else stands where the file was."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif path.exists() or path.is_symlink():
        path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(100 << 20)
    elif kind == "nothing":
        path.touch()
    else:
        path.write_text(text)


@case("reload: a folder, a pipe, a device or nothing where a file is named is refused whole, and all goes on",
      seconds=120)
def odd_files(t):
    b = t.backend()
    texts = {"rules": RULES, "blocked": "203.0.113.1\n", "numbers": "+882\n"}
    files = {name: t.directory / name for name in texts}
    for name, path in files.items():
        path.write_text(texts[name])
    g = t.gateway("tcp", "tls", next_hop=b.uri(), filter={"extra_file": str(files["rules"])},
                  bans={"block_files": [str(files["blocked"])]},
                  fraud=[{"name": "far", "prefix_file": str(files["numbers"]), "deny": True}], **SHARDS)
    certificate = type(files["rules"])(g.certificate[0])
    texts["certificate"], files["certificate"] = certificate.read_text(), certificate
    a = t.client(g, "tcp")
    ours, _, _ = call(a, b)
    for name, path in files.items():
        for kind in ("folder", "pipe", "device", "huge", "nothing"):
            before = len(g.events())
            put(kind, path, "")
            g.program.process.send_signal(signal.SIGHUP)
            until(lambda: any(e["event"].startswith(("reload", "block_lists", "config")) or "kept" in e["event"]
                              for e in g.events()[before:]), 10, f"{name}: {kind} is looked at")
            assert g.http("/livez")[0] == 200, (name, kind)
            serves(a, b)
        put("text", path, texts[name])
    before = g.metric("ringway_config_generation")
    g.program.process.send_signal(signal.SIGHUP)
    until(lambda: g.metric("ringway_config_generation") > before, 10, "the files as they were are taken again")
    hang_up(ours, a, b)


@case("signals that scripts send to other servers end nothing: SIGUSR1, SIGUSR2, SIGPIPE, SIGWINCH")
def odd_signals(t):
    b = t.backend()
    g = t.gateway("ws", next_hop=b.uri(), **SHARDS)
    a = t.client(g, "ws")
    _, theirs, _ = call(a, b)
    engine = FakeEngine(t)
    tunnel = Tunnel(t, engine.address)
    controller = Controller(t, tunnel.address)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGWINCH):
        for program in (g.program, tunnel.near_end, tunnel.far_ends[0]):
            program.process.send_signal(number)
        serves(a, b)
        assert controller.ask(b"1_%d de" % number) == b"1_%d de" % number
    hang_up(theirs, b, a)


@case("a SIGHUP while the gateway starts does not end it")
def early_reload(t):
    b = t.backend()
    for _ in range(3):
        g = t.gateway("tcp", next_hop=b.uri(), start=False, name=f"early{sip.token(4)}", **SHARDS)
        g.start(wait=False)
        status = f"/proc/{g.program.process.pid}/status"

        def ignores_hangup(status=status):
            with open(status) as file:
                masks = dict(line.split(":\t") for line in file.read().splitlines() if line.startswith("Sig"))
            return int(masks["SigIgn"], 16) & 1
        # From its first steps on, until there is something to reload.
        until(ignores_hangup, 5, "it has begun", every=0.0005)
        while not served(g):
            g.program.process.send_signal(signal.SIGHUP)
        a = t.client(g, "tcp")
        serves(a, b)


def served(g):
    try:
        return g.http("/livez")[0] == 200
    except OSError:
        return False


@case("the admin address takes a request in absolute-form (RFC 9112 3.2.2)")
def absolute_form(t):
    g = t.gateway("tcp", next_hop=t.backend().uri(), **SHARDS)
    host = "{}:{}".format(*g.admin)
    for target, status in ((f"http://{host}/livez", 200), (f"http://{host}/livez?x=http://y/", 200),
                           (f"http://{host}/none", 404), ("http://other.test/livez", 400), ("/livez?x=http://y/", 200)):
        connection = http.client.HTTPConnection(*g.admin, timeout=5)
        connection.request("GET", target, headers={"Host": host})
        assert connection.getresponse().status == status, target
        connection.close()
