"""Traffic of every outcome through a proxy, and what the proxy itself says of it."""

import http.client
import json
import random
import socket
from concurrent.futures import ThreadPoolExecutor

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


class Scene:
    """A proxy and its admin listener."""

    admin_key = "admin-key-0123456789abcdef"
    key = "team-key-0123456789abcdef"

    def __init__(self, proxy, admin_port):
        self.proxy = proxy
        self._admin_port = admin_port

    def admin(self, path, method="GET"):
        """What the admin listener answers, as text."""
        connection = http.client.HTTPConnection("127.0.0.1", self._admin_port, timeout=20)
        connection.request(method, path, headers={"authorization": f"Bearer {self.admin_key}"})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, f"{path}: {answer.status} {text}"
        return text

    def records(self):
        """The access records so far."""
        lines = (json.loads(line) for line in self.proxy.log().splitlines() if line.startswith("{"))
        return [line for line in lines if line["msg"] == "request"]

    def recorded(self, count, until):
        """Waits for so many."""
        return until(f"{count} records", lambda: found if len(found := self.records()) >= count else None)

    def ask(self, model, path=CHAT, stream=False, key=key):
        """A request to its end. The status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=20)
        headers = {"x-api-key": key, "content-type": "application/json"}
        connection.request("POST", path, _body(model, stream), headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def leave(self, model):
        """A stream whose client leaves at the first byte."""
        body = _body(model, True)
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: {self.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.proxy.port), timeout=20) as connection:
            connection.sendall((head + body).encode())
            connection.recv(1)

    def run(self, count):
        """So many random requests by several clients; the same ones in every run."""
        dice = random.Random(7)
        kinds = [
            lambda: self.ask("plain"),
            lambda: self.ask("plain", stream=True),
            lambda: self.ask("plain", MESSAGES),
            lambda: self.ask("slow", stream=True),
            lambda: self.ask("streamed", MESSAGES, stream=True),
            lambda: self.ask("streamed", stream=True),
            lambda: self.ask("rescued"),
            lambda: self.ask("barred"),
            lambda: self.ask("lost"),
            lambda: self.ask("nowhere"),
            lambda: self.ask("plain", key="nobody's-key"),
            lambda: self.leave("slow"),
        ]
        with ThreadPoolExecutor(4) as clients:
            asked = [clients.submit(dice.choice(kinds)) for _ in range(count)]
        for request in asked:
            request.result()


def _body(model, stream):
    messages = [{"role": "user", "content": "Hello"}]
    return json.dumps({"model": model, "max_tokens": 100, "stream": stream, "messages": messages})
