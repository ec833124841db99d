"""Janus with its SIP plugin and nothing else: a phone whose media a web page brings (browser/janus.js).

Janus takes no candidate on loopback: the case needs another address of its own (lib/network.py).
"""

from pathlib import Path

from .ports import Reservation, range_of
from .programs import Program

INSTALLED = Path("/usr/lib/x86_64-linux-gnu/janus")

CONFIG = """\
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}/events"
  loggers_folder = "{folder}/loggers"
  debug_level = 5
  session_timeout = 0
}}
media: {{
  rtp_port_range = "{web_first}-{web_last}"
}}
nat: {{
  ice_enforce_list = "{address}"
  ignore_mdns = true
}}
"""
WEBSOCKETS = """\
general: {{
  ws = true
  ws_ip = "127.0.0.1"
  ws_port = {port}
  wss = false
}}
admin: {{
  admin_ws = false
  admin_wss = false
}}
"""
SIP = """\
general: {{
  local_ip = "127.0.0.1"
  local_media_ip = "127.0.0.1"
  sdp_ip = "127.0.0.1"
  keepalive_interval = 0
  behind_nat = false
  register_ttl = 300
  rtp_port_range = "{first}-{last}"
}}
"""


class Janus:
    """server: the WebSocket URL of its API. address: where its WebRTC side is; not loopback."""

    def __init__(self, directory, *, address, name="janus"):
        self.directory = Path(directory) / name
        for kind in ("plugins", "transports", "events", "loggers"):
            (self.directory / kind).mkdir(parents=True)
        for module in ("plugins/libjanus_sip.so", "transports/libjanus_websockets.so"):
            (self.directory / module).symlink_to(INSTALLED / module)
        ports = Reservation()
        port = ports.port()
        self.web_lock, web_first, web_last = range_of(20)
        self.lock, first, last = range_of(20)
        for file, text in (("janus.jcfg", CONFIG), ("janus.transport.websockets.jcfg", WEBSOCKETS),
                           ("janus.plugin.sip.jcfg", SIP)):
            (self.directory / file).write_text(text.format(
                folder=self.directory, address=address, port=port, web_first=web_first, web_last=web_last,
                first=first, last=last))
        self.server = f"ws://127.0.0.1:{port}/"
        ports.release()
        self.program = Program(name, ["janus", "--configs-folder", self.directory, "--disable-colors"],
                               self.directory, env={"HOME": str(self.directory)})
        self.program.expect_line("WebSockets thread started")

    def end(self):
        self.program.end()
        self.web_lock.close()
        self.lock.close()
