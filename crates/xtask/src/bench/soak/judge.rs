//! Whether what a client heard is one of the ways in which a request may end. Pure.

use llm_dialect::Dialect;
use llm_dialect::grammar::{self, State};
use serde_json::Value;

use super::faults::ON_PURPOSE;
use super::order::Order;
use super::roster::{BACKENDS, CANARY};
use super::wire::{Answer, Heard};

/// The ways in which a request may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The whole answer.
    Whole,
    /// An error in place of an answer, with this status.
    Refused(u16),
    /// A stream that breaks off, and says so.
    Broken,
    /// The client left; whether it had heard a status.
    Left(bool),
}

/// The statuses that the contract has for what happens here. A 500 would be a panic, a 401 a backend's trouble with its key.
const REFUSALS: [u16; 7] = [400, 404, 429, 502, 503, 504, 529];

/// How an error in a stream begins.
const EVENT: &[u8] = b"event: error";
/// The mark of the end of a chat stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) dialect: Dialect,
    pub(super) order: Order,
}

impl Asked {
    /// The outcome.
    ///
    /// # Errors
    /// What must not happen, in a sentence.
    pub(super) fn judge(self, heard: &Heard) -> Result<Outcome, String> {
        match heard {
            Heard::Left(knew) => Ok(Outcome::Left(*knew)),
            Heard::Whole(answer) => self.answer(answer, None),
            Heard::Cut(answer, why) if answer.status == 0 => Err(format!("no answer: {why}")),
            Heard::Cut(answer, why) => self.answer(answer, Some(why)),
        }
    }

    fn answer(self, answer: &Answer, cut: Option<&str>) -> Result<Outcome, String> {
        if answer.header("x-request-id") != Some(&self.order.id()) {
            return Err(format!(
                "the id of another request: {:?}",
                answer.header("x-request-id")
            ));
        }
        if let Some(leak) = leak(answer) {
            return Err(leak);
        }
        if let Some(objection) = self.order.objection(&answer.body) {
            return Err(objection);
        }
        let kind = answer.header("content-type").unwrap_or_default();
        match (answer.status, cut) {
            (200, _) if kind.starts_with("text/event-stream") => self.stream(answer, cut),
            (status, Some(why)) => Err(format!("an answer of {status} that is not all there: {why}")),
            (200, None) => self.whole(grammar::answer(self.dialect, &text(answer))),
            (status, None) if REFUSALS.contains(&status) => self.refusal(status, &text(answer)),
            (status, None) => Err(format!("a status of {status}")),
        }
    }

    fn stream(self, answer: &Answer, cut: Option<&str>) -> Result<Outcome, String> {
        let body = self.without_nested_error(&answer.body);
        match (grammar::beginning(self.dialect, body), cut) {
            (Ok(State::Open), None) if body.len() < answer.body.len() => {
                no_name(&text(answer)).map(|()| Outcome::Broken)
            }
            (Err(fault), _) => Err(format!("no client reads that stream: {fault}")),
            (Ok(State::Open), None) if self.dialect == Dialect::Chat && is_finished(body) => {
                self.whole(grammar::stream(self.dialect, &[body, DONE].concat()))
            }
            (Ok(State::Open), _) => Err("a stream that ends with neither mark nor error".to_owned()),
            (Ok(State::Failed), _) => no_name(&text(answer)).map(|()| Outcome::Broken),
            (Ok(State::Whole), Some(why)) => Err(format!("a whole stream in a broken frame: {why}")),
            (Ok(State::Whole), None) => self.whole(grammar::stream(self.dialect, &answer.body)),
        }
    }

    /// The stream without an error at its end in the nested form, which backends of the responses dialect really write and
    /// clients of them read, though its documentation has another.
    fn without_nested_error(self, body: &[u8]) -> &[u8] {
        let Some(at) = body.windows(EVENT.len()).rposition(|window| window == EVENT) else {
            return body;
        };
        let (before, error) = body.split_at(at);
        let is_nested = || {
            let (_, data) = str::from_utf8(error).ok()?.split_once("data: ")?;
            let data: Value = serde_json::from_str(data).ok()?;
            data.pointer("/error/message").map(Value::is_string)
        };
        if self.dialect == Dialect::Responses && is_nested() == Some(true) {
            before
        } else {
            body
        }
    }

    /// What looks whole must be whole.
    fn whole(self, read: Result<grammar::Transcript, grammar::Fault>) -> Result<Outcome, String> {
        let said = read
            .map_err(|fault| format!("no client reads that answer: {fault}"))?
            .text();
        let ordered = self.order.text();
        if said == ordered {
            return Ok(Outcome::Whole);
        }
        Err(format!(
            "an answer that looks whole and is not: {} bytes of {}",
            said.len(),
            ordered.len()
        ))
    }

    fn refusal(self, status: u16, body: &str) -> Result<Outcome, String> {
        let error: Value =
            serde_json::from_str(body).map_err(|error| format!("an error in no JSON: {error}"))?;
        let at = |path: &str| error.pointer(path).and_then(Value::as_str);
        let words = at("/error/message").filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| format!("an error without words: {body:?}"))?;
        let shaped = match self.dialect {
            Dialect::Messages => at("/type") == Some("error") && at("/error/type").is_some(),
            _ => at("/error/type").is_some() && error.pointer("/error/code").is_some(),
        };
        if !shaped {
            return Err(format!("an error of another dialect: {body:?}"));
        }
        no_name(body)?;
        if status == 400 && !words.contains(&format!("{ON_PURPOSE} {}", self.order.id())) {
            return Err(format!("a refusal that nobody meant: {body:?}"));
        }
        Ok(Outcome::Refused(status))
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Whether a chat stream has told why it stops, which is as good as its mark: many hosts never write that, so a proxy
/// cannot know that one which dies at this very moment would have. Only a count of tokens may stand behind it.
fn is_finished(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let chunks = text.lines().rev().filter_map(|line| line.strip_prefix("data: "));
    let mut choices = chunks.map(|data| {
        let chunk: Value = serde_json::from_str(data).unwrap_or_default();
        chunk.get("choices").and_then(Value::as_array).cloned()
    });
    let last = choices.find(|choices| choices.as_ref().is_none_or(|all| !all.is_empty()));
    let told = |choice: &Value| choice.get("finish_reason").is_some_and(Value::is_string);
    last.flatten().is_some_and(|choices| choices.iter().any(told))
}

/// Secrets have no place in an answer, whatever it is.
fn leak(answer: &Answer) -> Option<String> {
    let in_body = text(answer).contains(CANARY);
    let in_head = answer.headers.iter().find(|(_, value)| value.contains(CANARY));
    match in_head {
        _ if in_body => Some("a key in the body".to_owned()),
        Some((name, _)) => Some(format!("a key in the header {name}")),
        None => None,
    }
}

/// An error tells nothing of what is behind the proxy. No backend says its own name here, so the proxy must have said it.
fn no_name(body: &str) -> Result<(), String> {
    let names = BACKENDS.iter().map(|member| member.name).chain(["127.0.0.1"]);
    match names.into_iter().find(|name| body.contains(name)) {
        Some(name) => Err(format!("an error that tells of {name}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked {
        dialect: Dialect::Chat,
        order: Order {
            nonce: 0xab,
            words: 2,
        },
    };
    const WORDS: [&str; 2] = ["00000000000000ab.0000", " 00000000000000ab.0001"];
    const DONE: &str = "data: [DONE]\n\n";

    fn answer(status: u16, kind: &str, body: &str) -> Answer {
        Answer {
            status,
            headers: vec![
                ("content-type".to_owned(), kind.to_owned()),
                ("x-request-id".to_owned(), ASKED.order.id()),
            ],
            body: body.as_bytes().to_vec(),
        }
    }

    fn chunk(word: &str, reason: &str) -> String {
        let role = if word.ends_with("0000") {
            "\"role\":\"assistant\","
        } else {
            ""
        };
        let reason = if reason.is_empty() {
            "null".to_owned()
        } else {
            format!("\"{reason}\"")
        };
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
             [{{\"index\":0,\"delta\":{{{role}\"content\":\"{word}\"}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    }

    fn stream(body: &str) -> Result<Outcome, String> {
        ASKED.judge(&Heard::Whole(answer(200, "text/event-stream", body)))
    }

    #[test]
    fn a_stream_is_whole_or_says_that_it_is_not() {
        let [one, two] = WORDS.map(|word| chunk(word, ""));
        let (end, error) = (
            chunk("", "stop"),
            "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}\n\n",
        );
        assert_eq!(stream(&format!("{one}{two}{end}{DONE}")), Ok(Outcome::Whole));
        let count = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\
                     \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n";
        for body in [format!("{one}{two}{end}"), format!("{one}{two}{end}{count}")] {
            assert_eq!(stream(&body), Ok(Outcome::Whole), "it has told why it stops");
        }
        assert_eq!(stream(&format!("{one}{error}")), Ok(Outcome::Broken));
        for (body, wrong) in [
            (format!("{one}{end}{DONE}"), "looks whole"),
            (format!("{one}{one}{two}{end}{DONE}"), "should stand"),
            (format!("{one}{two}"), "neither mark nor error"),
            (format!("{one}{end}"), "looks whole"),
            (format!("{one}{two}{count}"), "no client reads"),
            (format!("{one}{error}{DONE}"), "no client reads"),
            (
                format!("{}{end}{DONE}", one.replace("ab.", "ac.")),
                "another request",
            ),
            (
                format!("{one}{}", error.replace("\"m\"", "\"sk-canary-x\"")),
                "a key",
            ),
            (
                format!("{one}{}", error.replace("\"m\"", "\"simoak\"")),
                "tells of simoak",
            ),
        ] {
            let verdict = stream(&body).expect_err(&body);
            assert!(verdict.contains(wrong), "{verdict:?} of {body}");
        }
    }

    #[test]
    fn a_nested_error_ends_a_stream_of_responses_and_nothing_follows_it() {
        let asked = Asked {
            dialect: Dialect::Responses,
            ..ASKED
        };
        let judge = |body: &str| asked.judge(&Heard::Whole(answer(200, "text/event-stream", body)));
        let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"m\"}}\n\n";
        assert_eq!(judge(error), Ok(Outcome::Broken));
        assert!(judge(&format!("{error}event: response.completed\ndata: {{}}\n\n")).is_err());
        assert!(judge("event: error\ndata: {\"type\":\"error\"}\n\n").is_err());
    }

    #[test]
    fn a_stream_cut_after_its_mark_is_no_whole_one() {
        let body = WORDS.map(|word| chunk(word, "")).concat() + &chunk("", "stop") + DONE;
        let heard = Heard::Cut(answer(200, "text/event-stream", &body), "closed".to_owned());
        assert!(ASKED.judge(&heard).is_err());
    }

    #[test]
    fn an_error_has_the_shape_of_its_dialect_and_no_name_in_it() {
        let error = |message: &str| {
            format!("{{\"error\":{{\"message\":\"{message}\",\"type\":\"t\",\"param\":null,\"code\":null}}}}")
        };
        let judge = |status, body: &str| ASKED.judge(&Heard::Whole(answer(status, "application/json", body)));
        assert_eq!(judge(502, &error("It failed.")), Ok(Outcome::Refused(502)));
        let meant = error(&format!("{ON_PURPOSE} {}", ASKED.order.id()));
        assert_eq!(judge(400, &meant), Ok(Outcome::Refused(400)));
        for (status, body, wrong) in [
            (400, error("Bad."), "nobody meant"),
            (500, error("Bad."), "a status of 500"),
            (401, error("Bad."), "a status of 401"),
            (502, "oops".to_owned(), "no JSON"),
            (502, error(""), "without words"),
            (502, error("simelm is down"), "tells of simelm"),
            (
                502,
                "{\"error\":{\"message\":\"m\"}}".to_owned(),
                "another dialect",
            ),
        ] {
            let verdict = judge(status, &body).expect_err(&body);
            assert!(verdict.contains(wrong), "{verdict:?} of {body}");
        }
    }

    #[test]
    fn an_answer_with_the_id_of_another_request_is_another_requests() {
        let mut other = answer(502, "application/json", "{}");
        other.headers[1].1 = "00000000000000cd".to_owned();
        let verdict = ASKED.judge(&Heard::Whole(other)).expect_err("not ours");
        assert!(verdict.contains("another request"), "{verdict}");
    }

    #[test]
    fn silence_is_no_outcome() {
        let heard = Heard::Cut(Answer::default(), "closed".to_owned());
        assert!(ASKED.judge(&heard).is_err());
        assert_eq!(ASKED.judge(&Heard::Left(false)), Ok(Outcome::Left(false)));
    }
}
