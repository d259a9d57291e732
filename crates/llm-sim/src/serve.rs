//! One connection from its first request to its end.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time;

use crate::agent;
use crate::answer::{Answer, Kind};
use crate::api::{Api, Envelope, NoRoute};
use crate::ask;
use crate::backend::Backend;
use crate::fault::Fault;
use crate::http::head::Head;
use crate::http::line::{Broken, Line, Writer};
use crate::plan::{End, Plan};
use crate::seen::{Seen, Visit};
use crate::speak::Ask;
use crate::strict;

/// Serves a connection until either side ends it.
pub(crate) async fn serve(stream: TcpStream, backend: Arc<Backend>) {
    // Subscribed before the journal calls it idle: who sees it idle there can be sure that it hears.
    let mut close_idle = backend.close_idle.subscribe();
    let mut visit = backend.journal.enter();
    let Ok(mut line) = Line::new(stream) else { return };
    loop {
        match exchange(&mut line, &mut visit, &backend, &mut close_idle).await {
            End::KeepAlive => {
                // A call to close the idle ones meant those of its own time, not this one.
                close_idle.mark_unchanged();
                visit.idle();
            }
            End::Reset => return line.reset(),
            End::Close | End::Stall => return,
        }
    }
}

/// One request and its answer.
async fn exchange(
    line: &mut Line,
    visit: &mut Visit,
    backend: &Backend,
    close_idle: &mut watch::Receiver<()>,
) -> End {
    // Keep-alive runs out for those that have served, and not under a request that is there already.
    let begun = tokio::select! {
        biased;
        begun = line.begun() => begun,
        _ = close_idle.changed(), if visit.served > 0 => return End::Close,
    };
    if begun.is_err() {
        return End::Close;
    }
    visit.busy();
    match request(line).await {
        Ok((head, body)) => {
            let closes = head.wants_close();
            match answer(line, Seen::new(head, body, visit), backend).await {
                End::KeepAlive if closes => End::Close,
                end => end,
            }
        }
        Err(Broken::Gone) => End::Close,
        Err(Broken::Wrong(what)) => {
            backend.journal.wrong(visit.id, what);
            refuse(line, what).await
        }
    }
}

async fn request(line: &mut Line) -> Result<(Head, Bytes), Broken> {
    let head = line.head().await?;
    let body = line.body(&head).await?;
    Ok((head, body))
}

/// What cannot be read as HTTP has no dialect: a plain 400, and the connection is of no more use.
async fn refuse(line: &mut Line, what: &str) -> End {
    let plan = Plan::of_fault(&Fault::new(400, what), Envelope::OpenAi);
    line.unless_left(async |writer| deliver(writer, &plan).await)
        .await;
    End::Close
}

async fn answer(line: &mut Line, seen: Seen, backend: &Backend) -> End {
    let serial = backend.journal.record(&seen);
    let plan = plan(&seen, backend, serial);
    let delivered = line
        .unless_left(async |writer| deliver(writer, &plan).await)
        .await;
    match delivered {
        Some(Ok(end)) => end,
        Some(Err(_)) | None => End::Close,
    }
}

/// Decides the answer: the script first, then the workload of the model's name, then good health.
fn plan(seen: &Seen, backend: &Backend, serial: u64) -> Arc<Plan> {
    let route = backend.route(seen);
    let api = route.unwrap_or(backend.default_api());
    let mut ask = Ask::of(seen, api, backend.speaks, serial);
    ask.envelope = ask::envelope(seen, route.ok(), backend.speaks);

    let scripted = backend.script.answer(seen);
    if scripted.is_none()
        && route.is_ok()
        && let Some(plan) = backend.plans.get(&ask)
    {
        return plan;
    }
    let (answer, refused) = match scripted {
        None if route.is_ok() && agent::is_meant(&ask.model, api) => agent::answer(api, &seen.json())
            .map_or_else(|fault| (Answer::healthy(), Some(fault)), |answer| (answer, None)),
        scripted => (scripted.unwrap_or_else(Answer::healthy), None),
    };
    let fault = check(seen, backend, route).err().or(refused);
    if let Some(fault) = &fault {
        backend.journal.wrong(seen.connection, &fault.message);
    }
    Arc::new(match (&answer.kind, fault) {
        (Kind::Reset { only_reused: true }, _) if seen.nth > 1 => Plan::of(&Answer::reset(), &ask),
        (Kind::Healthy | Kind::Reset { only_reused: true }, Some(fault)) => {
            Plan::of_fault(&fault, ask.envelope)
        }
        _ => Plan::of(&answer, &ask),
    })
}

/// Whether the request is one that a provider would accept.
fn check(seen: &Seen, backend: &Backend, route: Result<Api, NoRoute>) -> Result<(), Fault> {
    match route {
        Ok(api) => strict::check(seen, api, &backend.rules()),
        Err(NoRoute::Path) => {
            let what = format!("Unknown request URL: {} {}", seen.method, seen.path);
            Err(Fault::new(404, what).code("unknown_url"))
        }
        Err(NoRoute::Method(allow)) => {
            let what = format!("Not allowed to {} {}", seen.method, seen.path);
            Err(Fault {
                allow: Some(allow),
                ..Fault::new(405, what).code("method_not_allowed")
            })
        }
    }
}

/// Writes a plan in its time.
async fn deliver(writer: &Writer<'_>, plan: &Plan) -> io::Result<End> {
    writer.write(&plan.informational).await?;
    pause(plan.head_delay).await;
    if let Some(gate) = &plan.gate {
        gate.passed().await;
    }
    writer.write(&plan.opening).await?;
    pause(plan.first_delay).await;
    // An interval, not a sleep after each: delays must not add up to a drift.
    let mut ticks = (!plan.delay.is_zero()).then(|| time::interval(plan.delay));
    for write in &plan.writes {
        match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => tokio::task::coop::consume_budget().await,
        }
        writer.write(write).await?;
    }
    match plan.end {
        End::Stall => std::future::pending().await,
        end => Ok(end),
    }
}

async fn pause(delay: std::time::Duration) {
    if !delay.is_zero() {
        time::sleep(delay).await;
    }
}
