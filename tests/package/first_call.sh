# What README.Debian says, in its order, as far as a system without systemd as process 1 can: the
# service's command, user and rights are read from its unit. Runs inside the root file system.
config=/etc/ringway/ringway.toml
ringway certificate --out /etc/ringway --name sip.example.org >/dev/null
chown ringway: /etc/ringway/certificate.pem /etc/ringway/key.pem
ringway check --config $config

unit=/usr/lib/systemd/system/ringway.service
setting() { sed -n "s/^$1=//p" $unit; }
grep -qx 'AmbientCapabilities=CAP_NET_BIND_SERVICE' $unit
as_service="setpriv --reuid $(setting User) --regid $(setting Group) --clear-groups --no-new-privs
  --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service --bounding-set -all,+net_bind_service"
install -d -o "$(setting User)" -g "$(setting Group)" -m "$(setting RuntimeDirectoryMode)" /run/ringway
# shellcheck disable=SC2086
RUNTIME_DIRECTORY=/run/ringway $as_service $(setting ExecStart) 2>/tmp/log &
service=$!
for ((tries = 0; tries < 100; ++tries)); do
  ringway ctl status >/dev/null 2>&1 && break
  kill -0 $service 2>/dev/null || { cat /tmp/log; exit 1; }
  sleep 0.1
done
ringway ctl status
# Who may not ask is told how he may.
if setpriv --reuid 65534 --regid 65534 --clear-groups ringway ctl status 2>/tmp/stranger; then
  echo 'everybody may ask'; exit 1
fi
grep -q sudo /tmp/stranger || { cat /tmp/stranger; exit 1; }

# A browser's side over WSS on port 443, a SIP server's side on UDP where [[next_hop]] says.
ringway-load call --transport wss --to 127.0.0.1:443 --register --answer-udp 127.0.0.1:5060 \
  --flows 2 --rate 50 --duration 2 --quiet --json /tmp/calls.json
cat /tmp/calls.json

# A reload of a broken file fails and says where; the gateway goes on.
cp $config /tmp/good.toml
echo 'shards = "two"' >>$config
if $(setting ExecReload) >/tmp/reload 2>&1; then echo 'the reload of a broken file succeeds'; exit 1; fi
grep -q "ringway.toml:[0-9]*:[0-9]*" /tmp/reload || { cat /tmp/reload; exit 1; }
cat /tmp/good.toml >$config
$(setting ExecReload)

ringway ctl status --json >/tmp/status.json
kill -TERM $service
wait $service
