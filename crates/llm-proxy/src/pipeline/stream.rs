//! A backend's answer as it flows to the client, after the commit point. Nothing is ever spliced in here but an error
//! event, and after that nothing follows: a broken answer never looks whole.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::Bytes;
use llm_dialect::Dialect;
use llm_dialect::fault::BackendError;
use llm_dialect::transcode::{Passing, Transcoder};
use llm_dialect::usage::Usage;
use llm_dialect::watch::{End, Sight, Watch};
use llm_dialect::wire_error::{ErrorKind, WireError};

use super::Candidate;
use super::body::Piece;
use super::clocks::{Clocks, Tick};
use super::scrub::Hidden;
use super::{affinity, deadline, rates, verdict};
use crate::base::{Class, clock};
use crate::health::{self, Sole};
use crate::observe::Entry;
use crate::prompts::Rendered;
use crate::state::{Context, Conversation, Follower, Held, InFlight, Live, Origin};
use crate::upstream::{Fault, UpstreamBody};

/// After the terminal marker the backend has this long to close the body; the answer is whole all the same.
const LINGER: Duration = Duration::from_secs(2);

/// The backend's side of an answer, and all that must live as long as it flows.
#[derive(Debug)]
pub(super) struct Flow {
    rest: UpstreamBody,
    candidate: Candidate,
    connection: Follower,
    live: Arc<Live>,
    sole: Sole,
    dialect: Dialect,
    request_id: String,
    told: Option<Arc<[Rendered]>>,
    conversation: Option<Conversation>,
    origin: Option<Origin>,
    clocks: Clocks,
    /// Whether it was the client who chose when all must be over.
    ends_by_client: bool,
    heartbeat: Option<Duration>,
    /// The place at the backend: free again when the flow ends.
    _place: InFlight,
}

impl Flow {
    /// The flow of an answer that `rest` feeds.
    pub(super) fn new(ctx: &Context, won: (Candidate, Sole, InFlight), rest: UpstreamBody) -> Self {
        let (candidate, sole, place) = won;
        let dialect = ctx.entry.record.dialect;
        let timeouts = candidate.route.timeouts;
        Self {
            rest,
            connection: ctx.connection.clone(),
            live: Arc::clone(&ctx.live),
            sole,
            dialect,
            request_id: ctx.entry.record.request_id.clone(),
            told: ctx.told.clone(),
            conversation: ctx.conversation,
            origin: ctx.origin,
            ends_by_client: deadline::is_the_clients(ctx, &candidate.route),
            clocks: Clocks::new(timeouts.idle, deadline::end(ctx, &candidate.route)),
            heartbeat: ctx.snapshot.config.stream.heartbeat,
            candidate,
            _place: place,
        }
    }

    /// Whether the client's own patience is over, which says nothing about the backend.
    fn is_out_of_patience(&self) -> bool {
        self.ends_by_client && self.clocks.is_over()
    }

    /// What must not come out again of what the backend says.
    fn hidden(&self) -> Hidden<'_> {
        Hidden {
            secrets: &self.candidate.route.backend.secrets,
            told: self.told.as_deref().unwrap_or_default(),
        }
    }

    /// A failure of the backend after the commit point counts against its health; one of ours or the client's does not.
    fn blame(&self, detail: &str) {
        let candidate = &self.candidate;
        let backend = &candidate.route.backend;
        let detail = self.hidden().blotted_in_text(detail.to_owned());
        tracing::warn!(
            backend = &*backend.name,
            model = &*candidate.model,
            request_id = self.request_id,
            detail,
            "the stream broke after the commit point"
        );
        let class = Class::Midstream;
        let failure = health::Failure {
            class,
            reset: None,
            firm: false,
            kind: None,
            sole: self.sole,
            jitter: fastrand::f64(),
        };
        affinity::loosen(&self.live, self.conversation.as_ref(), &candidate.target);
        let now = clock::now();
        let mut health = self.live.health.lock();
        let cooled = health.failure(&candidate.target, None, failure, now);
        drop(health);
        if let Some(cooled) = cooled {
            let rest = cooled.until.saturating_duration_since(now);
            verdict::announce(candidate, cooled, rest, &detail);
        }
    }
}

/// A stream of events, watched as it passes.
#[derive(Debug)]
pub(super) struct Stream {
    flow: Flow,
    watch: Box<Watch>,
    /// What puts the stream into the client's dialect, where that is another.
    transcoder: Option<Box<Transcoder>>,
    ready: VecDeque<Bytes>,
    /// What was seen but not yet acted on: what stands in `ready` goes first.
    sight: Option<Sight>,
    usage: Usage,
    /// Whether the end has been told to whom it concerns.
    remembered: bool,
}

/// What a poll of the backend came to.
enum Seen {
    /// Something for the client, or nothing but a look is due again.
    Moved,
    /// The backend's own error event, to be passed on as the last thing.
    Fault(Bytes, BackendError),
    /// The stream broke: what we say, and for our log.
    Broke(ErrorKind, String),
    /// It is whole.
    End,
}

impl Stream {
    /// First what was held back, then what was seen with it, then what comes.
    pub(super) fn new(
        mut flow: Flow,
        (watch, transcoder): (Box<Watch>, Option<Box<Transcoder>>),
        held: Vec<Bytes>,
        sight: Sight,
    ) -> Self {
        // Signs of life go between events; where those are not told apart, there are none.
        flow.clocks
            .beat(flow.heartbeat.filter(|_| watch.tells_events_apart()));
        Self {
            flow,
            watch,
            transcoder,
            ready: held.into(),
            sight: Some(sight),
            usage: Usage::default(),
            remembered: false,
        }
    }

    /// Tokens as far as they are known.
    pub(super) fn usage(&self) -> Usage {
        if self.usage.is_unknown() {
            self.watch.usage()
        } else {
            self.usage
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Task<'_>) -> Poll<Piece> {
        if self.flow.connection.must_end(cx) {
            let whole = self.watch.terminal();
            return Poll::Ready(if whole {
                self.end()
            } else {
                self.cut(ErrorKind::ShuttingDown, Class::Local)
            });
        }
        loop {
            if let Some(bytes) = self.take_ready() {
                self.flow.clocks.said();
                return Poll::Ready(Piece::Bytes(bytes));
            }
            match self.look(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Seen::Moved) => {}
                Poll::Ready(Seen::End) => return Poll::Ready(self.end()),
                Poll::Ready(Seen::Fault(event, error)) => {
                    return Poll::Ready(self.pass_fault(event, error));
                }
                Poll::Ready(Seen::Broke(kind, _)) if self.flow.is_out_of_patience() => {
                    return Poll::Ready(self.cut(kind, Class::Local));
                }
                Poll::Ready(Seen::Broke(kind, detail)) => {
                    self.flow.blame(&detail);
                    return Poll::Ready(self.cut(kind, Class::Midstream));
                }
            }
        }
    }

    /// The answer is whole; its last bytes, if some are left.
    fn end(&mut self) -> Piece {
        self.remember();
        self.take_ready().map_or(Piece::End, Piece::Bytes)
    }

    /// All that is ready, in one piece: a piece becomes one chunk and one write.
    fn take_ready(&mut self) -> Option<Bytes> {
        if self.ready.len() <= 1 {
            return self.ready.pop_front();
        }
        let all: Vec<Bytes> = self.ready.drain(..).collect();
        Some(all.concat().into())
    }

    /// One look at the backend, its clocks included.
    fn look(&mut self, cx: &mut Task<'_>) -> Poll<Seen> {
        if let Some(sight) = self.sight.take() {
            return Poll::Ready(self.judge(sight));
        }
        match self.flow.rest.poll_next(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                let known = self.watch.events();
                let seen = self.see(piece);
                let in_time = self.flow.clocks.heard(self.watch.events() != known);
                Poll::Ready(if in_time || !matches!(seen, Seen::Moved) {
                    seen
                } else {
                    self.timed_out()
                })
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(self.broke(&fault)),
            Poll::Ready(None) => Poll::Ready(self.ended()),
            Poll::Pending => self.flow.clocks.poll(cx).map(|tick| self.tick(tick)),
        }
    }

    fn tick(&mut self, tick: Tick) -> Seen {
        match tick {
            Tick::Up => self.timed_out(),
            Tick::Beat => {
                let sign = self.flow.dialect.sign_of_life();
                self.ready.push_back(Bytes::from_static(sign.as_bytes()));
                Seen::Moved
            }
        }
    }

    fn see(&mut self, piece: Bytes) -> Seen {
        let mut out = Vec::new();
        let sight = self.watch.feed(piece, &mut out);
        if let Some(broken) = self.pass(out) {
            return broken;
        }
        self.judge(sight)
    }

    /// Makes bytes of the backend ready for the client; what cannot be converted breaks the stream.
    fn pass(&mut self, pieces: Vec<Bytes>) -> Option<Seen> {
        let Some(transcoder) = &mut self.transcoder else {
            self.ready.extend(pieces);
            return None;
        };
        let mut out = Vec::new();
        let mut passing = Passing::Going;
        for piece in pieces {
            passing = transcoder.feed(piece, &mut out);
        }
        if !out.is_empty() {
            self.ready.push_back(out.into());
        }
        Self::broken(passing)
    }

    fn broken(passing: Passing) -> Option<Seen> {
        match passing {
            Passing::Fault(error) => Some(Seen::Broke(ErrorKind::UpstreamBadResponse, error.message)),
            Passing::Going | Passing::Ended => None,
        }
    }

    fn judge(&mut self, sight: Sight) -> Seen {
        match sight {
            Sight::Waiting | Sight::Live => Seen::Moved,
            Sight::Ended => {
                self.flow.clocks.linger(LINGER);
                Seen::Moved
            }
            Sight::Fault(error, raw) => Seen::Fault(raw, error),
            Sight::TooLarge => Seen::Broke(
                ErrorKind::UpstreamBadResponse,
                "an event above `limits.max_event`".to_owned(),
            ),
        }
    }

    /// A break behind the terminal marker takes nothing from the answer.
    fn broke(&mut self, fault: &Fault) -> Seen {
        if self.watch.terminal() {
            Seen::End
        } else {
            Seen::Broke(ErrorKind::UpstreamUnavailable, fault.to_string())
        }
    }

    fn timed_out(&mut self) -> Seen {
        if self.watch.terminal() {
            return Seen::End;
        }
        Seen::Broke(
            ErrorKind::UpstreamTimeout,
            "silence, nothing but signs of life, or too long in all".to_owned(),
        )
    }

    fn ended(&mut self) -> Seen {
        let mut out = Vec::new();
        let end = self.watch.finish(&mut out);
        if let Some(broken) = self.pass(out) {
            return broken;
        }
        match end {
            End::Complete => self.finished(),
            End::Fault(error) => Seen::Broke(ErrorKind::UpstreamUnavailable, error.message),
            End::Truncated | End::Empty => Seen::Broke(
                ErrorKind::UpstreamUnavailable,
                "an end without the terminal marker".to_owned(),
            ),
        }
    }

    /// The stream is whole; a converted one gets what its own dialect ends with.
    fn finished(&mut self) -> Seen {
        let Some(transcoder) = &mut self.transcoder else {
            return Seen::End;
        };
        let mut out = Vec::new();
        let passing = transcoder.finish(&mut out);
        if !out.is_empty() {
            self.ready.push_back(out.into());
        }
        Self::broken(passing).unwrap_or(Seen::End)
    }

    /// The backend's own error is passed on, but for keys; nothing after it is. A client of another dialect reads it in
    /// its own.
    fn pass_fault(&mut self, event: Bytes, error: BackendError) -> Piece {
        self.flow.blame(&error.message);
        if self.transcoder.is_none() {
            self.ready.push_back(self.flow.hidden().blotted_in(event));
            return self.last_words(Class::Midstream);
        }
        let kind = verdict::said_midstream(&error);
        let message = self.flow.hidden().blotted_in_text(error.message);
        self.say(kind, message);
        self.last_words(Class::Midstream)
    }

    /// Ends the answer with the dialect's error event.
    fn cut(&mut self, kind: ErrorKind, class: Class) -> Piece {
        let message = match kind {
            ErrorKind::ShuttingDown => "The proxy is shutting down; send the request again.",
            ErrorKind::UpstreamTimeout => {
                "The backend fell silent within its answer; the answer is incomplete."
            }
            _ => "The backend broke off within its answer; the answer is incomplete.",
        };
        self.say(kind, message);
        self.last_words(class)
    }

    /// Puts the dialect's error event last.
    fn say(&mut self, kind: ErrorKind, message: impl Into<Cow<'static, str>>) {
        let error = WireError {
            kind,
            message: message.into(),
            param: None,
            request_id: &self.flow.request_id,
        };
        let position = match &self.transcoder {
            Some(transcoder) => transcoder.position(),
            None => self.watch.position(),
        };
        self.ready
            .push_back(error.event(self.flow.dialect, &position).into());
    }

    fn last_words(&mut self, class: Class) -> Piece {
        self.flow.connection.close_after_this();
        Piece::Broken(self.take_ready().unwrap_or_default(), class)
    }

    /// A whole answer speaks for its backend, and one of the Responses API can be gone on from.
    pub(super) fn remember(&mut self) {
        if std::mem::replace(&mut self.remembered, true) {
            return;
        }
        self.usage = self.watch.usage();
        let Flow { live, candidate, .. } = &self.flow;
        live.health.lock().success(&candidate.target, None, clock::now());
        affinity::answered(live, self.flow.conversation.as_ref(), candidate, &self.usage);
        // A converted answer has no id that its backend would know again.
        if self.flow.dialect == Dialect::Responses
            && self.transcoder.is_none()
            && let Some(id) = self.watch.position().response_id
        {
            affinity::made(live, candidate, self.flow.origin, &id);
        }
    }

    /// Whether the terminal marker has passed: nothing that matters is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.watch.terminal() && self.ready.is_empty()
    }

    /// Whether the backend wants its answer read although nobody listens.
    pub(super) fn reads_on_alone(&self) -> bool {
        self.flow.candidate.route.backend.is_drained() && !self.watch.terminal()
    }

    /// Reads on to the end for the sake of exact usage. Bounded by the flow's own clocks.
    pub(super) async fn drain(mut self: Box<Self>, mut entry: Option<Box<Entry>>, mut held: Held) {
        self.flow.clocks.beat(None);
        loop {
            self.ready.clear();
            let seen = std::future::poll_fn(|cx| self.look(cx)).await;
            if !matches!(seen, Seen::Moved) {
                break;
            }
        }
        let Some(entry) = &mut entry else { return };
        entry.record.used(self.usage());
        rates::settle(&mut held, &entry.record);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        affinity::read(&self.flow.candidate, &self.usage());
    }
}

/// Bytes that nobody looks into: audio, images.
#[derive(Debug)]
pub(super) struct Opaque {
    flow: Flow,
}

impl Opaque {
    pub(super) fn new(flow: Flow) -> Self {
        Self { flow }
    }

    pub(super) fn poll(&mut self, cx: &mut Task<'_>) -> Poll<Piece> {
        if self.flow.connection.must_end(cx) {
            return Poll::Ready(self.broken(Class::Local));
        }
        match self.flow.rest.poll_next(cx) {
            Poll::Ready(Some(Ok(piece))) if self.flow.clocks.heard(true) => Poll::Ready(Piece::Bytes(piece)),
            Poll::Ready(Some(Ok(_))) => Poll::Ready(self.blamed("too long in all")),
            Poll::Ready(None) => {
                let target = self.flow.candidate.target;
                self.flow.live.health.lock().success(&target, None, clock::now());
                Poll::Ready(Piece::End)
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(self.blamed(&fault.to_string())),
            Poll::Pending if self.flow.clocks.poll(cx).is_ready() => Poll::Ready(self.blamed("silence")),
            Poll::Pending => Poll::Pending,
        }
    }

    fn blamed(&self, detail: &str) -> Piece {
        if self.flow.is_out_of_patience() {
            return self.broken(Class::Local);
        }
        self.flow.blame(detail);
        self.broken(Class::Midstream)
    }

    /// There is no error event to send: the framing itself must say that the answer is broken.
    fn broken(&self, class: Class) -> Piece {
        self.flow.connection.close_after_this();
        Piece::Broken(Bytes::new(), class)
    }
}
