"""One proxy for all tests, before the simulator and a scripted backend; clients of both vendors."""

import anthropic
import openai
import pytest
from backend import Backend
from proxy import free_port, serve, simulator

KEY = "team-key-0123456789abcdef"
NARROW_KEY = "narrow-key-0123456789abcdef"


@pytest.fixture(scope="session")
def backend():
    backend = Backend()
    yield backend
    backend.stop()


@pytest.fixture(scope="session")
def proxy(backend):
    sim = simulator()
    proxy = serve(SIM_PORT=sim.port, SCRIPTED_PORT=backend.port, DEAD_PORT=free_port())
    yield proxy
    try:
        proxy.stop()
    finally:
        sim.stop()


@pytest.fixture(autouse=True)
def log_of_a_failed_test(proxy, request):
    """Puts what the proxy logged during a test into the report of that test."""
    before = len(proxy.log())
    yield
    request.node.add_report_section("call", "proxy log", proxy.log()[before:])


@pytest.fixture
def chat(proxy):
    """The `openai` client, as a user makes it."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{proxy.port}/v1", api_key=KEY) as client:
        yield client


@pytest.fixture
def claude(proxy):
    """The `anthropic` client, as a user makes it."""
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{proxy.port}", api_key=KEY) as client:
        yield client
