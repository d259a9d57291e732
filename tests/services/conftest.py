"""What each test here stands on: the real binary before its own simulator, and a real service beside it."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus import Prometheus
from proxy import free_port, serve, simulator
from traffic import Scene

CONFIGS = Path(__file__).parent


@pytest.fixture(scope="module")
def watched():
    """A proxy with traffic behind it that Prometheus scrapes."""
    with ExitStack() as started:
        sim = simulator()
        started.callback(sim.stop)
        admin = free_port()
        proxy = serve(CONFIGS / "prometheus.yaml", ADMIN_PORT=admin, SIM_PORT=sim.port)
        started.callback(proxy.stop)
        scene = Scene(proxy, admin)
        prometheus = Prometheus(admin, scene.admin_key)
        started.callback(prometheus.stop)
        yield scene, prometheus
