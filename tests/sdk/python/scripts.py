"""Answers of backends, whole and streamed, in the shapes of the two vendors."""

from backend import of_events, of_json

HELLO = [{"role": "user", "content": "hello"}]

WEATHER_ARGUMENTS = {"city": "Zürich", "days": 2}

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, base64."""

CHAT_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

CLAUDE_TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def chat_answer(text="hello"):
    message = {"role": "assistant", "content": text}
    return of_json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
    )


def _chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": [choice],
    }


def chat_stream(words, hold=False):
    events = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": word}) for word in words)]
    return of_events(events if hold else [*events, _chunk({}, "stop"), "[DONE]"], hold)


def chat_tool_stream():
    def call(**function):
        return {"tool_calls": [{"index": 0, "function": function}]}

    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    return of_events(
        [
            _chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
            _chunk(call(arguments='{"city":"Zü')),
            _chunk(call(arguments='rich","days":2}')),
            _chunk({}, "tool_calls"),
            "[DONE]",
        ]
    )


def _message(content, stop):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def claude_answer(text="hello"):
    return of_json(_message([{"type": "text", "text": text}], "end_turn"))


def _block(block, deltas):
    deltas = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    stop = {"type": "content_block_stop", "index": 0}
    return [{"type": "content_block_start", "index": 0, "content_block": block}, *deltas, stop]


def _ended(reason):
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]


def claude_stream(words, hold=False):
    start = {"type": "message_start", "message": _message([], None)}
    block = _block({"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in words])
    return of_events([start, *block[:-1]] if hold else [start, *block, *_ended("end_turn")], hold)


def claude_tool_stream():
    start = {"type": "message_start", "message": _message([], None)}
    parts = ['{"city":"Zü', 'rich","days":2}']
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    return of_events([start, *_block(tool, deltas), *_ended("tool_use")])
