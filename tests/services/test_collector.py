"""A collector of another make gets spans and metrics that say what the access records say."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from collector import Collector, attributes
from prometheus import until
from proxy import free_port, serve, simulator
from traffic import Scene

REQUESTS = 150
CONFIG = Path(__file__).parent / "collector.yaml"


class Seen:
    """A collector, and the records of all that it must have been told."""

    def __init__(self, scene, collector):
        scene.run(REQUESTS)
        self.collector = collector
        self.records = {record["request_id"]: record for record in scene.recorded(REQUESTS, until)}
        self.trees = until("all spans", self._all_spans)
        self.log = scene.proxy.log()
        self.metrics = scene.admin("/metrics")

    def _all_spans(self):
        trees = self.collector.trees()
        return trees if len(trees) >= REQUESTS else None


@pytest.fixture(scope="module")
def seen():
    with ExitStack() as started:
        sim = simulator()
        started.callback(sim.stop)
        collector = Collector()
        started.callback(collector.stop)
        admin = free_port()
        proxy = serve(CONFIG, ADMIN_PORT=admin, SIM_PORT=sim.port, OTLP_PORT=collector.port)
        started.callback(proxy.stop)
        yield Seen(Scene(proxy, admin), collector)


def test_o08_each_request_is_a_span_that_agrees_with_its_record(seen):
    assert seen.trees.keys() == seen.records.keys()
    for request_id, (span, attempts) in seen.trees.items():
        record, own = seen.records[request_id], attributes(span)
        assert span.trace_id.hex() == record["trace_id"]
        assert own["http.response.status_code"] == record["status"]
        assert own.get("error.type") == record["class"]
        assert own.get("gen_ai.request.model") == record["alias"]
        assert own.get("gen_ai.usage.input_tokens") == record["input_tokens"]
        assert own.get("gen_ai.usage.output_tokens") == record["output_tokens"]
        assert own["llm_proxy.attempts"] == len(record["attempts"]) == len(attempts)
        lasted = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        assert lasted == pytest.approx(record["duration_ms"], abs=0.01)


def test_o08_each_attempt_is_a_span_within_its_request(seen):
    kinds = Counter()
    for request_id, (span, attempts) in seen.trees.items():
        for told, attempt in zip(seen.records[request_id]["attempts"], attempts, strict=True):
            own = attributes(attempt)
            kinds[own.get("error.type", "ok")] += 1
            assert own["llm_proxy.backend"] == told["backend"]
            assert own["gen_ai.request.model"] == told["model"]
            assert own.get("http.response.status_code") == told["status"]
            if told["class"] != "ok":
                assert own["error.type"] == told["class"]
            assert span.start_time_unix_nano <= attempt.start_time_unix_nano
            assert attempt.end_time_unix_nano <= span.end_time_unix_nano
    assert kinds.keys() >= {"ok", "server", "client_gone"}, "too few kinds of outcomes"


def test_the_resource_and_the_key_are_those_of_the_config(seen):
    assert seen.collector.credentials == {"collector-key-0123456789"}
    assert {resource["service.name"] for resource in seen.collector.resources} == {"under-test"}


def test_no_span_is_lost_and_none_of_the_keys_is_told(seen):
    assert "does not take" not in seen.log
    spans = sum(1 + len(attempts) for _, attempts in seen.trees.values())
    assert f"llm_proxy_telemetry_spans_total {spans}\n" in seen.metrics
    assert "llm_proxy_telemetry_dropped_total 0\n" in seen.metrics
    told = "".join(str(span) for span in seen.collector.spans)
    assert "0123456789" not in told and "backend-key" not in told and "Hello" not in told


def test_o09_the_metrics_arrive_and_count_every_request(seen):
    metric = until("the last numbers", lambda: complete(seen.collector.metrics.get("llm_proxy_requests_total")))
    told = Counter()
    for record in seen.records.values():
        told[record["dialect"], record["alias"] or "other", str(record["status"])] += 1
    points = {tuple(attributes(point)[key] for key in ("dialect", "alias", "status")): point for point in metric.sum.data_points}
    assert {labels: point.as_int for labels, point in points.items()} == told
    tokens = seen.collector.metrics["gen_ai.client.token.usage"].histogram
    kinds = Counter()
    for point in tokens.data_points:
        kinds[attributes(point)["gen_ai.token.type"]] += point.sum
    for kind, field in (("input", "input_tokens"), ("output", "output_tokens")):
        assert kinds[kind] == sum(record[field] or 0 for record in seen.records.values())


def complete(metric):
    """The metric, once all requests are in it."""
    counted = metric and sum(point.as_int for point in metric.sum.data_points)
    return metric if counted == REQUESTS else None
