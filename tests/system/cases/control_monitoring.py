"""The dashboard and the alert rules that are shipped, asked of a running gateway by Prometheus itself."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from lib.agents import call, hang_up
from lib.case import Skip, case
from lib.gateway import ROOT
from lib.ports import Reservation
from lib.programs import Program
from lib.waiting import until

MONITORING = ROOT / "configs/monitoring"


def panels():
    """(title, expression, legend) of each line that the dashboard draws."""
    board = json.loads((MONITORING / "dashboard.json").read_text())
    return [(panel["title"], target["expr"].replace("$instance", ".*"), target.get("legendFormat", ""))
            for panel in board["panels"] for target in panel["targets"]]


def alerts():
    """(name, expression, annotations) of each rule."""
    blocks = re.split(r"^ +- alert: ", (MONITORING / "alerts.yml").read_text(), flags=re.M)[1:]
    return [(block.split("\n", 1)[0], re.search(r"expr: (.*)", block)[1], block) for block in blocks]


class Prometheus:
    """Debian's, which looks at the gateway every second and judges the rules."""

    def __init__(self, t, g):
        if not shutil.which("prometheus"):
            raise Skip("prometheus is not installed")
        reserved = Reservation()
        self.address = f"127.0.0.1:{reserved.port()}"
        reserved.release()
        settings = t.directory / "prometheus.yml"
        settings.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(MONITORING / "alerts.yml")],
            "scrape_configs": [{"job_name": "ringway",
                                "static_configs": [{"targets": [f"{g.admin[0]}:{g.admin[1]}"]}]}]}))
        self.program = t.start(Program("prometheus", [
            "prometheus", f"--config.file={settings}", f"--storage.tsdb.path={t.directory}/data",
            f"--web.listen-address={self.address}"], t.directory))

    def ask(self, path, **query):
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}",
                                        timeout=5) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is still starting
                return {}
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        except OSError:
            return {}

    def series(self, expression):
        """The labels of each series that the expression has now."""
        return [one["metric"] for one in self.ask("query", query=expression).get("result", [])]


@case("dashboard and alert rules: each panel draws something, each rule names metrics and labels that there are",
      seconds=90)
def monitoring(t):
    b = t.backend()
    relay = t.rtpengine()
    crl = t.directory / "clients.crl"
    t.authority.crl(crl, days=24)
    g = t.gateway("udp", "tls", "wss", next_hop=b.uri(), media=relay.address, shards=2, start=False)
    for listen in g.config["listen"]:
        if listen["transport"] == "tls":
            listen.update(client_certificates="request", client_ca=str(t.authority.certificate), client_crl=str(crl))
    g.start()
    prometheus = Prometheus(t, g)
    client = t.client(g, "wss")
    ours, _, _ = call(client, b)
    hang_up(ours, client, b)
    until(lambda: prometheus.series("rate(ringway_requests_total[1m])"), 30, "two looks have been taken")
    for title, expression, legend in panels():
        found = prometheus.series(expression)
        assert found, f"{title}: nothing for {expression}"
        for label in re.findall(r"{{(\w+)}}", legend):
            assert all(label in series for series in found), f"{title}: no label {label} in {found}"
    for name, expression, block in alerts():
        for metric in re.findall(r"\bringway_\w+", expression):
            found = prometheus.series(metric)
            assert found, f"{name}: there is no {metric}"
            for label in re.findall(r"\$labels\.(\w+)", block):
                assert all(label in series for series in found), f"{name}: no label {label} in {found}"
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert len(rules) == len(alerts()) and all(rule["health"] == "ok" for rule in rules), rules
    assert not [rule["name"] for rule in rules if rule["state"] == "firing"], rules


# What is seen each minute, and the alert that fires for it, after how many minutes.
FIRES = [
    ('up{instance="a", job="ringway"}', "0x40", "RingwayDown", "critical", 1),
    ('ringway_condition{condition="relays", instance="a"}', "2x40", "RingwayCondition", "critical", 1),
    ('ringway_condition{condition="tables", instance="a"}', "1x40", "RingwayDegraded", "warning", 10),
    ('ringway_certificate_end_seconds{file="c", instance="a"}', "600000x40", "RingwayCertificateEnds", "warning", 0),
    ('ringway_revocation_list_end_seconds{file="c", instance="a"}', "80000x40", "RingwayRevocationListEnds", "warning", 0),
    ('ringway_next_hops_down{instance="a"}', "1x40", "RingwayNextHopDown", "warning", 2),
    ('ringway_strangers_dropped_total{instance="a"}', "0+600x40", "RingwayStrangers", "info", 31),
    ('ringway_missed_deadlines_total{instance="a"}', "0+600x40", "RingwayLate", "warning", 6),
]


@case("alert rules: each fires for what it is there for, after its time and not before, and none for a healthy gateway",
      seconds=30)
def firing(t):
    healthy = [("up{instance=\"a\", job=\"ringway\"}", "1x40"),
               ("ringway_condition{condition=\"relays\", instance=\"a\"}", "0x40"),
               ("ringway_certificate_end_seconds{file=\"c\", instance=\"a\"}", "7000000x40"),
               ("ringway_next_hops_down{instance=\"a\"}", "0x40"), ("ringway_ng_timeouts_total{instance=\"a\"}", "3x40"),
               ("ringway_ng_errors_total{instance=\"a\"}", "3x40"), ("ringway_strangers_dropped_total{instance=\"a\"}", "9x40")]
    expression = 'ALERTS{alertstate="firing"}'
    tests = [{"interval": "1m", "input_series": [{"series": one, "values": values} for one, values in healthy],
              "promql_expr_test": [{"expr": expression, "eval_time": "35m", "exp_samples": []}]}]
    for series, values, alert, severity, minutes in FIRES:
        labels = re.search(r"{(.*)}", series)[1]
        fired = {"labels": f'ALERTS{{alertname="{alert}", alertstate="firing", severity="{severity}", {labels}}}', "value": 1}
        looks = [{"expr": expression, "eval_time": f"{minutes + 1}m", "exp_samples": [fired]}]
        if minutes:
            looks.append({"expr": expression, "eval_time": f"{minutes - 1}m", "exp_samples": []})
        tests.append({"interval": "1m", "input_series": [{"series": series, "values": values}], "promql_expr_test": looks})
    file = t.directory / "rules-test.yml"
    file.write_text(json.dumps({"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": "1m",
                                "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
