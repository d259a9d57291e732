"""The `openai` package against the proxy: the Responses API."""

import openai
import pytest


def test_a_plain_answer(chat):
    answer = chat.responses.create(model="small", input="hello")
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_the_stream_helper_follows_the_whole_grammar(chat):
    with chat.responses.stream(model="stream", input="hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert final.output_text == told
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers)), "each event has its own number, in order"


def test_instructions_and_a_list_of_turns(chat):
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"role": "user", "content": "and?"},
    ]
    assert chat.responses.create(model="small", instructions="Be brief.", input=turns).output_text


def test_an_unknown_model_is_not_found(chat):
    with pytest.raises(openai.NotFoundError) as caught:
        chat.responses.create(model="nobody", input="hello")
    assert caught.value.code == "model_not_found"


def test_a_dead_backend_is_not_noticed(chat):
    assert chat.with_options(max_retries=0).responses.create(model="falls", input="hello").output_text
