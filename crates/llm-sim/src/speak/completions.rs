//! OpenAI's legacy text completions.

use super::speech::Speech;
use super::{Ask, CREATED, chat};
use crate::json::{Json, NONE, NULL, object};

pub(crate) fn whole(ask: &Ask, speech: &Speech) -> Json {
    let text = speech.text().unwrap_or_default();
    base(ask)
        .with("choices", [choice(&text, Some(finish_reason(speech)))])
        .with("usage", chat::usage(speech.usage(ask)))
}

pub(crate) fn events(ask: &Ask, speech: &Speech) -> Vec<String> {
    let text = speech.text().unwrap_or_default();
    let mut choices: Vec<Json> = speech
        .pieces(&text)
        .iter()
        .map(|piece| choice(piece, NULL))
        .collect();
    choices.push(choice("", Some(finish_reason(speech))));
    let mut events: Vec<String> = choices
        .into_iter()
        .map(|c| event(&base(ask).with("choices", [c])))
        .collect();
    if ask.include_usage {
        let usage = chat::usage(speech.usage(ask));
        events.push(event(&base(ask).with("choices", NONE).with("usage", usage)));
    }
    events.push(String::from("data: [DONE]\n\n"));
    events
}

fn base(ask: &Ask) -> Json {
    object! {
        "id": format!("cmpl-sim{}", ask.serial),
        "object": "text_completion",
        "created": CREATED,
        "model": ask.model,
    }
}

fn choice(text: &str, finish_reason: Option<&str>) -> Json {
    object! {"text": text, "index": 0_u64, "logprobs": NULL, "finish_reason": finish_reason}
}

fn event(json: &Json) -> String {
    format!("data: {}\n\n", json.as_str())
}

fn finish_reason(speech: &Speech) -> &'static str {
    if speech.truncated { "length" } else { "stop" }
}
