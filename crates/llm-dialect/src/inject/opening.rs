//! How a conversation began: the client's system text and its first user message, which are the same in each of its
//! requests however long it has become.
//!
//! Only words count. What moves from turn to turn, such as cache marks, does not.

use serde::Deserialize;

use crate::dialect::Dialect;
use crate::envelope::Envelope;
use crate::scan;

/// The words that a conversation began with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Of the system text, or of the messages before the first of the user.
    pub system: String,
    /// Of the user's first message.
    pub first_user: String,
}

/// The opening of a request in that dialect. What has no words, or is of an odd shape, adds none.
pub fn opening(dialect: Dialect, body: &[u8], envelope: &Envelope) -> Opening {
    let member = |name| envelope.member(body, name);
    let value = |name| member(name).map(|span| span.of(body));
    let mut opening = Opening::default();
    let (system, turns) = match dialect {
        Dialect::Messages | Dialect::Chat => ("system", "messages"),
        Dialect::Responses => ("instructions", "input"),
    };
    if dialect != Dialect::Chat {
        words(value(system).unwrap_or_default(), &mut opening.system);
    }
    let Some(turns) = member(turns) else {
        return opening;
    };
    if turns.of(body).starts_with(b"\"") {
        words(turns.of(body), &mut opening.first_user);
        return opening;
    }
    for item in scan::items(body, turns) {
        let item = item.of(body);
        let turn: Turn<'_> = serde_json::from_slice(item).unwrap_or_default();
        let said = turn
            .content
            .map_or("", serde_json::value::RawValue::get)
            .as_bytes();
        if turn.role == "user" {
            words(said, &mut opening.first_user);
            break;
        }
        words(said, &mut opening.system);
    }
    opening
}

/// What is looked at of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Turn<'a> {
    #[serde(borrow)]
    role: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a serde_json::value::RawValue>,
}

/// What is looked at of a part of a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    text: String,
}

/// Adds the words of a text, or of a list of parts.
fn words(raw: &[u8], out: &mut String) {
    if let Ok(text) = serde_json::from_slice::<String>(raw) {
        out.push_str(&text);
    } else if let Ok(parts) = serde_json::from_slice::<Vec<Part>>(raw) {
        for part in parts {
            out.push_str(&part.text);
            // A cut between parts is part of what was said.
            out.push('\0');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dialect: Dialect, body: &str) -> (String, String) {
        let envelope = Envelope::read(body.as_bytes(), 32).unwrap();
        let opening = opening(dialect, body.as_bytes(), &envelope);
        (opening.system, opening.first_user)
    }

    #[test]
    fn v13_it_stays_the_same_as_a_conversation_grows() {
        let turns = |dialect, first: &str, later: &str| match dialect {
            Dialect::Messages => {
                format!(r#"{{"system":[{{"type":"text","text":"s"}}],"messages":[{first}{later}]}}"#)
            }
            Dialect::Chat => format!(r#"{{"messages":[{{"role":"system","content":"s"}},{first}{later}]}}"#),
            Dialect::Responses => format!(r#"{{"instructions":"s","input":[{first}{later}]}}"#),
        };
        for dialect in Dialect::ALL {
            let marked = r#"{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}"#;
            let bare = r#"{"role":"user","content":[{"type":"text","text":"hi"}]}"#;
            let begun = of(dialect, &turns(dialect, marked, ""));
            let grown = of(
                dialect,
                &turns(
                    dialect,
                    bare,
                    r#",{"role":"assistant","content":"x"},{"role":"user","content":"y"}"#,
                ),
            );
            assert_eq!(
                begun, grown,
                "{dialect:?}: a mark that has moved on changes nothing"
            );
            assert_eq!(begun.0.trim_end_matches('\0'), "s");
            assert_eq!(begun.1, "hi\0");
            let other = of(dialect, &turns(dialect, r#"{"role":"user","content":"ho"}"#, ""));
            assert_ne!(begun, other, "{dialect:?}");
        }
    }

    #[test]
    fn odd_shapes_have_no_words() {
        for body in [
            r#"{"messages":7,"input":7,"system":7,"instructions":7}"#,
            r#"{"messages":[7,{"role":7}],"input":[null]}"#,
            "{}",
        ] {
            for dialect in Dialect::ALL {
                assert_eq!(of(dialect, body), (String::new(), String::new()), "{body}");
            }
        }
        assert_eq!(of(Dialect::Responses, r#"{"input":"hi"}"#).1, "hi");
    }
}
