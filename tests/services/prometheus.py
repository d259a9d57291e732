"""Debian's Prometheus on a free port, in a folder of its own, scraping one proxy."""

import json
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from proxy import free_port

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
PATIENCE = 30.0
"""Seconds that anything has to come true; a scrape takes a fifth of one."""

LOOK_EVERY = 0.05

SCRAPES = """
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [{rules}]
scrape_configs:
  - job_name: llm-proxy
    static_configs: [{{targets: ["127.0.0.1:{admin}"]}}]
    authorization: {{credentials_file: {key}}}
  - job_name: stranger
    static_configs: [{{targets: ["127.0.0.1:{admin}"]}}]
"""


def until(what, ask):
    """Asks again and again until there is an answer that is not None."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(LOOK_EVERY)
    return answer


def promtool(*arguments, stdin=None):
    """Runs promtool, which must have nothing to complain of. What it said."""
    done = subprocess.run(["promtool", *map(str, arguments)], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"promtool {arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


class Prometheus:
    """A running server; `job` is the proxy, `stranger` the same without the admin key."""

    def __init__(self, admin_port, admin_key):
        self._folder = tempfile.TemporaryDirectory(prefix="llm-proxy-prometheus-")
        folder = Path(self._folder.name)
        (folder / "key").write_text(admin_key)
        config = folder / "prometheus.yml"
        config.write_text(SCRAPES.format(rules=RULES, admin=admin_port, key=folder / "key"))
        promtool("check", "config", config)
        self._log = folder / "log"
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        words = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
        until("Prometheus to be ready", self._is_ready)

    def _is_ready(self):
        assert self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5):
                return True
        except OSError:
            return None

    def get(self, path, **parameters):
        """The `data` of an answer of its API; an error of it is told in its own words."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression, at=None):
        """The series of an instant query, each as (labels, value)."""
        moment = {} if at is None else {"time": at}
        result = self.get("query", query=expression, **moment)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def value(self, expression, at=None):
        """The value of a query that has one series."""
        [(_, value)] = self.query(expression, at)
        return value

    def scraped(self):
        """Waits for a scrape that began after now; its time, to be asked `at`."""
        after = time.time()
        stamp = 'timestamp(llm_proxy_info{job="llm-proxy"})'
        return until("a scrape", lambda: next((t for _, t in self.query(stamp) if t > after), None))

    def stop(self):
        self._process.terminate()
        self._process.wait(timeout=20)
        self._folder.cleanup()
