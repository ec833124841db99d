"""linphone-daemon as a phone: registers, answers by itself, plays a tone, told what to do on its standard input."""

from pathlib import Path

from .baresip import write_tone
from .ports import Reservation, range_of
from .programs import Program
from .waiting import until

CONFIG = """\
[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port=-1
bind_address=127.0.0.1
default_proxy=0
media_encryption={encryption}
media_encryption_mandatory={mandatory}
use_ipv6=0
keepalive_period=0
[rtp]
audio_rtp_port={first}-{last}
[net]
nat_policy_ref=
mtu=0
[sound]
echocancellation=0
use_files=1
[app]
auto_download_mode=-1
[video]
enabled=0
[misc]
file_transfer_server_url=
[storage]
uri=null
[lime]
enabled=0
[auth_info_0]
username={user}
passwd={password}
domain={domain}
[proxy_0]
reg_proxy=<{proxy}>
reg_route=<{proxy}>
reg_identity=<sip:{user}@{domain}>
reg_expires=300
reg_sendregister=1
publish=0
dial_escape_plus=0
"""


class Linphone:
    def __init__(self, directory, *, user, password, proxy, domain="example.test", frequency=600, srtp=False,
                 name="linphone"):
        self.directory = Path(directory) / name
        self.directory.mkdir(parents=True)
        ports = Reservation()
        port = ports.port()
        self.lock, first, last = range_of(20)
        config = self.directory / "linphonerc"
        config.write_text(CONFIG.format(port=port, user=user, password=password, proxy=proxy, domain=domain,
                                        first=first, last=last, encryption="srtp" if srtp else "none",
                                        mandatory=int(srtp)))
        self.tone = self.directory / "tone.wav"
        write_tone(self.tone, frequency)
        ports.release()
        self.program = Program(name, ["linphone-daemon", "--config", config, "--auto-answer",
                                      "--disable-stats-events", "--log", self.directory / "messages.log"],
                               self.directory, stdin=True, env={"HOME": str(self.directory)})

        self.seen = 0

    def command(self, text):
        self.program.write(text + "\n")

    def state(self, name, timeout=10):
        """Waits for the next event of that name, from where the last one was."""
        line = self.program.expect_line(name, timeout, self.seen)
        self.seen = self.program.lines.index(line, self.seen) + 1

    def registered(self):
        until(self._is_registered, 10, "linphone has registered", every=0.3)

    def _is_registered(self):
        before = self.program.mark()
        self.command("register-status ALL")
        return "RegistrationOk" in self.program.expect_line("State:", 5, before)

    def call_id(self):
        """Its own number of the call that it told of last."""
        lines = self.program.text().splitlines()
        return [line for line in lines if line.startswith("Id: ")][-1].removeprefix("Id: ").strip()

    def play(self):
        self.command(f"incall-player-start {self.tone}")

    def end(self):
        self.program.end()
        self.lock.close()
