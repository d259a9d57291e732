//! How a conversation began, and how far it has come: enough to tell it from others, in one look at its first messages.
//!
//! What moves from turn to turn does not count, such as cache marks: only words do, in their spelling, and of each text
//! only its beginning. Two conversations may look alike by that; whoever needs to be sure takes [`crate::inject::opening`].

use crate::dialect::Dialect;
use crate::envelope::Envelope;
use crate::scan::{self, Span};

/// So much of a text is told, in bytes.
const TOLD: usize = 4096;
/// So many parts of a message, or of the system text, are told.
const PARTS: usize = 8;

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The model has not spoken yet.
    Begins,
    /// Something that the model said or did stands behind the user's first message.
    GoesOn,
}

/// Tells the words of the system text and of the messages up to the user's first one, text by text, and how far the
/// conversation has come. `dialect` is the one that the body is written in. None: no message is the user's.
///
/// What stands before the user's first message is how the conversation was set up, greetings in the model's name among it.
pub fn opening<'b>(
    dialect: Dialect,
    body: &'b [u8],
    envelope: &Envelope,
    mut tell: impl FnMut(&'b [u8]),
) -> Option<Stage> {
    let (system, turns) = match dialect {
        Dialect::Messages => (Some("system"), "messages"),
        Dialect::Responses => (Some("instructions"), "input"),
        Dialect::Chat => (None, "messages"),
    };
    if let Some(system) = system.and_then(|name| envelope.member(body, name)) {
        words(system.of(body), &mut tell);
    }
    let turns = envelope.member(body, turns)?;
    if turns.of(body).starts_with(b"\"") {
        words(turns.of(body), &mut tell);
        return Some(Stage::Begins);
    }
    let mut items = scan::items(body, turns).map(|item| turn(item.of(body)));
    for (speaker, content) in items.by_ref() {
        words(content, &mut tell);
        if speaker == Speaker::User {
            let goes_on = items.any(|(speaker, _)| speaker == Speaker::Model);
            return Some(if goes_on { Stage::GoesOn } else { Stage::Begins });
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    /// Whoever instructs the model.
    Operator,
    /// The model, or a tool that it called: in Responses those are items without a role.
    Model,
}

/// Who speaks in a message, and what follows from the beginning of its content on.
fn turn(item: &[u8]) -> (Speaker, &[u8]) {
    // As nearly all clients write it: no second look at what may be long.
    if let Some(rest) = behind(item, &["{", "\"role\"", ":", "\""])
        && let Some(end) = rest.iter().take(16).position(|byte| *byte == b'"')
        && let (role, Some(rest)) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..))
        && let Some(content) = behind(rest, &[",", "\"content\"", ":"])
    {
        return (speaker(role), content.trim_ascii_start());
    }
    let Some(object) = scan::known_object(item) else {
        return (Speaker::Operator, b"");
    };
    let value = |name| object.value(item, name).map(|value| value.of(item));
    let role = value("role").and_then(|role| role.strip_prefix(b"\"")?.strip_suffix(b"\""));
    (
        speaker(role.unwrap_or_default()),
        value("content").unwrap_or_default(),
    )
}

fn speaker(role: &[u8]) -> Speaker {
    match role {
        b"user" => Speaker::User,
        b"system" | b"developer" => Speaker::Operator,
        _ => Speaker::Model,
    }
}

/// Tells the words of a text, or of a list of parts, that these bytes begin with.
fn words<'b>(value: &'b [u8], tell: &mut impl FnMut(&'b [u8])) {
    if let Some(rest) = value.strip_prefix(b"\"") {
        return tell(clipped(rest));
    }
    let list = Span {
        start: 0,
        end: value.len(),
    };
    for part in scan::items(value, list).take(PARTS) {
        if let Some(text) = text_of(part.of(value)) {
            tell(clipped(text));
        }
    }
}

/// What follows the quote before the text of a part.
fn text_of(part: &[u8]) -> Option<&[u8]> {
    let kinds = ["\"text\"", "\"input_text\""];
    let quick = |kind| behind(part, &["{", "\"type\"", ":", kind, ",", "\"text\"", ":", "\""]);
    kinds.into_iter().find_map(quick).or_else(|| {
        let object = scan::known_object(part)?;
        object.value(part, "text")?.of(part).strip_prefix(b"\"")
    })
}

/// The beginning of the text whose first byte these bytes begin with.
fn clipped(rest: &[u8]) -> &[u8] {
    let beginning = rest.get(..TOLD).unwrap_or(rest);
    let length = scan::sound(beginning).unwrap_or(beginning.len());
    beginning.get(..length).unwrap_or_default()
}

/// What follows these tokens, if the bytes begin with them; space before each is passed over.
fn behind<'b>(bytes: &'b [u8], tokens: &[&str]) -> Option<&'b [u8]> {
    tokens.iter().try_fold(bytes, |rest, token| {
        rest.trim_ascii_start().strip_prefix(token.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dialect: Dialect, body: &str) -> (Vec<String>, Option<Stage>) {
        let envelope = Envelope::read(body.as_bytes(), 32).unwrap();
        let mut told = Vec::new();
        let stage = opening(dialect, body.as_bytes(), &envelope, |words| {
            told.push(String::from_utf8(words.to_vec()).unwrap());
        });
        (told, stage)
    }

    #[test]
    fn a_request_goes_on_once_the_model_has_had_its_say() {
        let (chat, messages, responses) = (Dialect::Chat, Dialect::Messages, Dialect::Responses);
        let (begins, goes_on) = (Some(Stage::Begins), Some(Stage::GoesOn));
        #[rustfmt::skip]
        let table = [
            (chat, r#"{"messages":[{"role":"user","content":"a"}]}"#, begins),
            (chat, r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#, begins),
            (chat, r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#, begins),
            (chat, r#"{"messages":[{"role":"user"},{"role":"assistant"},{"role":"user"}]}"#, goes_on),
            (chat, r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null},{"role":"tool"}]}"#, goes_on),
            (chat, r#"{"messages":[{"role":"assistant","content":"Hello!"},{"role":"user"}]}"#, begins),
            (messages, r#"{"messages":[{"role":"user"},{"role":"system"}]}"#, begins),
            (messages, r#"{"messages":[{"role":"user"},{"role":"system"},{"content":[],"role":"assistant"}]}"#, goes_on),
            (responses, r#"{"input":"a"}"#, begins),
            (responses, r#"{"input":[{"role":"developer"},{"role":"user"},{"role":"user"}]}"#, begins),
            (responses, r#"{"input":[{"role":"user"},{"type":"function_call"},{"type":"function_call_output"}]}"#, goes_on),
            (responses, r#"{"input":[{"type":"message","role":"user"},{"type":"message","role":"assistant"}]}"#, goes_on),
            (chat, r#"{"messages":7,"input":[{"role":"user"},{"type":"reasoning"}]}"#, None),
            (chat, r#"{"messages":[7,{"role":7},null,{"role":"a name that is far too long for one"}]}"#, None),
            (responses, "{}", None),
        ];
        for (dialect, body, expected) in table {
            assert_eq!(of(dialect, body).1, expected, "{dialect:?}: {body}");
        }
    }

    #[test]
    fn words_count_and_what_moves_from_turn_to_turn_does_not() {
        let (chat, messages, responses) = (Dialect::Chat, Dialect::Messages, Dialect::Responses);
        let marked = r#"{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}"#;
        #[rustfmt::skip]
        let table = [
            (chat, r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"x"}]}"#.to_owned(), vec!["s", "hi"]),
            (chat, r#"{"messages": [ { "content" : "s", "role" : "system" } , { "role" : "user" , "name" : "n" , "content" : "hi" } ]}"#.to_owned(), vec!["s", "hi"]),
            (chat, r#"{"messages":[{"role":"user","content":"h\u00e9 \"quoted\" \\"}]}"#.to_owned(), vec![r#"h\u00e9 \"quoted\" \\"#]),
            (messages, format!(r#"{{"system":[{marked},{{"text":"more","type":"text"}}],"messages":[{{"role":"user","content":[{marked}]}}]}}"#), vec!["hi", "more", "hi"]),
            (messages, r#"{"system":"s","messages":[{"role":"user","content":[{"type":"image","source":{}},{"type":"text","text":"hi"}]}]}"#.to_owned(), vec!["s", "hi"]),
            (responses, r#"{"instructions":"s","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#.to_owned(), vec!["s", "hi"]),
            (responses, r#"{"instructions":null,"input":"hi"}"#.to_owned(), vec!["hi"]),
            (chat, r#"{"messages":[{"role":"user","content":7}]}"#.to_owned(), vec![]),
        ];
        for (dialect, body, expected) in table {
            assert_eq!(of(dialect, &body).0, expected, "{dialect:?}: {body}");
        }
    }

    #[test]
    fn of_long_texts_and_of_many_the_beginning_is_told() {
        let long = "x".repeat(3 * TOLD);
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}]}}"#);
        let (told, stage) = of(Dialect::Chat, &body);
        assert_eq!((told[0].len(), told.len(), stage), (TOLD, 1, Some(Stage::Begins)));
        let part = r#"{"type":"text","text":"x"}"#;
        let parts = vec![part; 3 * PARTS].join(",");
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{parts}]}}]}}"#);
        assert_eq!(of(Dialect::Chat, &body).0.len(), PARTS);
    }
}
