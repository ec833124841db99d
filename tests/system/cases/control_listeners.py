"""Listeners that come and go with a reload, with two shards and from outside."""

import os
import socket
import threading

from lib.agents import call, hang_up, serves
from lib.answering import Answering
from lib.case import case
from lib.waiting import Timeout, until
from cases.control_reload import ctl, run, with_socket
from cases.control_restart import managed

REACTORS = ("auto", "epoll")


class Traffic:
    """One client that asks again and again until the end; each answer must come within five seconds."""

    def __init__(self, client):
        self.client, self.asked, self.problem, self.over = client, 0, None, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.over:
                sent = self.client.request("OPTIONS")
                assert self.client.final(sent, 5).status == 200
                self.asked += 1
        except Exception as error:  # noqa: BLE001
            self.problem = error

    def end(self):
        self.over = True
        self.thread.join(10)
        assert self.problem is None, self.problem
        assert self.asked > 0
        return self.asked


class Answers(Answering):
    """Answers whatever comes with 200, in a thread of its own."""

    def __init__(self, t):
        super().__init__(t.backend())
        t.at_end(self.end)

    def answer(self, request):
        if request.method == "REGISTER":
            self.b.answer_register(request)
        elif request.method != "ACK":
            self.b.reply(request, 200)


def started(t, *transports, b, **options):
    g = t.gateway(*transports, next_hop=b.uri(), shards=2, start=False, **options)
    with_socket(t, g)
    g.start()
    return g


def reload(g, good=True):
    g.ports.release()
    g.write()
    before = g.metric("ringway_config_generation")
    done = ctl(g, "reload")
    assert (done.returncode == 0) == good, done
    assert g.metric("ringway_config_generation") == before + good
    return done


def secure(g):
    return {"certificate": str(g.certificate[0]), "key": str(g.certificate[1])}


def entry(g, name):
    return next(one for one in g.config["listen"] if one["name"] == name)


def drop(g, name):
    g.config["listen"].remove(entry(g, name))
    return g.listeners.pop(name)


def events(g, event):
    return [one for one in g.events() if one["event"] == event]


def refused(address):
    """Nobody listens there any more."""
    def tried():
        try:
            socket.create_connection(address, timeout=2).close()
            return False
        except ConnectionRefusedError:
            return True
    until(tried, 5, f"{address} refuses connections")


def unheard(t, g, address, user):
    """A request to that UDP address has no answer."""
    g.listeners["gone"] = address
    client = t.client(g, "udp", user, listener="gone")
    sent = client.request("OPTIONS")
    try:
        client.final(sent, 0.7)
        raise AssertionError(f"answered at {address}")
    except Timeout:
        pass


def free(address, kind):
    """Another program can have the address."""
    def tried():
        one = socket.socket(socket.AF_INET, kind)
        if kind == socket.SOCK_STREAM:  # connections of before may still have the port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(address)
            return one
        except OSError:
            one.close()
            return None
    return until(tried, 5, f"{address} is free")


@case("reload: new udp, tcp, tls and wss listeners serve at once, under load on the others, with both reactors",
      seconds=120)
def added(t):
    for reactor in REACTORS:
        answers = Answers(t)
        b = t.backend()
        g = started(t, "udp", "wss", b=answers.b, name=f"ringway-{reactor}", reactor=reactor)
        g.next_hop(b.uri(), name="calls", domains=["calls.test"])
        reload(g)
        traffic = [Traffic(t.client(g, transport, f"{transport}{index}"))
                   for index in range(3) for transport in ("udp", "wss")]
        for transport in ("udp", "tcp", "tls", "wss"):
            more = secure(g) if transport in ("tls", "wss") else {}
            g.listen(transport, name=f"new-{transport}", **more)
        done = reload(g)
        for transport in ("udp", "tcp", "tls", "wss"):
            assert f"listen new-{transport}: added" in done.stdout, done
            for index in range(4):  # whichever shard gets them
                client = t.client(g, transport, f"n{transport}{index}", listener=f"new-{transport}")
                sent = client.register(send_only=True)
                assert client.final(sent).status == 200
                ours, theirs, _ = call(client, b, uri="sip:bob@calls.test")
                hang_up(ours, client, b) if index % 2 else hang_up(theirs, b, client)
        g.listeners["twin"] = g.listeners["new-udp"]
        sent = (client := t.client(g, "tcp", "twin", listener="twin")).request("OPTIONS")
        assert client.final(sent).status == 200, "a UDP listener brings its TCP side (RFC 3261 18.2.1)"
        asked = sum(one.end() for one in traffic)
        print(f"{reactor}: {asked} requests on the listeners that stayed")
        assert g.metric("ringway_flows_opened_total", transport="wss") == 3 + 4, "their sockets stayed"
        names = {one["name"] for one in events(g, "listener_added")}
        assert {"new-udp", "new-udp-tcp", "new-tcp", "new-tls", "new-wss"} <= names, names
        g.stop()


@case("reload: a removed listener takes nobody any more, its connections and calls go on, with both reactors",
      seconds=120)
def removed(t):
    for reactor in REACTORS:
        answers = Answers(t)
        b = t.backend()
        g = started(t, "udp", "tcp", "wss", b=answers.b, name=f"ringway-{reactor}", reactor=reactor)
        g.next_hop(b.uri(), name="calls", domains=["calls.test"])
        g.listen("udp", name="more-udp")
        g.listen("wss", name="more-wss", **secure(g))
        reload(g)
        calls = []
        for name, transport in (("more-wss", "wss"), ("access-tcp", "tcp"), ("access-wss", "wss")):
            client = t.client(g, transport, name, listener=name)
            assert client.final(client.register(send_only=True)).status == 200
            calls.append((client, *call(client, b, uri="sip:bob@calls.test")))
        traffic = [Traffic(t.client(g, transport, f"{transport}{index}"))
                   for index in range(3) for transport in ("udp", "wss")]
        gone = {name: drop(g, name) for name in ("more-udp", "more-wss", "access-tcp")}
        done = reload(g)
        for name in gone:
            assert f"listen {name}: removed" in done.stdout, done
        refused(gone["more-wss"])
        refused(gone["access-tcp"])
        refused(gone["more-udp"])  # its TCP side
        for index in range(4):
            unheard(t, g, gone["more-udp"], f"late{index}")
        for address in gone.values():
            free(address, socket.SOCK_STREAM).close()
        free(gone["more-udp"], socket.SOCK_DGRAM).close()
        for client, ours, theirs, _ in calls:
            again = client.request("OPTIONS")
            assert client.final(again).status == 200, "who is connected stays"
            hang_up(theirs, b, client)
        print(f"{reactor}: {sum(one.end() for one in traffic)} requests on the listeners that stayed")
        g.stop()


@case("reload: a listener whose port is in use fails it, and nothing is changed")
def in_use(t):
    b = t.backend()
    g = started(t, "udp", b=b)
    client = t.client(g, "udp")
    for transport, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM), ("udp", socket.SOCK_STREAM)):
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                other.listen()
            g.listen("tcp", name="fine")
            g.listen(transport, name="taken", port=other.getsockname()[1])
            g.config["timers"]["grace"] = "3s"
            done = reload(g, good=False)
            assert "taken" in done.stderr and "in use" in done.stderr and "nothing was changed" in done.stderr, done
            refused(g.listeners["fine"])
            serves(client, b)
            drop(g, "taken")
            drop(g, "fine")
    del g.config["timers"]["grace"]
    assert reload(g) and not events(g, "listener_added")


@case("reload: a listener that moves to another port and back, a new name for it, twice the same file", seconds=90)
def moved(t):
    b = t.backend()
    g = started(t, "udp", "tcp", b=b)
    old = g.listeners["access-udp"]
    ports = [g.ports.port(), old[1]]
    stays = t.client(g, "tcp", "stays")
    for round_ in range(6):
        port = ports[round_ % 2]
        entry(g, "access-udp")["address"] = f"127.0.0.1:{port}"
        g.listeners["access-udp"] = ("127.0.0.1", port)
        done = reload(g)
        assert "listen access-udp: moved from udp" in done.stdout, done
        for index in range(4):
            client = t.client(g, "udp", f"m{round_}{index}")
            hang_up(call(client, b)[0], client, b)
        assert "listen" not in reload(g).stdout, "nothing differs"
        serves(stays, b)
        unheard(t, g, ("127.0.0.1", ports[1 - round_ % 2]), f"old{round_}")
    entry(g, "access-tcp")["name"] = "other-name"
    done = reload(g)
    assert "access-tcp: is other-name now" in done.stdout, done
    serves(stays, b)
    g.listeners["other-name"] = g.listeners["access-tcp"]
    serves(t.client(g, "tcp", "new", listener="other-name"), b)


@case("reload: a listener that keeps its address and changes its name for others loses neither socket nor dialog",
      seconds=90)
def same_socket(t):
    answers = Answers(t)
    b = t.backend()
    g = started(t, "udp", "tcp", b=answers.b)
    g.next_hop(b.uri(), name="calls", domains=["calls.test"])
    reload(g)
    running = []
    for transport in ("udp", "tcp"):
        client = t.client(g, transport, f"c{transport}")
        running.append((client, *call(client, b, uri="sip:bob@calls.test")))
    traffic = [Traffic(t.client(g, transport, f"{transport}{index}"))
               for index in range(3) for transport in ("udp", "tcp")]
    for one in g.config["listen"]:
        ip, port = one["address"].rsplit(":", 1)
        one["advertise"] = f"localhost:{port}"
    for _ in range(2):
        done = reload(g)
        assert "listen access-udp: changed" in done.stdout, done
        late = t.client(g, "udp", "late")
        _, theirs, seen = call(late, b, uri="sip:bob@calls.test")
        routes = " ".join(seen.lines("Record-Route"))
        assert ("localhost" in routes) == ("advertise" in g.config["listen"][0]), routes
        hang_up(theirs, b, late)
        for one in g.config["listen"]:
            one.pop("advertise", None)
    for client, ours, theirs, _ in running:
        hang_up(theirs, b, client)
    print(f"{sum(one.end() for one in traffic)} requests meanwhile")


@case("a user agent of a removed UDP listener is answered 430, one of a connection is still called (RFC 5626 5.3)",
      seconds=60)
def tokens(t):
    b = t.backend()
    g = started(t, "udp", "wss", b=b)
    g.listen("udp", name="more-udp")
    g.listen("wss", name="more-wss", **secure(g))
    reload(g)
    paths = {}
    for name, transport in (("more-udp", "udp"), ("more-wss", "wss"), ("access-udp", "udp")):
        client = t.client(g, transport, name, listener=name)
        sent = client.register(send_only=True)
        seen = b.expect("REGISTER")
        b.answer_register(seen)
        assert client.final(sent).status == 200
        paths[name] = (client, seen.get("Path"), seen.get("Contact"))
    drop(g, "more-udp")
    drop(g, "more-wss")
    reload(g)

    def reach(name):
        client, path, contact = paths[name]
        uri = contact[contact.index("<") + 1:contact.index(">")]
        request = b.build("OPTIONS", uri, headers=[("Route", path)])
        b.send_to(path[path.index("<") + 1:path.index(">")], request)
        return client, request
    for name in ("more-wss", "access-udp"):
        client, request = reach(name)
        client.reply(client.expect("OPTIONS"), 200)
        assert b.final(request).status == 200, name
    _, request = reach("more-udp")
    assert b.final(request).status == 430


@case("a removed network listener sends nothing any more; what is under way by it has its answers", seconds=60)
def network(t):
    b = t.backend()
    g = started(t, "wss", b=b)
    g.listen("udp", side="network", name="other", ip="127.0.0.2")
    reload(g)
    client = t.client(g, "wss")
    ringing = client.invite()
    seen = b.expect("INVITE")
    first = drop(g, "network-udp")
    b.reply(seen, 180)
    client.response(180, to=ringing)
    reload(g)
    b.reply(seen, 486)
    assert client.final(ringing).status == 486, "its answer comes in by the listener that it went out by"
    _, theirs, seen = call(client, b)
    assert "127.0.0.2" in seen.get("Via") and "127.0.0.2" in seen.get("Record-Route"), seen
    hang_up(theirs, b, client)
    until(lambda: free(first, socket.SOCK_DGRAM), 5, "its socket is closed").close()


@case("reload under a service manager: new sockets are kept, those of removed listeners let go", seconds=60)
def kept(t):
    b = t.backend()
    g, manager = managed(t, "tcp", b=b)
    with_socket(t, g)
    g.start()
    manager.expect("READY", "1")
    g.listen("udp", name="more-udp")
    new = g.listeners["more-udp"]
    reload(g)
    until(lambda: sum(name.endswith(f"_{new[1]}") for name in manager.names()) == 4, 5, "udp and tcp of two shards")
    old = drop(g, "access-tcp")
    reload(g)
    until(lambda: not any(name.endswith(f"_{old[1]}") for name in manager.names()), 5, "the old one is let go")
    refused(old)
    g.restart()
    for index in range(4):
        serves(t.client(g, "udp", f"u{index}", listener="more-udp"), b)
    assert not events(g, "kept_socket_unused")


@case("reload forty times with a listener that comes and goes: its place is its own again, nothing is lost", seconds=180)
def many(t):
    answers = Answers(t)
    g = started(t, "udp", "tcp", b=answers.b)
    traffic = [Traffic(t.client(g, transport, f"{transport}{index}"))
               for index in range(2) for transport in ("udp", "tcp")]
    g.listen("udp", name="more-udp")
    more, address = entry(g, "more-udp"), g.listeners["more-udp"]
    descriptors = None
    for round_ in range(40):
        if round_:
            g.config["listen"].append(more)
        reload(g)
        g.listeners["more-udp"] = address
        client = t.client(g, "udp", f"r{round_}", listener="more-udp")
        assert client.final(client.request("OPTIONS")).status == 200
        client.flow.port.close()
        drop(g, "more-udp")
        reload(g)
        descriptors = descriptors or g.descriptors()
    until(lambda: g.descriptors() <= descriptors, 10, f"no descriptor is left over: {descriptors}")
    print(f"{sum(one.end() for one in traffic)} requests meanwhile")


@case("reload: a removed UDP listener comes back while requests by it have no answer, with both reactors", seconds=90)
def comes_back(t):
    for reactor in REACTORS:
        b = t.backend(name=reactor)
        g = started(t, "udp", "wss", b=b, reactor=reactor, name=f"back-{reactor}")
        old, address = entry(g, "access-udp"), g.listeners["access-udp"]
        clients = [t.client(g, "udp", f"{reactor}{index}") for index in range(8)]  # over both shards
        waiting = []
        for client in clients:
            sent = client.invite()
            waiting.append((client, sent, b.expect("INVITE")))
        for _ in range(3):
            drop(g, "access-udp")
            reload(g)
            g.config["listen"].append(old)
            g.listeners["access-udp"] = address
            reload(g)
        for client, sent, seen in waiting:
            b.reply(seen, 486)
            assert client.final(sent).status == 486
        for index in range(8):
            serves(t.client(g, "udp", f"new{index}"), b)
        g.stop()


@case("check --against-running names listeners that a reload adds, moves and removes", seconds=40)
def told(t):
    b = t.backend()
    g = started(t, "udp", "tcp", b=b)
    g.listen("tcp", name="more")
    drop(g, "access-udp")
    entry(g, "access-tcp")["address"] = f"127.0.0.1:{g.ports.port()}"
    g.write()
    done = run("check", "--config", g.file, "--against-running")
    for line in ("listen more: added, tcp", "listen access-udp: removed", "listen access-tcp: moved from tcp"):
        assert line in done.stdout, done
    assert g.metric("ringway_config_generation") == 1 and not events(g, "listener_added")
    assert os.path.exists(g.config["ctl"]["socket"])
