//! Whether a request goes on with a conversation, or begins one.

use crate::dialect::Dialect;
use crate::envelope::Envelope;
use crate::scan;

/// Whether anything that the model said or did stands behind the user's first message: the request then is not the first
/// of its conversation. `dialect` is the one that the body is written in.
///
/// What stands before that message is how the conversation was set up, greetings in the model's name among it.
pub fn goes_on(dialect: Dialect, body: &[u8], envelope: &Envelope) -> bool {
    let name = match dialect {
        Dialect::Chat | Dialect::Messages => "messages",
        Dialect::Responses => "input",
    };
    let Some(turns) = envelope.member(body, name) else {
        return false;
    };
    let mut speakers = scan::items(body, turns).map(|item| speaker(item.of(body)));
    speakers.any(|speaker| speaker == Speaker::User) && speakers.any(|speaker| speaker == Speaker::Model)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    /// Whoever instructs the model.
    Operator,
    /// The model, or a tool that it called: in Responses those are items without a role.
    Model,
}

fn speaker(item: &[u8]) -> Speaker {
    let Ok(Some(object)) = scan::object(item, scan::DEEPEST) else {
        return Speaker::Operator;
    };
    match object.value(item, "role").map(|role| role.of(item)) {
        Some(b"\"user\"") => Speaker::User,
        Some(b"\"system\"" | b"\"developer\"") => Speaker::Operator,
        _ => Speaker::Model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_on_once_the_model_has_had_its_say() {
        let (chat, messages, responses) = (Dialect::Chat, Dialect::Messages, Dialect::Responses);
        #[rustfmt::skip]
        let table = [
            (chat, r#"{"messages":[{"role":"user","content":"a"}]}"#, false),
            (chat, r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#, false),
            (chat, r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#, false),
            (chat, r#"{"messages":[{"role":"user"},{"role":"assistant"},{"role":"user"}]}"#, true),
            (chat, r#"{"messages":[{"role":"user"},{"role":"assistant"},{"role":"tool"}]}"#, true),
            (chat, r#"{"messages":[{"role":"assistant","content":"Hello!"},{"role":"user"}]}"#, false),
            (messages, r#"{"messages":[{"role":"user"},{"role":"system"}]}"#, false),
            (messages, r#"{"messages":[{"role":"user"},{"role":"system"},{"role":"assistant"}]}"#, true),
            (responses, r#"{"input":"a"}"#, false),
            (responses, r#"{"input":[{"role":"developer"},{"role":"user"},{"role":"user"}]}"#, false),
            (responses, r#"{"input":[{"role":"user"},{"type":"function_call"},{"type":"function_call_output"}]}"#, true),
            (responses, r#"{"input":[{"role":"user"},{"type":"message","role":"assistant"}]}"#, true),
            (chat, r#"{"messages":7,"input":[{"role":"user"},{"type":"reasoning"}]}"#, false),
            (chat, r#"{"messages":[7,{"role":7},null]}"#, false),
            (responses, "{}", false),
        ];
        for (dialect, body, expected) in table {
            let envelope = Envelope::read(body.as_bytes(), 32).unwrap();
            assert_eq!(
                goes_on(dialect, body.as_bytes(), &envelope),
                expected,
                "{dialect:?}: {body}"
            );
        }
    }
}
