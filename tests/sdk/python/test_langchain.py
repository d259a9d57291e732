"""LangChain's chat models before backends of each dialect."""

import anthropic
import openai
import pytest
from conftest import KEY
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from matrix import backends

from scripts import PIXEL

TASK = 'Please call the tool weather with {"city":"Zürich"} and call the tool weather with {"city":"Oslo"} .'
CLIENTS = [
    pytest.param((client, backend), id=f"{client}-{backend}")
    for client in ("chat", "responses", "messages")
    for backend in backends(client)
]


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: rain"


@pytest.fixture(params=CLIENTS)
def model_of(request, proxy):
    """A chat model for an alias: `agent`, `stream` or one that fails."""
    client, backend = request.param
    url = f"http://127.0.0.1:{proxy.port}"

    def make(alias):
        model = f"{alias}-{backend}"
        if client == "messages":
            return ChatAnthropic(model=model, base_url=url, api_key=KEY, max_retries=0, max_tokens=4000)
        return ChatOpenAI(
            model=model,
            base_url=f"{url}/v1",
            api_key=KEY,
            max_retries=0,
            stream_usage=True,
            use_responses_api=client == "responses",
            **({"store": False} if client == "responses" else {}),
        )

    make.errors = anthropic if client == "messages" else openai
    return make


def test_a_plain_answer_with_its_usage(model_of):
    answer = model_of("agent").invoke("hello")
    assert answer.text == "There is nothing to do."
    usage = answer.usage_metadata
    assert usage["input_tokens"] > 0 and usage["output_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_stream_adds_up(model_of):
    chunks = list(model_of("stream").stream("hello"))
    assert len([chunk for chunk in chunks if chunk.text]) >= 2
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == "token " * 20
    assert whole.usage_metadata["input_tokens"] > 0 and whole.usage_metadata["output_tokens"] > 0


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_tools_are_called_and_their_results_come_back(model_of, streams):
    model = model_of("agent").bind_tools([weather])

    def said(messages):
        if not streams:
            return model.invoke(messages)
        first, *rest = model.stream(messages)
        for chunk in rest:
            first += chunk
        return first

    asked = [HumanMessage(TASK)]
    first = said(asked)
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [
        ("weather", {"city": "Zürich"}),
        ("weather", {"city": "Oslo"}),
    ]
    results = [weather.invoke(call) for call in first.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    second = said([*asked, first, *results])
    assert second.text.startswith("Done. The tools said: Zürich: rain | Oslo: rain")
    assert not second.tool_calls


def test_an_image_arrives(model_of):
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
    ]
    answer = model_of("agent").invoke([HumanMessage(content_blocks=parts)])
    assert "I was shown image/png of 70 bytes." in answer.text


def test_structured_output(model_of):
    """By a tool, which every backend can be held to."""
    schema = {"title": "weather", "type": "object", "properties": {"city": {"type": "string"}}, "description": "w"}
    model = model_of("agent").with_structured_output(schema, method="function_calling")
    assert model.invoke('Please call the tool weather with {"city":"Oslo"} .') == {"city": "Oslo"}


@pytest.mark.parametrize(
    ("alias", "error"), [("fault", "BadRequestError"), ("busy", "RateLimitError"), ("down", "InternalServerError")]
)
def test_errors_have_the_right_class(model_of, alias, error):
    with pytest.raises(getattr(model_of.errors, error)):
        model_of(alias).invoke("hello")
    with pytest.raises(getattr(model_of.errors, error)):
        list(model_of(alias).stream("hello"))
