"""Reload, `ringway ctl` and `ringway check`, with two shards and from outside."""

import json
import os
import signal
import stat
import subprocess

from lib.agents import call, hang_up
from lib.case import case
from lib.gateway import binary
from lib.waiting import until


def run(*arguments, timeout=20, **options):
    return subprocess.run([str(binary()), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          **options)


def ctl(g, *words, json_=False):
    done = run("ctl", "--config", g.file, *(["--json"] if json_ else []), *words)
    return json.loads(done.stdout) if json_ else done


def with_socket(t, g):
    # Paths of Unix sockets are short; the case's directory may not be.
    g.config["ctl"] = {"socket": str(t.directory / "c.sock")}


def with_two_relays(t):
    """A running gateway with a control socket, its backend, and two rtpengines."""
    b = t.backend()
    one, two = t.rtpengine(name="one"), t.rtpengine(name="two")
    g = t.gateway("wss", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    g.config["media"] = {"rtpengine": [one.address, two.address]}
    g.start()
    return g, b, one, two


@case("reload: a next hop that is added, changed and removed counts at once, the flow stays open")
def next_hops(t):
    b, c = t.backend(), t.backend()
    g = t.gateway("wss", next_hop=b.uri(), shards=2)
    a = t.client(g, "wss")
    ours, _, _ = call(a, b)
    g.config["next_hop"].append({"name": "second", "address": c.uri(), "domains": ["second.test"], "from": "both"})
    g.write()
    g.reload()
    until(lambda: g.metric("ringway_config_generation") == 2, 10, "generation 2")
    a.request("OPTIONS", "sip:x@second.test", to_uri="sip:x@second.test")
    c.reply(c.expect("OPTIONS"), 200)
    assert a.response(200)
    hang_up(ours, a, b)
    g.config["next_hop"].pop()
    g.write()
    g.reload()
    until(lambda: g.metric("ringway_config_generation") == 3, 10, "generation 3")
    a.request("OPTIONS", "sip:x@second.test", to_uri="sip:x@second.test")
    b.reply(b.expect("OPTIONS"), 200)
    assert a.response(200)
    assert g.metric("ringway_flows_opened_total", transport="wss") == 1, "the same socket all the time"


@case("reload: a broken file changes nothing, is named with line and column, and fails the command")
def broken(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    g.start()
    whole = g.file.read_text()
    for text, place in ((whole + "\n[timers]\n", None), (whole.replace("shards = 2", 'shards = "two"'), ":1:"),
                        ("[[listen]\nx=", ":1:"), (whole + "\nnonsense = 1\n", ":")):
        g.file.write_text(text)
        g.config_socket = g.config["ctl"]["socket"]
        done = run("ctl", "--socket", g.config_socket, "reload")
        assert done.returncode == 1, done
        assert "nothing was changed" in done.stderr and str(g.file) in done.stderr, done
        if place:
            assert str(g.file) + place in done.stderr, done
        assert g.metric("ringway_config_generation") == 1
    def refused():
        return sum(event["event"] == "reload_refused" for event in g.events())
    before = refused()
    g.reload()
    until(lambda: refused() > before, 5, "SIGHUP is told too")
    g.file.write_text(whole)
    done = run("ctl", "--socket", g.config_socket, "reload")
    assert done.returncode == 0 and "generation 2" in done.stdout, done
    a = t.client(g, "udp")
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)


@case("reload: what needs a restart is named, beforehand by check --against-running, and stays")
def restart_needed(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    g.start()
    g.config["shards"] = 1
    g.config["limits"]["flows"] = 8192
    g.config["timers"]["grace"] = "3s"
    g.write()
    done = run("check", "--config", g.file, "--against-running")
    assert done.returncode == 0, done
    assert "shards" in done.stdout and "limits.flows" in done.stdout and "restart" in done.stdout, done
    assert "timers" in done.stdout, done
    assert g.metric("ringway_config_generation") == 1, "only told"
    answer = ctl(g, "reload", json_=True)
    assert answer["generation"] == 2 and len(answer["restart"]) == 2, answer
    assert any(line.startswith("timers") for line in answer["applied"]), answer
    assert g.metric("ringway_shards") == 2


@case("reload: the log level and the filter's exemptions count at once")
def log_level(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), shards=2)
    g.config["filter"] = {"exempt": ["127.0.0.0/8"]}
    g.write()
    g.reload()
    until(lambda: g.metric("ringway_config_generation") == 2, 10, "generation 2")
    a = t.client(g, "udp")
    sent = a.request("OPTIONS", headers=[("User-Agent", "friendly-scanner")])
    b.reply(b.expect("OPTIONS"), 200)
    assert a.final(sent).status == 200


@case("ctl: status in words and in 80 columns, tables, errors that say what to do, exit codes")
def commands(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    g.start()
    path = g.config["ctl"]["socket"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    done = ctl(g, "status")
    assert done.returncode == 0 and "ready for calls" in done.stdout and "next_hops" in done.stdout, done
    a = t.client(g, "wss")
    ours, _, seen = call(a, b)
    for words in (("status",), ("calls",), ("calls", "list"), ("certificates",)):
        done = ctl(g, *words)
        assert done.returncode == 0, done
        assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
    assert seen.call_id in json.dumps(ctl(g, "calls", json_=True))
    assert ctl(g, "calls", "show", seen.call_id).returncode == 0
    assert ctl(g, "calls", "show", "nobody").returncode == 1
    hang_up(ours, a, b)
    assert ctl(g, "log-level", "error").returncode == 0
    assert ctl(g, "log-level", "loud").returncode == 1
    done = ctl(g, "cals")
    assert done.returncode == 2 and "--help" in done.stderr, done
    done = run("ctl", "--socket", str(t.directory / "absent"), "status")
    assert done.returncode == 3 and "is ringway running" in done.stderr, done
    # The same over the admin address.
    done = run("ctl", "--admin", "%s:%d" % g.admin, "--json", "status")
    assert done.returncode == 0 and json.loads(done.stdout)["ready"] is True, done


@case("ctl drain: readiness says no, new calls get 503, calls that run go on; undrain brings it back")
def drain(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri(), shards=2, start=False)
    with_socket(t, g)
    g.start()
    a = t.client(g, "wss")
    ours, _, _ = call(a, b)
    assert ctl(g, "drain").returncode == 0
    assert g.http("/healthz")[0] == 503 and g.http("/livez")[0] == 200
    assert ctl(g, "status").returncode == 1
    other = t.client(g, "udp")
    until(lambda: _status_of_options(other) == 503, 5, "both shards refuse")
    hang_up(ours, a, b)
    assert ctl(g, "undrain").returncode == 0
    assert g.http("/healthz")[0] == 200
    ours, _, _ = call(a, b)
    hang_up(ours, a, b)


def _status_of_options(client):
    sent = client.invite()
    answer = client.final(sent)
    return answer.status


@case("certificate: files that exist stay without --force, the key is 0600, a full disk is an error")
def certificate(t):
    folder = t.directory / "certs"
    done = run("certificate", "--out", folder, "--name", "a.test")
    assert done.returncode == 0, done
    key = (folder / "key.pem").read_text()
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    done = run("certificate", "--out", folder, "--name", "a.test")
    assert done.returncode == 1 and "--force" in done.stderr, done
    assert (folder / "key.pem").read_text() == key
    (folder / "key.pem").chmod(0o644)
    done = run("certificate", "--out", folder, "--name", "b.test", "--force")
    assert done.returncode == 0 and (folder / "key.pem").read_text() != key
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    (folder / "certificate.pem").unlink()
    assert run("certificate", "--out", folder, "--name", "b.test").returncode == 1, "one of both is enough"
    # No byte may be written, as on a full disk.
    import resource
    done = run("certificate", "--out", t.directory / "full", "--name", "c.test",
               preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                   resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))))
    assert done.returncode == 1 and "cannot be written" in done.stderr, done
    assert not any((t.directory / "full").glob("*")), "nothing is left"


@case("check refuses or warns of what will not do on this host, with the reason")
def check(t):
    good = ('shards = 2\n[[listen]]\ntransport = "udp"\naddress = "127.0.0.1:5060"\n%s\n'
            '[[next_hop]]\naddress = "sip:127.0.0.1:5070"\n%s')
    secret = t.directory / "secret"

    def check_of(more_listen="", more=""):
        file = t.directory / "check.toml"
        file.write_text(good % (more_listen, more))
        return run("check", "--config", file)

    done = check_of()
    assert done.returncode == 0 and "warning" not in done.stderr, done
    done = check_of(more='[limits]\nflows = 16000000\n')
    assert "limits.flows" in done.stderr or "flows = 16000000" in done.stderr, done
    for address in ("0.0.0.0:8080", "[::]:8080"):
        done = check_of(more=f'[admin]\naddress = "{address}"\n')
        assert "warning" in done.stderr and "token_file" in done.stderr, done
    done = check_of(more_listen="port_per_shard = true\n".replace("\n", ""))
    assert done.returncode == 0, done
    file = t.directory / "ports.toml"
    for port in (65535, 65534):
        file.write_text((good % ("port_per_shard = true", "")).replace("5060", str(port)))
        done = run("check", "--config", file)
        assert (done.returncode != 0) == (port == 65535), done
        if port == 65535:
            assert f"{file}:4:" in done.stderr, done
    for content in (bytes(32), b"A" * 64, b"ab" * 32):
        secret.write_bytes(content)
        secret.chmod(0o600)
        file.write_text(f'key_file = "{secret}"\n' + good % ("", ""))
        done = run("check", "--config", file)
        assert done.returncode == 1 and "guessed" in done.stderr, done
    secret.write_bytes(os.urandom(32))
    for mode in (0o666, 0o644, 0o660):
        secret.chmod(mode)
        done = run("check", "--config", file)
        assert "warning" in done.stderr and f"{mode:04o}" in done.stderr, done
    for address in ("192.0.2.77", "[2001:db8::77]"):
        file.write_text((good % ('side = "network"', "")).replace('"127.0.0.1:5060"', f'"{address}:5060"')
                        .replace("127.0.0.1:5070", f"{address}:5070"))
        done = run("check", "--config", file)
        assert "no interface of this host" in done.stderr, done


@case("shards = 0 follows the affinity mask; too little address space is a sentence, not an abort")
def machine(t):
    b = t.backend()
    g = t.gateway("udp", next_hop=b.uri(), start=False)
    g.config["shards"] = 0
    g.config["pin"] = True
    g.enable_admin()
    g.write()
    g.ports.release()
    program = subprocess.Popen(["taskset", "-c", "1", str(binary()), "run", "--config", str(g.file)],
                               stderr=subprocess.PIPE)
    try:
        until(lambda: _metric(g, "ringway_shards") == 1, 20, "one shard")
        for task in os.listdir(f"/proc/{program.pid}/task"):
            text = open(f"/proc/{program.pid}/task/{task}/status").read()
            assert "Cpus_allowed_list:\t1\n" in text, text
    finally:
        program.terminate()
        program.communicate(timeout=15)
    g.config["shards"] = 4
    g.write()
    for megabytes in (300, 700):
        done = subprocess.run(["prlimit", f"--as={megabytes << 20}", str(binary()), "run", "--config", str(g.file)],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 1, done
        assert "RLIMIT_AS" in done.stderr or "not enough memory" in done.stderr, done
        assert "CHECK" not in done.stderr, done


def _metric(g, name):
    try:
        return g.metric(name)
    except OSError:
        return None


@case("64 shards cost less than 200 MB while nothing happens")
def many_shards(t):
    b = t.backend()
    g = t.gateway("udp", "wss", next_hop=b.uri(), shards=64)
    resident = g.metric("ringway_process_resident_memory_bytes")
    assert resident < 200e6, f"{resident / 1e6:.0f} MB"
