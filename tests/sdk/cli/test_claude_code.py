"""Claude Code writes a file, whatever its backend speaks."""

import base64
import json

import pytest
from matrix import backends
from scripts import PIXEL

from station import BIN, Station


def task(station: Station, end="."):
    """It takes absolute paths alone."""
    return f"Please write the word PELICAN into {station.work}/bird.txt {end}"


def alias(backend):
    """An answer of its own dialect names the backend's model, and that must be the one asked for."""
    return "sim-agent/claude-sonnet-4-5" if backend == "messages" else f"agent-{backend}"


def written(station):
    return (station.work / "bird.txt").read_text()


def last_word(run):
    """What `--output-format json` says in the end."""
    told = json.loads(run.out)
    assert told["type"] == "result", run
    return told


def test_the_native_binary_starts(station):
    run = station.run([BIN / "claude", "--version"], {})
    pinned = json.loads((BIN.parent.parent / "package.json").read_text())["dependencies"]
    assert run.out.split()[0] == pinned["@anthropic-ai/claude-code"], run


@pytest.mark.parametrize("tool", ["Write", "Bash"])
@pytest.mark.parametrize("backend", backends("messages"))
def test_a_file_is_written(station, backend, tool):
    run = station.claude(alias(backend), task(station, f"with {tool} ."))
    run.succeeded(requests=2)
    assert written(station) == "PELICAN\n"
    told = last_word(run)
    assert not told["is_error"] and told["num_turns"] == 2, run
    assert told["result"].startswith("Done. The tools said: "), run
    assert "I remember what I thought." in told["result"], f"its thinking got lost\n{run}"
    assert told["usage"]["input_tokens"] > 1000 and told["usage"]["output_tokens"] > 0, run
    assert run.backends == {f"sim-{backend}"}


@pytest.mark.parametrize("backend", backends("messages"))
def test_two_calls_at_once(station, backend):
    other = f"and write the word HERON into {station.work}/other.txt with Bash ."
    run = station.claude(alias(backend), task(station, f"with Write , {other}"))
    run.succeeded(requests=2)
    assert (written(station), (station.work / "other.txt").read_text()) == ("PELICAN\n", "HERON\n")


def test_an_alias_with_another_name_than_the_model(station):
    """It drops the thinking of answers that name another model than it asked for, and goes on without."""
    run = station.claude("agent-messages", task(station))
    run.succeeded(requests=2)
    assert written(station) == "PELICAN\n"


@pytest.mark.parametrize("backend", backends("messages"))
def test_an_image_is_read(station, backend):
    (station.work / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    call = json.dumps({"file_path": f"{station.work}/pixel.png"})
    run = station.claude(alias(backend), f"Please call the tool Read with {call} .")
    run.succeeded(requests=2)
    assert "I was shown image/png of" in last_word(run)["result"], run


@pytest.mark.parametrize("backend", backends("messages"))
def test_a_failed_backend_is_not_noticed(station, backend):
    run = station.claude(f"saved-{backend}", task(station), CLAUDE_CODE_MAX_RETRIES="0")
    run.succeeded(requests=2)
    assert written(station) == "PELICAN\n"
    assert len(run.requests[0]["attempts"]) == 2, run


@pytest.mark.parametrize("backend", backends("messages"))
def test_its_own_fault_is_shown_at_once(station, backend):
    run = station.claude(f"fault-{backend}", task(station))
    assert run.code != 0 and "API Error: 400" in last_word(run)["result"], run
    assert [request["status"] for request in run.requests] == [400], run
    assert len(run.requests[0]["attempts"]) == 1, run


def test_an_unknown_model_is_called_by_its_name(station):
    run = station.claude("nobody", task(station))
    assert run.code != 0 and "model (nobody)" in last_word(run)["result"], run
    assert {request["status"] for request in run.requests} == {404}, run
