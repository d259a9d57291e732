"""The `openai` package against the proxy: chat, embeddings, models, errors."""

import json

import openai
import pytest
from backend import Reply, of_json
from conftest import NARROW_KEY

from scripts import CHAT_TOOL, HELLO, PIXEL, WEATHER_ARGUMENTS, chat_answer, chat_stream, chat_tool_stream


def test_a_plain_answer(chat):
    answer = chat.chat.completions.create(model="small", messages=HELLO)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_comes_in_pieces_and_ends(chat):
    chunks = list(chat.chat.completions.create(model="stream", messages=HELLO, stream=True))
    pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(pieces) >= 2, "a stream in one piece is no stream"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(c.usage is None for c in chunks), "nobody asked for usage"


def test_usage_comes_last_where_it_was_asked_for(chat):
    options = {"include_usage": True}
    chunks = list(
        chat.chat.completions.create(model="stream", messages=HELLO, stream=True, stream_options=options)
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0


def test_the_stream_helper_gathers_the_same_text(chat):
    with chat.chat.completions.stream(model="stream", messages=HELLO) as stream:
        told = "".join(event.delta for event in stream if event.type == "content.delta")
        assert stream.get_final_completion().choices[0].message.content == told


def test_a_streamed_tool_call_keeps_its_arguments(chat, backend):
    backend.answers("openai-tool", chat_tool_stream())
    with chat.chat.completions.stream(model="openai-tool", messages=HELLO, tools=[CHAT_TOOL]) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.name == "weather"
    assert json.loads(choice.message.tool_calls[0].function.arguments) == WEATHER_ARGUMENTS


def test_an_image_goes_on_untouched(chat, backend):
    backend.answers("openai-image", chat_answer())
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}]
    chat.chat.completions.create(model="openai-image", messages=[{"role": "user", "content": parts}])
    assert backend.asked("openai-image")[0].json["messages"][0]["content"] == parts


def test_bytes_pass_both_ways(chat, backend):
    odd = (
        b'{ "id" :"x","object":"chat.completion","created":1,"model":"m",'
        b'"n":1e2,"big":123456789012345678901,\n "choices":[ {"index":0,"message":'
        b'{"content":"h\\u00e9","role":"assistant"},"finish_reason":"stop"}]}'
    )
    backend.answers("openai-bytes", Reply(odd))
    extra = {"unknown": {"z": 1.0, "a": 12345678901234567890}}
    raw = chat.chat.completions.with_raw_response.create(
        model="openai-bytes", messages=HELLO, extra_body=extra
    )
    assert raw.http_response.content == odd, "the answer is the backend's, byte for byte"
    assert backend.asked("openai-bytes")[0].body == raw.http_request.content, "so is the question"


def test_no_key_of_a_client_reaches_a_backend(chat, backend):
    backend.answers("openai-keys", chat_answer())
    chat.chat.completions.create(model="openai-keys", messages=HELLO)
    headers = backend.asked("openai-keys")[0].headers
    assert headers["authorization"] == "Bearer backend-key-of-scripted-openai"
    assert chat.api_key not in str(headers)


def test_a_client_that_leaves_frees_the_backend(chat, backend):
    reply = chat_stream(["a", "b"], hold=True)
    backend.answers("openai-leaves", reply)
    stream = chat.chat.completions.create(model="openai-leaves", messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    assert reply.left.wait(2), "the backend still works for nobody"


def test_dead_backends_are_not_noticed(chat):
    raw = chat.with_options(max_retries=0).chat.completions.with_raw_response.create(
        model="falls", messages=HELLO
    )
    assert raw.parse().choices[0].message.content
    assert raw.headers["x-llm-proxy-backend"] == "sim-openai"


def test_embeddings(chat):
    answer = chat.embeddings.create(model="small", input=["one", "two"])
    assert [item.index for item in answer.data] == [0, 1]
    assert all(isinstance(x, float) for x in answer.data[0].embedding)


def test_models_are_listed_and_got(chat):
    assert {"small", "claude-small", "falls"} <= {model.id for model in chat.models.list()}
    assert chat.models.retrieve("small").id == "small"
    with pytest.raises(openai.NotFoundError):
        chat.models.retrieve("nobody")


def test_a_key_sees_only_its_models(chat):
    assert [model.id for model in chat.with_options(api_key=NARROW_KEY).models.list()] == ["small"]


@pytest.mark.parametrize(
    ("key", "model", "error", "code"),
    [
        ("a-wrong-key-0123456789", "small", openai.AuthenticationError, "invalid_api_key"),
        (None, "nobody", openai.NotFoundError, "model_not_found"),
        (NARROW_KEY, "claude-small", openai.PermissionDeniedError, "model_not_allowed"),
    ],
)
def test_the_proxys_own_errors_have_the_right_class(chat, key, model, error, code):
    with pytest.raises(error) as caught:
        chat.with_options(api_key=key or chat.api_key, max_retries=0).chat.completions.create(
            model=model, messages=HELLO
        )
    assert caught.value.code == code
    assert caught.value.request_id


def test_a_fault_of_the_caller_comes_word_for_word_and_is_not_tried_again(chat, backend):
    error = {
        "message": "Unknown tone 'loud'.",
        "type": "invalid_request_error",
        "param": "tone",
        "code": "bad_tone",
    }
    backend.answers("openai-fault", of_json({"error": error}, status=400))
    with pytest.raises(openai.BadRequestError) as caught:
        chat.chat.completions.create(model="openai-fault", messages=HELLO)
    assert caught.value.body == error
    assert len(backend.asked("openai-fault")) == 1


def test_a_backends_rate_limit_says_when(chat, backend):
    error = {
        "message": "Slow down.",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    backend.answers("openai-rate", of_json({"error": error}, status=429, retry_after="7"))
    with pytest.raises(openai.RateLimitError) as caught:
        chat.with_options(max_retries=0).chat.completions.create(model="openai-rate", messages=HELLO)
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 7


def test_the_client_retries_an_outage_as_often_as_it_was_told(chat, backend):
    outage = of_json({"error": {"message": "down", "type": "server_error"}}, status=503)
    backend.answers("openai-outage", outage, outage, chat_answer())
    raw = chat.with_options(max_retries=2).chat.completions.with_raw_response.create(
        model="openai-outage", messages=HELLO
    )
    assert raw.retries_taken == 2
    assert len(backend.asked("openai-outage")) == 3


def test_an_error_inside_a_stream_is_raised(chat, backend):
    reply = chat_stream(["a", "b"], hold=True)
    reply.body += b'data: {"error": {"message": "broke", "type": "server_error"}}\n\n'
    reply.hold = False
    backend.answers("openai-breaks", reply)
    with pytest.raises(openai.APIError):
        list(chat.chat.completions.create(model="openai-breaks", messages=HELLO, stream=True))
