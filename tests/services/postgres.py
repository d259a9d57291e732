"""Debian's PostgreSQL on a free port, in a folder of its own, as a user without rights, with passwords and TLS."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from prometheus import until
from proxy import free_port

PASSWORD = "plum quince/7e1"
"""With characters that a URL has to escape."""

SETTINGS = """
listen_addresses = '127.0.0.1'
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
password_encryption = 'scram-sha-256'
"""


def _binaries():
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return newest[-1]


class Postgres:
    """A running server, with a database and a user `proxy` that owns it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="llm-proxy-postgres-")
        folder = Path(self._folder.name)
        # PostgreSQL refuses to run as root.
        self._user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(folder, **self._user)
            folder.chmod(0o755)
        self._data = folder / "data"
        self._log = folder / "log"
        self.port = free_port()
        self._run("initdb", "-D", self._data, "-U", "admin", "--auth-local=trust", "--auth-host=scram-sha-256")
        self.authority = self._data / "server.crt"
        self._certificate()
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS + f"port = {self.port}\nunix_socket_directories = '{folder}'\n")
        self.start()
        self.ask(f"CREATE USER proxy PASSWORD '{PASSWORD}'", database="postgres")
        self.ask("CREATE DATABASE usage OWNER proxy", database="postgres")

    def _run(self, program, *arguments):
        words = [_binaries() / program, *arguments]
        done = subprocess.run(words, capture_output=True, text=True, cwd="/", **self._user)
        assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _certificate(self):
        key = self._data / "server.key"
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        words += ["-keyout", key, "-out", self.authority, "-days", "2", "-subj", "/CN=localhost"]
        words += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run(words, check=True, capture_output=True, **self._user)
        key.chmod(0o600)

    def start(self):
        """Starts it, and waits until it serves."""
        with self._log.open("ab") as log:
            words = [_binaries() / "postgres", "-D", self._data]
            self._process = subprocess.Popen(words, stdout=log, stderr=log, cwd="/", **self._user)
        until("PostgreSQL to be ready", self._is_ready)

    def _is_ready(self):
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.ask("SELECT 1", database="postgres")
        except AssertionError:
            return None

    def crash(self):
        """Ends it without a word to anybody, with all that is under way."""
        self._run("pg_ctl", "stop", "-D", self._data, "-m", "immediate")
        self._process.wait(timeout=20)

    def ask(self, statement, database="usage"):
        """What psql says to a statement, without names and frames."""
        words = ["-h", self._folder.name, "-p", str(self.port), "-U", "admin", "-d", database, "-AtqX"]
        return self._run("psql", *words, "-v", "ON_ERROR_STOP=1", "-c", statement).strip()

    def rows(self):
        """The ledger's rows."""
        return json.loads(self.ask("SELECT coalesce(json_agg(r), '[]') FROM llm_proxy_requests r"))

    def url(self, settings):
        """Where a proxy finds it."""
        password = PASSWORD.replace(" ", "%20").replace("/", "%2F")
        return f"postgres://proxy:{password}@127.0.0.1:{self.port}/usage?{settings}"

    def stop(self):
        if self._process.poll() is None:
            self.crash()
        self._folder.cleanup()
