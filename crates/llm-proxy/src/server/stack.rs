//! The layers before a request's journey, in order (contract, section 3, steps 1 to 4), each with its reason.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use llm_dialect::path::{self, Place};
use llm_dialect::wire_error::ErrorKind;
use llm_dialect::{Api, Dialect};

use super::connection::{Peer, Service};
use super::refused::Refusal;
use super::respond::{Wire, refusal};
use super::{forwarded, origin, plain, refused, respond, traced};
use crate::base::{Class, clock};
use crate::observe::access::Kind;
use crate::pipeline::journey::{Call, journey};
use crate::pipeline::{AnswerBody, Failure, RequestBody, admission, early, rates};
use crate::state::{Alone, Context, Early, Following, Held, Hints, Live, Snapshot};

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The name under which Anthropic's SDKs look for a request's id.
const ANTHROPIC_ID: HeaderName = HeaderName::from_static("request-id");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The longest request id of a client that is taken over.
const MAX_REQUEST_ID: usize = 128;

/// Where requests come in: the config in force, and the state that outlives it.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The config in force: loaded once a request.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The rest.
    pub live: Arc<Live>,
}

impl Service for Entrance {
    fn call(
        self,
        peer: Peer,
        request: Box<Parts>,
        body: RequestBody,
    ) -> impl Future<Output = Response<AnswerBody>> + Send + 'static {
        recovered(self.arrive(peer, request, body), admit)
    }
}

/// 1. Recovery stands around everything: a panic ends its own request, and nothing else.
///
/// What it stands around is an argument, so that a test can have it panic, and no request can.
fn recovered<A, F>(arrival: Arrival, answer: A) -> impl Future<Output = Response<AnswerBody>> + Send + 'static
where
    A: FnOnce(Arrival) -> F,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let imprint = Imprint {
        request_id: HeaderValue::from_str(&arrival.ctx.entry.record.request_id).ok(),
        dialect: arrival.visit.dialect,
        live: Arc::clone(&arrival.ctx.live),
    };
    let (early, alone) = (arrival.ctx.early.clone(), arrival.ctx.alone.clone());
    // Boxed: it is large, and gone once the response head is out. The connection stays, and has room for this future
    // as long as it does. The box is there first, so that the future is made in it and not moved.
    let admitted = Box::into_pin(Box::write(Box::new_uninit(), answer(arrival)));
    let admitted = Following::new(admitted, alone);
    async move {
        let admitted = AssertUnwindSafe(admitted).catch_unwind();
        let response = match early {
            None => admitted.await.unwrap_or_else(|_| imprint.of_a_panic()),
            // Boxed: few ask for it.
            Some(early) => imprint.in_time(&early, admitted).boxed().await,
        };
        imprint.on(response)
    }
}

/// What every answer says, even that of a request which has panicked.
struct Imprint {
    request_id: Option<HeaderValue>,
    dialect: Dialect,
    live: Arc<Live>,
}

impl Imprint {
    fn of_a_panic(&self) -> Response<AnswerBody> {
        let wire = Wire {
            dialect: self.dialect,
            request_id: &self.request_id(),
        };
        refusal(wire, broken())
    }

    /// The answer, or a response that begins before it and takes it along.
    async fn in_time<E: Send + 'static>(
        &self,
        early: &Early,
        mut answer: impl Future<Output = Result<Response<AnswerBody>, E>> + Unpin + Send + 'static,
    ) -> Response<AnswerBody> {
        let signs = match early.wait(&mut answer).await {
            Ok(answered) => return answered.unwrap_or_else(|_| self.of_a_panic()),
            Err(signs) => signs,
        };
        let request_id = self.request_id();
        let mut response = early::begin(signs, async move {
            let of_a_panic = |_| early::last_words(signs.dialect, &request_id, broken());
            answer.await.map_or_else(of_a_panic, Response::into_body)
        });
        if signs.dialect == Dialect::Messages
            && let Some(id) = &self.request_id
        {
            response.headers_mut().insert(ANTHROPIC_ID, id.clone());
        }
        response
    }

    fn request_id(&self) -> String {
        let request_id = self.request_id.as_ref().and_then(|id| id.to_str().ok());
        request_id.unwrap_or_default().to_owned()
    }

    fn on(self, mut response: Response<AnswerBody>) -> Response<AnswerBody> {
        if let Some(id) = self.request_id {
            response.body_mut().own().answers(id);
        }
        if !self.live.lifecycle.serves() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(http::header::CONNECTION, close);
        }
        response
    }
}

#[cold]
fn broken() -> Failure {
    let message = "Something in the proxy broke; the request may be sent again.";
    Failure::local(ErrorKind::Internal, message)
}

/// A request that has come in, and is on record.
struct Arrival {
    /// Boxed: it is large, and moves several times before its journey begins.
    ctx: Box<Context>,
    visit: Visit,
    method: Method,
    body: RequestBody,
}

/// What is known of a request before anything is done for it.
struct Visit {
    place: Option<Place>,
    dialect: Dialect,
    refused: Option<Refusal>,
}

impl Visit {
    fn new(path: &str, headers: &HeaderMap, refused: Option<Refusal>) -> Self {
        let place = path::resolve(path);
        let has = |name: HeaderName| headers.contains_key(name);
        let dialect = if let Some(Place::Api { api, .. }) = &place {
            api.dialect()
        } else {
            let lone_x_api_key = has(X_API_KEY) && !has(http::header::AUTHORIZATION);
            path::looks_like(path, has(ANTHROPIC_VERSION), lone_x_api_key)
        };
        Self {
            place,
            dialect,
            refused,
        }
    }
}

impl Visit {
    /// The call that the path names.
    fn api(&self) -> Option<Api> {
        match self.place {
            Some(Place::Api { api, .. }) => Some(api),
            _ => None,
        }
    }
}

/// Health probes and the like leave no access line, and no limit counts them.
fn is_probe(place: Option<&Place>, method: &Method) -> bool {
    match place {
        Some(Place::Health(_) | Place::Hello) => true,
        Some(Place::Root) => method == Method::HEAD,
        _ => false,
    }
}

/// The client's own id if it is short and plain, else a new one.
fn request_id(own: Option<&HeaderValue>) -> String {
    let plain = |id: &&str| {
        let fits = !id.is_empty() && id.len() <= MAX_REQUEST_ID;
        fits && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let own = own.and_then(|id| id.to_str().ok()).filter(plain);
    own.map_or_else(new_request_id, str::to_owned)
}

/// A new id: a UUID of version 7, so that ids sort by time. They are no secret, so a quick generator will do.
fn new_request_id() -> String {
    let since = clock::wall()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = u64::try_from(since.as_millis()).unwrap_or_default();
    let random = fastrand::u128(..).to_le_bytes();
    let random = random.first_chunk().copied().unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    id.hyphenated().encode_lower(&mut text).to_owned()
}

impl Entrance {
    /// Begins the record of a request.
    fn arrive(&self, peer: Peer, mut head: Box<Parts>, body: RequestBody) -> Arrival {
        let snapshot = self.snapshot.load_full();
        if head.version == http::Version::HTTP_2 {
            peer.signals.set_multiplexed();
        }
        let visit = Visit::new(head.uri.path(), &head.headers, peer.refused);
        let trusted = &snapshot.config.trusted_proxies;
        let early = snapshot.config.stream.early_heartbeat_after;
        let early = early.map(|_| Arc::<Early>::default());
        let alone = snapshot.drains.then(Arc::<Alone>::default);
        let kind = match visit.place.as_ref() {
            place if is_probe(place, &head.method) => Kind::Probe,
            _ if snapshot.config.logging.access => Kind::Logged,
            _ => Kind::Counted,
        };
        let telemetry = snapshot.config.telemetry.as_ref().filter(|_| kind != Kind::Probe);
        let trace = telemetry.map(|telemetry| {
            let how = (&head.method, head.version);
            Box::new(traced::place(
                telemetry,
                &mut head.headers,
                visit.place.as_ref(),
                how,
            ))
        });
        let (hints, own_id) = Hints::of(&head.headers);
        let mut entry = self.live.access.begin(kind);
        let record = &mut entry.record;
        record.trace = trace;
        record.api = visit.api();
        record.begun = early.as_ref().map(|early| early.begun());
        record.request_id = request_id(own_id);
        record.ip = peer.ip.map(|ip| forwarded::client(ip, &head.headers, trusted));
        record.dialect = visit.dialect;
        record.generation = snapshot.generation;
        let ctx = Box::new(Context {
            entry: Box::new(entry),
            live: Arc::clone(&self.live),
            snapshot,
            client: None,
            connection: peer.signals.follow(),
            hints,
            headers: head.headers,
            query: head.uri.query().map(str::to_owned),
            told: None,
            conversation: None,
            origin: None,
            early,
            alone,
            held: Held::default(),
        });
        Arrival {
            ctx,
            visit,
            method: head.method,
            body,
        }
    }
}

/// 2 to 4. What the path is, who is asking; then the journey. Dropped when the client leaves.
fn admit(arrival: Arrival) -> impl Future<Output = Response<AnswerBody>> + Send + 'static {
    // Taken apart out here: the arguments of an async function are in its future twice, and these are large.
    let Arrival {
        mut ctx,
        visit,
        method,
        body,
    } = arrival;
    async move {
        let answered = match visit.refused {
            // Before anything else: of such a request nothing is sure, not even where it ends.
            Some(why) => Err(refused::failure(why, &ctx.snapshot.config.limits).into()),
            None => respond_to(&mut ctx, &method, visit.place, body).await,
        };
        let response = spelled_out(&mut ctx, answered);
        let has_left = ctx.has_left();
        let record = &mut ctx.entry.record;
        record.status = Some(response.status().as_u16());
        if has_left {
            // Nobody was sent anything.
            (record.status, record.class) = (None, None);
        }
        let Context { entry, held, .. } = *ctx;
        response.map(|body| body.with_entry(entry, held))
    }
}

fn spelled_out(ctx: &mut Context, answered: Result<Response<AnswerBody>, Told>) -> Response<AnswerBody> {
    match answered {
        Ok(mut response) => {
            if let Some(standings) = rates::standings(ctx) {
                response.body_mut().own().stand(standings);
            }
            response
        }
        Err(Told::Failure(failure)) => {
            ctx.entry.record.class = Some(failure.class);
            if ctx.has_begun() {
                return told_late(ctx, failure);
            }
            refusal(wire(ctx), failure)
        }
        Err(Told::WrongMethod(allowed)) => {
            ctx.entry.record.class = Some(Class::Local);
            respond::wrong_method(wire(ctx), allowed)
        }
    }
}

/// The failure of a request whose response has begun: an event, the last thing on its connection.
fn told_late(ctx: &Context, failure: Failure) -> Response<AnswerBody> {
    ctx.connection.close_after_this();
    let Wire { dialect, request_id } = wire(ctx);
    Response::new(early::last_words(dialect, request_id, failure))
}

fn wire(ctx: &Context) -> Wire<'_> {
    let record = &ctx.entry.record;
    Wire {
        dialect: record.dialect,
        request_id: &record.request_id,
    }
}

/// Why there is no answer.
enum Told {
    Failure(Failure),
    WrongMethod(&'static [&'static str]),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

async fn respond_to(
    ctx: &mut Context,
    method: &Method,
    place: Option<Place>,
    body: RequestBody,
) -> Result<Response<AnswerBody>, Told> {
    // Health probes do not count.
    if !is_probe(place.as_ref(), method) {
        rates::enter(ctx)?;
    }
    // An unknown path and a wrong method need no key: they tell nothing but what the documentation tells.
    let place = place.ok_or_else(unknown_path)?;
    if !place.methods().contains(&method.as_str()) {
        return Err(Told::WrongMethod(place.methods()));
    }
    match place {
        Place::Health(what) => return Ok(plain::health(what, ctx.live.lifecycle.phase())),
        Place::Hello => return Ok(plain::hello()),
        Place::Root if method == Method::HEAD => return Ok(plain::hello()),
        _ => {}
    }
    // Authentication before the body is read: strangers cost nothing, and hold no place.
    authenticate(ctx)?;
    let dialect = ctx.entry.record.dialect;
    match place {
        Place::Models => Ok(plain::list(ctx, dialect)),
        Place::Model(id) => Ok(plain::one(ctx, dialect, &id)?),
        Place::Api { api, rest } => within_phase(ctx, Call::Named(api, rest), body).await,
        _ => {
            let call = if dialect == Dialect::Messages {
                Call::Named(Api::Messages, String::new())
            } else {
                Call::ByShape
            };
            within_phase(ctx, call, body).await
        }
    }
}

/// A place, and then the journey, as long as the program lets it run.
async fn within_phase(
    ctx: &mut Context,
    call: Call,
    body: RequestBody,
) -> Result<Response<AnswerBody>, Told> {
    let connection = ctx.connection.clone();
    let mut journey = std::pin::pin!(async {
        admission::wait(ctx, body.length()).await?;
        journey(ctx, call, body).await
    });
    let done = std::future::poll_fn(move |cx| {
        if connection.must_end(cx) {
            let message = "The proxy is shutting down; send the request again.";
            let failure = Failure::local(ErrorKind::ShuttingDown, message)
                .after(Some(std::time::Duration::from_secs(1)));
            return std::task::Poll::Ready(Err(failure.closing()));
        }
        journey.as_mut().poll(cx)
    });
    Ok(done.await?)
}

fn authenticate(ctx: &mut Context) -> Result<(), Failure> {
    let Ok(client) = ctx.snapshot.keys.identify(&ctx.headers, clock::wall) else {
        return Err(stranger(ctx).closing());
    };
    if client.is_none() && origin::is_foreign(&ctx.headers) {
        return Err(page().closing());
    }
    ctx.entry.record.key = client.map(|client| Arc::clone(&client.name));
    ctx.client = client.cloned();
    Ok(())
}

/// What a web page from elsewhere is told by a proxy that wants no key.
#[cold]
fn page() -> Failure {
    let message =
        "A web page from elsewhere may not use this proxy without a key; its owner can set `api_keys`.";
    Failure::local(ErrorKind::ForeignOrigin, message)
}

/// What somebody without a valid key is told, whatever is wrong with it; who tries too often is told to wait. A valid
/// key is never asked how often others have tried.
#[cold]
fn stranger(ctx: &Context) -> Failure {
    let counted = ctx.live.guesses.lock().refused(ctx.entry.record.ip, clock::now());
    match counted {
        Ok(()) => {
            let message = "No valid API key; send one as `authorization: Bearer ...` or `x-api-key`.";
            Failure::local(ErrorKind::InvalidApiKey, message)
        }
        Err(wait) => {
            let message =
                "Too many requests without a valid API key from this address; wait before the next one.";
            Failure::local(ErrorKind::RateLimited, message).after(Some(wait))
        }
    }
}

#[cold]
fn unknown_path() -> Failure {
    Failure::local(
        ErrorKind::UnknownUrl,
        "There is nothing at this path; the API is below /v1.",
    )
    .closing()
}

#[cfg(test)]
mod tests;
