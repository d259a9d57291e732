//! Takes reasoning out of a request: what another provider has sealed is refused by everybody but its maker.
//!
//! Everything else of the body keeps its bytes; only the lists that lose an item are written anew around their items.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canon::seal;
use crate::dialect::Dialect;

/// Which reasoning is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that is sealed.
    All,
    /// What came in an envelope of ours: it was made by a provider of another dialect.
    Enveloped,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    signature: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypted_content: Option<&'a RawValue>,
}

/// Whether a body may hold an envelope of ours. Cheap, and never wrong when it says no.
pub fn may_hold_envelopes(body: &[u8]) -> bool {
    // Made once: getting ready takes as long as the search of a short body.
    static OPENING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"lp1."));
    OPENING.find(body).is_some()
}

/// The body without that reasoning; nothing if it holds none.
pub fn without_reasoning(dialect: Dialect, body: &str, which: Which) -> Option<String> {
    let read: Body<'_> = serde_json::from_str(body).ok()?;
    let mut edits: Vec<(&str, String)> = Vec::new();
    match dialect {
        Dialect::Messages => {
            for message in read.messages? {
                edits.extend(message_edit(message.get(), which));
            }
        }
        Dialect::Responses => edits.extend(list_edit(read.input?.get(), which)),
        Dialect::Chat => return None,
    }
    (!edits.is_empty()).then(|| spliced(body, &edits))
}

fn message_edit(message: &str, which: Which) -> Option<(&str, String)> {
    let read: Message<'_> = serde_json::from_str(message).ok()?;
    list_edit(read.content?.get(), which)
}

/// A list without its reasoning, if it has some.
fn list_edit(list: &str, which: Which) -> Option<(&str, String)> {
    let items: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let kept: Vec<&str> = items
        .iter()
        .map(|item| item.get())
        .filter(|item| !goes(item, which))
        .collect();
    (kept.len() < items.len()).then(|| (list, format!("[{}]", kept.join(","))))
}

fn goes(item: &str, which: Which) -> bool {
    let Ok(item) = serde_json::from_str::<Item<'_>>(item) else {
        return false;
    };
    let seal = match item.kind.map(RawValue::get) {
        Some("\"thinking\"") => item.signature,
        Some("\"redacted_thinking\"") => item.data,
        Some("\"reasoning\"") => item.encrypted_content,
        _ => return false,
    };
    let enveloped = |seal: &RawValue| seal.get().trim_start_matches('"').starts_with(seal::MARK);
    match which {
        Which::All => true,
        Which::Enveloped => seal.is_some_and(enveloped),
    }
}

/// The body with parts of it replaced. The parts are slices of it, in order.
fn spliced(body: &str, edits: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(body.len());
    let mut from = 0;
    for (part, new) in edits {
        let at = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
        out.push_str(body.get(from..at).unwrap_or_default());
        out.push_str(new);
        from = at + part.len();
    }
    out.push_str(body.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reasoning_goes() {
        let body = r#"{"model":"m", "messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[
            {"type":"thinking","thinking":"a","signature":"lp1.x"},{"type":"thinking","thinking":"b","signature":"native"},
            {"type":"redacted_thinking","data":"lp1.y"},{"type":"text","text":"1.0"}]}],"x":1.50}"#;
        let enveloped = without_reasoning(Dialect::Messages, body, Which::Enveloped).unwrap();
        assert_eq!(
            enveloped,
            r#"{"model":"m", "messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"b","signature":"native"},{"type":"text","text":"1.0"}]}],"x":1.50}"#
        );
        let none = without_reasoning(Dialect::Messages, body, Which::All).unwrap();
        assert!(
            none.contains(r#""content":[{"type":"text","text":"1.0"}]}],"x":1.50}"#),
            "{none}"
        );
        assert_eq!(
            without_reasoning(Dialect::Messages, &none, Which::All),
            None,
            "nothing is left to take"
        );
    }

    #[test]
    fn items_of_responses_go_likewise() {
        let body = r#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"lp1.x"},{"type":"message","content":"a"},{"type":"reasoning","encrypted_content":"gAAA"}]}"#;
        let enveloped = without_reasoning(Dialect::Responses, body, Which::Enveloped).unwrap();
        assert_eq!(
            enveloped,
            r#"{"input":[{"type":"message","content":"a"},{"type":"reasoning","encrypted_content":"gAAA"}]}"#
        );
        assert!(may_hold_envelopes(body.as_bytes()) && !may_hold_envelopes(enveloped.as_bytes()));
    }

    #[test]
    fn other_bodies_are_left_alone() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"messages":5}"#,
            r#"{"messages":["x",{"content":"lp1."}]}"#,
            r#"{"input":"x"}"#,
        ] {
            for dialect in Dialect::ALL {
                assert_eq!(without_reasoning(dialect, body, Which::All), None, "{body}");
            }
        }
    }
}
