"""Block lists that others publish: what stands in the place of a list when something failed keeps the old one."""

import gzip
import json
import subprocess

from lib.case import case
from lib.gateway import binary
from lib.waiting import until

from cases.defence_bans import client, door, is_open, is_shut

APIBAN = json.dumps({"ipaddress": ["127.0.9.1", "127.0.9.2"], "ID": "1609459200"})
# What a fetch leaves when it failed, and lists that nobody can mean.
BROKEN = {
    "an error in JSON": '{"error": "rate limit exceeded", "client": "127.0.8.1"}',
    "another shape": '{"message": "Not Found", "documentation_url": "https://example.org/127.0.8.1"}',
    "APIBAN's limit": '{"ipaddress": ["rate limit exceeded"], "ID": "none"}',
    "an error list": '{"errors": [{"detail": "too many requests", "status": 429, "ip": "127.0.8.1"}]}',
    "no entries": '{"ipaddress": [], "ID": "none"}',
    "an empty list": "[]",
    "an empty object": "{}",
    "half of it": APIBAN[:len(APIBAN) // 2],
    "without its last byte": APIBAN[:-1],
    "two answers in a row": APIBAN + APIBAN[:-3],
    "HTML": "<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>\n",
    "HTML in one line": "<html>127.0.8.1</html>",
    "a sentence": "404: Not Found\n",
    "nothing": "",
    "blanks": " \n\r\n\t\n",
    "half an address": "127.0.8.1\n127.0.",
    "everybody": "127.0.8.1\n0.0.0.0/0\n",
    "everybody, IPv6": "::/0\n",
    "everybody in JSON": '{"ipaddress": ["127.0.8.1", "0.0.0.0/0"]}',
    "everybody in two halves": "0.0.0.0/1\n128.0.0.0/1\n",
    "everybody in 256 parts": "".join(f"{first}.0.0.0/8\n" for first in range(256)),
    "a wide one": "64.0.0.0/2\n",
    "something compressed": gzip.compress(b"127.0.8.1\n").decode("latin-1"),
    "UTF-16": "127.0.8.1\n".encode("utf-16").decode("latin-1"),
}


def kept(g):
    return [e for e in g.events() if e["event"] == "block_lists_kept"]


@case("block lists: an error page, a cut file, nothing or everybody in a list's place keeps the old one, counted and logged")
def broken(t):
    listed = t.directory / "apiban.json"
    listed.write_text(APIBAN)
    g, b = door(t, bans={"block_files": [str(listed)]})
    assert is_shut(t, g, "127.0.9.1") and is_shut(t, g, "127.0.9.2") and is_open(t, g, "127.0.8.1")
    for number, (what, text) in enumerate(BROKEN.items(), 1):
        fresh = t.directory / "fetched"
        fresh.write_bytes(text.encode("latin-1"))
        fresh.rename(listed)
        until(lambda: len(kept(g)) == number, 5, f"{what}: a line in the log")
        event = kept(g)[-1]
        assert str(listed) in event["reason"] and "old lists" in event["meaning"], (what, event)
        assert g.metric("ringway_source_lists_refused_total") == number, what
        assert is_shut(t, g, "127.0.9.1") and is_shut(t, g, "127.0.9.2"), what
        assert is_open(t, g, "127.0.8.1"), what
    # A reload by command refuses it with the same sentence, and `check` does.
    answer = subprocess.run([str(binary()), "ctl", "--config", str(g.file), "reload"], capture_output=True, text=True, timeout=20)
    assert answer.returncode != 0 and str(listed) in answer.stdout + answer.stderr, answer
    done = subprocess.run([str(binary()), "check", "--config", str(g.file)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and str(listed) in done.stderr, done
    listed.write_text(json.dumps({"ipaddress": ["127.0.8.1"], "ID": "1609459201"}))
    until(lambda: any(e["event"] == "reloaded" for e in g.events()), 5, "a list again")
    assert is_shut(t, g, "127.0.8.1") and is_open(t, g, "127.0.9.1")


@case("block lists: JSON of other feeds is read: objects in a list, and one object a line")
def feeds(t):
    listed = t.directory / "feed.json"
    listed.write_text('{"data": [{"ipAddress": "127.0.9.1", "score": 100}, {"ipAddress": "127.0.9.2", "hostnames": []}]}')
    g, b = door(t, bans={"block_files": [str(listed)]})
    assert is_shut(t, g, "127.0.9.1") and is_shut(t, g, "127.0.9.2")
    for number, text in enumerate(('{"cidr": "127.0.8.0/24", "rir": "x"}\n{"type": "metadata", "records": 1}\n',
                                   '[{"value": "127.0.8.1", "scope": "Ip"}]', '\ufeff["127.0.8.1"]\r\n'), 1):
        listed.write_text(text)
        until(lambda: sum(e["event"] == "reloaded" for e in g.events()) == number, 5, "the file is read")
        assert is_shut(t, g, "127.0.8.1") and is_open(t, g, "127.0.9.1"), text
    listed.write_text('{"ipaddress": ["no new bans"], "ID": "none"}')
    until(lambda: sum(e["event"] == "reloaded" for e in g.events()) == 4, 5, "the file is read")
    assert is_open(t, g, "127.0.8.1") and not kept(g)


@case("block lists: private networks and next hops in one are warned of, and the allow-list wins")
def doubtful(t):
    listed = t.directory / "bogons.txt"
    listed.write_text("10.0.0.0/8\n127.0.0.0/8\nfc00::/7\n")
    g, b = door(t, bans={"allow": ["127.0.0.9"], "block_files": [str(listed)]})
    doubts = [e["reason"] for e in g.events() if e["event"] == "block_list_doubtful"]
    for meaning in ("private network 10.0.0.0/8", "private network 127.0.0.0/8", "private network fc00::/7", "next hop"):
        assert any(meaning in doubt and "bans.allow" in doubt for doubt in doubts), (meaning, doubts)
    done = subprocess.run([str(binary()), "check", "--config", str(g.file)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "warning" in done.stderr and "bans.allow" in done.stderr, done
    assert is_shut(t, g, "127.0.0.10") and is_open(t, g, "127.0.0.9")
    # The next hop's own answers come in on the network side and are nobody's to keep out.
    a = client(t, g, "tcp", "127.0.0.9")
    sent = a.register(send_only=True)
    b.answer_register(b.expect("REGISTER"))
    a.response(200, to=sent)


@case("block lists: one that is empty yet does not hinder the start, and is said")
def not_yet(t):
    listed = t.directory / "later.txt"
    listed.write_text("")
    g, b = door(t, bans={"block_files": [str(listed)]})
    assert any(e["event"] == "block_list_doubtful" and str(listed) in e["reason"] for e in g.events())
    listed.write_text("127.0.9.1\n")
    until(lambda: any(e["event"] == "reloaded" for e in g.events()), 5, "the file is read")
    assert is_shut(t, g, "127.0.9.1")
