//! A whole chat answer in the canonical form.

use serde::de::IgnoredAny;

use super::stream_in::StreamIn;
use super::wire_answer::Completion;
use crate::answer::AnswerFault;
use crate::canon::{Decode, Delta, Gather, Json, Response, WireEvent};
use crate::fault;

/// Reads an answer. It is read as a stream of one chunk: a message and a delta are of one shape, and what hosts make of
/// either is understood in one place.
///
/// # Errors
/// It is no answer.
pub fn answer_in(body: &str) -> Result<Response<'_>, AnswerFault> {
    let Ok(whole) = serde_json::from_str::<Completion<'_>>(body) else {
        return Err(no_answer(body));
    };
    let is_empty = whole.choices.as_ref().is_none_or(Vec::is_empty);
    if is_empty || whole.error.is_some() {
        match fault::in_answer(body.as_bytes()) {
            Some(error) => return Err(AnswerFault::Error(error)),
            None if is_empty => return Err(AnswerFault::Empty),
            None => {}
        }
    }
    let mut decode = StreamIn::default();
    let (mut gather, mut failed) = (Gather::default(), None);
    for data in [body, "[DONE]"] {
        decode.event(WireEvent { name: None, data }, &mut |delta| match delta {
            Delta::Fault(error) => failed = Some(error),
            delta => gather.delta(&delta),
        });
    }
    if let Some(error) = failed {
        return Err(AnswerFault::Error(error));
    }
    let (mut response, _) = gather.finish();
    response.service_tier = whole
        .service_tier
        .filter(|tier| tier.get() != "null")
        .map(|tier| Json::from(tier).into_owned());
    Ok(response)
}

/// What a body is that has not the form of an answer.
fn no_answer(body: &str) -> AnswerFault {
    match fault::in_answer(body.as_bytes()) {
        Some(error) => AnswerFault::Error(error),
        None if serde_json::from_str::<IgnoredAny>(body).is_ok() => AnswerFault::Empty,
        None => AnswerFault::NotJson,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::told::told;

    #[test]
    fn an_answer_is_read_in_whatever_form() {
        #[rustfmt::skip]
        let table = [
            ("plain", r#"{"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}"#, "text a | end"),
            ("nothing said", r#"{"message":{"role":"assistant","content":""},"finish_reason":"stop"}"#, "end"),
            ("no reason", r#"{"message":{"content":"a"},"finish_reason":null}"#, "text a | end"),
            ("a call", r#"{"message":{"content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"stop"}"#, "call x f({\\\"a\\\":1}) | calls"),
            ("details, word for word", r#"{"message":{"reasoning":"t","reasoning_details":[ {"type":"reasoning.encrypted","data":"d","x":1.0} ],"content":"a"},"finish_reason":"stop"}"#,
                r#"thought t [ {"type":"reasoning.encrypted","data":"d","x":1.0} ] | text a | end"#),
            ("two choices of one index (Copilot)", r#"{"index":0,"message":{"content":"a"}},{"index":0,"message":{"tool_calls":[{"id":"x","function":{"name":"f"}}]},"finish_reason":"tool_calls"}"#, "text a | call x f() | calls"),
            ("two choices", r#"{"index":0,"message":{"content":"a"}},{"index":1,"message":{"content":"b"}}"#, "text a | end"),
            ("a refusal that a filter made", r#"{"message":{"content":null,"refusal":"no"},"finish_reason":"content_filter"}"#, "refusal no | filter"),
        ];
        for (case, choices, expected) in table {
            let body = format!(r#"{{"id":"c1","choices":[{choices}]}}"#);
            let response = answer_in(&body).unwrap_or_else(|fault| panic!("{case}: {fault:?}"));
            assert_eq!(told(&response), expected, "{case}");
        }
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (body, fault) in [
            ("", "NotJson"),
            ("<html></html>", "NotJson"),
            (r#"{"choices":[{"message":"#, "NotJson"),
            ("null", "Empty"),
            ("{}", "Empty"),
            ("[]", "Empty"),
            (r#"{"choices":[]}"#, "Empty"),
            (r#"{"choices":{"message":5}}"#, "Empty"),
            (r#"{"error":{"message":"m"}}"#, "Error"),
            (
                r#"{"error":{"message":"m"},"choices":[{"message":{"content":"a"}}]}"#,
                "Error",
            ),
            (r#"[{"error":{"message":"m"}}]"#, "Error"),
            (r#"{"object":"error","message":"m"}"#, "Error"),
            (r#"{"error":{"message":"m"},"choices":5}"#, "Error"),
            (
                r#"{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}"#,
                "Error",
            ),
        ] {
            let found = answer_in(body).map(|_| ()).unwrap_err();
            assert!(format!("{found:?}").starts_with(fault), "{body}: {found:?}");
        }
    }

    #[test]
    fn an_answer_and_its_stream_are_the_same() {
        let whole = r#"{"id":"c1","model":"m","created":5,"choices":[{"index":0,"message":{"reasoning_content":"tu","content":"ab","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}},{"function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":1}}}"#;
        let pieces = [
            r#""delta":{"role":"assistant","reasoning_content":"t"}"#,
            r#""delta":{"reasoning_content":"u"}"#,
            r#""delta":{"content":"a"}"#,
            r#""delta":{"content":"b"}"#,
            r#""delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\""}}]}"#,
            r#""delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#,
            r#""delta":{"tool_calls":[{"index":1,"function":{"name":"g"}}]}"#,
            r#""delta":{},"finish_reason":"tool_calls""#,
        ];
        let mut lines: Vec<String> = pieces
            .iter()
            .map(|it| format!(r#"{{"id":"c1","model":"m","created":5,"choices":[{{"index":0,{it}}}]}}"#))
            .collect();
        lines.push(r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":1}}}"#.to_owned());
        lines.push("[DONE]".to_owned());
        let (mut decode, mut gather) = (StreamIn::default(), Gather::default());
        for data in &lines {
            decode.event(WireEvent { name: None, data }, &mut |delta| gather.delta(&delta));
        }
        assert_eq!(gather.finish().0, answer_in(whole).unwrap());
    }
}
