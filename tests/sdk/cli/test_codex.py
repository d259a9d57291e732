"""Codex writes a file, whatever its backend speaks."""

import json

import pytest
from matrix import backends

from station import BIN

TASK = "Please write the word PELICAN into bird.txt"


def written(station):
    return (station.work / "bird.txt").read_text()


def events(run):
    return [json.loads(line) for line in run.out.splitlines()]


def items(run, kind):
    """The items of a kind that were completed."""
    done = [event["item"] for event in events(run) if event["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


def last_word(run):
    return items(run, "agent_message")[-1]["text"]


def test_the_native_binary_starts(station):
    run = station.run([BIN / "codex", "--version"], {})
    pinned = json.loads((BIN.parent.parent / "package.json").read_text())["dependencies"]
    assert run.out.split()[-1] == pinned["@openai/codex"], run


# For names that it does not know it offers no patch, so the alias begins with one that it does.
@pytest.mark.parametrize(
    ("tool", "item"), [("apply_patch", "file_change"), ("exec_command", "command_execution")]
)
@pytest.mark.parametrize("backend", backends("responses"))
def test_a_file_is_written(station, backend, tool, item):
    run = station.codex(f"gpt-5.5-{backend}", f"{TASK} with {tool} .")
    run.succeeded(requests=2)
    assert written(station) == "PELICAN\n"
    assert [done["status"] for done in items(run, item)] == ["completed"], run
    assert items(run, "agent_message")[0]["text"].startswith("I will do that."), run
    assert items(run, "reasoning"), f"its reasoning is not shown\n{run}"
    assert items(run, "error") == [], run
    assert last_word(run).startswith("Done. The tools said: "), run
    assert "I remember what I thought." in last_word(run), f"its reasoning got lost\n{run}"
    usage = events(run)[-1]["usage"]
    assert usage["input_tokens"] > 1000 and usage["output_tokens"] > 0, run
    assert run.backends == {f"sim-{backend}"}


@pytest.mark.parametrize("backend", backends("responses"))
def test_two_calls_at_once(station, backend):
    other = "and write the word HERON into other.txt with exec_command ."
    run = station.codex(f"gpt-5.5-{backend}", f"{TASK} with apply_patch , {other}")
    run.succeeded(requests=2)
    assert (written(station), (station.work / "other.txt").read_text()) == ("PELICAN\n", "HERON\n")


@pytest.mark.parametrize("backend", backends("responses"))
def test_a_model_that_it_does_not_know(station, backend):
    run = station.codex(f"agent-{backend}", f"{TASK} .")
    run.succeeded(requests=2)
    assert written(station) == "PELICAN\n"


@pytest.mark.parametrize("backend", backends("responses"))
def test_a_failed_backend_is_not_noticed(station, backend):
    run = station.codex(f"saved-{backend}", f"{TASK} .", request_retries=0, stream_retries=0)
    run.succeeded(requests=2)
    assert written(station) == "PELICAN\n"
    assert len(run.requests[0]["attempts"]) == 2, run


@pytest.mark.parametrize("backend", backends("responses"))
def test_its_own_fault_is_asked_once(station, backend):
    run = station.codex(f"fault-{backend}", f"{TASK} .")
    assert run.code != 0, run
    assert [request["status"] for request in run.requests] == [400], run
    assert len(run.requests[0]["attempts"]) == 1, "a permanent fault is not multiplied"


@pytest.mark.parametrize("backend", backends("responses"))
def test_an_outage_is_not_multiplied(station, backend):
    """It asks again by itself, so each of its requests may cost one retry at most."""
    run = station.codex(f"down-{backend}", f"{TASK} .", request_retries=1, stream_retries=0)
    assert run.code != 0, run
    assert len(run.requests) == 2, run
    assert all(len(request["attempts"]) <= 2 for request in run.requests), run


def test_an_unknown_model_is_asked_for_once(station):
    run = station.codex("nobody", f"{TASK} .")
    assert run.code != 0, run
    assert [request["status"] for request in run.requests] == [404], run
