"""The real command lines of Claude Code and Codex, each in an empty home, before a proxy of its own."""

import pytest
from proxy import free_port, simulator
from station import Station


@pytest.fixture(scope="session")
def sim():
    sim = simulator()
    yield sim
    sim.stop()


@pytest.fixture
def station(sim, tmp_path):
    """A proxy whose log is that of one test alone, and an empty folder to work in."""
    station = Station(tmp_path, SIM_PORT=sim.port, SCRIPTED_PORT=free_port(), DEAD_PORT=free_port())
    yield station
    station.close()
