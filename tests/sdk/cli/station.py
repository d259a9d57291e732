"""Where a command line works: a proxy, a home, a folder; and what became of it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from proxy import CONFIG, serve

KEY = "team-key-0123456789abcdef"
BIN = Path(__file__).parent / "node_modules" / ".bin"

WITHIN = 100
"""Seconds that a command line has: they need two, and a loaded machine some more."""

CODEX_CONFIG = """
model_provider = "llm-proxy"
check_for_update_on_startup = false

[model_providers.llm-proxy]
name = "llm-proxy"
base_url = "http://127.0.0.1:{port}/v1"
env_key = "LLM_PROXY_KEY"
wire_api = "responses"
request_max_retries = {request_retries}
stream_max_retries = {stream_retries}
"""


@dataclass
class Run:
    """A command line that has ended."""

    code: int
    out: str
    err: str
    requests: list
    """The access lines of the proxy, as JSON."""
    log: str

    def __str__(self):
        return f"ended with {self.code}\n--- out\n{self.out}\n--- err\n{self.err}\n--- proxy\n{self.log}"

    def succeeded(self, requests):
        """It ended well with this many requests, all of which went well."""
        assert self.code == 0, self
        assert [request["status"] for request in self.requests] == [200] * requests, self
        assert not any(request["cancelled"] or request["class"] for request in self.requests), self

    @property
    def backends(self):
        return {request["backend"] for request in self.requests}


class Station:
    def __init__(self, folder, config=CONFIG, **ports):
        self.home = folder / "home"
        self.work = folder / "work"
        for made in (self.home, self.work):
            made.mkdir()
        self._proxy = serve(config, **ports)

    def close(self):
        if self._proxy is not None:
            self._proxy.stop()

    def claude(self, model, prompt, *words, **variables):
        """`claude -p`, as in its own documents about gateways."""
        return self.run(*self._claude(model, prompt, *words, **variables))

    def claude_turn(self, model, prompt, *words):
        """A turn of a conversation, after which the proxy goes on. What `claude -p` says in the end."""
        ended = self._ended(*self._claude(model, prompt, *words))
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}\n--- proxy\n{self._proxy.log()}"
        return json.loads(ended.stdout)

    def _claude(self, model, prompt, *words, **variables):
        environment = {
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self._proxy.port}",
            "ANTHROPIC_AUTH_TOKEN": KEY,
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            # It refuses to skip its questions for root, unless it is told that nothing can be lost.
            "IS_SANDBOX": "1",
            **variables,
        }
        words = [*words, "--dangerously-skip-permissions", "--output-format", "json"]
        return [BIN / "claude", "-p", prompt, *words], environment

    def codex(self, model, prompt, *words, request_retries=4, stream_retries=5):
        """`codex exec`, with a config as in its own documents about providers."""
        folder = self.home / ".codex"
        folder.mkdir()
        config = CODEX_CONFIG.format(
            port=self._proxy.port, request_retries=request_retries, stream_retries=stream_retries
        )
        (folder / "config.toml").write_text(config)
        free = ["--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check"]
        words = [*words, "-m", model, *free, "--json", prompt]
        environment = {"CODEX_HOME": str(folder), "LLM_PROXY_KEY": KEY}
        return self.run([BIN / "codex", "exec", *words], environment)

    def run(self, command, environment):
        """Runs a command in the empty folder until it ends, and the proxy after it."""
        ended = self._ended(command, environment)
        requests, log = self.drained()
        return Run(ended.returncode, ended.stdout, ended.stderr, requests, log)

    def _ended(self, command, environment):
        return subprocess.run(
            command,
            cwd=self.work,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )

    def drained(self):
        """Ends the proxy: its access lines, and its log, which is whole only then."""
        self._proxy.stop()
        log, self._proxy = self._proxy.log(), None
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        return [line for line in lines if line["msg"] == "request"], log
