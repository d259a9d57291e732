//! A chat client's request in the canonical form.

use serde_json::value::RawValue;

use super::wire::{Body, ResponseFormat};
use super::{surrogates, tools_in, turns_in};
use crate::canon::reading::read;
use crate::canon::{Effort, Format, Json, JsonStr, Losses, Refusal, Request, ThinkMode, Thinking};

/// Reads a request.
///
/// # Errors
/// It is not sound, or asks for an answer that is no text, which no other dialect has.
pub fn request_in<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Refusal> {
    surrogates::refuse(body)?;
    let wire: Body<'a> = read(body, "", losses)?;
    text_alone(&wire)?;
    if wire.messages.is_empty() {
        let message = "The field 'messages' must hold at least one message.";
        return Err(Refusal::invalid("messages", message));
    }
    let mut request = Request {
        model: wire.model.clone(),
        stream: wire.stream.unwrap_or(false),
        include_usage: wire
            .stream_options
            .as_ref()
            .is_some_and(|it| it.include_usage == Some(true)),
        tools: tools_in::tools(&wire, losses)?,
        tool_choice: tools_in::choice(&wire)?,
        parallel_tools: wire.parallel_tool_calls,
        max_tokens: wire.max_completion_tokens.or(wire.max_tokens),
        stop: stop(wire.stop)?,
        thinking: thinking(wire.reasoning_effort.as_deref())?,
        format: format(wire.response_format.as_ref(), losses)?,
        user: user(&wire, losses),
        ..Request::default()
    };
    if wire.n.is_some_and(|n| n > 1) {
        request.carry("n", wire.n.map(|n| Json::spelled_so(n.to_string())));
    }
    for (name, value) in wire.settings() {
        let value = value.filter(|value| !is_as_without(name, value.get()));
        request.carry(name, value.map(Json::from));
    }
    turns_in::conversation(wire.messages, &mut request, losses)?;
    Ok(request)
}

/// Spoken and painted answers are for those who speak chat from end to end.
fn text_alone(wire: &Body<'_>) -> Result<(), Refusal> {
    let mut asked = wire.modalities.iter().flatten();
    let other = asked.find(|one| *one != "text");
    if other.is_some() || wire.audio.is_some() {
        return Err(Refusal::unsupported(
            if other.is_some() { "modalities" } else { "audio" },
            "Only answers in text can be had from this model's backends; ask for text alone.",
        ));
    }
    Ok(())
}

/// Whether a setting asks for what happens without it: many clients send all that they know.
fn is_as_without(name: &str, value: &str) -> bool {
    match name {
        "frequency_penalty" | "presence_penalty" => value.parse() == Ok(0.0_f64),
        "logprobs" => value == "false",
        "logit_bias" => value.trim_matches(['{', '}', ' ']).is_empty(),
        _ => false,
    }
}

fn user<'a>(wire: &Body<'a>, losses: &mut Losses) -> Option<JsonStr<'a>> {
    match (&wire.safety_identifier, &wire.user) {
        (Some(one), Some(other)) => {
            if one != other {
                losses.note("user");
            }
            Some(one.clone())
        }
        (one, other) => one.clone().or_else(|| other.clone()),
    }
}

fn thinking(effort: Option<&str>) -> Result<Thinking, Refusal> {
    let Some(effort) = effort else {
        return Ok(Thinking::default());
    };
    let known = Effort::from_name(effort);
    let message = "The field 'reasoning_effort' must be none, minimal, low, medium, high, xhigh or max.";
    known
        .map(|effort| Thinking {
            mode: if effort == Effort::None {
                ThinkMode::Off
            } else {
                ThinkMode::Unset
            },
            effort: Some(effort),
        })
        .ok_or_else(|| Refusal::invalid("reasoning_effort", message))
}

fn stop(stop: Option<&RawValue>) -> Result<Vec<JsonStr<'_>>, Refusal> {
    let Some(raw) = stop.map(RawValue::get) else {
        return Ok(Vec::new());
    };
    match JsonStr::from_raw(raw) {
        Some(one) => Ok(vec![one]),
        None => serde_json::from_str(raw).map_err(|_why| {
            Refusal::invalid("stop", "The field 'stop' must be a string or a list of strings.")
        }),
    }
}

fn format<'a>(wire: Option<&ResponseFormat<'a>>, losses: &mut Losses) -> Result<Option<Format<'a>>, Refusal> {
    let Some(wire) = wire else { return Ok(None) };
    match (&*wire.kind, &wire.json_schema) {
        ("json_object", _) => Ok(Some(Format::JsonObject)),
        ("json_schema", Some(schema)) => Ok(Some(Format::Schema {
            name: schema.name.clone(),
            description: schema.description.clone(),
            schema: schema.schema.map(Json::from),
            strict: schema.strict,
        })),
        ("json_schema", None) => Err(Refusal::invalid(
            "response_format.json_schema",
            "A response format of the type 'json_schema' must have a `json_schema`.",
        )),
        ("text", _) => Ok(None),
        _ => {
            losses.note("response_format");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(members: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{members}}}"#)
    }

    #[test]
    fn settings_are_read_and_what_has_no_place_is_named() {
        let body = with(
            r#""stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":6,"stop":"x","parallel_tool_calls":false,"temperature":1e0,"user":"u","seed":7,"reasoning_effort":"none","n":1,"frequency_penalty":0.0,"presence_penalty":0,"logprobs":false,"logit_bias":{},"modalities":["text"],"response_format":{"type":"text"},"a_field_of_tomorrow":{"b":1}"#,
        );
        let mut losses = Losses::default();
        let request = request_in(&body, &mut losses).unwrap();
        assert!(request.stream && request.include_usage);
        assert_eq!(
            (request.max_tokens, request.parallel_tools),
            (Some(6), Some(false))
        );
        assert_eq!((request.stop.len(), request.format.is_none()), (1, true));
        assert_eq!(request.thinking.effort, Some(Effort::None));
        let carried: Vec<(&str, &str)> = request
            .carried
            .iter()
            .map(|it| (it.name, it.value.get()))
            .collect();
        assert_eq!(
            carried,
            [("temperature", "1e0"), ("seed", "7")],
            "the rest is as without it"
        );
        assert_eq!(losses.names().collect::<Vec<_>>(), ["a_field_of_tomorrow"]);
    }

    #[test]
    fn losses_are_named() {
        for (members, lost) in [
            (r#""user":"a","safety_identifier":"b""#, "user"),
            (
                r#""response_format":{"type":"grammar","grammar":"x"}"#,
                "response_format.grammar,response_format",
            ),
            (
                r#""web_search_options":{"search_context_size":"low"}"#,
                "web_search_options.search_context_size",
            ),
            (r#""stream_options":{"include_obfuscation":false}"#, ""),
        ] {
            let (body, mut losses) = (with(members), Losses::default());
            request_in(&body, &mut losses).unwrap();
            assert_eq!(losses.names().collect::<Vec<_>>().join(","), lost, "{members}");
        }
    }

    #[test]
    fn what_is_refused_names_its_place() {
        #[rustfmt::skip]
        let table = [
            (r#"{"model":"m"}"#.to_owned(), "invalid messages"),
            (r#"{"model":"m","messages":[]}"#.to_owned(), "invalid messages"),
            (r#"{"model":"m","messages":"hi"}"#.to_owned(), "invalid messages"),
            (with(r#""stream":"yes""#), "invalid stream"),
            (with(r#""max_tokens":-1"#), "invalid max_tokens"),
            (with(r#""stop":5"#), "invalid stop"),
            (with(r#""reasoning_effort":"some""#), "invalid reasoning_effort"),
            (with(r#""response_format":{"type":"json_schema"}"#), "invalid response_format.json_schema"),
            (with(r#""user":"\ud83d""#), "invalid user"),
            (with(r#""modalities":["text","audio"]"#), "unsupported modalities"),
            (with(r#""modalities":["image"]"#), "unsupported modalities"),
            (with(r#""audio":{"voice":"a"}"#), "unsupported audio"),
        ];
        for (body, expected) in table {
            let found = match request_in(&body, &mut Losses::default()) {
                Err(Refusal::Invalid { param, .. }) => format!("invalid {}", param.unwrap_or_default()),
                Err(Refusal::Unsupported { param, .. }) => format!("unsupported {param}"),
                Ok(_) => "taken".to_owned(),
            };
            assert_eq!(found, expected, "{body}");
        }
    }
}
