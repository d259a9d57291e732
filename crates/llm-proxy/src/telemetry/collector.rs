//! One request to a collector and what it answers: OTLP/gRPC, which is one message each way over HTTP/2, or OTLP/HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, StatusCode};
use prost::Message;

use super::proto;
use crate::base::clock;
use crate::upstream::{self, Chain, Endpoint, Fault, Reply, UpstreamBody, UpstreamRequest};

/// How long a request to a collector may take in all.
const IN_TIME: Duration = Duration::from_secs(10);
/// How long a connection to it may take.
const CONNECTED: Duration = Duration::from_secs(5);
/// How much of an answer is read; they are a few bytes long.
const LONGEST: usize = 64 * 1024;
/// How much of a collector's own words is shown in the log.
const QUOTED: usize = 300;
const OURSELVES: HeaderValue = HeaderValue::from_static(concat!("llm-proxy/", env!("CARGO_PKG_VERSION")));
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// gRPC's codes that mean: later, perhaps (OTLP's specification, "Failures"): cancelled, deadline exceeded, aborted, out of
/// range, unavailable, data loss.
const LATER: [u32; 6] = [1, 4, 10, 11, 14, 15];
/// Resource exhausted: later, but only if the collector says when.
const EXHAUSTED: u32 = 8;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    fn service(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// How a collector is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Grpc,
    /// With the path below which the signals are.
    Http(String),
}

/// A collector.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) speaks: Speaks,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was taken, but for so many spans or numbers.
    Taken { rejected: u64, why: String },
    /// It may be sent again, perhaps not before that time is over.
    Later { after: Option<Duration>, why: String },
    /// It will never be taken.
    Refused(String),
}

impl Collector {
    /// Sends a message, and waits for the answer, within [`IN_TIME`].
    pub(super) async fn send(&self, signal: Signal, message: Bytes) -> Sent {
        match tokio::time::timeout(IN_TIME, self.exchange(signal, message)).await {
            Ok(sent) => sent,
            Err(_) => later(format!("no answer within {IN_TIME:?}")),
        }
    }

    async fn exchange(&self, signal: Signal, message: Bytes) -> Sent {
        let Some(target) = self.target(signal) else {
            return Sent::Refused("its URL makes no valid path".to_owned());
        };
        let request = || self.request(&target, &message);
        let reply = upstream::send(&self.endpoint, request, CONNECTED, (clock::now(), clock::now)).await;
        let answer = match reply {
            Ok(reply) => Answer::read(reply).await,
            Err(fault) => Err(fault),
        };
        match (answer, &self.speaks) {
            (Err(fault), _) => later(fault.to_string()),
            (Ok(answer), Speaks::Grpc) => answer.of_grpc(),
            (Ok(answer), Speaks::Http(_)) => answer.of_http(),
        }
    }

    fn target(&self, signal: Signal) -> Option<PathAndQuery> {
        match &self.speaks {
            Speaks::Grpc => Some(PathAndQuery::from_static(signal.service())),
            Speaks::Http(base) => PathAndQuery::try_from(format!("{base}/v1/{}", signal.name())).ok(),
        }
    }

    fn request(&self, target: &PathAndQuery, message: &Bytes) -> UpstreamRequest {
        let mut headers = HeaderMap::with_capacity(8);
        // An authority is always a valid value.
        if let Ok(host) = HeaderValue::from_str(self.authority.as_str()) {
            headers.insert(HOST, host);
        }
        headers.insert(USER_AGENT, OURSELVES);
        let body = match self.speaks {
            Speaks::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert("te", HeaderValue::from_static("trailers"));
                vec![prefix(message.len()), message.clone()]
            }
            Speaks::Http(_) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                vec![message.clone()]
            }
        };
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        UpstreamRequest {
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            target: target.clone(),
            headers: headers.into(),
            body: Chain::new(body),
        }
    }
}

/// What stands before a message of gRPC: that it is not compressed, and its length.
fn prefix(length: usize) -> Bytes {
    let mut prefix = BytesMut::with_capacity(5);
    prefix.put_u8(0);
    prefix.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    prefix.freeze()
}

/// A whole answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

impl Answer {
    async fn read(reply: Reply) -> Result<Self, Fault> {
        let Reply {
            status,
            headers,
            mut body,
        } = reply;
        let whole = collected(&mut body).await?;
        Ok(Self {
            status,
            headers: headers.into_map(),
            body: whole,
            trailers: body.trailers().cloned().unwrap_or_default(),
        })
    }

    /// What gRPC says of it: its status is in the trailers, or, where there is nothing else, in the headers.
    fn of_grpc(&self) -> Sent {
        if self.status != StatusCode::OK {
            return self.by_http_status();
        }
        let of = |name: &HeaderName| self.trailers.get(name).or_else(|| self.headers.get(name));
        let code = of(&GRPC_STATUS).and_then(|code| code.to_str().ok()?.parse::<u32>().ok());
        let said = of(&GRPC_MESSAGE).map_or(String::new(), |said| quoted(said.as_bytes()));
        let why = |code: u32| format!("gRPC status {code} {said}").trim_end().to_owned();
        match code {
            Some(0) => taken(self.body.get(5..).unwrap_or_default()),
            Some(code) if LATER.contains(&code) => later(why(code)),
            Some(EXHAUSTED) if self.retry_after().is_some() => Sent::Later {
                after: self.retry_after(),
                why: why(EXHAUSTED),
            },
            Some(code) => Sent::Refused(why(code)),
            None => later("an answer without a gRPC status: is it a collector?".to_owned()),
        }
    }

    fn of_http(&self) -> Sent {
        if self.status.is_success() {
            taken(&self.body)
        } else {
            self.by_http_status()
        }
    }

    fn by_http_status(&self) -> Sent {
        let why = format!("HTTP status {} {}", self.status.as_u16(), quoted(&self.body));
        let why = why.trim_end().to_owned();
        match self.status.as_u16() {
            429 | 502..=504 => Sent::Later {
                after: self.retry_after(),
                why,
            },
            _ => Sent::Refused(why),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let of = |headers: &HeaderMap| headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok();
        of(&self.headers)
            .or_else(|| of(&self.trailers))
            .map(Duration::from_secs)
    }
}

async fn collected(body: &mut UpstreamBody) -> Result<Vec<u8>, Fault> {
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        whole.extend_from_slice(&piece?);
        if whole.len() > LONGEST {
            return Err(Fault::Garbled(
                "an answer far longer than any collector's".to_owned(),
            ));
        }
    }
    Ok(whole)
}

/// What an answer says of a request that was taken. One that cannot be read says nothing against it.
fn taken(message: &[u8]) -> Sent {
    let response = proto::Response::decode(message).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    Sent::Taken {
        rejected: u64::try_from(partial.rejected).unwrap_or_default(),
        why: quoted(partial.error_message.as_bytes()),
    }
}

fn later(why: String) -> Sent {
    Sent::Later { after: None, why }
}

/// The beginning of a collector's own words, on one line.
fn quoted(words: &[u8]) -> String {
    let words = words.get(..QUOTED).unwrap_or(words);
    let words = String::from_utf8_lossy(words);
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        status: u16,
        headers: &[(&'static str, &str)],
        trailers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Answer {
        let map = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect()
        };
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map(headers),
            body: body.to_vec(),
            trailers: map(trailers),
        }
    }

    /// `t`: taken; `l`: later; `r`: refused; with a number of seconds or spans.
    fn short(sent: &Sent) -> String {
        match sent {
            Sent::Taken { rejected, .. } => format!("t{rejected}"),
            Sent::Later { after, .. } => format!("l{}", after.map_or(0, |after| after.as_secs())),
            Sent::Refused(_) => "r".to_owned(),
        }
    }

    #[test]
    fn grpc_says_in_its_trailers_how_it_went() {
        for (code, expected) in [
            ("0", "t0"),
            ("1", "l0"),
            ("3", "r"),
            ("4", "l0"),
            ("7", "r"),
            ("8", "r"),
            ("12", "r"),
            ("14", "l0"),
            ("16", "r"),
            ("x", "l0"),
        ] {
            let in_trailers = answer(200, &[], &[("grpc-status", code)], b"\0\0\0\0\0");
            let alone = answer(200, &[("grpc-status", code)], &[], b"");
            assert_eq!(short(&in_trailers.of_grpc()), expected, "{code}");
            assert_eq!(short(&alone.of_grpc()), expected, "{code}");
        }
        let when = answer(200, &[("grpc-status", "8"), ("retry-after", "7")], &[], b"");
        assert_eq!(short(&when.of_grpc()), "l7");
        assert_eq!(
            short(&answer(200, &[], &[], b"").of_grpc()),
            "l0",
            "no gRPC at all"
        );
    }

    #[test]
    fn http_says_in_its_status_how_it_went() {
        for (status, expected) in [
            (200, "t0"),
            (202, "t0"),
            (400, "r"),
            (404, "r"),
            (429, "l0"),
            (500, "r"),
            (503, "l0"),
        ] {
            assert_eq!(
                short(&answer(status, &[], &[], b"").of_http()),
                expected,
                "{status}"
            );
        }
        let when = answer(503, &[("retry-after", "3")], &[], b"");
        assert_eq!(
            (short(&when.of_http()).as_str(), short(&when.of_grpc()).as_str()),
            ("l3", "l3")
        );
        assert_eq!(short(&answer(404, &[], &[], b"").of_grpc()), "r");
    }

    #[test]
    fn what_was_not_taken_of_a_request_is_read_and_its_reason_is_one_short_line() {
        let response = proto::Response {
            partial_success: Some(proto::PartialSuccess {
                rejected: 5,
                error_message: format!("no\n{}", "x".repeat(1000)),
            }),
        };
        let message = response.encode_to_vec();
        let Sent::Taken { rejected, why } = answer(200, &[], &[], &message).of_http() else {
            panic!("not taken");
        };
        assert_eq!((rejected, why.len()), (5, QUOTED));
        assert!(why.starts_with("no x"));
        let framed = [&prefix(message.len())[..], &message].concat();
        assert_eq!(
            short(&answer(200, &[], &[("grpc-status", "0")], &framed).of_grpc()),
            "t5"
        );
        assert_eq!(
            short(&answer(200, &[], &[], b"<html>").of_http()),
            "t0",
            "unreadable"
        );
    }
}
