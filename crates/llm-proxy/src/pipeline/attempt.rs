//! One attempt: the request in the backend's terms, sent; its answer, held back to the commit point; or what went wrong.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use llm_dialect::Dialect;
use llm_dialect::fault::{self, BackendError};
use tokio::time::timeout_at;

use super::apart;
use super::ask::Ask;
use super::commit::{self, Committed, Gathering, Terms, Unfit};
use super::cross::Crossing;
use super::deadline;
use super::failure::Relay;
use super::headers;
use super::outgoing::Outgoing;
use super::pace::Pace;
use super::plan::Candidate;
use super::relay;
use super::scrub::Hidden;
use crate::base::{Class, clock};
use crate::health::{ErrorFacts, Evidence, Verdict, classify, disguised};
use crate::state::{Backend, Context};
use crate::upstream::{self, Fault, Lines, Reply};

/// How much of a body is looked at for its class.
const EVIDENCE: usize = 8 * 1024;

/// An answer past its commit point.
#[derive(Debug)]
pub(super) struct Spoken {
    /// Its status, a 2xx.
    pub status: StatusCode,
    /// Its headers, as the backend sent them.
    pub headers: Lines,
    /// Its body, or the beginning of it, in the client's dialect.
    pub body: Committed,
    /// The way that it came, where the backend speaks another dialect.
    pub crossing: Option<Box<Crossing>>,
}

/// An attempt that came to nothing.
#[derive(Debug)]
pub(super) struct Lost {
    /// What it is judged to be.
    pub verdict: Verdict,
    /// The backend's status, if a head came.
    pub status: Option<StatusCode>,
    /// The backend's own words, if the client may read them.
    pub relay: Option<Relay>,
    /// What happened, for our log.
    pub detail: String,
    /// For how long what failed is left alone, if it is.
    pub rests: Option<Duration>,
}

impl Lost {
    /// One of which the client reads nothing of the backend's, and for which nothing rests yet.
    #[cold]
    fn of(verdict: Verdict, status: Option<StatusCode>, detail: String) -> Box<Self> {
        Box::new(Self {
            verdict,
            status,
            relay: None,
            detail,
            rests: None,
        })
    }
}

/// Makes one attempt, from `started` on, which is now, until `deadline` at the latest. What it brings has to keep that
/// `pace`.
pub(super) async fn run(
    ctx: &Context,
    ask: &Ask,
    (candidate, outgoing): (&Candidate, Outgoing),
    (started, deadline): (Instant, Instant),
    pace: Option<Pace>,
) -> Result<Box<Spoken>, Box<Lost>> {
    let judge = Judge {
        ctx,
        backend: &candidate.route.backend,
        dialect: ask.api.dialect(),
        spoken: candidate.api.dialect(),
    };
    // Pinned where it is made: it is large, and the timeout would move it.
    let answered = pin!(exchange(ctx, ask, (candidate, started), outgoing, pace));
    match timeout_at(deadline.into(), answered).await {
        Ok(Ok(spoken)) => judge.disguised(spoken),
        Ok(Err(trouble)) => Err(judge.trouble(*trouble)),
        Err(_) if deadline >= deadline::end(ctx, &candidate.route) => Err(out_of_time()),
        Err(_) => Err(judge.lost(&Evidence::FirstByteTimeout, None, "no content in time".to_owned())),
    }
}

/// What went wrong, before it is judged.
enum Trouble {
    /// No response head.
    Fault(Fault),
    /// An error status, with its body.
    Status(StatusCode, Lines, Bytes),
    /// A 2xx that is no answer.
    Unfit(StatusCode, Unfit),
    /// A redirect: never followed.
    Redirect(StatusCode),
    /// The backend's paths make no valid request.
    Pathless,
}

async fn exchange(
    ctx: &Context,
    ask: &Ask,
    (candidate, started): (&Candidate, Instant),
    outgoing: Outgoing,
    pace: Option<Pace>,
) -> Result<Box<Spoken>, Box<Trouble>> {
    let (Some(target), Some(key)) = (outgoing.target(ctx, ask, candidate), candidate.key()) else {
        return Err(Trouble::Pathless.into());
    };
    let route = &candidate.route;
    let endpoint = &route.backend.endpoint;
    let request = || outgoing.request(ctx, ask, candidate, (&target, key));
    let reply = upstream::send(endpoint, request, route.timeouts.connect, (started, clock::now)).await;
    let Outgoing {
        mut crossing,
        wants_usage,
        ..
    } = outgoing;
    let Reply {
        status,
        mut headers,
        body,
    } = reply.map_err(Trouble::Fault)?;
    if ask.stream {
        apart::lines(&mut headers);
    }
    if status.is_redirection() || status.is_informational() {
        return Err(Trouble::Redirect(status).into());
    }
    if !status.is_success() {
        let body = commit::error_body(&headers, body).boxed().await;
        return Err(Trouble::Status(status, headers, body).into());
    }
    let terms = Terms {
        api: candidate.api,
        stream: ask.stream,
        strip_usage: wants_usage,
        limits: ctx.snapshot.config.limits,
        gathering: Gathering {
            to: ask.api,
            crossing: crossing.as_ref().map(|crossing| &crossing.terms),
            model: &candidate.model,
        },
        pace,
    };
    let committed = match commit::commit(&headers, body, terms).await {
        Ok(body) => match &mut crossing {
            Some(crossing) => crossing.carry(body),
            None => Ok(body),
        },
        Err(unfit) => Err(unfit),
    };
    let body = committed.map_err(|unfit| Trouble::Unfit(status, unfit))?;
    Ok(Box::new(Spoken {
        status,
        headers,
        body,
        crossing,
    }))
}

/// Turns what happened into a verdict.
struct Judge<'a> {
    ctx: &'a Context,
    backend: &'a Backend,
    /// The client's dialect, and the backend's.
    dialect: Dialect,
    spoken: Dialect,
}

impl Judge<'_> {
    #[cold]
    fn trouble(&self, trouble: Trouble) -> Box<Lost> {
        match trouble {
            Trouble::Fault(fault) => self.fault(&fault, None),
            Trouble::Redirect(status) => self.lost(
                &Evidence::Redirect,
                Some(status),
                "a redirect, which is never followed".to_owned(),
            ),
            Trouble::Pathless => self.bad("its paths make no valid request", &[], None),
            Trouble::Status(status, headers, body) => self.status(status, headers, body),
            Trouble::Unfit(status, Unfit::Broken(fault)) => self.fault(&fault, Some(status)),
            Trouble::Unfit(status, Unfit::Slow) => self.lost(
                &Evidence::FirstByteTimeout,
                Some(status),
                "it comes more slowly than `timeout.min_rate`".to_owned(),
            ),
            Trouble::Unfit(status, Unfit::Bad(what, raw)) => self.bad(what, &raw, Some(status)),
            Trouble::Unfit(status, Unfit::Error(error, raw)) => self.in_band(status, *error, &raw),
        }
    }

    #[cold]
    fn fault(&self, fault: &Fault, status: Option<StatusCode>) -> Box<Lost> {
        let evidence = match fault {
            Fault::Connect(_) => Evidence::Connect,
            Fault::Stale => Evidence::StaleConn,
            Fault::Reset(_) if status.is_none() => Evidence::Reset,
            Fault::Reset(_) | Fault::Garbled(_) => Evidence::BadResponse { raw: &[] },
        };
        self.lost(&evidence, status, fault.to_string())
    }

    #[cold]
    fn bad(&self, what: &str, raw: &[u8], status: Option<StatusCode>) -> Box<Lost> {
        self.lost(
            &Evidence::BadResponse { raw: beginning(raw) },
            status,
            what.to_owned(),
        )
    }

    #[cold]
    fn status(&self, status: StatusCode, headers: Lines, body: Bytes) -> Box<Lost> {
        let passing = headers::back(&headers);
        let error = facts(fault::read(&body));
        let raw = beginning(&body);
        let evidence = Evidence::Status {
            status: status.as_u16(),
            headers: &headers.into_map(),
            body: raw,
            error: &error,
        };
        let mut lost = self.lost(&evidence, Some(status), error.message.clone());
        let request_id = &self.ctx.entry.record.request_id;
        let body = self.hidden().blotted_in(body);
        let to = relay::To {
            dialect: self.dialect,
            spoken: self.spoken,
            request_id,
            class: lost.verdict.class,
        };
        lost.relay = Some(relay::relay(to, status, passing, body));
        lost
    }

    #[cold]
    fn in_band(&self, status: StatusCode, error: BackendError, raw: &[u8]) -> Box<Lost> {
        let error = facts(error);
        let evidence = Evidence::InBand {
            error: &error,
            raw: beginning(raw),
        };
        self.lost(&evidence, Some(status), error.message.clone())
    }

    #[cold]
    fn lost(&self, evidence: &Evidence<'_>, status: Option<StatusCode>, detail: String) -> Box<Lost> {
        let detection = &self.ctx.snapshot.config.detection;
        let verdict = classify(evidence, &self.backend.name, detection, clock::wall());
        Lost::of(verdict, status, self.hidden().blotted_in_text(detail))
    }

    /// An answer that the operator's map calls an error, whatever it looks like.
    fn disguised(&self, spoken: Box<Spoken>) -> Result<Box<Spoken>, Box<Lost>> {
        let detection = &self.ctx.snapshot.config.detection;
        if detection.error_map.is_empty() {
            return Ok(spoken);
        }
        let raw = match &spoken.body {
            Committed::Whole { body, .. } | Committed::Gathered { body, .. } => body.clone(),
            Committed::Stream { held, .. } => Bytes::from(held.concat()),
            Committed::Opaque { .. } => return Ok(spoken),
        };
        let status = spoken.status.as_u16();
        match disguised(
            status,
            beginning(&raw),
            &self.backend.name,
            detection,
            clock::wall(),
        ) {
            None => Ok(spoken),
            Some(verdict) => {
                let detail = "an answer that `detection.error_map` calls an error".to_owned();
                Err(Lost::of(verdict, Some(spoken.status), detail))
            }
        }
    }

    /// What must not come out again of what this backend says.
    fn hidden(&self) -> Hidden<'_> {
        Hidden {
            secrets: &self.backend.secrets,
            told: self.ctx.told.as_deref().unwrap_or_default(),
        }
    }
}

fn beginning(body: &[u8]) -> &[u8] {
    body.get(..EVIDENCE).unwrap_or(body)
}

fn facts(error: BackendError) -> ErrorFacts {
    ErrorFacts {
        status: error.status,
        kind: error.kind,
        code: error.code,
        message: error.message,
    }
}

/// The request's own time is over: that says nothing about the backend, which may have had a second of it.
#[cold]
fn out_of_time() -> Box<Lost> {
    let verdict = Verdict {
        class: Class::Local,
        reset: None,
        falls_back: false,
        firm: false,
        kind: None,
    };
    Lost::of(verdict, None, "the request's time is over".to_owned())
}

/// How long an attempt may take from now: to the commit point, which is a window later for what has yet to show its pace,
/// and never beyond the request's own end.
pub(super) fn deadline(ctx: &Context, candidate: &Candidate, pace: Option<&Pace>, now: Instant) -> Instant {
    let trial = pace.map_or(Duration::ZERO, Pace::window);
    let last = now + candidate.route.timeouts.first_byte.saturating_add(trial);
    last.min(deadline::end(ctx, &candidate.route))
}
