//! What the proxy sees in a stream that it passes on: the commit point, errors, the end, the token counts.
//!
//! A stream goes through byte for byte. Up to the commit point (`reliability.md` 5.5: the first thing that
//! the client came for) every event is parsed, since a fault there can still be hidden by another backend.
//! Afterwards bytes are searched, and only an event that may end, fail or count is parsed.

mod chat;
mod eye;
mod messages;
mod position;
mod reading;
mod responses;
mod sender;

pub use position::StreamPosition;

use bytes::Bytes;

use crate::dialect::Api;
use crate::fault::BackendError;
use crate::sse::Decoder;
use crate::usage::Usage;
use eye::Eye;
use sender::Sender;

/// What a watch may hold in memory or keep back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Largest event, in bytes.
    pub max_event: usize,
    /// After so many events without content the stream commits all the same. Comments and pings do not
    /// count: they are no progress, and a backend that sends nothing else has to run into its timeout. As
    /// many of them are held back besides, and further ones are dropped.
    pub hold_events: usize,
    /// After so many bytes of such events the stream commits all the same; likewise.
    pub hold_bytes: usize,
}

impl WatchLimits {
    /// The rule book's caps, with the given bound for one event.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            hold_events: 64,
            hold_bytes: 256 * 1024,
        }
    }
}

/// What a chunk brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing but frame so far: hold back what was pushed, another backend may still take over.
    Waiting,
    /// The stream has committed.
    Live,
    /// The backend reported an error. Its event (raw, here) was not pushed, and nothing after it will be.
    /// What was pushed before it counts: ask [`Watch::committed`].
    Fault(BackendError, Bytes),
    /// The dialect's mark of the end has come. If the stream has not committed, the answer was empty.
    /// A stream that was stopped by a fault or by size says this too, should it be fed any further.
    Ended,
    /// An event is over the bound; nothing more will be pushed.
    TooLarge,
}

/// How a stream ended, told when the backend has closed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As its dialect ends.
    Complete,
    /// Before its end.
    Truncated,
    /// Without any answer: no event at all, or an end without content.
    Empty,
    /// With an error that was not even a whole event, such as a JSON body in place of a stream.
    Fault(BackendError),
}

/// A passing stream under observation.
#[derive(Debug)]
pub struct Watch {
    decoder: Decoder,
    eye: Eye,
}

impl Watch {
    /// A watch over an answer to `api`. Streams of calls that have no commit point pass unseen.
    ///
    /// With `strip_usage` the closing chunk of a chat stream that holds only usage is kept from the client,
    /// who did not ask for it.
    pub fn new(api: Api, limits: WatchLimits, strip_usage: bool) -> Self {
        Self {
            decoder: Decoder::new(limits.max_event),
            eye: Eye::new(api, limits, strip_usage),
        }
    }

    /// Takes the next bytes and pushes those of whole events to `out`, in order and unchanged.
    ///
    /// Neighbours in one chunk are pushed as one slice of it; only an event that was cut is copied.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Sight {
        if !self.eye.api.is_generation() {
            return self.eye.pass(chunk, out);
        }
        let mut sender = Sender::new(chunk.clone(), out);
        let eye = &mut self.eye;
        let fed = self
            .decoder
            .feed(&chunk, &mut |event| eye.take(event, &mut sender));
        sender.flush();
        if fed.is_err() && !self.eye.is_over() {
            self.eye.stopped = true;
            return Sight::TooLarge;
        }
        self.eye.sight()
    }

    /// Takes note of the end of the backend's bytes, and pushes what is left if it completes the stream.
    ///
    /// A chat stream whose choice has given its reason to finish is complete without `[DONE]`: many hosts
    /// never send it.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> End {
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(0));
        match decoder.finish() {
            Some(rest) => self.eye.end_with(rest, out),
            None => self.eye.end(),
        }
    }

    /// The tokens reported so far.
    pub fn usage(&self) -> Usage {
        self.eye.notes.usage.usage(self.eye.api.dialect())
    }

    /// How many events have come that were more than a sign of life.
    pub fn events(&self) -> usize {
        self.eye.events
    }

    /// Whether what it pushes are whole events: something may be put between them.
    pub fn tells_events_apart(&self) -> bool {
        self.eye.api.is_generation()
    }

    /// Whether anything was seen that the client came for.
    pub fn committed(&self) -> bool {
        self.eye.committed
    }

    /// Whether the dialect's mark of the end was seen.
    pub fn terminal(&self) -> bool {
        self.eye.ended
    }

    /// Where further events would go.
    pub fn position(&self) -> StreamPosition {
        self.eye.position()
    }
}

#[cfg(test)]
mod recorded;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const COUNT: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";
    const CHAT_ERROR: &str = "data: {\"error\":{\"message\":\"m\",\"code\":503}}\n\n";
    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5}}}\n\n";
    const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
    const TURN: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":0}}\n\n";
    const MESSAGE_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    const OVERLOADED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n";
    const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"created_at\":9}}\n\n";
    const IN_PROGRESS: &str = "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"sequence_number\":1,\"response\":{\"id\":\"resp_1\"}}\n\n";
    const TEXT: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"sequence_number\":2}\n\n";
    const FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":3,\"response\":{\"id\":\"resp_1\",\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}}\n\n";
    const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":3,\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n";

    fn watch(api: Api) -> Watch {
        Watch::new(api, WatchLimits::new(4 << 20), false)
    }

    /// The last sight and the end of a stream, its events fed one by one, and what was pushed.
    fn run(api: Api, events: &[&str]) -> (String, End, String) {
        let mut watch = watch(api);
        let (mut out, mut sights) = (Vec::new(), String::new());
        for event in events {
            let sight = watch.feed(Bytes::copy_from_slice(event.as_bytes()), &mut out);
            sights.push(match sight {
                Sight::Waiting => 'w',
                Sight::Live => 'L',
                Sight::Fault(..) => 'F',
                Sight::Ended => 'E',
                Sight::TooLarge => 'T',
            });
        }
        let end = watch.finish(&mut out);
        (sights, end, String::from_utf8(out.concat()).unwrap())
    }

    #[test]
    fn a_stream_commits_at_its_first_content_and_not_before() {
        use Api::{Chat, Completions, Messages, Responses};
        type Row<'a> = (&'a str, Api, &'a [&'a str], &'a str, End);
        #[rustfmt::skip]
        let table: [Row<'_>; 20] = [
            ("S01 error at once", Messages, &[OVERLOADED], "F", End::Truncated),
            ("S02 frame, then error", Messages, &[START, PING, OVERLOADED], "wwF", End::Truncated),
            ("S03 created, then failed", Responses, &[CREATED, IN_PROGRESS, FAILED], "wwF", End::Truncated),
            ("S04 role, then error", Chat, &[ROLE, CHAT_ERROR], "wF", End::Truncated),
            ("S05 nothing", Chat, &[], "", End::Empty),
            ("S05 comments only", Chat, &[": a\n\n", ": b\n\n"], "ww", End::Empty),
            ("S06 pings only", Messages, &[PING; 64], &"w".repeat(64), End::Empty),
            ("S09 end without a marker", Messages, &[START, DELTA, DELTA], "wLL", End::Truncated),
            ("S09 in chat", Chat, &[ROLE, WORD], "wL", End::Truncated),
            ("S11 error after content", Chat, &[ROLE, WORD, CHAT_ERROR, WORD], "wLFE", End::Truncated),
            ("S12 broken JSON passes", Chat, &[WORD, "data: {\"a\n\n", STOP, DONE], "LLLE", End::Complete),
            ("S14 a healthy chat stream", Chat, &[ROLE, WORD, STOP, COUNT, DONE], "wLLLE", End::Complete),
            ("S14 a healthy messages stream", Messages, &[START, PING, DELTA, TURN, MESSAGE_STOP], "wwLLE", End::Complete),
            ("S14 a healthy responses stream", Responses, &[CREATED, IN_PROGRESS, TEXT, COMPLETED], "wwLE", End::Complete),
            ("S18 an empty chat answer", Chat, &[ROLE, STOP, DONE], "wLE", End::Complete),
            ("S18 an empty message", Messages, &[START, PING, TURN, MESSAGE_STOP], "wwLE", End::Complete),
            ("S18 an empty response", Responses, &[CREATED, COMPLETED], "wE", End::Complete),
            ("an end without any content", Chat, &[ROLE, DONE], "wE", End::Empty),
            ("no [DONE] after the reason to finish", Completions, &[WORD, STOP], "LL", End::Complete),
            ("an event of an unknown type", Messages, &["event: x\ndata: {\"type\":\"x\"}\n\n"], "L", End::Truncated),
        ];
        for (case, api, events, sights, end) in table {
            let (seen, came, pushed) = run(api, events);
            assert_eq!((seen.as_str(), came), (sights, end), "{case}");
            let before = sights.find('F').unwrap_or(events.len());
            assert_eq!(pushed, events[..before].concat(), "{case}");
        }
    }

    #[test]
    fn a_fault_carries_what_the_backend_said() {
        let mut out = Vec::new();
        let sight = watch(Api::Responses).feed(Bytes::from([CREATED, FAILED, COMPLETED].concat()), &mut out);
        let Sight::Fault(error, raw) = sight else {
            panic!("{sight:?}")
        };
        assert_eq!(error.code, "insufficient_quota");
        assert_eq!(raw, FAILED);
        assert_eq!(out, [CREATED]);
    }

    #[test]
    fn content_before_a_fault_in_one_chunk_has_committed() {
        let (mut watch, mut out) = (watch(Api::Chat), Vec::new());
        let sight = watch.feed(Bytes::from([WORD, CHAT_ERROR].concat()), &mut out);
        assert!(matches!(sight, Sight::Fault(..)));
        assert!(watch.committed());
        assert_eq!(out, [WORD]);
    }

    #[test]
    fn a_stream_of_frame_alone_commits_at_the_caps() {
        let mut limits = WatchLimits::new(4 << 20);
        let (mut counted, mut weighed) = (watch(Api::Chat), watch(Api::Chat));
        let feed = |watch: &mut Watch, text: &str| watch.feed(Bytes::from(text.to_owned()), &mut Vec::new());
        for _ in 1..limits.hold_events {
            assert_eq!(feed(&mut counted, ROLE), Sight::Waiting);
        }
        assert_eq!(feed(&mut counted, ROLE), Sight::Live);
        let long = format!("{{\"x\":\"{}\",\"choices\"", "x".repeat(limits.hold_bytes / 2));
        let frame = ROLE.replace("{\"choices\"", &long);
        assert_eq!(feed(&mut weighed, &frame), Sight::Waiting);
        assert_eq!(feed(&mut weighed, &frame), Sight::Live);
        limits.hold_events = 1;
        assert_eq!(feed(&mut Watch::new(Api::Chat, limits, false), ROLE), Sight::Live);
    }

    #[test]
    fn s06_signs_of_life_never_commit_and_only_so_many_are_kept() {
        let limits = WatchLimits::new(4 << 20);
        let long = format!(": {}\n\n", "x".repeat(limits.hold_bytes / 2 - 4));
        for (api, quiet, kept) in [
            (Api::Messages, PING, limits.hold_events),
            (Api::Chat, ": a\n\n", limits.hold_events),
            (Api::Responses, &*long, 2),
        ] {
            let (mut watch, mut out) = (watch(api), Vec::new());
            for _ in 0..10 {
                let sight = watch.feed(Bytes::from(quiet.repeat(100)), &mut out);
                assert_eq!(sight, Sight::Waiting, "{api}");
            }
            assert_eq!(out.concat().len(), quiet.len() * kept, "{api}");
            assert_eq!(watch.events(), 0, "{api}: no progress");
        }
    }

    #[test]
    fn after_the_commit_point_every_sign_of_life_goes_on_and_none_is_progress() {
        for (api, word, quiet) in [
            (Api::Chat, WORD, ": a\n\n"),
            (Api::Messages, DELTA, PING),
            (Api::Responses, TEXT, ": a\n\n"),
        ] {
            let (mut watch, mut out) = (watch(api), Vec::new());
            watch.feed(Bytes::from(word), &mut out);
            watch.feed(Bytes::from(quiet.repeat(1000)), &mut out);
            assert_eq!(out.concat().len(), word.len() + quiet.len() * 1000, "{api}");
            assert_eq!(watch.events(), 1, "{api}");
            watch.feed(Bytes::from(word), &mut out);
            assert_eq!(watch.events(), 2, "{api}");
        }
    }

    #[test]
    fn an_event_over_the_bound_stops_the_stream() {
        let mut watch = Watch::new(Api::Chat, WatchLimits::new(WORD.len()), false);
        let mut out = Vec::new();
        assert_eq!(watch.feed(Bytes::from(WORD), &mut out), Sight::Live);
        let long = format!("data: {}", "x".repeat(WORD.len()));
        assert_eq!(watch.feed(Bytes::from(long), &mut out), Sight::TooLarge);
        assert_eq!(out, [WORD]);
        assert_eq!(watch.finish(&mut out), End::Truncated);
    }

    #[test]
    fn what_follows_the_end_cannot_spoil_the_answer() {
        let mut watch = Watch::new(Api::Chat, WatchLimits::new(WORD.len()), false);
        let mut out = Vec::new();
        let stream = [WORD, DONE, "data: ", &"x".repeat(WORD.len())].concat();
        assert_eq!(watch.feed(Bytes::from(stream), &mut out), Sight::Ended);
        assert_eq!(watch.finish(&mut out), End::Complete);
        assert_eq!(out, [[WORD, DONE].concat()]);
    }

    #[test]
    fn a_body_that_is_no_stream_is_never_an_event() {
        let error = |message: &str| {
            let body = format!("{{\"message\":\"{message}\",\"object\":\"error\"}}");
            End::Fault(crate::fault::read(body.as_bytes()))
        };
        #[rustfmt::skip]
        let table: [(&str, &str, End); 7] = [
            ("HTML", "<html>\n\n<body>no</body>\n\n</html>", End::Empty),
            ("HTML without blank lines", "<html><body>no</body></html>\n", End::Empty),
            ("an error as JSON", "{\"error\":{\"message\":\"m\"}}", error("m")),
            ("an error as JSON over lines", "\n\n{\n  \"error\": {\n\n  \"message\": \"m\"}\n}\n", error("m")),
            ("an answer as JSON", "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}", End::Empty),
            ("text", "upstream connect error\n\nreset", End::Empty),
            ("an error that lacks the blank line", "data: {\"error\":{\"message\":\"m\"}}\n", error("m")),
        ];
        for (case, body, end) in table {
            for chunk in [body.len(), 1] {
                let (mut watch, mut out) = (watch(Api::Chat), Vec::new());
                for part in body.as_bytes().chunks(chunk) {
                    assert_eq!(
                        watch.feed(Bytes::copy_from_slice(part), &mut out),
                        Sight::Waiting,
                        "{case}"
                    );
                }
                assert_eq!(watch.finish(&mut out), end, "{case}");
                assert_eq!(out.concat().trim_ascii(), b"", "{case}");
            }
        }
    }

    #[test]
    fn a_terminal_event_counts_without_its_blank_line_and_others_do_not() {
        #[rustfmt::skip]
        let table: [(&str, &[&str], End, &str); 5] = [
            ("the marker", &[WORD, "data: [DONE]\n"], End::Complete, "data: [DONE]\n"),
            ("the marker without line end", &[WORD, "data: [DONE]"], End::Complete, "data: [DONE]"),
            ("usage after the reason", &[WORD, STOP, COUNT.trim_end()], End::Complete, COUNT.trim_end()),
            ("half a chunk", &[WORD, "data: {\"choices\":[{\"fin"], End::Truncated, ""),
            ("half a chunk after the reason", &[STOP, "data: {\"choices\":[{\"fin"], End::Complete, ""),
        ];
        for (case, events, expected, rest) in table {
            let (_, end, pushed) = run(Api::Chat, events);
            assert_eq!(end, expected, "{case}");
            let whole = &events[..events.len() - 1];
            assert_eq!(pushed, whole.concat() + rest, "{case}");
        }
    }

    #[test]
    fn the_usage_chunk_is_kept_from_a_client_that_did_not_ask() {
        let stream = [WORD, STOP, COUNT, DONE].concat();
        for (strip, expected) in [
            (true, vec![[WORD, STOP].concat(), DONE.to_owned()]),
            (false, vec![stream.clone()]),
        ] {
            let mut watch = Watch::new(Api::Chat, WatchLimits::new(4096), strip);
            let mut out = Vec::new();
            assert_eq!(watch.feed(Bytes::from(stream.clone()), &mut out), Sight::Ended);
            assert_eq!(out, expected);
            assert_eq!((watch.usage().input, watch.usage().output), (Some(3), Some(4)));
        }
    }

    #[test]
    fn whole_events_of_a_chunk_are_one_slice_of_it() {
        let chunk = Bytes::from([ROLE, WORD, WORD, "data: {"].concat());
        let mut out = Vec::new();
        watch(Api::Chat).feed(chunk.clone(), &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), chunk.as_ptr(), "not a copy");
    }

    #[test]
    fn the_position_continues_the_sequence() {
        let (mut numbered, mut bare) = (watch(Api::Responses), watch(Api::Responses));
        numbered.feed(
            Bytes::from([CREATED, IN_PROGRESS, TEXT].concat()),
            &mut Vec::new(),
        );
        let expected = StreamPosition {
            sequence_number: 3,
            response_id: Some("resp_1".into()),
            model: "m".into(),
            created_at: 9,
        };
        assert_eq!(numbered.position(), expected);
        let text = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n";
        bare.feed(Bytes::from(text.repeat(2)), &mut Vec::new());
        assert_eq!(
            bare.position().sequence_number,
            2,
            "counted where nothing is numbered"
        );
    }

    #[test]
    fn calls_without_a_commit_point_pass_at_once() {
        let (mut watch, mut out) = (watch(Api::Audio), Vec::new());
        assert_eq!(watch.feed(Bytes::from_static(b"\x00\x01"), &mut out), Sight::Live);
        assert_eq!(watch.finish(&mut out), End::Complete);
        assert_eq!(out, [&b"\x00\x01"[..]]);
    }

    fn event() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            ROLE,
            WORD,
            STOP,
            COUNT,
            DONE,
            CHAT_ERROR,
            START,
            PING,
            DELTA,
            TURN,
            MESSAGE_STOP,
            OVERLOADED,
            CREATED,
            TEXT,
            FAILED,
            COMPLETED,
            ": c\n\n",
            "\r\n",
            "data: {\n\n",
            "<p>\n\n",
            "id: 1\n\n",
            "event: error\n\n",
        ])
    }

    proptest! {
        #[test]
        fn whatever_comes_the_client_gets_a_beginning_of_it(events in prop::collection::vec(event(), 0..12), size in 1..400_usize, api in prop::sample::select(Api::ALL.to_vec())) {
            let input = events.concat();
            let (mut watch, mut out) = (watch(api), Vec::new());
            let mut over = false;
            for chunk in input.as_bytes().chunks(size) {
                let before = out.len();
                let sight = watch.feed(Bytes::copy_from_slice(chunk), &mut out);
                prop_assert!(watch.committed() || sight != Sight::Live);
                prop_assert!(!over || out.len() == before, "nothing after a fault");
                over |= matches!(sight, Sight::Fault(..));
            }
            watch.finish(&mut out);
            prop_assert!(input.as_bytes().starts_with(&out.concat()));
        }
    }
}
