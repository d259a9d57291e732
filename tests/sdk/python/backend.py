"""A scripted backend: answers what a test tells it, keeps what it was sent, and notices who leaves."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Reply:
    """One answer. With `hold`, the answer stays unfinished until the peer goes away."""

    body: bytes = b"{}"
    status: int = 200
    type: str = "application/json"
    headers: dict = field(default_factory=dict)
    hold: bool = False
    left: threading.Event = field(default_factory=threading.Event)


def of_json(value, status=200, **headers):
    """An answer of compact JSON; `retry_after="1"` becomes a header."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(json.dumps(value).encode(), status, headers=names)


def of_events(events, hold=False):
    """A stream: dictionaries with a `type` are named after it, as both vendors' later dialects do."""
    return Reply(b"".join(map(_event, events)), type="text/event-stream", hold=hold)


def _event(event):
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


class Backend:
    """Listens on a free port until `stop`."""

    def __init__(self):
        self._replies = {}
        self.seen = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self._server.server_address[1]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def answers(self, model, *replies):
        """What requests for `model` get, in order; the last one stands for all that follow."""
        self._replies[model] = list(replies)

    def asked(self, model):
        """The requests for `model` so far."""
        return [seen for seen in self.seen if seen.json.get("model") == model]

    def take(self, seen):
        self.seen.append(seen)
        replies = self._replies.get(seen.json.get("model"))
        if not replies:
            return of_json({"error": {"message": "the test scripted no answer"}}, status=500)
        return replies.pop(0) if len(replies) > 1 else replies[0]


def _handler(backend):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = backend.take(Seen(self.path, headers, self._read(headers)))
            try:
                self._write(reply)
            except (BrokenPipeError, ConnectionResetError):
                reply.left.set()
                self.close_connection = True

        def _read(self, headers):
            if headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(headers.get("content-length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _write(self, reply):
            self.send_response_only(reply.status)
            self.send_header("content-type", reply.type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            # Longer than it will ever be: the answer counts as unfinished.
            self.send_header("content-length", str(len(reply.body) + (1 << 20 if reply.hold else 0)))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.hold:
                while self.connection.recv(1):
                    pass
                reply.left.set()
                self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler
