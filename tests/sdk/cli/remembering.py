"""A backend of Messages that refuses thinking whose conversation was told something else before, as Anthropic does."""

import http.client

from backend import Backend, Reply, of_json

ATTRIBUTION = "x-anthropic-billing-header:"


def blocks(request):
    """All blocks of all messages."""
    contents = [message["content"] for message in request["messages"]]
    return [block for content in contents if isinstance(content, list) for block in content]


def thinks(request):
    return any(block["type"] in ("thinking", "redacted_thinking") for block in blocks(request))


class Remembering(Backend):
    """The simulator's agent, behind a memory of what each conversation was told first."""

    def __init__(self, sim_port):
        super().__init__()
        self._sim_port = sim_port
        self._first = {}
        self.refused = []
        """What was said to those who changed it."""

    def take(self, seen):
        self.seen.append(seen)
        if why := self._refusal(seen.json):
            self.refused.append(why)
            error = {"type": "invalid_request_error", "message": why}
            return of_json({"type": "error", "error": error}, status=400)
        return self._answered(seen)

    def _refusal(self, request):
        first = self._first.setdefault(opening(request), signed(request))
        if thinks(request) and signed(request) != first:
            return "messages.1.content.0: this `thinking` block is bound to a different conversation"
        return None

    def _answered(self, seen):
        connection = http.client.HTTPConnection("127.0.0.1", self._sim_port)
        headers = {name: seen.headers[name] for name in KEPT if name in seen.headers}
        connection.request("POST", seen.path, seen.body, headers)
        answer = connection.getresponse()
        return Reply(answer.read(), answer.status, answer.headers["content-type"])


KEPT = ("content-type", "anthropic-version", "anthropic-beta", "x-api-key", "authorization")


def opening(request):
    """What tells conversations apart: the words of the first message."""
    content = request["messages"][0]["content"]
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def signed(request):
    """What thinking is bound to: the instructions, without an attribution entry if that is where it belongs."""
    first, *rest = request["system"]
    return rest if first["text"].startswith(ATTRIBUTION) else [first, *rest]
