# README.Debian's steps with systemd as process 1: started by trial.service of the test, ends the machine.
# The last line of /trial.log says how it went.
exec >/trial.log 2>&1
set -euxo pipefail
finish() { local code=$?; echo "ended with $code"; systemctl --no-block exit "$code"; }
trap finish EXIT
trap 'journalctl -u ringway --no-pager | tail -n 30' ERR
ringway certificate --out /etc/ringway --name sip.example.org
chown ringway: /etc/ringway/certificate.pem /etc/ringway/key.pem
systemctl enable --now ringway
ringway ctl status
# Calls go through, over the ring: the unit's filter lets its calls pass.
ringway-load call --transport wss --to 127.0.0.1:443 --register --answer-udp 127.0.0.1:5060 --flows 2 --rate 50 \
  --duration 1 --quiet --json /calls.json
journalctl -u ringway --no-pager >/journal
if grep -q reactor_epoll /journal; then echo 'the ring was refused'; exit 1; fi
# The reload of a broken file fails, and says where; that of a good one succeeds.
cp /etc/ringway/ringway.toml /good.toml
echo 'shards = "two"' >>/etc/ringway/ringway.toml
if systemctl reload ringway; then echo 'the reload of a broken file succeeds'; exit 1; fi
journalctl -u ringway --no-pager | grep 'ringway.toml:[0-9]*:[0-9]*'
cat /good.toml >/etc/ringway/ringway.toml
systemctl reload ringway
systemctl is-active ringway
# Listening sockets are kept by systemd while the program is away.
process=$(systemctl show ringway -p MainPID --value)
systemctl restart ringway
ringway ctl status
[ "$process" != "$(systemctl show ringway -p MainPID --value)" ]
[ "$(systemctl show ringway -p NFileDescriptorStore --value)" -gt 0 ]
[ "$(ps -o user= -p "$(systemctl show ringway -p MainPID --value)")" = ringway ]
systemctl stop ringway
[ "$(systemctl show ringway -p Result --value)" = success ]
