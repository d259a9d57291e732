//! What a simulated backend does with an order: say it in one of many ways, or fail in one of many others.

use std::time::Duration;

use fastrand::Rng;
use llm_sim::{Answer, Cut, Newline};
use serde_json::{Value, json};

use super::dice::weighted;
use super::order::Order;

/// What a refusal on purpose says, before the order's id.
pub(super) const ON_PURPOSE: &str = "refused on purpose:";

/// A lie that the soak must find out: proof that it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// Words of another request.
    Nonce,
    /// A whole answer that lacks its last word.
    End,
    /// A whole answer that says a word twice.
    Twice,
}

impl Sabotage {
    /// By the name that the command line uses.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "nonce" => Some(Self::Nonce),
            "end" => Some(Self::End),
            "twice" => Some(Self::Twice),
            _ => None,
        }
    }

    /// One answer in this many is a lie.
    pub(super) const ONE_IN: u32 = 200;

    /// The whole answer that is none.
    pub(super) fn lie(self, order: Order) -> Answer {
        let text = order.text();
        Answer::healthy().text(match self {
            Self::Nonce => Order {
                nonce: !order.nonce,
                ..order
            }
            .text(),
            Self::End => text
                .rsplit_once(' ')
                .map_or_else(String::new, |(most, _)| most.to_owned()),
            Self::Twice => format!("{} {text}", text.split(' ').next().unwrap_or_default()),
        })
    }
}

/// How an order is met.
#[derive(Clone, Copy)]
enum Way {
    /// In full.
    Full,
    /// In full, then something that ends the use of the connection.
    FullThen(After),
    /// In full, then an answer to nobody.
    FullThenUnasked,
    /// An error status.
    Status(u16),
    /// An error that tells when to come back.
    Later(u16),
    /// The caller's own fault, as the backend sees it.
    Refusal,
    /// An error where an answer should be, under a 200.
    Disguised,
    /// No answer.
    None(Silence),
    /// An answer that breaks off after some words.
    Torn(Tear),
}

#[derive(Clone, Copy)]
enum After {
    AnnouncedClose,
    Close,
    EndOfConnection,
}

#[derive(Clone, Copy)]
enum Silence {
    Hang,
    Reset,
    ResetOfReused,
    Garbage,
    HeadThenStall,
    Html,
    Empty,
    TooShort,
}

#[derive(Clone, Copy)]
enum Tear {
    Rst,
    Fin,
    NoMark,
    Stall,
    Garbage,
    Event,
    Told,
}

/// Most orders are met: a proxy that refuses everything would break nothing.
const WAYS: &[(u32, Way)] = &[
    (600, Way::Full),
    (20, Way::FullThen(After::AnnouncedClose)),
    (20, Way::FullThen(After::Close)),
    (20, Way::FullThen(After::EndOfConnection)),
    (20, Way::FullThenUnasked),
    (15, Way::Status(500)),
    (10, Way::Status(502)),
    (10, Way::Status(529)),
    (3, Way::Status(401)),
    (3, Way::Status(402)),
    (3, Way::Status(404)),
    (10, Way::Later(503)),
    (10, Way::Later(429)),
    (10, Way::Refusal),
    (10, Way::Disguised),
    (6, Way::None(Silence::Hang)),
    (10, Way::None(Silence::Reset)),
    (20, Way::None(Silence::ResetOfReused)),
    (10, Way::None(Silence::Garbage)),
    (6, Way::None(Silence::HeadThenStall)),
    (10, Way::None(Silence::Html)),
    (10, Way::None(Silence::Empty)),
    (10, Way::None(Silence::TooShort)),
    (12, Way::Torn(Tear::Rst)),
    (12, Way::Torn(Tear::Fin)),
    (12, Way::Torn(Tear::NoMark)),
    (6, Way::Torn(Tear::Stall)),
    (12, Way::Torn(Tear::Garbage)),
    (12, Way::Torn(Tear::Event)),
    (12, Way::Torn(Tear::Told)),
];

/// A whole response to nobody, which says words of another request. Whoever has lost count takes it for an answer.
fn unasked(order: Order, api: &str) -> String {
    let other = Order {
        nonce: !order.nonce,
        words: 1,
    };
    let text = other.text();
    let body = match api {
        "messages" => json!({
            "id": "msg_x", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn",
            "stop_sequence": null, "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }),
        "responses" => json!({
            "id": "resp_x", "object": "response", "created_at": 1, "status": "completed", "model": "x", "output": [{
                "type": "message", "id": "msg_x", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        }),
        _ => json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "x", "choices": [{
                "index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }),
    }
    .to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// What this order comes to. Errors have the shape of the backend's `api`; `key` stands in some, which
/// no client may see.
pub(super) fn answer(order: Order, api: &str, key: &str, dice: &mut Rng) -> Answer {
    match weighted(dice, WAYS).unwrap_or(Way::Full) {
        Way::Full => full(order, dice),
        Way::FullThenUnasked => full(order, dice).unasked(unasked(order, api)),
        Way::FullThen(after) => then(full(order, dice), after),
        Way::Status(status) => Answer::status(status),
        Way::Later(status) => later(status, dice),
        Way::Refusal => refusal(order, api, key),
        Way::Disguised => Answer::status(200).body(error(api, "server_error", "the disguised error")),
        Way::None(silence) => none(order, silence),
        Way::Torn(tear) => torn(order, tear, api, key, dice),
    }
}

/// The whole text, in pieces of any size and at any speed.
fn full(order: Order, dice: &mut Rng) -> Answer {
    let mut answer = Answer::healthy().text(order.text());
    // Long answers come fast: a stream of thousands of words is there for its bulk.
    if order.words < 200 {
        answer = answer
            .head_delay(millis(dice, 30))
            .first_delay(millis(dice, 100))
            .delay(millis(dice, 40));
    }
    match dice.u8(0..12) {
        0 => answer.chunk_bytes(dice.usize(1..40)).delay(Duration::ZERO),
        1 => answer.one_write(),
        2 => answer.newline(Newline::CrLf),
        3 => answer.informational(103, &[("link", "</a>; rel=preload")]),
        _ => answer,
    }
}

fn millis(dice: &mut Rng, most: u64) -> Duration {
    Duration::from_millis(dice.u64(0..=most))
}

fn then(answer: Answer, after: After) -> Answer {
    match after {
        After::AnnouncedClose => answer.header("connection", "close").hangs_up(),
        After::Close => answer.hangs_up(),
        After::EndOfConnection => answer.close_delimited(),
    }
}

fn later(status: u16, dice: &mut Rng) -> Answer {
    let answer = Answer::status(status);
    match dice.u8(0..4) {
        0 => answer.header("retry-after", "1"),
        1 => answer.header("retry-after-ms", "100"),
        2 => answer.header("retry-after", "soon"),
        _ => answer,
    }
}

/// An error that goes through to the client, but for the key.
fn refusal(order: Order, api: &str, key: &str) -> Answer {
    let words = format!("{ON_PURPOSE} {} with the key {key}.", order.id());
    Answer::status(400).body(error(api, "invalid_request_error", &words))
}

fn error(api: &str, kind: &str, words: &str) -> Value {
    if api == "messages" {
        json!({"type": "error", "error": {"type": kind, "message": words}})
    } else {
        json!({"error": {"message": words, "type": kind, "param": null, "code": null}})
    }
}

/// The same as an event of a stream.
fn event(api: &str, words: &str) -> Value {
    let mut event = error(api, "api_error", words);
    if api == "responses"
        && let Some(members) = event.as_object_mut()
    {
        members.insert("type".to_owned(), json!("error"));
    }
    event
}

fn none(order: Order, silence: Silence) -> Answer {
    let healthy = Answer::healthy().text(order.text());
    match silence {
        Silence::Hang => Answer::hang(),
        Silence::Reset => Answer::reset(),
        Silence::ResetOfReused => Answer::reset_on_reused().text(order.text()),
        Silence::Garbage => Answer::raw_response("\u{0}\u{1}no HTTP at all\r\n\r\n"),
        Silence::HeadThenStall => healthy.after(0, Cut::Stall),
        Silence::Html => Answer::status(200).raw_body("<html>Just a moment...</html>", "text/html"),
        Silence::Empty => Answer::status(200),
        Silence::TooShort => healthy.content_length_over(10),
    }
}

fn torn(order: Order, tear: Tear, api: &str, key: &str, dice: &mut Rng) -> Answer {
    let cut = match tear {
        Tear::Rst => Cut::Rst,
        Tear::Fin => Cut::Fin,
        Tear::NoMark => Cut::End,
        Tear::Stall => Cut::Stall,
        Tear::Garbage => Cut::Garbage,
        Tear::Event => Cut::Fault(*[429, 500, 529].get(dice.usize(0..3)).unwrap_or(&500)),
        Tear::Told => Cut::Error(event(api, &format!("the key {key} has burst"))),
    };
    let words = usize::try_from(order.words).unwrap_or_default();
    let answer = Answer::healthy().text(order.text()).delay(millis(dice, 20));
    answer.after_deltas(dice.usize(0..words.max(1)), cut)
}
