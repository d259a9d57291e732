"""Starts the real binary: the proxy itself, and its simulator as a backend."""

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BINARY = os.environ.get("LLM_PROXY_BIN", "llm-proxy")
READY_WITHIN = 15.0
"""Seconds that a process has for its first answer; on a loaded machine the bar of 15 ms is out of reach."""

LOOK_EVERY = 0.02

CONFIG = Path(__file__).parent.parent / "config.yaml"


def free_port():
    """A port that nobody listens on: bound once and given back."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A running `llm-proxy`, its log kept for the report of a failed test."""

    def __init__(self, arguments, port, health, **variables):
        self.port = port
        self._folder = tempfile.TemporaryDirectory(prefix="llm-proxy-sdk-")
        self._log = Path(self._folder.name) / "log"
        # Keys of whoever runs the tests must not reach the config or the SDKs.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "RUST_BACKTRACE") if name in os.environ}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [BINARY, *arguments], env={**kept, **variables}, stdout=log, stderr=log
            )
        self._wait_until_ready(health)

    def _wait_until_ready(self, health):
        deadline = time.monotonic() + READY_WITHIN
        while not self._is_ready(health):
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError(f"not ready within {READY_WITHIN} s\n{self.log()}")
            self._raise_if_it_ended()

    def _raise_if_it_ended(self):
        try:
            code = self._process.wait(timeout=LOOK_EVERY)
        except subprocess.TimeoutExpired:
            return
        raise RuntimeError(f"ended with {code}\n{self.log()}")

    def _is_ready(self, health):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                if health is None:
                    return True
                probe.sendall(
                    f"GET {health} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
                )
                return b" 200 " in probe.recv(64)
        except OSError:
            return False

    def log(self):
        return self._log.read_text(errors="replace")

    def stop(self):
        """Asks it to drain; whoever does not is killed, and that is an error."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise TimeoutError(f"did not drain within 10 s\n{self.log()[-4000:]}") from None


def simulator():
    """`llm-proxy sim`: every dialect on one port, workloads by model name."""
    port = free_port()
    return Process(["sim", "--listen", f"127.0.0.1:{port}"], port, health=None)


def serve(config=CONFIG, **ports):
    """`llm-proxy serve` with a config that takes these ports from the environment."""
    port = free_port()
    variables = {name: str(value) for name, value in {"PROXY_PORT": port, **ports}.items()}
    return Process(["serve", "-c", str(config)], port, health="/readyz", **variables)
