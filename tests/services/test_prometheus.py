"""A real Prometheus scrapes the proxy: its answers agree with the access records, and all that we ship for it works."""

import json
import math
import re
from collections import Counter

import pytest
from prometheus import ROOT, RULES, promtool, until

REQUESTS = 200
DASHBOARD = ROOT / "deploy" / "grafana" / "llm-proxy.json"
GUIDE = ROOT / "docs" / "guide" / "logs.md"
OTHER = "other"


class Seen:
    """What Prometheus knew before some traffic and after it, and the records of that traffic."""

    def __init__(self, scene, prometheus):
        self.scene, self.prometheus = scene, prometheus
        # Counters that are there before, so that all that follows is an increase.
        scene.run(60)
        already = len(scene.recorded(60, until))
        self.before = prometheus.scraped()
        scene.run(REQUESTS)
        self.records = scene.recorded(already + REQUESTS, until)[already:]
        self.all_records = scene.records()
        self.after = prometheus.scraped()

    def increase(self, metric):
        """What was added in between, exactly, by the labels of ours; without what stayed the same."""
        counts = Counter()
        for sign, at in ((1, self.after), (-1, self.before)):
            for labels, value in self.prometheus.query(f'{metric}{{job="llm-proxy"}}', at):
                counts[ours(labels)] += sign * value
        return {labels: count for labels, count in counts.items() if count}


def ours(labels):
    return tuple(sorted((k, v) for k, v in labels.items() if k not in ("__name__", "instance", "job")))


@pytest.fixture(scope="module")
def seen(watched):
    return Seen(*watched)


def attempts(seen):
    return [attempt for record in seen.records for attempt in record["attempts"]]


def test_the_target_is_up_with_the_admin_key_and_down_without_it(seen):
    up = {labels["job"]: value for labels, value in seen.prometheus.query("up", seen.after)}
    assert up == {"llm-proxy": 1, "stranger": 0}


def test_o09_requests_are_those_of_the_access_records(seen):
    told = Counter()
    for record in seen.records:
        alias = record["alias"] or OTHER
        labels = {"dialect": record["dialect"], "alias": alias, "status": str(record["status"])}
        told[ours(labels)] += 1
    assert seen.increase("llm_proxy_requests_total") == told
    assert len(told) >= 8, "too few kinds of outcomes"


def test_o09_attempts_by_class_are_those_of_the_access_records(seen):
    told = Counter(ours({"backend": one["backend"], "class": one["class"]}) for one in attempts(seen))
    assert seen.increase("llm_proxy_attempts_total") == told
    assert {dict(labels)["class"] for labels in told} >= {"ok", "server"}


def test_o09_tokens_are_those_of_the_access_records(seen):
    told = Counter()
    fields = {"input": "input_tokens", "output": "output_tokens", "cache_read": "cached_tokens"}
    for record in seen.records:
        for kind, field in fields.items():
            told[ours({"alias": record["alias"] or OTHER, "kind": kind})] += record[field] or 0
    told = {labels: count for labels, count in told.items() if count}
    assert seen.increase("llm_proxy_tokens_total") == told
    assert told


def test_o09_costs_are_those_of_the_access_records(seen):
    by_alias, by_backend, unpriced = Counter(), Counter(), Counter()
    for record in seen.records:
        if record["cost_usd"] is not None:
            by_alias[ours({"alias": record["alias"]})] += record["cost_usd"]
            by_backend[ours({"backend": record["backend"]})] += record["cost_usd"]
        elif record["input_tokens"] is not None:
            unpriced[ours({"alias": record["alias"]})] += 1
    assert seen.increase("llm_proxy_cost_usd_total") == pytest.approx(by_alias)
    assert seen.increase("llm_proxy_backend_cost_usd_total") == pytest.approx(by_backend)
    assert seen.increase("llm_proxy_unpriced_answers_total") == unpriced
    assert len(by_backend) == 2 and unpriced
    spent = seen.increase("llm_proxy_budget_spent_usd")
    assert spent[ours({"name": "team"})] >= sum(by_alias.values()) * 0.999


def test_the_rate_of_requests_is_what_came_in_its_time(seen):
    # All samples are in the window. Prometheus extends what lies between the first and the last of them by half a step
    # on each side, so at most by one part in as many steps as there were.
    window, at = "[5m]", seen.after
    total = 'llm_proxy_requests_total{job="llm-proxy",alias="plain",status="200",dialect="chat"}'
    samples = seen.prometheus.value(f"count_over_time({total}{window})", at)
    came = seen.prometheus.value(f"{total} - min_over_time({total}{window})", at)
    rate = seen.prometheus.value(f"rate({total}{window})", at)
    labels = ours({"alias": "plain", "dialect": "chat", "status": "200"})
    assert came >= seen.increase("llm_proxy_requests_total")[labels] > 0
    assert came <= rate * 300 * 1.001 <= came * (1 + 1 / (samples - 1)) * 1.002, (samples, came, rate)


def test_a_quantile_of_the_first_byte_is_in_the_bucket_of_the_records(seen):
    for backend in ("sound", "claude"):
        took = sorted(
            attempt["ms"] / 1000
            for record in seen.all_records
            for attempt in record["attempts"]
            if attempt["backend"] == backend and attempt["class"] == "ok"
        )
        bucket = f'llm_proxy_first_byte_seconds_bucket{{job="llm-proxy",backend="{backend}"}}'
        edges = sorted(float(labels["le"]) for labels, _ in seen.prometheus.query(bucket, seen.after))
        for quantile in (0.5, 0.9, 0.99):
            told = seen.prometheus.value(f"histogram_quantile({quantile}, {bucket})", seen.after)
            true = took[math.ceil(len(took) * quantile) - 1]
            high = next(edge for edge in edges if true <= edge)
            low = max((edge for edge in edges if edge < true), default=0)
            assert low <= told <= high, (backend, quantile, told, true)
    # The alias `slow` takes its 60 ms before each word.
    slow = seen.prometheus.value(
        'histogram_quantile(0.9, sum by (le) (rate(llm_proxy_first_byte_seconds_bucket{backend="sound"}[5m])))',
        seen.after,
    )
    assert slow > 0.05


def test_every_sample_is_what_the_page_says(seen):
    seen.scene.recorded(len(seen.all_records), until)
    page = seen.scene.admin("/metrics")
    at = seen.prometheus.scraped()
    shown = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            shown[name] = float(value)
    found = {}
    for labels, value in seen.prometheus.query('{__name__=~"llm_proxy_.+",job="llm-proxy"}', at):
        name = labels["__name__"]
        found[name, ours(labels)] = value
    # What flows back with time is another value a moment later.
    moving = ("llm_proxy_rate_limit_remaining",)
    label = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')
    for name, value in shown.items():
        metric, _, labels = name.partition("{")
        # A label without a value is none to Prometheus.
        told = found.pop((metric, ours({k: v for k, v in label.findall(labels) if v})))
        assert metric in moving or told == value, name
    assert not found, "Prometheus knows what the page does not show"


def test_a_cooldown_is_seen_and_its_reset_too(seen):
    prometheus = seen.prometheus
    cooling = 'llm_proxy_cooling{job="llm-proxy",backend="refused",scope="key"}'
    began = 'llm_proxy_cooldowns_total{job="llm-proxy",backend="refused",class="auth"}'
    assert prometheus.value(cooling, seen.after) == 1
    assert prometheus.value(began, seen.after) == 1
    assert prometheus.value(f"{cooling} > 0") == 1
    # The alert for it waits out its minute, or has done so.
    def alerted():
        alerts = prometheus.get("alerts")["alerts"]
        names = {alert["labels"]["alertname"] for alert in alerts if alert["labels"].get("backend") == "refused"}
        return names or None

    assert until("an alert", alerted) == {"LlmProxyBackendKeyRefused"}
    seen.scene.admin("/api/backends/refused/reset", "POST")
    assert prometheus.value(cooling, prometheus.scraped()) == 0
    assert prometheus.query('llm_proxy_cooling{backend="refused"} > 0') == []


def test_promtool_finds_nothing_to_complain_of_in_the_page(seen):
    assert promtool("check", "metrics", stdin=seen.scene.admin("/metrics")) == ""


# ------------------------------------------------------------------------------------------- what we ship


def panels():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"], target.get("legendFormat", "")


def known(prometheus):
    return set(prometheus.get("label/__name__/values", **{"match[]": '{job="llm-proxy"}'}))


def asks(expression):
    return set(re.findall(r"\bllm_proxy_\w+", expression))


@pytest.mark.parametrize(("title", "expression", "legend"), list(panels()))
def test_a_panel_of_the_dashboard_has_data(seen, title, expression, legend):
    expression = expression.replace("$instance", ".*").replace("$__rate_interval", "5m")
    assert "$" not in expression, "a variable that Grafana would have to know"
    prometheus = seen.prometheus
    assert asks(expression) and asks(expression) <= known(prometheus), title
    # As Grafana asks it: over a range, which ends before anything was reset.
    span = {"start": seen.before, "end": seen.after, "step": 1}
    series = prometheus.get("query_range", query=expression, **span)["result"]
    assert series, f"{title}: no data"
    named = set(re.findall(r"{{\s*(\w+)\s*}}", legend))
    for clause in re.findall(r"\bby\s*\(([^)]*)\)", expression):
        named |= {label.strip() for label in clause.split(",")} - {"le"}
    for label in named:
        assert any(one["metric"].get(label) for one in series), f"{title}: nothing has the label {label}"


@pytest.mark.parametrize(
    "expression", re.findall(r"`((?:sum|histogram_quantile|rate)[^`]*llm_proxy[^`]*)`", GUIDE.read_text())
)
def test_a_query_of_the_guide_has_data(seen, expression):
    assert asks(expression) <= known(seen.prometheus)
    assert seen.prometheus.query(expression, seen.after), expression


def test_the_rules_are_loaded_and_each_is_evaluated_without_a_fault(seen):
    def evaluated():
        [group] = seen.prometheus.get("rules")["groups"]
        health = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in group["rules"]}
        return None if ("unknown", None) in health.values() else health

    health = until("the rules to be evaluated", evaluated)
    assert set(health.values()) == {("ok", None)}
    rules = RULES.read_text()
    assert len(health) == rules.count("- alert: ")
    assert asks(rules) <= known(seen.prometheus)


def test_the_rules_are_well_formed():
    assert "SUCCESS" in promtool("check", "rules", RULES)
