"""Why the tunnel is there: a SIP server that speaks rtpengine's control over UDP only, rtpengine on another host, and
a link between them that loses every fragment."""

import os
import re
import subprocess
import time
from pathlib import Path

from lib import far_link
from lib.case import Skip, case
from lib.gateway import binary
from lib.programs import Program
from lib.waiting import Timeout, until

KAMAILIO = """\
#!KAMAILIO
debug=2
log_stderror=yes
children=2
fork=yes
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "rtpengine.so"
loadmodule "xlog.so"
modparam("rtpengine", "rtpengine_sock", "udp:{engine}")
modparam("rtpengine", "rtpengine_disable_tout", 1)
request_route {{
  if (has_totag()) {{
    if (is_method("BYE")) {{
      $var(begin) = $TV(Sn);
      rtpengine_delete();
      xlog("L_ERR", "STORY delete $var(begin) $TV(un)\\n");
    }}
    loose_route();
    t_relay();
    exit;
  }}
  if (is_method("INVITE")) {{
    record_route();
    $var(s) = $TV(un);
    if (rtpengine_offer("WebRTC replace-origin")) xlog("L_ERR", "STORY offer ok\\n");
    else xlog("L_ERR", "STORY offer failed\\n");
    t_on_reply("ANSWER");
  }}
  if (is_method("CANCEL") && !t_check_trans()) exit;
  $du = "sip:127.0.0.1:5070";
  t_relay();
}}
onreply_route[ANSWER] {{
  if (has_body("application/sdp")) {{
    if (rtpengine_answer("RTP/AVP replace-origin ICE=remove")) xlog("L_ERR", "STORY answer ok\\n");
    else xlog("L_ERR", "STORY answer failed\\n");
  }}
}}
"""


def description(webrtc):
    """A browser's: candidates, codecs, fingerprint, some 5,000 bytes."""
    lines = ["v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
             "m=audio 40000 %s 111 63 9 0 8 13 110 126" % ("UDP/TLS/RTP/SAVPF" if webrtc else "RTP/AVP"),
             "c=IN IP4 127.0.0.1", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1",
             "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=sendrecv"]
    if webrtc:
        lines += ["a=ice-ufrag:4ZcD", "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlQ4", "a=setup:actpass", "a=mid:0", "a=rtcp-mux",
                  "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)]
        lines += [f"a=candidate:{n} 1 udp {2122260223 - n} 192.0.2.{n % 250} {40000 + n} typ host generation 0 "
                  f"network-id {n} network-cost 10" for n in range(1, 41)]
    return "\r\n".join(lines) + "\r\n"


# Speaks SIP for both user agents, beside the SIP server.
DRIVER = Path(__file__).resolve().parents[1] / "lib" / "story_call.py"


def story(t, link, engine_address):
    """One Kamailio whose rtpengine is at engine_address, and calls through it."""
    directory = t.directory / f"kamailio-{engine_address.replace(':', '-')}"
    (directory / "run").mkdir(parents=True)
    file = directory / "kamailio.cfg"
    file.write_text(KAMAILIO.format(engine=engine_address))
    kamailio = Program(directory.name, link.run(
        link.near, "kamailio", "-DD", "-E", "-f", file, "-Y", directory / "run", "-P", directory / "run/pid",
        "-m", "64", "-M", "8", "-u", "root", "-g", "root"), t.directory)
    t.at_end(kamailio.end)
    for kind, webrtc in (("browser", True), ("phone", False)):
        (directory / kind).write_text(description(webrtc))

    def call(kind, number):
        done = subprocess.run([str(word) for word in link.run(
            link.near, "python3", DRIVER, directory / kind, directory / kind, number)],
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", done.stdout)}
    return kamailio, call


def rows(t, calls=3):
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if not Path("/dev/net/tun").exists():
        raise Skip("there is no /dev/net/tun")
    link = far_link.FarLink(t)
    engine = Program("rtpengine", link.run(
        link.far, "rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=5", "--table=-1",
        "--no-fallback", "--delete-delay=0", f"--interface={far_link.FAR}", "--listen-ng=0.0.0.0:2223",
        "--port-min=30000", "--port-max=30200", "--num-threads=2"), t.directory)
    t.at_end(engine.end)
    folder = t.directory / "keys"
    made = subprocess.run([str(binary()), "tunnel", "keys", "--out", folder], capture_output=True, text=True)
    assert made.returncode == 0, made
    relay = Program("relay", link.run(link.far, binary(), "tunnel", "relay", "--listen", "0.0.0.0:2225",
                                      "--rtpengine", "127.0.0.1:2223", "--keys", folder / "relay"), t.directory)
    t.at_end(relay.end)
    near = Program("controller", link.run(
        link.near, binary(), "tunnel", "controller", "--listen", "127.0.0.1:2223", "--relay", f"{far_link.FAR}:2225",
        "--keys", folder / "controller"), t.directory)
    t.at_end(near.end)
    near.expect_line("connected to", 10)
    table = {}
    for name, address in (("UDP across the link", f"{far_link.FAR}:2223"), ("ringway tunnel", "127.0.0.1:2223")):
        kamailio, call = story(t, link, address)
        until(lambda: "STORY" in kamailio.text() or ready(link), 15, "kamailio answers")
        for kind in ("browser", "phone"):
            table[f"{name}, {kind}"] = [call(kind, f"{kind}{number}") for number in range(calls)]
        table[name + " log"] = kamailio.text()
        kamailio.end()
    return table


def ready(link):
    probe = ("import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5); "
             "s.bind(('127.0.0.1', 0)); p=s.getsockname()[1]; "
             "s.sendto(f'OPTIONS sip:x@127.0.0.1 SIP/2.0\\r\\nVia: SIP/2.0/UDP 127.0.0.1:{p};branch=z9hG4bKx\\r\\n"
             "From: <sip:a@b>;tag=1\\r\\nTo: <sip:a@b>\\r\\nCall-ID: x\\r\\nCSeq: 1 OPTIONS\\r\\n\\r\\n'.encode(), "
             "('127.0.0.1', 5060)); s2=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
             "s2.bind(('127.0.0.1', 5070)); s2.settimeout(0.5); s2.recv(9999)")
    return subprocess.run(link.run(link.near, "python3", "-c", probe), capture_output=True).returncode == 0


def show(table):
    for name, calls in table.items():
        if not name.endswith("log"):
            print(name, calls)


@case("tunnel story: Kamailio over UDP, rtpengine far away, every fragment lost: it hangs, through the tunnel it does "
      "not", seconds=150, alone=True)
def kamailio_story(t):
    table = rows(t)
    show(table)
    # Kamailio's module waits a second for each try. A browser's description is lost in fragments on its way to
    # rtpengine, a phone's gets there, and the answer to delete, with its statistics, is lost on its way back.
    assert all(one["setup_ms"] > 1000 for one in table["UDP across the link, browser"]), table
    assert all(one["bye_ms"] > 1000 for one in table["UDP across the link, phone"]), table
    tunnelled = table["ringway tunnel, browser"] + table["ringway tunnel, phone"]
    assert "timeout" in table["UDP across the link log"] or "failed" in table["UDP across the link log"]
    log = table["ringway tunnel log"]
    assert all(one["setup_ms"] < 500 and one["bye_ms"] < 300 for one in tunnelled), tunnelled
    assert "timeout" not in log and "failed" not in log, log
    assert log.count("STORY offer ok") == len(tunnelled) == log.count("STORY answer ok")
