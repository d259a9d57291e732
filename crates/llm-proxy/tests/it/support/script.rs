//! Streams written by hand, event by event, in each dialect: a test knows every byte that it expects.

use serde_json::{Value, json};

use super::client;

/// A dialect as a test speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// Chat Completions.
    Chat,
    /// Messages.
    Messages,
    /// Responses.
    Responses,
}

impl Tongue {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    /// Where it is asked.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// The `protocol` of its backends.
    pub fn protocol(self) -> &'static str {
        if self == Self::Messages {
            "anthropic"
        } else {
            "openai"
        }
    }

    /// A small request.
    pub fn request(self, model: &str, stream: bool) -> Value {
        match self {
            Self::Chat => client::chat(model, stream),
            Self::Messages => client::messages(model, stream),
            Self::Responses => client::responses(model, stream),
        }
    }

    /// The events before any content: they do not commit.
    pub fn opening(self) -> Vec<String> {
        match self {
            Self::Chat => vec![self.event(
                "",
                &json!({"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
            )],
            Self::Messages => vec![
                self.event("message_start", &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}})),
                self.event("content_block_start", &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
                self.ping(),
            ],
            Self::Responses => ["created", "in_progress"]
                .iter()
                .enumerate()
                .map(|(n, what)| {
                    let name = format!("response.{what}");
                    self.event(&name, &json!({"type": name, "sequence_number": n, "response": {"id": "resp_1", "model": "real", "status": "in_progress"}}))
                })
                .collect(),
        }
    }

    /// One piece of text, the `n`th from 0.
    pub fn delta(self, n: usize) -> String {
        self.text(n, &format!("word-{n} "))
    }

    /// One piece of this text, the `n`th from 0.
    pub fn text(self, n: usize, text: &str) -> String {
        match self {
            Self::Chat => self.event("", &json!({"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})),
            Self::Messages => self.event(
                "content_block_delta",
                &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
            ),
            Self::Responses => self.event(
                "response.output_text.delta",
                &json!({"type": "response.output_text.delta", "sequence_number": n + 2, "delta": text}),
            ),
        }
    }

    /// A sound end.
    pub fn closing(self) -> Vec<String> {
        match self {
            Self::Chat => vec![
                self.event("", &json!({"id": "c1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
                "data: [DONE]\n\n".to_owned(),
            ],
            Self::Messages => vec![
                self.event("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
                self.event("message_delta", &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}})),
                self.event("message_stop", &json!({"type": "message_stop"})),
            ],
            Self::Responses => vec![self.event(
                "response.completed",
                &json!({"type": "response.completed", "sequence_number": 900, "response": {"id": "resp_1", "status": "completed", "output": [], "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12}}}),
            )],
        }
    }

    /// Opening, `deltas` pieces of text, a sound end.
    pub fn whole(self, deltas: usize) -> Vec<String> {
        [self.begun(deltas), self.closing()].concat()
    }

    /// Opening and `deltas` pieces of text.
    pub fn begun(self, deltas: usize) -> Vec<String> {
        let text = (0..deltas).map(|n| self.delta(n));
        self.opening().into_iter().chain(text).collect()
    }

    /// A sign of life without content.
    pub fn ping(self) -> String {
        match self {
            Self::Messages => "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
            _ => ": still here\n\n".to_owned(),
        }
    }

    /// An error inside a stream: `kind` is the provider's word for it.
    pub fn error(self, kind: &str, message: &str) -> String {
        match self {
            Self::Chat => self.event("", &json!({"error": {"message": message, "type": kind, "code": kind}})),
            Self::Messages => self.event(
                "error",
                &json!({"type": "error", "error": {"type": kind, "message": message}}),
            ),
            Self::Responses => self.event("error", &json!({"type": "error", "sequence_number": 800, "code": kind, "message": message, "param": null})),
        }
    }

    /// What a provider calls being overloaded.
    pub fn overloaded(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "overloaded_error",
            Self::Responses => "server_is_overloaded",
        }
    }

    /// What only a whole answer has.
    pub fn terminal(self) -> &'static str {
        match self {
            Self::Chat => "[DONE]",
            Self::Messages => "message_stop",
            Self::Responses => "response.completed",
        }
    }

    fn event(self, name: &str, data: &Value) -> String {
        if self == Self::Chat {
            format!("data: {data}\n\n")
        } else {
            format!("event: {name}\ndata: {data}\n\n")
        }
    }
}

/// The data of each event of a stream.
pub fn data(stream: &str) -> Vec<String> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(str::to_owned)
        .collect()
}
