"""Kamailio as registrar with digest authentication, and as a proxy: a peer that knows nothing of us."""

from pathlib import Path

from . import flows, sip
from .ports import Reservation
from .programs import Program
from .waiting import Timeout, until

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules"

CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=2
fork=yes
auto_aliases=no
disable_tcp=no
server_signature=yes
alias="example.test"
{listens}
{tls_switch}
tcp_connection_lifetime=3605
mpath="{modules}/"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "jsonrpcs.so"
loadmodule "path.so"
loadmodule "xlog.so"
{tls_module}
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "nat_bflag", 6)
modparam("registrar", "use_path", {use_path})
modparam("registrar", "path_mode", {path_mode})
modparam("registrar", "path_check_local", 0)
modparam("registrar", "gruu_enabled", {gruu})
modparam("registrar", "outbound_mode", 0)
modparam("registrar", "max_contacts", 10)
modparam("rr", "append_fromtag", 1)
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "fifo_name", "{fifo}")
modparam("jsonrpcs", "dgram_socket", "{socket}")

request_route {{
  if (!mf_process_maxfwd_header("20")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("OPTIONS") && uri == myself && $rU == $null) {{ sl_send_reply("200", "Keepalive"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    sl_send_reply("404", "No Route Set");
    exit;
  }}
  t_check_trans();
  if (is_method("REGISTER")) {{
    {authenticate_register}
    {refuse_path}
    if (!save("location")) sl_reply_error();
    exit;
  }}
  {authenticate_call}
  remove_hf("Route");
  if (is_method("INVITE|SUBSCRIBE|REFER")) record_route();
  {forward}
  if (!lookup("location")) {{ sl_send_reply("404", "Not Registered"); exit; }}
  t_on_branch("OUT");
  t_relay();
  exit;
}}
branch_route[OUT] {{ return; }}
"""

AUTHENTICATE = """
    if (!pv_www_authenticate("example.test", "{password}", "0")) {{ www_challenge("example.test", "0"); exit; }}
"""
AUTHENTICATE_CALL = """
  if ($fd == "example.test" && is_method("INVITE|MESSAGE|SUBSCRIBE")) {{
    if (!pv_proxy_authenticate("example.test", "{password}", "0")) {{
      proxy_challenge("example.test", "0"); exit;
    }}
    consume_credentials();
  }}
"""
TLS_CONFIG = """
[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {key}
certificate = {certificate}
[client:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
"""


class Kamailio:
    """forwards: {user: uri} that are sent there instead of looked up (phones that do not register)."""

    def __init__(self, directory, *, password="secret", authenticate_calls=True, path=True, refuse_no_path=False,
                 transports=("udp", "tcp"), certificate=None, forwards=None, gruu=False, ip="127.0.0.1",
                 name="kamailio"):
        self.directory = Path(directory) / name
        (self.directory / "run").mkdir(parents=True)
        self.name, self.password, self.ip = name, password, ip
        ports = Reservation()
        self.port = ports.port(ip)
        self.tls_port = ports.port(ip) if "tls" in transports else None
        listens = [f"listen={kind}:{sip.host(ip)}:{self.port}" for kind in ("udp", "tcp") if kind in transports]
        if self.tls_port:
            listens.append(f"listen=tls:{sip.host(ip)}:{self.tls_port}")
        forward = "".join(f'if ($rU == "{user}") {{ $du = "{uri}"; t_relay(); exit; }}\n  '
                          for user, uri in (forwards or {}).items())
        tls_module = ""
        if self.tls_port:
            chain, key = certificate
            tls_file = self.directory / "tls.cfg"
            tls_file.write_text(TLS_CONFIG.format(key=key, certificate=chain))
            tls_module = f'loadmodule "tls.so"\nmodparam("tls", "config", "{tls_file}")'
        config = CONFIG.format(
            listens="\n".join(listens), modules=MODULES, tls_switch="enable_tls=yes" if self.tls_port else "",
            tls_module=tls_module, use_path=1 if path else 0, path_mode=0 if path else 1, gruu=int(gruu),
            fifo=self.directory / "rpc_fifo", socket=self.directory / "rpc.sock",
            authenticate_register=AUTHENTICATE.format(password=password) if password else "",
            refuse_path='if (is_present_hf("Path")) { sl_send_reply("420", "Bad Extension"); exit; }'
            if refuse_no_path else "",
            authenticate_call=AUTHENTICATE_CALL.format(password=password) if password and authenticate_calls else "",
            forward=forward)
        self.file = self.directory / "kamailio.cfg"
        self.file.write_text(config)
        ports.release()
        self.program = Program(name, ["kamailio", "-DD", "-E", "-f", self.file, "-Y", self.directory / "run",
                                      "-P", self.directory / "run/pid", "-m", "64", "-M", "8", "-u", "root",
                                      "-g", "root"], self.directory)
        until(self._ready, 15, "kamailio answers OPTIONS")

    def uri(self, transport="udp"):
        port = self.tls_port if transport == "tls" else self.port
        return f"sip:{sip.host(self.ip)}:{port};transport={transport}"

    def _ready(self):
        if not self.program.running:
            raise AssertionError("kamailio ended:\n" + self.program.tail(60))
        port = flows.UdpPort(self.ip)
        try:
            flow = port.to((self.ip, self.port))
            flow.send(sip.request("OPTIONS", f"sip:{sip.host(self.ip)}:{self.port}", via=flow.via()))
            port.inbox.take(lambda message: not message.is_request, 0.5)
            return True
        except Timeout:
            return False
        finally:
            port.close()

    def end(self):
        self.program.end()


def digest(challenge, method, uri, user, password):
    """The credentials for a challenge (RFC 2617, MD5 with or without qop)."""
    import hashlib
    import re
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.partition(" ")[2]))

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()
    secret = md5(f"{user}:{fields['realm']}:{password}")
    request = md5(f"{method}:{uri}")
    text = f'Digest username="{user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{uri}"'
    if "qop" in fields:
        client_nonce = sip.token()
        response = md5(f"{secret}:{fields['nonce']}:00000001:{client_nonce}:auth:{request}")
        text += f', qop=auth, nc=00000001, cnonce="{client_nonce}"'
    else:
        response = md5(f"{secret}:{fields['nonce']}:{request}")
    return text + f', response="{response}", algorithm=MD5'
