"""The alerts that we ship: each fires when it should, and not when it should not."""

import re
from pathlib import Path

from prometheus import RULES, promtool

CASES = Path(__file__).parent / "alerts.test.yaml"


def test_every_alert_fires_when_it_should_and_not_when_it_should_not():
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_no_alert_is_left_out():
    text = CASES.read_text()
    quiet = set(re.findall(r"alertname: (\w+), eval_time: \w+, exp_alerts: \[\]", text))
    loud = set(re.findall(r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n\s+- exp_labels", text))
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert quiet == loud == alerts
