//! A collector of OTLP, over gRPC and HTTP, which reads what comes with the official messages and answers as it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::proxy::CANARY;
use super::{tls, until};

const TRACES: [&str; 2] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/v1/traces",
];
const METRICS: [&str; 2] = [
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/v1/metrics",
];

/// What the collector does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Takes it.
    Take,
    /// Takes all but so many spans.
    TakeBut(i64),
    /// Answers this status of gRPC, as trailers alone.
    Grpc(u32),
    /// Answers this status of HTTP.
    Http(u16),
    /// Never answers.
    Hang,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Came {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Its message, without what gRPC puts before it.
    pub message: Bytes,
}

#[derive(Default)]
struct Seen {
    came: Vec<Came>,
    /// What was taken.
    spans: Vec<Span>,
    resources: Vec<Resource>,
    /// The last of each, by name.
    metrics: Vec<Metric>,
    acts: VecDeque<Act>,
    always: Option<Act>,
}

/// The collector.
pub struct Collector {
    scheme: &'static str,
    port: u16,
    /// The authority that vouches for it.
    ca: PathBuf,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl Collector {
    /// Starts one in the clear.
    pub async fn start() -> Self {
        Self::listening("127.0.0.1:0", None, PathBuf::new()).await
    }

    /// Starts one over TLS.
    pub async fn over_tls() -> Self {
        let (acceptor, ca) = tls::acceptor("127.0.0.1", &["h2", "http/1.1"]);
        Self::listening("127.0.0.1:0", Some(acceptor), ca).await
    }

    /// Starts one at an address where there was one before.
    pub async fn at(port: u16) -> Self {
        Self::listening(&format!("127.0.0.1:{port}"), None, PathBuf::new()).await
    }

    async fn listening(address: &str, acceptor: Option<TlsAcceptor>, ca: PathBuf) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Seen>>::default();
        Self {
            scheme: if acceptor.is_some() { "https" } else { "http" },
            port,
            ca,
            seen: Arc::clone(&seen),
            accepting: tokio::spawn(accept(listener, acceptor, seen)),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file for `tls: {ca}`.
    pub fn ca(&self) -> String {
        self.ca.display().to_string()
    }

    /// What it does with the next requests with traces, in order; it takes those after them.
    pub fn then(&self, acts: &[Act]) {
        self.seen.lock().unwrap().acts.extend(acts);
    }

    /// What it does with all requests with traces but those that it was told of.
    pub fn always(&self, act: Act) {
        self.seen.lock().unwrap().always = Some(act);
    }

    /// The requests so far.
    pub fn came(&self) -> Vec<Came> {
        self.seen.lock().unwrap().came.clone()
    }

    /// The spans that it took so far.
    pub fn spans(&self) -> Spans {
        Spans(self.seen.lock().unwrap().spans.clone())
    }

    /// Waits until it has taken so many spans.
    pub async fn took(&self, count: usize) -> Spans {
        until(&format!("{count} spans"), async || {
            Some(self.spans()).filter(|spans| spans.0.len() >= count)
        })
        .await
    }

    /// The resources of all that it took, as objects.
    pub fn resources(&self) -> Vec<Json> {
        let seen = self.seen.lock().unwrap();
        seen.resources
            .iter()
            .map(|resource| object(&resource.attributes))
            .collect()
    }

    /// The metric of that name as it was told last.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        let seen = self.seen.lock().unwrap();
        seen.metrics.iter().find(|metric| metric.name == name).cloned()
    }

    /// G2: no secret has come, but for those that it wants itself, in headers.
    pub fn assert_no_secrets(&self) {
        for came in self.came() {
            let text = String::from_utf8_lossy(&came.message);
            assert!(
                !text.contains(CANARY),
                "G2: a secret went to the collector: {text}"
            );
            assert!(
                !text.contains("sk-***"),
                "G2: a secret that the mask had to catch: {text}"
            );
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.ca);
    }
}

/// Spans that came.
#[derive(Clone, Debug)]
pub struct Spans(pub Vec<Span>);

impl Spans {
    /// The spans of one kind, by their beginning: 1 internal, 2 server, 3 client.
    pub fn of_kind(&self, kind: i32) -> Vec<&Span> {
        let mut own: Vec<&Span> = self.0.iter().filter(|span| span.kind == kind).collect();
        own.sort_by_key(|span| span.start_time_unix_nano);
        own
    }

    /// The only one of a request itself.
    pub fn server(&self) -> &Span {
        let all = self.of_kind(2);
        assert_eq!(all.len(), 1, "{all:#?}");
        all[0]
    }

    /// Those of attempts, in order.
    pub fn attempts(&self) -> Vec<&Span> {
        self.of_kind(3)
    }
}

/// The attributes of a span.
pub fn attributes(span: &Span) -> Json {
    object(&span.attributes)
}

/// An id as headers write it.
pub fn hex(id: &[u8]) -> String {
    id.iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Attributes as an object; each is there once.
pub fn object(attributes: &[KeyValue]) -> Json {
    let mut all = serde_json::Map::new();
    for KeyValue { key, value, .. } in attributes {
        let before = all.insert(key.clone(), plain(value.as_ref().unwrap()));
        assert_eq!(before, None, "{key} is there twice");
    }
    Json::Object(all)
}

fn plain(value: &AnyValue) -> Json {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => json!(text),
        Value::BoolValue(truth) => json!(truth),
        Value::IntValue(number) => json!(number),
        Value::DoubleValue(number) => json!(number),
        Value::ArrayValue(list) => list.values.iter().map(plain).collect(),
        other => panic!("{other:?}"),
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, seen: Arc<Mutex<Seen>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            match acceptor {
                None => speak(stream, seen).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        speak(stream, seen).await;
                    }
                }
            }
        });
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, seen: Arc<Mutex<Seen>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
    let builder = auto::Builder::new(TokioExecutor::new());
    // How a connection ends is the client's business.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(
    request: http::Request<Incoming>,
    seen: Arc<Mutex<Seen>>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let grpc = head
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/grpc");
    let mut message = body.collect().await.unwrap().to_bytes();
    if grpc {
        let prefix = message.split_to(5);
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
        assert_eq!((prefix[0], length as usize), (0, message.len()), "gRPC's prefix");
        assert_eq!(head.headers.get("te").unwrap(), "trailers");
    } else {
        assert_eq!(
            head.headers.get("content-type").unwrap(),
            "application/x-protobuf"
        );
    }
    let path = head.uri.path().to_owned();
    let act = seen.lock().unwrap().take(&path, &message);
    let came = Came {
        path,
        headers: head.headers,
        version: format!("{:?}", head.version),
        message,
    };
    seen.lock().unwrap().came.push(came);
    Ok(match act {
        Act::Take if grpc => of_grpc(0, Vec::new()),
        Act::TakeBut(rejected) if grpc => of_grpc(0, partial(rejected)),
        Act::Take => of_http(200, Vec::new()),
        Act::TakeBut(rejected) => of_http(200, partial(rejected)),
        Act::Grpc(code) => {
            let response = Response::builder().header("content-type", "application/grpc");
            let response = response.header("grpc-status", code).header("grpc-message", "no");
            response.body(Full::default().boxed()).unwrap()
        }
        Act::Http(status) => of_http(status, b"no".to_vec()),
        Act::Hang => std::future::pending().await,
    })
}

impl Seen {
    /// Reads a message and keeps what is in it, if it is to be taken.
    fn take(&mut self, path: &str, message: &[u8]) -> Act {
        if METRICS.iter().any(|own| path.ends_with(own)) {
            let request = ExportMetricsServiceRequest::decode(message).unwrap();
            for of_resource in request.resource_metrics {
                self.resources.extend(of_resource.resource);
                self.metrics = of_resource
                    .scope_metrics
                    .into_iter()
                    .flat_map(|scope| scope.metrics)
                    .collect();
            }
            return Act::Take;
        }
        assert!(
            TRACES.iter().any(|own| path.ends_with(own)),
            "no path of OTLP: {path}"
        );
        let request = ExportTraceServiceRequest::decode(message).unwrap();
        let act = self.acts.pop_front().or(self.always).unwrap_or(Act::Take);
        if matches!(act, Act::Take | Act::TakeBut(_)) {
            for of_resource in request.resource_spans {
                self.resources.extend(of_resource.resource);
                self.spans
                    .extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        act
    }
}

fn partial(rejected: i64) -> Vec<u8> {
    let response = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "too many".to_owned(),
        }),
    };
    response.encode_to_vec()
}

fn of_grpc(code: u32, message: Vec<u8>) -> Response<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0], &length[..], &message].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    let body = Full::from(framed).with_trailers(async { Some(Ok(trailers)) });
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(body.boxed()).unwrap()
}

fn of_http(status: u16, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
