//! How a conversation began: the client's system text and its first user message, which are the same in each of its
//! requests however long it has become.
//!
//! Only words count, in their spelling: whoever asks again spells them as before. What moves from turn to turn does not:
//! cache marks, and Claude Code's attribution entry, which older versions write anew for every request.

use super::messages::looks_like_attribution;
use super::{list, spelling, text};
use crate::dialect::Dialect;
use crate::envelope::Envelope;
use crate::scan::{self, Span};

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Whoever instructs the model: the system text, or messages before the first of the user.
    System,
    /// The user, in the first message.
    User,
}

/// What nearly all clients begin a list of messages with, space aside, if there is no system text in it.
const OF_USER: [&str; 9] = [
    "[",
    "{",
    "\"role\"",
    ":",
    "\"user\"",
    ",",
    "\"content\"",
    ":",
    "\"",
];

/// Tells the words that a request's conversation began with, text by text. What has no words, or is of an odd shape, adds
/// none.
pub fn opening<'b>(
    dialect: Dialect,
    body: &'b [u8],
    envelope: &Envelope,
    mut tell: impl FnMut(Speaker, &'b [u8]),
) {
    let (system, turns) = match dialect {
        Dialect::Messages => (Some("system"), "messages"),
        Dialect::Responses => (Some("instructions"), "input"),
        Dialect::Chat => (None, "messages"),
    };
    if let Some(system) = system.and_then(|name| envelope.member(body, name)) {
        words(body, system, Speaker::System, &mut tell);
    }
    let Some(turns) = envelope.member(body, turns) else {
        return;
    };
    if let Some(words) = first_of_user(turns.of(body)) {
        return tell(Speaker::User, words);
    }
    if turns.of(body).starts_with(b"\"") {
        return words(body, turns, Speaker::User, &mut tell);
    }
    for item in scan::items(body, turns) {
        let (speaker, content) = turn(body, item);
        if let Some(content) = content {
            words(body, content, speaker, &mut tell);
        }
        if speaker == Speaker::User {
            break;
        }
    }
}

/// The words of a first message that is the user's and a string, without a look at the whole list.
fn first_of_user(turns: &[u8]) -> Option<&[u8]> {
    let rest = scan::tokens(turns, &OF_USER)?;
    rest.get(..scan::sound(rest)?)
}

/// Who speaks in a message, and where its content is.
fn turn(body: &[u8], item: Span) -> (Speaker, Option<Span>) {
    let bytes = item.of(body);
    let Some(object) = scan::known_object(bytes) else {
        return (Speaker::System, None);
    };
    let role = object
        .value(bytes, "role")
        .and_then(|role| text::inside(bytes, role));
    let is_user = role.is_some_and(|role| spelling::strip_prefix(role, "user") == Some(""));
    let content = object.value(bytes, "content").map(|content| Span {
        start: item.start + content.start,
        end: item.start + content.end,
    });
    (if is_user { Speaker::User } else { Speaker::System }, content)
}

/// Tells the words of a text, or of a list of parts.
fn words<'b>(body: &'b [u8], value: Span, speaker: Speaker, tell: &mut impl FnMut(Speaker, &'b [u8])) {
    let parts = scan::items(body, value).filter_map(|part| list::text_of(body, part));
    let all = text::inside(body, value).into_iter().chain(parts);
    for words in all.filter(|words| speaker == Speaker::User || !looks_like_attribution(words)) {
        tell(speaker, words.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dialect: Dialect, body: &str) -> Vec<(Speaker, &str)> {
        let envelope = Envelope::read(body.as_bytes(), 32).unwrap();
        let mut told = Vec::new();
        opening(dialect, body.as_bytes(), &envelope, |speaker, words| {
            told.push((speaker, std::str::from_utf8(words).unwrap()));
        });
        told
    }

    /// A request in that dialect: system text, the first message, and what came after it.
    fn request(dialect: Dialect, system: &str, first: &str, later: &str) -> String {
        match dialect {
            Dialect::Messages => format!(r#"{{"system":{system},"messages":[{first}{later}]}}"#),
            Dialect::Chat => {
                format!(r#"{{"messages":[{{"role":"system","content":{system}}}, {first}{later}]}}"#)
            }
            Dialect::Responses => format!(r#"{{"instructions":{system},"input":[{first}{later}]}}"#),
        }
    }

    const LATER: &str = r#",{"role":"assistant","content":"x"},{"role":"user","content":"y"}"#;

    #[test]
    fn v13_it_stays_the_same_as_a_conversation_grows() {
        let expected = [(Speaker::System, "s"), (Speaker::User, "hi")];
        for dialect in Dialect::ALL {
            for first in [
                r#"{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}"#,
                r#"{"role":"user","content":[{"type":"text","text":"hi"}]}"#,
                r#"{"role":"user","content":"hi"}"#,
                r#" { "role" : "user" , "content" : "hi" } "#,
                r#"{"content":"hi","role":"\u0075ser"}"#,
            ] {
                for later in ["", LATER] {
                    let body = request(dialect, r#""s""#, first, later);
                    assert_eq!(
                        of(dialect, &body),
                        expected,
                        "a mark that has moved on changes nothing: {body}"
                    );
                }
            }
        }
    }

    #[test]
    fn each_text_is_told_in_its_spelling_and_by_itself() {
        let (system, user) = (Speaker::System, Speaker::User);
        for (dialect, body, expected) in [
            (
                Dialect::Chat,
                r#"{"messages":[{"role":"user","content":"h\u00e9"}]}"#,
                vec![(user, r"h\u00e9")],
            ),
            (
                Dialect::Chat,
                r#"{"messages":[{"role":"user","content":""}]}"#,
                vec![(user, "")],
            ),
            (
                Dialect::Chat,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]}]}"#,
                vec![(user, "a"), (user, "b")],
            ),
            (
                Dialect::Chat,
                r#"{"messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}"#,
                vec![(system, "a"), (system, "b"), (user, "c")],
            ),
            (
                Dialect::Messages,
                r#"{"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"messages":[{"role":"user","content":"c"}]}"#,
                vec![(system, "a"), (system, "b"), (user, "c")],
            ),
            (
                Dialect::Responses,
                r#"{"instructions":"a","input":"b"}"#,
                vec![(system, "a"), (user, "b")],
            ),
            (
                Dialect::Responses,
                r#"{"input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"a"}]},{"role":"user","content":"b"}]}"#,
                vec![(system, "a"), (user, "b")],
            ),
        ] {
            assert_eq!(of(dialect, body), expected, "{body}");
        }
    }

    #[test]
    fn v05_an_attribution_entry_that_changes_with_every_request_is_no_part_of_it() {
        let entry = r#"[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.100; cch=1;"},{"type":"text","text":"s"}]"#;
        let body = request(
            Dialect::Messages,
            entry,
            r#"{"role":"user","content":"x-anthropic-billing-header: hi"}"#,
            "",
        );
        let expected = [
            (Speaker::System, "s"),
            (Speaker::User, "x-anthropic-billing-header: hi"),
        ];
        assert_eq!(of(Dialect::Messages, &body), expected);
    }

    #[test]
    fn odd_shapes_have_no_words() {
        for body in [
            r#"{"messages":7,"input":7,"system":7,"instructions":7}"#,
            r#"{"messages":[7,{"role":7}],"input":[null]}"#,
            "{}",
        ] {
            for dialect in Dialect::ALL {
                assert_eq!(of(dialect, body), [], "{body}");
            }
        }
    }
}
