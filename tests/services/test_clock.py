"""C13: whoever sets the system's clock, an hour on or back, changes no cooldown. The clock is libfaketime's."""

import glob
import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus import until
from proxy import free_port, serve, simulator
from traffic import Scene

CONFIG = Path(__file__).parent / "clock.yaml"
HOUR = 3600


class Clock:
    """The clock of a process that is started with `environment`."""

    def __init__(self, folder):
        self._file = folder / "clock"
        self.turn(0)
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        self.environment = {
            "LD_PRELOAD": library[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # As the kernel has it: setting the clock moves the time of day alone.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def turn(self, seconds):
        """Sets it so many seconds beside the true time."""
        self._file.write_text(f"{seconds:+d}\n")


def status(scene):
    return json.loads(scene.admin("/api/status"))


def rests(scene):
    """How many seconds each cooldown still lasts. One that is over waits for its probe."""
    shaky, _ = status(scene)["backends"]
    return [cooldown["seconds_left"] for cooldown in shaky["cooldowns"] if cooldown["seconds_left"] > 0]


@pytest.mark.parametrize("hours", [1, -1])
def test_c13_a_cooldown_is_as_long_as_it_was_whatever_the_clock_says(tmp_path, hours):
    clock, admin = Clock(tmp_path), free_port()
    with ExitStack() as stack:
        sim = simulator()
        stack.callback(sim.stop)
        proxy = serve(CONFIG, ADMIN_PORT=admin, SIM_PORT=sim.port, **clock.environment)
        stack.callback(proxy.stop)
        scene = Scene(proxy, admin)
        began = time.monotonic()
        assert scene.ask("rescued") == 200
        told = max(rests(scene), default=0)
        assert told > 2, "a 503 cools at once or this test says nothing"
        clock.turn(hours * HOUR)
        moved = status(scene)["now"] - time.time()
        assert abs(moved - hours * HOUR) < 60, "the clock was not set"
        assert all(left <= told for left in rests(scene)), "as if it began anew"
        until("the end of the cooldown", lambda: True if not rests(scene) else None)
        # Cooldowns are spread by a fifth: this one is as long as it was told to be.
        assert time.monotonic() - began >= told, "it ended with the turn of the clock"
