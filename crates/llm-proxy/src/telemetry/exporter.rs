//! The task that sends: it takes what is finished, gathers a second of it, and waits for the collector so that nobody else
//! does. What it cannot get rid of it keeps for a while, and then drops and counts.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use prost::Message;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::attributes::nanos;
use super::collector::{Collector, Sent, Signal};
use super::fields::Fields;
use super::generation::Generation;
use super::numbers::{Page, Span};
use super::proto::{MetricsRequest, Resource, ResourceMetrics, ScopeMetrics, trace};
use super::settings::{Settings, scope};
use super::spans::spans;
use super::trouble::Trouble;
use crate::admin::metrics::tell;
use crate::base::clock;
use crate::observe::finished::Finished;
use crate::observe::logs::Mask;
use crate::observe::outbox::ENOUGH;
use crate::state::{Live, Snapshot};

/// How many requests may wait for the collector: about four megabytes at most. The oldest are dropped first.
const MAX_WAITING: usize = 2_048;
/// How many requests go out together.
const BATCH: usize = ENOUGH;
/// The longest message, in bytes: servers of gRPC take four mebibytes.
const LONGEST: usize = 2 * 1024 * 1024;
/// What most requests' spans are shorter than, in bytes.
const USUAL: usize = 2_048;
/// How long they gather.
const GATHER: Duration = Duration::from_secs(1);
/// For how long a batch is sent again and again.
const GIVE_UP: Duration = Duration::from_mins(2);
/// How long the first pause is after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What the exporter is to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The collector, if any.
    pub(super) settings: Option<Arc<Settings>>,
    /// The program ends: what is left is sent once, and that is all.
    pub(super) ending: bool,
}

/// Spans that are ready to be sent.
#[derive(Clone, Debug)]
struct Batch {
    message: Bytes,
    spans: u64,
    /// When it was first sent.
    since: Instant,
    tries: u32,
}

/// What a request to the collector was, and what became of it.
enum Done {
    Spans(Batch, Sent),
    Metrics(Sent),
}

type Sending = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Whom it sends to.
#[derive(Debug)]
struct Target {
    settings: Arc<Settings>,
    collector: Collector,
    resource: Resource,
    /// When metrics are due; none: never.
    metrics_at: Option<Instant>,
}

/// See the module.
pub(super) struct Exporter {
    snapshot: Arc<ArcSwap<Snapshot>>,
    live: Arc<Live>,
    /// The name of this process among those of its kind.
    instance: String,
    /// Since when it counts.
    since: u64,
    target: Option<Target>,
    waiting: VecDeque<Finished>,
    /// Whether what waits has gathered for long enough.
    gathered: bool,
    /// A batch that was not taken.
    again: Option<Batch>,
    /// When it may be sent again.
    rests_until: Option<Instant>,
    sending: Option<Sending>,
    generation: Generation,
    traces: Trouble,
    metrics: Trouble,
}

impl Exporter {
    pub(super) fn new(snapshot: Arc<ArcSwap<Snapshot>>, live: Arc<Live>) -> Self {
        let instance = uuid::Builder::from_random_bytes(fastrand::u128(..).to_le_bytes()).into_uuid();
        Self {
            snapshot,
            live,
            instance: instance.hyphenated().to_string(),
            since: nanos(clock::wall()),
            target: None,
            waiting: VecDeque::new(),
            gathered: false,
            again: None,
            rests_until: None,
            sending: None,
            generation: Generation::default(),
            traces: Trouble::new(Signal::Traces),
            metrics: Trouble::new(Signal::Metrics),
        }
    }

    /// Does what is wanted until the program ends.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<Wanted>) {
        let mut gather = interval(GATHER);
        gather.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let live = Arc::clone(&self.live);
        wanted.mark_changed();
        loop {
            let is_on = self.target.is_some();
            tokio::select! {
                changed = wanted.changed() => {
                    let Wanted { settings, ending } = wanted.borrow_and_update().clone();
                    if ending || changed.is_err() {
                        return self.finish().await;
                    }
                    self.adopt(settings).await;
                }
                () = live.access.outbox().arrived(), if is_on => self.take(),
                _ = gather.tick(), if is_on => {
                    self.take();
                    self.gathered = true;
                }
                done = finished(&mut self.sending) => self.done(done),
            }
            self.begin();
        }
    }

    /// Takes a config's settings.
    async fn adopt(&mut self, settings: Option<Arc<Settings>>) {
        self.take();
        let snapshot = self.snapshot.load_full();
        self.generation.retain(
            |alias| snapshot.aliases.contains_key(alias),
            |backend| snapshot.backends.iter().any(|own| *own.name == *backend),
        );
        let now = self.target.as_ref().map(|target| &target.settings);
        if now == settings.as_ref() {
            return;
        }
        if settings.is_none() {
            self.finish().await;
        }
        (self.traces, self.metrics) = (Trouble::new(Signal::Traces), Trouble::new(Signal::Metrics));
        self.rests_until = None;
        self.target = settings.map(|settings| Target {
            collector: settings.collector(&self.live.pools),
            resource: settings.resource(&self.instance),
            metrics_at: settings.metrics_every().map(|every| clock::now() + every),
            settings,
        });
    }

    /// Takes what has finished; beyond a bound the oldest is lost.
    fn take(&mut self) {
        let outbox = self.live.access.outbox();
        for finished in outbox.take() {
            self.generation.note(&finished);
            if finished.is_sampled() {
                self.waiting.push_back(finished);
            }
        }
        let over = self.waiting.len().saturating_sub(MAX_WAITING);
        outbox.lost(self.waiting.drain(..over).map(|one| one.spans()).sum());
    }

    /// Begins to send what is due, if nothing is on its way.
    fn begin(&mut self) {
        if self.sending.is_some() {
            return;
        }
        let now = clock::now();
        self.sending = self.metrics_due(now).or_else(|| self.spans_due(now));
    }

    fn metrics_due(&mut self, now: Instant) -> Option<Sending> {
        let target = self.target.as_mut()?;
        let due = target.metrics_at.is_some_and(|at| at <= now);
        if !due {
            return None;
        }
        target.metrics_at = target.settings.metrics_every().map(|every| now + every);
        self.take();
        let message = self.numbers()?;
        let collector = self.target.as_ref()?.collector.clone();
        Some(Box::pin(async move {
            Done::Metrics(collector.send(Signal::Metrics, message).await)
        }))
    }

    fn spans_due(&mut self, now: Instant) -> Option<Sending> {
        if self.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        let collector = self.target.as_ref()?.collector.clone();
        if let Some(batch) = self.again.take() {
            return Some(Box::pin(send(collector, batch)));
        }
        if self.waiting.is_empty() || !(self.gathered || self.waiting.len() >= BATCH) {
            return None;
        }
        self.gathered = false;
        let batch = self.batch(now)?;
        Some(Box::pin(async move { send(collector, batch.await).await }))
    }

    /// The next batch, made where nobody waits: it takes a millisecond or two.
    fn batch(&mut self, now: Instant) -> Option<impl Future<Output = Batch> + Send + use<>> {
        let resource = self.target.as_ref()?.resource.clone();
        let count = self.waiting.len().min(BATCH);
        let requests: Vec<Finished> = self.waiting.drain(..count).collect();
        let live = Arc::clone(&self.live);
        Some(async move {
            let made = tokio::task::spawn_blocking(move || encoded(&live, &resource, &requests));
            let (message, spans) = made.await.unwrap_or_default();
            Batch {
                message,
                spans,
                since: now,
                tries: 0,
            }
        })
    }

    /// All metrics of now, as a message.
    fn numbers(&self) -> Option<Bytes> {
        let resource = self.target.as_ref()?.resource.clone();
        let now = nanos(clock::wall());
        let since = Duration::from_secs(self.live.reloads.started);
        let since = u64::try_from(since.as_nanos()).unwrap_or_default();
        let mut page = Page::new(Span { since, now });
        tell(&mut page, &self.snapshot.load(), &self.live);
        let mut metrics = page.metrics();
        let own = Span {
            since: self.since,
            now,
        };
        metrics.append(&mut self.generation.metrics(own));
        let request = MetricsRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                }],
            }],
        };
        Some(request.encode_to_vec().into())
    }

    /// What the collector has said to a request.
    fn done(&mut self, done: Done) {
        let outbox = self.live.access.outbox();
        let at = self.target.as_ref().map_or("", |target| target.settings.shown());
        match done {
            Done::Metrics(sent) => self.metrics.tell(at, &sent, outbox.dropped()),
            Done::Spans(batch, sent) => {
                let (delivered, lost, again) = outcome(&batch, &sent, clock::now(), fastrand::f64());
                outbox.delivered(delivered);
                outbox.lost(lost);
                self.rests_until = again.map(|pause| clock::now() + pause);
                self.again = self.rests_until.filter(|_| lost == 0).map(|_| Batch {
                    tries: batch.tries + 1,
                    ..batch
                });
                self.traces.tell(at, &sent, outbox.dropped());
            }
        }
    }

    /// Sends what is left, once, and the numbers for the last time. What is not taken is lost.
    async fn finish(&mut self) {
        if let Some(sending) = self.sending.take() {
            let done = sending.await;
            self.done(done);
        }
        self.take();
        self.rests_until = None;
        loop {
            self.gathered = true;
            let Some(sending) = self.spans_due(clock::now()) else {
                break;
            };
            let done = sending.await;
            let failed = matches!(&done, Done::Spans(_, Sent::Later { .. }));
            self.done(done);
            if failed {
                break;
            }
        }
        let again = self.again.take().map_or(0, |batch| batch.spans);
        let waiting: u64 = self.waiting.drain(..).map(|one| one.spans()).sum();
        self.live.access.outbox().lost(again + waiting);
        if let Some(target) = &mut self.target {
            target.metrics_at = target.metrics_at.map(|_| clock::now());
        }
        if let Some(sending) = self.metrics_due(clock::now()) {
            let done = sending.await;
            self.done(done);
        }
    }
}

/// What is on its way, once it has arrived; never, if nothing is.
async fn finished(sending: &mut Option<Sending>) -> Done {
    let done = match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    };
    *sending = None;
    done
}

async fn send(collector: Collector, batch: Batch) -> Done {
    let sent = collector.send(Signal::Traces, batch.message.clone()).await;
    Done::Spans(batch, sent)
}

/// The spans of these requests as a message, and how many they are. What would make it too long for any server is left out.
fn encoded(live: &Live, resource: &Resource, requests: &[Finished]) -> (Bytes, u64) {
    let mask = live.access.logs().mask();
    let mut message = Fields::with_room(requests.len() * USUAL);
    let mut count = 0;
    message.message(trace::RESOURCE_SPANS, |message| {
        message.bytes(trace::RESOURCE, &resource.encode_to_vec());
        message.message(trace::SCOPE_SPANS, |message| {
            message.bytes(trace::SCOPE, &scope().encode_to_vec());
            for request in requests {
                let start = message.len();
                let own = written(request, mask.as_deref(), message);
                if message.len() > LONGEST {
                    message.back_to(start);
                    live.access.outbox().lost(own);
                } else {
                    count += own;
                }
            }
        });
    });
    (message.into_bytes().into(), count)
}

/// Writes the spans of a request, and tells how many they are.
fn written(request: &Finished, mask: Option<&Mask>, message: &mut Fields) -> u64 {
    let start = message.len();
    let own = spans(request, None, message, trace::SPANS);
    // Hardly ever is there anything to blot out: one look at all of it is enough.
    if mask.is_none_or(|mask| mask.finds_no_sign(message.from(start))) {
        return own;
    }
    message.back_to(start);
    spans(request, mask, message, trace::SPANS)
}

/// What follows for a batch: how many of its spans have arrived, how many never will, and how long to wait before anything
/// is sent again. Where none is lost and there is a pause, it is the batch itself that is sent again.
fn outcome(batch: &Batch, sent: &Sent, now: Instant, jitter: f64) -> (u64, u64, Option<Duration>) {
    match sent {
        Sent::Taken { rejected, .. } => {
            let rejected = batch.spans.min(*rejected);
            (batch.spans - rejected, rejected, None)
        }
        Sent::Refused(_) => (0, batch.spans, None),
        Sent::Later { after, .. } => {
            let (first, longest) = PAUSES;
            let doubled = first.saturating_mul(1 << batch.tries.min(10)).min(longest);
            let pause = after.unwrap_or(doubled.mul_f64(1.0 - jitter / 2.0)).min(longest);
            let too_old = now.saturating_duration_since(batch.since) > GIVE_UP;
            (0, if too_old { batch.spans } else { 0 }, Some(pause))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_sent_again_after_growing_pauses_and_given_up_in_the_end() {
        let start = clock::now();
        let batch = |tries| Batch {
            message: Bytes::new(),
            spans: 7,
            since: start,
            tries,
        };
        let later = |after| Sent::Later {
            after,
            why: String::new(),
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (tries, expected) in [(0, 1), (1, 2), (2, 4), (4, 16), (5, 30), (99, 30)] {
            let next = outcome(&batch(tries), &later(None), start, 0.0);
            assert_eq!(next, (0, 0, seconds(expected)), "{tries}");
        }
        assert_eq!(
            outcome(&batch(0), &later(None), start, 1.0).2,
            Some(Duration::from_millis(500))
        );
        assert_eq!(outcome(&batch(0), &later(seconds(9)), start, 0.3).2, seconds(9));
        assert_eq!(
            outcome(&batch(0), &later(seconds(900)), start, 0.3).2,
            seconds(30)
        );
        let late = start + GIVE_UP + Duration::from_secs(1);
        assert_eq!(outcome(&batch(3), &later(None), late, 0.0), (0, 7, seconds(8)));
    }

    #[test]
    fn what_is_taken_or_refused_is_done_with() {
        let batch = Batch {
            message: Bytes::new(),
            spans: 7,
            since: clock::now(),
            tries: 0,
        };
        let taken = |rejected| Sent::Taken {
            rejected,
            why: String::new(),
        };
        for (sent, expected) in [
            (taken(0), (7, 0, None)),
            (taken(2), (5, 2, None)),
            (taken(99), (0, 7, None)),
            (Sent::Refused(String::new()), (0, 7, None)),
        ] {
            assert_eq!(outcome(&batch, &sent, clock::now(), 0.5), expected, "{sent:?}");
        }
    }
}
