"""The `anthropic` package before backends of each dialect, which an agent's model drives."""

import anthropic
import pytest
from matrix import backends

from scripts import CLAUDE_TOOL, HELLO, PIXEL

TASK = 'Please call the tool weather with {"city":"Zürich"} and call the tool weather with {"city":"Ürümqi"} .'
THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture(params=backends("messages"))
def backend_of(request):
    return request.param


def ask(model, messages=HELLO, **more):
    return {"model": model, "max_tokens": 4000, "messages": messages, **more}


def user(content):
    return [{"role": "user", "content": content}]


def kinds(answer):
    return [block.type for block in answer.content]


def text(answer):
    return "".join(block.text for block in answer.content if block.type == "text")


def test_a_plain_answer(claude, backend_of):
    answer = claude.messages.create(**ask(f"agent-{backend_of}"))
    assert text(answer) == "There is nothing to do."
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def test_the_stream_helper_gathers_the_same(claude, backend_of):
    with claude.messages.stream(**ask(f"stream-{backend_of}")) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) >= 2 and "".join(pieces) == text(final) == "token " * 20
    assert final.stop_reason == "end_turn"
    assert final.usage.input_tokens > 0 and final.usage.output_tokens > 0


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_parallel_tools_and_thinking_over_two_turns(claude, backend_of, streams):
    def said(messages):
        asked = ask(f"agent-{backend_of}", messages, tools=[CLAUDE_TOOL], thinking=THINKING)
        if not streams:
            return claude.messages.create(**asked)
        with claude.messages.stream(**asked) as stream:
            return stream.get_final_message()

    first = said(user(TASK))
    assert kinds(first) == ["thinking", "text", "tool_use", "tool_use"]
    assert first.stop_reason == "tool_use"
    calls = first.content[2:]
    assert [call.input for call in calls] == [{"city": "Zürich"}, {"city": "Ürümqi"}]
    assert len({call.id for call in calls}) == 2
    assert "naïve, 日本, 🦀" in first.content[0].thinking and first.content[0].signature

    results = [{"type": "tool_result", "tool_use_id": call.id, "content": call.input["city"]} for call in calls]
    second = said([*user(TASK), {"role": "assistant", "content": first.content}, *user(results)])
    assert text(second) == "Done. The tools said: Zürich | Ürümqi I remember what I thought."
    assert second.stop_reason == "end_turn"


def test_a_failed_tool_is_told_as_one(claude, backend_of):
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no network", "is_error": True}
    turns = [*user(TASK), {"role": "assistant", "content": [call]}, *user([result])]
    answer = claude.messages.create(**ask(f"agent-{backend_of}", turns, tools=[CLAUDE_TOOL]))
    assert text(answer).startswith("A tool failed.")


def test_images_of_a_user_and_of_a_tool_arrive(claude, backend_of):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "see"}, image]}
    turns = [
        *user([{"type": "text", "text": TASK}, image]),
        {"role": "assistant", "content": [call]},
        *user([result]),
    ]
    answer = claude.messages.create(**ask(f"agent-{backend_of}", turns, tools=[CLAUDE_TOOL]))
    assert "I was shown image/png of 70 bytes and image/png of 70 bytes." in text(answer)


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("fault", anthropic.BadRequestError, "invalid_request_error"),
        ("busy", anthropic.RateLimitError, "rate_limit_error"),
        ("down", anthropic.InternalServerError, "api_error"),
    ],
)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_errors_have_the_right_class(claude, backend_of, model, error, kind, streams):
    with pytest.raises(error) as caught:
        claude.with_options(max_retries=0).messages.create(**ask(f"{model}-{backend_of}", stream=streams))
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.body["error"]["message"]


def test_a_failed_backend_is_not_noticed(claude, backend_of):
    answer = claude.with_options(max_retries=0).messages.create(**ask(f"saved-{backend_of}"))
    assert text(answer) == "There is nothing to do."


def test_tokens_are_counted(claude, backend_of):
    few = claude.messages.count_tokens(model=f"agent-{backend_of}", messages=HELLO)
    many = claude.messages.count_tokens(model=f"agent-{backend_of}", messages=user("hello " * 400))
    assert 0 < few.input_tokens < 200 < many.input_tokens


def test_models_are_listed(claude, backend_of):
    assert f"agent-{backend_of}" in {model.id for model in claude.models.list()}
    assert claude.models.retrieve(f"agent-{backend_of}").type == "model"
