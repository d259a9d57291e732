"""Claude Code and the operator's prompts: a conversation of ten turns keeps its cache and its signed thinking."""

import json
import re
from pathlib import Path

import pytest
from remembering import ATTRIBUTION, Remembering, thinks

from station import Station

MODEL = "sim-agent/claude-sonnet-4-5"
TURNS = 10
MOST_MARKS = 4
"""Anthropic refuses more."""


@pytest.fixture
def backend(sim):
    backend = Remembering(sim.port)
    yield backend
    backend.stop()


@pytest.fixture
def prompted(backend, tmp_path):
    """A proxy that has the prompts of `prompts.yaml`, before that backend."""
    station = Station(tmp_path, Path(__file__).parent / "prompts.yaml", REMEMBERING_PORT=backend.port)
    yield station
    station.close()


def marks(value):
    """How many cache marks stand in a request, at any depth."""
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(map(marks, value.values()))
    return sum(map(marks, value)) if isinstance(value, list) else 0


def test_ten_turns_are_told_the_same(prompted, backend):
    """Each turn is a process of its own, which writes the client's part of the request anew."""
    first = prompted.claude_turn(MODEL, "This is turn 1.")
    for turn in range(2, TURNS + 1):
        told = prompted.claude_turn(MODEL, f"This is turn {turn}.", "--resume", first["session_id"])
        assert "I remember what I thought." in told["result"], f"turn {turn}: its thinking got lost\n{told}"

    requests, log = prompted.drained()
    assert backend.refused == [], log
    assert [request["status"] for request in requests] == [200] * TURNS, log
    assert all(len(request["attempts"]) == 1 for request in requests), log
    bodies = [seen.json for seen in backend.seen]
    for turn, body in enumerate(bodies, start=1):
        assert f"This is turn {turn}." in json.dumps(body["messages"][-1]), "one request a turn, in order"
        assert thinks(body) == (turn > 1), f"turn {turn}"

    entry = bodies[0]["system"][1]
    assert re.fullmatch(r'It is \d{4}-\d\d-\d\dT[\d:+-]+ on linux\.\nThis is "[\w-]+"\.', entry["text"]), entry
    ours = json.dumps({"type": "text", "text": entry["text"]}, separators=(",", ":"))
    for turn, (seen, body) in enumerate(zip(backend.seen, bodies, strict=True), start=1):
        attribution, prompt, *own, last = body["system"]
        assert attribution["text"].startswith(ATTRIBUTION), f"turn {turn}: the first entry is the client's"
        assert prompt == entry and last == {"type": "text", "text": "Be brief, team."}, f"turn {turn}"
        assert len(own) == 2 and own == bodies[0]["system"][2:-1], f"turn {turn}: the client's own entries"
        assert seen.body.count(ours.encode()) == 1, f"turn {turn}: the same bytes, once"
        assert 1 <= marks(body) <= MOST_MARKS, f"turn {turn}"
