//! The admin listener: what the program knows of itself, for its operator. Separate from the main one, and
//! without a secret anywhere. What it can change is told in `actions.rs`.

mod actions;
mod detail;
pub(crate) mod families;
mod limits;
pub(crate) mod metrics;
mod page;
mod series;
mod status;
mod usage;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;

pub use actions::ReloadOrder;

use self::actions::Action;
use crate::base::Secret;
use crate::base::secret::digest;
use crate::config::types::Config;
use crate::pipeline::{AnswerBody, RequestBody};
use crate::server::{Peer, Service, is_foreign};
use crate::state::{Live, Snapshot, bearer};

/// How many requests `GET /api/requests` tells of where the query says nothing.
const USUAL_REQUESTS: u64 = 50;

/// The admin listener's service.
#[derive(Clone, Debug)]
pub struct Admin {
    snapshot: Arc<ArcSwap<Snapshot>>,
    live: Arc<Live>,
    orders: mpsc::Sender<ReloadOrder>,
}

impl Admin {
    /// It shows this state, and hands `orders` to whoever can reload the config.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, live: Arc<Live>, orders: mpsc::Sender<ReloadOrder>) -> Self {
        Self {
            snapshot,
            live,
            orders,
        }
    }

    async fn answer(self, request: Request<RequestBody>) -> Response<AnswerBody> {
        let snapshot = self.snapshot.load_full();
        if let Some(refused) = refused(&request, &snapshot.config) {
            return refused;
        }
        let path = request.uri().path();
        if let Some(file) = page::file(path).filter(|_| is_read(request.method())) {
            return page::given(file, request.headers());
        }
        let is_post = request.method() == Method::POST;
        if let Some(action) = Action::of(path) {
            // Whoever has the key has shown who he is; a browser sends none by itself.
            let foreign = snapshot.config.admin.key.is_none() && is_foreign(request.headers());
            return match (is_post, foreign) {
                (false, _) => wrong_method("This path is something to do: send a POST.", "POST"),
                (true, true) => told(
                    StatusCode::FORBIDDEN,
                    "A web page from elsewhere may not change anything here.",
                ),
                (true, false) => self.done(&snapshot, action).await,
            };
        }
        if !is_read(request.method()) {
            return wrong_method(
                "There is nothing to do at this path, only to see: send a GET.",
                "GET, HEAD",
            );
        }
        match path {
            "/healthz" => body(StatusCode::OK, &json!({"status": "ok"})),
            "/metrics" => {
                let response = Response::new(AnswerBody::whole(metrics::metrics(&snapshot, &self.live)));
                with(response, CONTENT_TYPE, metrics::TYPE)
            }
            "/api/requests" => self.requests(request.uri().query().unwrap_or_default()),
            "/api/series" => body(StatusCode::OK, &series::series(&self.live)),
            "/api/usage" => self.usage(request.uri().query().unwrap_or_default()).await,
            "/api/status" => self.masked(&status::status(&snapshot, &self.live)),
            _ => told(
                StatusCode::NOT_FOUND,
                "There is nothing at this path; try /, /api/status, /api/requests, /api/series, /api/usage or /metrics.",
            ),
        }
    }

    /// The requests that ended last, after the number `after` of the query and at most `limit` of them.
    fn requests(&self, query: &str) -> Response<AnswerBody> {
        let number = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut own = pairs.filter(|(own, _)| *own == name);
            own.next().and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let limit = number("limit").unwrap_or(USUAL_REQUESTS);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let access = &self.live.access;
        self.masked(&access.recent().since(number("after").unwrap_or(0), limit))
    }

    /// What holds words of clients: whatever the log would blot out is blotted out here too.
    fn masked(&self, value: &serde_json::Value) -> Response<AnswerBody> {
        let logs = self.live.access.logs();
        let said = logs.masked(value.to_string().as_bytes()).into_owned();
        json_of(AnswerBody::whole(said))
    }

    /// What requests used and cost.
    async fn usage(&self, query: &str) -> Response<AnswerBody> {
        match usage::Asked::read(query) {
            Ok(asked) => body(StatusCode::OK, &usage::usage(&self.live, asked).await),
            Err(why) => told(StatusCode::BAD_REQUEST, why),
        }
    }

    async fn done(&self, snapshot: &Snapshot, action: Action) -> Response<AnswerBody> {
        let (status, said) = match action {
            Action::Reload => actions::reload(&self.orders).await,
            Action::Backend(name, change) => actions::change(snapshot, &self.live, &name, change),
        };
        body(status, &said)
    }
}

impl Service for Admin {
    async fn call(self, peer: Peer, request: Box<Parts>, body: RequestBody) -> Response<AnswerBody> {
        let answer = match peer.refused {
            Some(_) => with(
                told(StatusCode::BAD_REQUEST, "The request can be read in two ways."),
                CONNECTION,
                "close",
            ),
            None => self.answer(Request::from_parts(*request, body)).await,
        };
        page::guarded(answer)
    }
}

/// What whoever may see nothing is told.
fn refused(request: &Request<RequestBody>, config: &Config) -> Option<Response<AnswerBody>> {
    if !is_own_host(request, config) {
        return Some(told(
            StatusCode::MISDIRECTED_REQUEST,
            "This host name is not the admin listener's own.",
        ));
    }
    let path = request.uri().path();
    let is_open = path == "/healthz" || page::is_open(path);
    if is_open || may_ask(request.headers(), config.admin.key.as_ref()) {
        return None;
    }
    // A browser cannot send the key with an address that somebody types: the page asks for it.
    let asks = page::file(path).filter(|_| page::is_wanted(request.headers()));
    let refused = asks.map_or_else(
        || {
            told(
                StatusCode::UNAUTHORIZED,
                "Send the admin key as `authorization: Bearer ...`.",
            )
        },
        page::refused,
    );
    Some(with(refused, WWW_AUTHENTICATE, "Bearer"))
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// A page of another origin can make a browser ask us under a name that it has bound to our address: such a name is
/// not ours, so it learns nothing (DNS rebinding).
fn is_own_host(request: &Request<RequestBody>, config: &Config) -> bool {
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let Some(asked) = request
        .uri()
        .authority()
        .map(http::uri::Authority::as_str)
        .or(header)
    else {
        return false;
    };
    let Some(listen) = config.admin.listen else {
        return true;
    };
    let name = host_without_port(asked);
    let ip: Option<std::net::IpAddr> = name.parse().ok();
    match ip {
        // An address cannot be rebound; a wildcard listener has many.
        Some(ip) => listen.ip().is_unspecified() || ip == listen.ip() || ip.is_loopback(),
        None => name.eq_ignore_ascii_case("localhost"),
    }
}

fn host_without_port(host: &str) -> &str {
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside;
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn may_ask(headers: &HeaderMap, key: Option<&Secret>) -> bool {
    let Some(key) = key else { return true };
    let presented = headers
        .get(AUTHORIZATION)
        .and_then(|value| bearer(value.as_bytes()));
    presented.is_some_and(|presented| bool::from(digest(presented).ct_eq(&key.digest())))
}

fn body(status: StatusCode, value: &serde_json::Value) -> Response<AnswerBody> {
    let mut response = json_of(AnswerBody::whole(value.to_string()));
    *response.status_mut() = status;
    response
}

fn json_of(body: AnswerBody) -> Response<AnswerBody> {
    with(Response::new(body), CONTENT_TYPE, "application/json")
}

fn with(mut response: Response<AnswerBody>, name: HeaderName, value: &'static str) -> Response<AnswerBody> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}

fn wrong_method(why: &str, allowed: &'static str) -> Response<AnswerBody> {
    with(told(StatusCode::METHOD_NOT_ALLOWED, why), ALLOW, allowed)
}

fn told(status: StatusCode, message: &str) -> Response<AnswerBody> {
    body(status, &json!({"error": {"message": message}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_key_is_taken_whatever_the_case_of_its_scheme() {
        let key = Secret::new("sk-admin-0123456789");
        for (value, enters) in [
            ("Bearer sk-admin-0123456789", true),
            ("bearer sk-admin-0123456789", true),
            ("BEARER sk-admin-0123456789", true),
            ("Bearer sk-admin-012345678", false),
            ("Basic sk-admin-0123456789", false),
            ("sk-admin-0123456789", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(may_ask(&headers, Some(&key)), enters, "{value}");
            assert!(may_ask(&headers, None), "without a key all may ask");
        }
    }

    #[test]
    fn the_port_is_no_part_of_a_host_name() {
        for (host, name) in [
            ("localhost:8766", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:8766", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(host_without_port(host), name);
        }
    }
}
