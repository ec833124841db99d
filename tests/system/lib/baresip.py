"""baresip as a phone: registers or waits, answers by itself, sends a tone, told what to do over ctrl_tcp."""

import json
import math
import socket
import struct
import threading
import wave
from pathlib import Path

from . import sip
from .ports import Reservation, range_of
from .programs import Program
from .waiting import Inbox, until

CONFIG = """\
poll_method epoll
sip_listen {listen}
sip_certificate {certificate}
sip_verify_server no
call_local_timeout 120
call_max_calls 4
audio_path /usr/share/baresip
audio_player aufile,{directory}/heard.wav
audio_source aufile,{directory}/tone.wav
audio_alert aufile,{directory}/alert.wav
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {first}-{last}
rtcp_mux no
net_interface {ip}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


def write_tone(path, frequency, seconds=60, rate=8000):
    second = b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * frequency * n / rate)))
                      for n in range(rate))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(second * seconds)


class Baresip:
    def __init__(self, directory, *, user="phone", domain="example.test", password="", proxy=None,
                 transport="udp", register=False, frequency=500, answer="auto", certificate=None,
                 ip="127.0.0.1", name="baresip"):
        self.directory = Path(directory) / name
        self.directory.mkdir(parents=True)
        self.user, self.transport = user, transport
        ports = Reservation()
        self.port, control = ports.port(ip), ports.port()
        self.lock, first, last = range_of(40)
        pair = ""
        if certificate:
            pair = self.directory / "pair.pem"
            pair.write_bytes(Path(certificate[0]).read_bytes() + Path(certificate[1]).read_bytes())
        # A TLS listener takes the port above the plain one.
        listen = f"{sip.host(ip)}:{self.port - 1 if transport == 'tls' else self.port}"
        (self.directory / "config").write_text(CONFIG.format(
            ip=ip, listen=listen, certificate=pair, directory=self.directory, first=first,
            last=last - 10, control=control))
        account = f"<sip:{user}@{domain};transport={transport}>;auth_pass={password};answermode={answer}"
        if proxy:
            account += f";outbound=\"{proxy}\""
        account += f";regint={300 if register else 0};audio_codecs=PCMU/8000/1;medianat=;mwi=no"
        (self.directory / "accounts").write_text(account.replace(";medianat=", "") + "\n")
        (self.directory / "contacts").write_text("")
        write_tone(self.directory / "tone.wav", frequency)
        ports.release()
        self.program = Program(name, ["baresip", "-f", self.directory, "-v", "-s"], self.directory)
        self.events = Inbox(name)
        self.control = None
        until(lambda: self._connect(control), 10, "baresip's control port")

    def _connect(self, port):
        if not self.program.running:
            raise AssertionError("baresip ended:\n" + self.program.tail())
        try:
            self.control = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            return False
        self.control.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()
        return True

    def _read(self):
        data = b""
        while True:
            try:
                piece = self.control.recv(65536)
            except OSError:
                return
            if not piece:
                return
            data += piece
            while b":" in data:
                size, _, rest = data.partition(b":")
                size = int(size)
                if len(rest) < size + 1:
                    break
                self.events.put(json.loads(rest[:size]))
                data = rest[size + 1:]

    def registered(self, timeout=15):
        """Waits for the registrar's 200; the event may have come before the control connection."""
        self.program.expect_line(lambda line: "200 OK" in line and "binding" in line, timeout)

    def command(self, command, params=""):
        token = sip.token(4)
        text = json.dumps({"command": command, "params": params, "token": token}).encode()
        self.control.sendall(str(len(text)).encode() + b":" + text + b",")
        return self.events.take(lambda event: event.get("token") == token, 5, f"answer to {command}")

    def event(self, kind, timeout=10):
        return self.events.take(lambda event: event.get("type") == kind, timeout, f"event {kind}")

    def dial(self, uri):
        return self.command("dial", uri)

    def hang_up(self):
        return self.command("hangup")

    def end(self):
        if self.control:
            self.control.close()
        self.program.end()
        self.lock.close()
