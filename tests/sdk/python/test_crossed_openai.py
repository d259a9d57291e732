"""The `openai` package, chat and Responses, before backends of each dialect, which an agent's model drives."""

import json

import openai
import pytest
from matrix import backends

from scripts import CHAT_TOOL, HELLO, PIXEL

TASK = 'Please call the tool weather with {"city":"Zürich"} and call the tool weather with {"city":"Ürümqi"} .'
CITIES = [{"city": "Zürich"}, {"city": "Ürümqi"}]
PICTURE = f"data:image/png;base64,{PIXEL}"
FLAT_TOOL = {"type": "function", **CHAT_TOOL["function"], "strict": False}
ERRORS = [
    ("fault", openai.BadRequestError),
    ("busy", openai.RateLimitError),
    ("down", openai.InternalServerError),
]


@pytest.fixture(params=backends("chat"))
def chat_backend(request):
    return request.param


@pytest.fixture(params=backends("responses"))
def responses_backend(request):
    return request.param


def user(content):
    return [{"role": "user", "content": content}]


def test_a_plain_chat_answer(chat, chat_backend):
    answer = chat.chat.completions.create(model=f"agent-{chat_backend}", messages=HELLO)
    assert answer.choices[0].message.content == "There is nothing to do."
    assert (answer.object, answer.choices[0].finish_reason) == ("chat.completion", "stop")
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize("options", [None, {"include_usage": True}], ids=["bare", "usage"])
def test_a_chat_stream(chat, chat_backend, options):
    more = {"stream_options": options} if options else {}
    chunks = list(
        chat.chat.completions.create(model=f"stream-{chat_backend}", messages=HELLO, stream=True, **more)
    )
    pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(pieces) >= 2 and "".join(pieces) == "token " * 20
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    if options:
        assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    else:
        assert all(chunk.usage is None for chunk in chunks), "nobody asked for usage"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_parallel_chat_tools_and_reasoning_over_two_turns(chat, chat_backend, streams):
    def said(messages):
        asked = {"model": f"agent-{chat_backend}", "messages": messages, "tools": [CHAT_TOOL], "max_tokens": 4000}
        asked["reasoning_effort"] = "medium"
        if not streams:
            return chat.chat.completions.create(**asked).choices[0]
        with chat.chat.completions.stream(**asked) as stream:
            return stream.get_final_completion().choices[0]

    first = said(user(TASK))
    calls = first.message.tool_calls
    assert first.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in calls] == CITIES
    assert len({call.id for call in calls}) == 2
    assert "naïve, 日本, 🦀" in first.message.reasoning_content

    # What a client of today echoes: everything that it was given, which the helper's objects have more of.
    echo = first.message.model_dump(exclude_none=True)
    echo.pop("parsed", None)
    for call in echo["tool_calls"]:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.loads(call.function.arguments)["city"]}
        for call in calls
    ]
    second = said([*user(TASK), echo, *results])
    assert second.finish_reason == "stop"
    assert second.message.content == "Done. The tools said: Zürich | Ürümqi I remember what I thought."


def test_a_chat_client_may_forget_the_reasoning(chat, chat_backend):
    """Most do; a backend that insists on its thinking must not refuse them for it."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    turns = [
        *user(TASK),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    answer = chat.chat.completions.create(
        model=f"agent-{chat_backend}", messages=turns, tools=[CHAT_TOOL], reasoning_effort="medium", max_tokens=4000
    )
    assert answer.choices[0].message.content == "Done. The tools said: rain"


def test_a_chat_image_arrives(chat, chat_backend):
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    answer = chat.chat.completions.create(model=f"agent-{chat_backend}", messages=user(parts))
    assert "I was shown image/png of 70 bytes." in answer.choices[0].message.content


@pytest.mark.parametrize(("model", "error"), ERRORS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_chat_errors_have_the_right_class(chat, chat_backend, model, error, streams):
    with pytest.raises(error) as caught:
        chat.with_options(max_retries=0).chat.completions.create(
            model=f"{model}-{chat_backend}", messages=HELLO, stream=streams
        )
    assert caught.value.body["message"] and caught.value.body["type"]


def test_a_plain_response(chat, responses_backend):
    answer = chat.responses.create(model=f"agent-{responses_backend}", input="hello", instructions="Be brief.")
    assert answer.output_text == "There is nothing to do."
    assert (answer.object, answer.status) == ("response", "completed")
    usage = answer.usage
    assert usage.input_tokens > 0 and usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_a_response_streams_with_the_whole_grammar(chat, responses_backend):
    with chat.responses.stream(model=f"stream-{responses_backend}", input="hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    told = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(told) >= 2 and "".join(told) == final.output_text == "token " * 20
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.usage.input_tokens > 0 and final.usage.output_tokens > 0


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_parallel_calls_and_reasoning_over_two_turns(chat, responses_backend, streams):
    def said(items):
        asked = {
            "model": f"agent-{responses_backend}",
            "input": items,
            "tools": [FLAT_TOOL],
            "reasoning": {"effort": "medium"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
        if not streams:
            return chat.responses.create(**asked)
        with chat.responses.stream(**asked) as stream:
            for _ in stream:
                pass
            return stream.get_final_response()

    first = said(user(TASK))
    assert [item.type for item in first.output] == ["reasoning", "message", "function_call", "function_call"]
    calls = first.output[2:]
    assert [json.loads(call.arguments) for call in calls] == CITIES
    assert len({call.call_id for call in calls}) == 2
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": json.loads(call.arguments)["city"]}
        for call in calls
    ]
    echo = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    for item in echo:
        for part in item.get("content") or []:
            part.pop("parsed", None)
    second = said([*user(TASK), *echo, *outputs])
    assert second.status == "completed"
    assert second.output_text == "Done. The tools said: Zürich | Ürümqi I remember what I thought."


def test_a_custom_tool_gets_its_raw_text(chat, responses_backend):
    tool = {"type": "custom", "name": "apply_patch"}
    task = "Please write the word PELICAN into bird.txt ."
    answer = chat.responses.create(model=f"agent-{responses_backend}", input=task, tools=[tool])
    call = answer.output[-1]
    assert (call.type, call.name) == ("custom_tool_call", "apply_patch")
    assert call.input == "*** Begin Patch\n*** Add File: bird.txt\n+PELICAN\n*** End Patch\n"


def test_an_image_in_the_input_arrives(chat, responses_backend):
    parts = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PICTURE, "detail": "auto"}]
    answer = chat.responses.create(model=f"agent-{responses_backend}", input=user(parts))
    assert "I was shown image/png of 70 bytes." in answer.output_text


@pytest.mark.parametrize(("model", "error"), ERRORS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_errors_of_responses_have_the_right_class(chat, responses_backend, model, error, streams):
    with pytest.raises(error) as caught:
        chat.with_options(max_retries=0).responses.create(
            model=f"{model}-{responses_backend}", input="hello", stream=streams
        )
    assert caught.value.body["message"] and caught.value.body["type"]
