"""The `anthropic` package against the proxy."""

import anthropic
import pytest
from backend import Reply, of_json
from conftest import NARROW_KEY

from scripts import (
    CLAUDE_TOOL,
    HELLO,
    PIXEL,
    WEATHER_ARGUMENTS,
    claude_answer,
    claude_stream,
    claude_tool_stream,
)

ASK = {"max_tokens": 100, "messages": HELLO}


def test_a_plain_answer(claude):
    answer = claude.messages.create(model="claude-small", **ASK)
    assert answer.content[0].text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0


def test_the_stream_helper_gathers_the_same_text(claude):
    with claude.messages.stream(model="claude-stream", **ASK) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) >= 2, "a stream in one piece is no stream"
    assert final.content[0].text == "".join(pieces)
    assert final.stop_reason == "end_turn"


def test_events_open_and_close_in_order(claude):
    kinds = [event.type for event in claude.messages.create(model="claude-stream", stream=True, **ASK)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1


def test_a_streamed_tool_call_keeps_its_arguments(claude, backend):
    backend.answers("anthropic-tool", claude_tool_stream())
    with claude.messages.stream(model="anthropic-tool", tools=[CLAUDE_TOOL], **ASK) as stream:
        final = stream.get_final_message()
    tool = final.content[-1]
    assert final.stop_reason == "tool_use"
    assert (tool.type, tool.name, tool.input) == ("tool_use", "weather", WEATHER_ARGUMENTS)


def _image():
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    return [{"role": "user", "content": [{"type": "image", "source": source}]}]


def test_an_image_goes_on_untouched(claude, backend):
    backend.answers("anthropic-image", claude_answer())
    claude.messages.create(model="anthropic-image", max_tokens=10, messages=_image())
    assert backend.asked("anthropic-image")[0].json["messages"] == _image()


def test_bytes_pass_both_ways(claude, backend):
    odd = (
        b'{ "id" :"msg_1","type":"message","role":"assistant","model":"m","n":1e2,\n '
        b'"content":[{"text":"h\\u00e9", "type":"text"}],"stop_reason":"end_turn",'
        b'"usage":{"input_tokens":1,"output_tokens":1}}'
    )
    backend.answers("anthropic-bytes", Reply(odd))
    raw = claude.messages.with_raw_response.create(
        model="anthropic-bytes", extra_body={"unknown": [1.0, 12345678901234567890]}, **ASK
    )
    assert raw.http_response.content == odd, "the answer is the backend's, byte for byte"
    assert backend.asked("anthropic-bytes")[0].body == raw.http_request.content, "so is the question"


def test_the_version_goes_on_and_the_key_does_not(claude, backend):
    backend.answers("anthropic-keys", claude_answer())
    raw = claude.messages.with_raw_response.create(model="anthropic-keys", **ASK)
    headers = backend.asked("anthropic-keys")[0].headers
    assert headers["anthropic-version"] == raw.http_request.headers["anthropic-version"]
    assert headers["x-api-key"] == "backend-key-of-scripted-anthropic"
    assert claude.api_key not in str(headers)


def test_a_client_that_leaves_frees_the_backend(claude, backend):
    reply = claude_stream(["a", "b"], hold=True)
    backend.answers("anthropic-leaves", reply)
    stream = claude.messages.create(model="anthropic-leaves", stream=True, **ASK)
    next(iter(stream))
    stream.close()
    assert reply.left.wait(2), "the backend still works for nobody"


def test_a_dead_backend_is_not_noticed(claude):
    raw = claude.with_options(max_retries=0).messages.with_raw_response.create(model="claude-falls", **ASK)
    assert raw.parse().content[0].text
    assert raw.headers["x-llm-proxy-backend"] == "sim-anthropic"


def test_tokens_are_counted(claude):
    assert claude.messages.count_tokens(model="claude-small", messages=HELLO).input_tokens > 0


def test_models_are_listed_and_got(claude):
    assert {"small", "claude-small"} <= {model.id for model in claude.models.list()}
    model = claude.models.retrieve("claude-small")
    assert (model.id, model.type) == ("claude-small", "model")
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("nobody")


@pytest.mark.parametrize(
    ("key", "model", "error", "kind"),
    [
        ("a-wrong-key-0123456789", "small", anthropic.AuthenticationError, "authentication_error"),
        (None, "nobody", anthropic.NotFoundError, "not_found_error"),
        (NARROW_KEY, "claude-small", anthropic.PermissionDeniedError, "permission_error"),
    ],
)
def test_the_proxys_own_errors_have_the_right_class(claude, key, model, error, kind):
    with pytest.raises(error) as caught:
        claude.with_options(api_key=key or claude.api_key, max_retries=0).messages.create(model=model, **ASK)
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.body["request_id"]


def test_a_fault_of_the_caller_comes_word_for_word_and_is_not_tried_again(claude, backend):
    error = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "tone: unknown"},
        "request_id": "req_1",
    }
    backend.answers("anthropic-fault", of_json(error, status=400))
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model="anthropic-fault", **ASK)
    assert caught.value.body == error
    assert len(backend.asked("anthropic-fault")) == 1


def test_a_backends_rate_limit_says_when(claude, backend):
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}
    backend.answers("anthropic-rate", of_json(error, status=429, retry_after="7"))
    with pytest.raises(anthropic.RateLimitError) as caught:
        claude.with_options(max_retries=0).messages.create(model="anthropic-rate", **ASK)
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 7


def test_the_client_retries_an_overload_as_often_as_it_was_told(claude, backend):
    overload = of_json(
        {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, status=529
    )
    backend.answers("anthropic-busy", overload, overload, claude_answer())
    raw = claude.with_options(max_retries=2).messages.with_raw_response.create(model="anthropic-busy", **ASK)
    assert raw.retries_taken == 2
    assert len(backend.asked("anthropic-busy")) == 3


def test_an_error_inside_a_stream_is_raised(claude, backend):
    reply = claude_stream(["a", "b"], hold=True)
    reply.body += (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    )
    reply.hold = False
    backend.answers("anthropic-breaks", reply)
    with pytest.raises(anthropic.APIError):
        list(claude.messages.create(model="anthropic-breaks", stream=True, **ASK))
