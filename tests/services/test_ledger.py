"""A ledger in a real PostgreSQL: its rows are the access records, each once, whatever becomes of the server."""

import json
import subprocess
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from postgres import PASSWORD, Postgres
from prometheus import until
from proxy import BINARY, free_port, serve, simulator
from traffic import MESSAGES, Scene

CONFIG = Path(__file__).parent / "ledger.yaml"
REQUESTS = 200


@pytest.fixture(scope="module")
def started():
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def sim(started):
    sim = simulator()
    started.callback(sim.stop)
    return sim


@pytest.fixture(scope="module")
def postgres(started):
    postgres = Postgres()
    started.callback(postgres.stop)
    return postgres


def node(stack, sim, url):
    """A proxy with that ledger."""
    admin = free_port()
    proxy = serve(CONFIG, ADMIN_PORT=admin, SIM_PORT=sim.port, LEDGER_URL=url)
    stack.callback(proxy.stop)
    return Scene(proxy, admin)


@pytest.fixture(scope="module")
def scene(started, sim, postgres):
    """It checks the server's certificate."""
    checked = f"sslmode=verify-full&sslrootcert={postgres.authority}"
    scene = node(started, sim, postgres.url(checked))
    scene.run(REQUESTS)
    return scene


def known(scene):
    """The records of all but strangers."""
    return [record for record in scene.records() if record["key"] or record["alias"]]


def settled(scene, postgres, count):
    """The rows, once there are so many and none is to come."""

    def all_there():
        usage = json.loads(scene.admin("/api/usage"))
        there = usage["source"] == "ledger" and usage["ledger"]["pending"] == 0
        return rows if there and len(rows := postgres.rows()) >= count else None

    rows = until(f"{count} rows", all_there)
    assert len(rows) == count
    return rows


def test_each_record_is_a_row_over_an_encrypted_connection(scene, postgres):
    scene.recorded(REQUESTS, until)
    records = {record["request_id"]: record for record in known(scene)}
    rows = settled(scene, postgres, len(records))
    same = ["key", "alias", "backend", "model", "dialect", "status", "class", "input_tokens", "output_tokens"]
    same += ["cached_tokens", "first_byte_ms", "duration_ms", "cancelled", "generation"]
    for row in rows:
        record = records.pop(row["request_id"])
        assert {name: row[name] for name in same} == {name: record[name] for name in same}
        moment = datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
        assert row["time"] == round(moment.timestamp() * 1000)
        assert row["attempts"] == len(record["attempts"])
        cost = record["cost_usd"]
        assert row["cost_nano_usd"] == (None if cost is None else round(cost * 1e9))
    assert not records
    encrypted = postgres.ask(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'llm-proxy'"
    )
    assert encrypted == "t"


def test_usage_is_told_by_the_listener_the_command_and_the_tables_alike(scene, postgres):
    told = json.loads(scene.admin("/api/usage?by=model&days=2"))
    checked = f"sslmode=verify-full&sslrootcert={postgres.authority}"
    variables = {"PROXY_PORT": "1", "ADMIN_PORT": "2", "SIM_PORT": "3", "LEDGER_URL": postgres.url(checked)}
    words = [BINARY, "usage", "--by", "model", "--since", "2d", "--json", "-c", CONFIG]
    done = subprocess.run(words, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["rows"] == told["rows"] and printed["total"] == told["total"]
    sums = postgres.ask(
        "SELECT count(*), sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(cost_nano_usd) FROM llm_proxy_requests"
    )
    total = told["total"]
    figures = [total[name] for name in ("requests", "input_tokens", "cached_tokens", "output_tokens")]
    assert sums.split("|")[:4] == [str(figure) for figure in figures]
    assert int(sums.split("|")[4]) == round(total["cost_usd"] * 1e9)


def test_while_the_server_is_away_requests_are_answered_and_afterwards_each_is_there_once(scene, postgres):
    before = len(scene.recorded(REQUESTS, until))
    postgres.crash()
    scene.run(100)
    scene.recorded(before + 100, until)
    until("the word that it is away", lambda: "the ledger cannot be written" in scene.proxy.log() or None)
    usage = json.loads(scene.admin("/api/usage"))
    assert usage["source"] == "memory" and usage["ledger"]["error"] and usage["ledger"]["pending"] > 0
    assert "llm_proxy_ledger_failing 1" in scene.admin("/metrics")
    postgres.start()
    until("the word that it is back", lambda: "the ledger is written again" in scene.proxy.log() or None)
    # Once more, in the middle of traffic: a commit may be under way.
    for _ in range(3):
        scene.run(20)
        postgres.crash()
        scene.run(20)
        postgres.start()
    scene.recorded(before + 220, until)
    rows = settled(scene, postgres, len(known(scene)))
    assert max(Counter(row["request_id"] for row in rows).values()) == 1
    assert json.loads(scene.admin("/api/usage?days=2"))["total"]["requests"] == len(rows)
    assert "llm_proxy_ledger_dropped_total 0" in scene.admin("/metrics")


def test_nodes_share_a_budget(scene, sim, postgres, started):
    # Any certificate will do for this one.
    other = node(started, sim, postgres.url("sslmode=require"))
    key = "thrifty-key-0123456789abcdef"
    spent = 0
    while scene.ask("plain", MESSAGES, key=key) == 200:
        spent += 1
        assert spent < 1000, "the budget is never spent"
    refused = until("the other node to hear of it", lambda: other.ask("plain", MESSAGES, key=key) == 429 or None)
    assert refused


def test_a_wrong_certificate_and_a_wrong_password_are_told_and_no_password_is(scene, sim, postgres):
    with ExitStack() as stack:
        system = node(stack, sim, postgres.url("sslmode=verify-full"))
        wrong = node(stack, sim, postgres.url("sslmode=require").replace("plum", "pear"))
        for stranger, word in ((system, "certificate"), (wrong, "password authentication failed")):
            until(word, lambda own=stranger, word=word: next(told(own, word), None))
            assert stranger.ask("plain") == 200
    for log in (scene.proxy.log(), system.proxy.log(), wrong.proxy.log()):
        for secret in (PASSWORD, "quince", "pear"):
            assert secret not in log


def told(scene, word):
    lines = (line for line in scene.proxy.log().splitlines() if "the ledger cannot be written" in line)
    return (line for line in lines if word in line)
