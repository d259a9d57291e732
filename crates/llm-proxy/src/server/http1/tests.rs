//! The connection as a whole, over a socket with a script: what it makes of a client's bytes, however they are cut.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::sleep;

use super::answer::{self, Framing};
use super::head::Manner;
use super::{Bounds, serve};
use crate::base::clock;
use crate::pipeline::{AnswerBody, RequestBody};
use crate::server::Refusal;
use crate::state::Signals;
use crate::wire::Outbox;

const PATIENCE: Duration = Duration::from_mins(1);
const MAX_HEAD: usize = 1024;
const BOUNDS: Bounds = Bounds {
    patience: PATIENCE,
    max_head: MAX_HEAD,
};

/// A client whose bytes are all there already, and come `cut` at a time.
struct Script {
    bytes: Vec<u8>,
    cut: usize,
    /// Whether it closes behind them, or stays silent.
    closes: bool,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() && !self.closes {
            return Poll::Pending;
        }
        let count = self.cut.min(into.remaining()).min(self.bytes.len());
        let piece: Vec<u8> = self.bytes.drain(..count).collect();
        into.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.sent.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request as it was handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    refused: Option<Refusal>,
    /// None: it has not come to its end. An error: it never will.
    body: Option<Result<Vec<u8>, ()>>,
}

impl Asked {
    fn of(request: &Parts, refused: Option<Refusal>) -> Self {
        let headers = request.headers.iter();
        Self {
            line: format!("{} {} {:?}", request.method, request.uri, request.version),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            refused,
            body: None,
        }
    }
}

/// What came of a client's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Came {
    asked: Vec<Asked>,
    sent: String,
    ended: bool,
}

impl Came {
    /// The statuses that were sent, interim ones too.
    fn statuses(&self) -> Vec<u16> {
        let heads = self.sent.split("HTTP/1.").skip(1);
        heads.map(|head| head[2..5].parse().unwrap()).collect()
    }

    /// The bodies that came to their end.
    fn bodies(&self) -> Vec<&str> {
        let bodies = self
            .asked
            .iter()
            .filter_map(|asked| asked.body.as_ref()?.as_deref().ok());
        bodies.map(|body| str::from_utf8(body).unwrap()).collect()
    }
}

/// What a service does with the bodies of its requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    All,
    Nothing,
}

fn nobody() -> Context<'static> {
    Context::from_waker(noop_waker_ref())
}

/// On a clock that stands still.
fn timeless<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

fn script(bytes: &[u8], cut: usize, closes: bool) -> (Script, Arc<Mutex<Vec<u8>>>) {
    let sent = Arc::<Mutex<Vec<u8>>>::default();
    let script = Script {
        bytes: bytes.to_vec(),
        cut,
        closes,
        sent: Arc::clone(&sent),
    };
    (script, sent)
}

/// What comes of `bytes`; each request is answered with 200 and the length of its body, one that is refused with 400.
fn served(bytes: &[u8], cut: usize, closes: bool, takes: Takes) -> Came {
    let (script, sent) = script(bytes, cut, closes);
    let asked = Arc::<Mutex<Vec<Asked>>>::default();
    let answer = |request: Box<Parts>, mut body: RequestBody, refused: Option<Refusal>| {
        let nth = asked.lock().unwrap().len();
        asked.lock().unwrap().push(Asked::of(&request, refused));
        let asked = Arc::clone(&asked);
        async move {
            let mut whole = Ok(Vec::new());
            while takes == Takes::All
                && refused.is_none()
                && let Some(piece) = poll_fn(|cx| body.poll_next(cx)).await
            {
                let Ok(piece) = piece else {
                    whole = Err(());
                    break;
                };
                whole.as_mut().unwrap().extend_from_slice(&piece);
            }
            let length = whole.as_ref().map_or(0, Vec::len);
            let good = whole.is_ok() && refused.is_none();
            asked.lock().unwrap()[nth].body = Some(whole);
            let mut response = Response::new(AnswerBody::whole(length.to_string()));
            if !good {
                *response.status_mut() = StatusCode::BAD_REQUEST;
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            response
        }
    };
    let ended = timeless(async {
        let signals = Signals::default();
        let mut timer = pin!(sleep(PATIENCE));
        let mut serving = pin!(serve(script, BOUNDS, &signals, timer.as_mut(), answer));
        serving.as_mut().poll(&mut nobody()).is_ready()
    });
    let sent = String::from_utf8(sent.lock().unwrap().clone()).unwrap();
    // The same whenever it is said.
    let lines = sent
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("date: "));
    let sent = lines.collect();
    let asked = asked.lock().unwrap().clone();
    Came { asked, sent, ended }
}

/// The same, however the bytes are cut.
fn of(bytes: &str) -> Came {
    let whole = served(bytes.as_bytes(), usize::MAX, false, Takes::All);
    for cut in [1, 2, 7] {
        let cut_up = served(bytes.as_bytes(), cut, false, Takes::All);
        assert_eq!(cut_up, whole, "{bytes:?} by {cut}");
    }
    whole
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1 HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}")
}

const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

const ODD: Option<Refusal> = Some(Refusal::OddLength);
const TWO: Option<Refusal> = Some(Refusal::TwoLengths);
const BARE: Option<Refusal> = Some(Refusal::BareLineFeed);
const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";

/// Headers, what follows them, and what is wrong with it.
const HEADS: &[(&str, &str, Option<Refusal>)] = &[
    ("Content-Length: 2\r\n", "{}", None),
    ("content-length:2\r\n", "{}", None),
    ("content-length: \t2 \r\n", "{}", None),
    ("content-length: 0002\r\n", "{}", None),
    ("Transfer-Encoding: Chunked\r\n", CHUNKS, None),
    ("content-length: 2\r\nCONTENT-LENGTH: 2\r\n", "{}", TWO),
    ("content-length: 2\r\nx: y\r\ncontent-length: 3\r\n", "{}", TWO),
    ("content-length: 2\r\ntransfer-encoding: chunked\r\n", CHUNKS, TWO),
    (
        "transfer-encoding: chunked\r\nx: y\r\ncontent-length: 2\r\n",
        CHUNKS,
        TWO,
    ),
    (
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        CHUNKS,
        TWO,
    ),
    (
        "transfer-encoding: x\r\ntransfer-encoding: chunked\r\n",
        CHUNKS,
        ODD,
    ),
    ("content-length: 2, 2\r\n", "{}", ODD),
    ("content-length: +2\r\n", "{}", ODD),
    ("content-length: -2\r\n", "{}", ODD),
    ("content-length: 0x2\r\n", "{}", ODD),
    ("content-length: 2 2\r\n", "{}", ODD),
    ("content-length:\r\n", "{}", ODD),
    ("content-length: 99999999999999999999\r\n", "{}", ODD),
    ("transfer-encoding: gzip, chunked\r\n", CHUNKS, ODD),
    ("transfer-encoding: chunked, identity\r\n", CHUNKS, ODD),
    ("transfer-encoding: identity\r\n", "", ODD),
    ("transfer-encoding: \"chunked\"\r\n", CHUNKS, ODD),
    ("transfer-encoding:\r\n", CHUNKS, ODD),
    ("x: y\n", "", BARE),
    ("content-length: 2\ncontent-length: 2\r\n", "{}", BARE),
    ("x: 1\r\n\n", "", BARE),
];

#[test]
fn d12_a_length_is_stated_once_and_in_one_way_or_the_request_is_refused_and_nothing_behind_it_is_read() {
    for (head, body, wrong) in HEADS.iter().copied() {
        for (before, count) in [
            (String::new(), 0),
            (NEXT.to_owned() + &post("content-length: 2\r\n", "ab"), 2),
        ] {
            let came = of(&format!("{before}{}{NEXT}", post(head, body)));
            let refused: Vec<_> = came.asked.iter().map(|asked| asked.refused).collect();
            assert_eq!(
                came.asked.get(count).and_then(|asked| asked.refused),
                wrong,
                "{head:?}"
            );
            assert!(refused[..count].iter().all(Option::is_none), "{head:?}");
            if wrong.is_some() {
                assert_eq!((refused.len(), came.ended), (count + 1, true), "{head:?}");
            } else {
                assert_eq!(came.bodies()[count..], ["{}", ""], "{head:?}");
                assert!(!came.ended);
            }
        }
    }
}

#[test]
fn d12_what_is_no_request_gets_a_status_and_the_end_and_no_service_sees_it() {
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\nx : y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx: y\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx\0: ab\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx: a\rb\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\n\r\n", 400),
        ("G\tT / HTTP/1.1\r\n\r\n", 400),
        ("GET http://[ HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("\x16\x03\x01\x02\0\x01", 400),
    ] {
        let came = of(&format!("{bytes}{NEXT}"));
        assert_eq!((came.statuses(), came.ended), (vec![status], true), "{bytes:?}");
        assert_eq!(came.asked, [], "{bytes:?}");
        assert!(came.sent.contains("connection: close\r\n"), "{}", came.sent);
    }
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert_eq!(of(&many).statuses(), [431]);
}

#[test]
fn heads_are_bounded_whether_they_end_or_not_and_bodies_are_not() {
    let long = "y".repeat(MAX_HEAD);
    let came = of(&format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n{NEXT}"));
    assert_eq!(
        (came.asked.len(), came.asked[0].refused),
        (1, Some(Refusal::TooLong))
    );
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(200 * 1024));
    let came = served(endless.as_bytes(), 4000, false, Takes::All);
    assert_eq!(
        (came.statuses(), came.ended, came.asked.len()),
        (vec![431], true, 0)
    );
    let body = "z".repeat(500 * 1024);
    for head in [
        format!("content-length: {}\r\n\r\n{body}", body.len()),
        format!(
            "transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{head}{NEXT}");
        for cut in [1000, 8 * 1024, usize::MAX] {
            let came = served(bytes.as_bytes(), cut, false, Takes::All);
            assert!(came.bodies() == [&*body, ""], "by {cut}: {}", came.sent);
        }
    }
}

#[test]
fn d12_a_body_of_wrong_chunks_is_broken_and_nothing_behind_it_is_read() {
    for chunks in [
        "+2\r\n{}\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
    ] {
        let came = of(&(post("transfer-encoding: chunked\r\n", chunks) + NEXT));
        assert_eq!((came.statuses(), came.ended), (vec![400], true), "{chunks:?}");
        assert_eq!(came.asked[0].body, Some(Err(())), "{chunks:?}");
    }
}

#[test]
fn requests_follow_one_another_unless_one_says_that_it_is_the_last() {
    for (line, headers, more) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "connection: keep-alive\r\n", true),
        ("HTTP/1.1", "connection: x, Close\r\n", false),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "connection: keep-alive, close\r\n", false),
    ] {
        let came = of(&format!("GET / {line}\r\nhost: a\r\n{headers}\r\n{NEXT}"));
        assert_eq!(
            (came.asked.len(), came.ended),
            (1 + usize::from(more), !more),
            "{line} {headers}"
        );
        assert!(came.sent.starts_with(line));
        let told = came.sent.contains("connection: close\r\n");
        assert_eq!(told, !more, "{line} {headers}: {}", came.sent);
        assert_eq!(
            came.sent.contains("connection: keep-alive"),
            line == "HTTP/1.0" && more
        );
    }
    let came = of(&format!(
        "\r\n\r\n{}\r\n{NEXT}{NEXT}",
        post("content-length: 2\r\n", "{}")
    ));
    assert_eq!(came.bodies(), ["{}", "", ""], "empty lines come before requests");
}

#[test]
fn d16_a_body_that_nobody_reads_is_never_taken_for_a_request() {
    let sneaky = NEXT.repeat(3);
    let whole = post(&format!("content-length: {}\r\n", sneaky.len()), &sneaky);
    let chunked = post(
        "transfer-encoding: chunked\r\n",
        &format!("{:x}\r\n{sneaky}\r\n0\r\n\r\n", sneaky.len()),
    );
    for bytes in [whole, chunked] {
        for cut in [1, 100, usize::MAX] {
            let came = served(
                format!("{bytes}GET /real HTTP/1.1\r\n\r\n").as_bytes(),
                cut,
                false,
                Takes::Nothing,
            );
            let lines: Vec<_> = came.asked.iter().map(|asked| &*asked.line).collect();
            match lines[..] {
                ["POST /v1 HTTP/1.1"] => {
                    assert!(
                        came.ended && came.sent.contains("connection: close"),
                        "{}",
                        came.sent
                    );
                }
                ["POST /v1 HTTP/1.1", "GET /real HTTP/1.1"] => assert_eq!(cut, usize::MAX),
                _ => panic!("{lines:?}"),
            }
        }
    }
}

#[test]
fn d11_a_client_that_waits_is_asked_for_its_body_once_and_only_if_somebody_wants_it() {
    let head = post("expect: 100-continue\r\ncontent-length: 2\r\n", "");
    assert_eq!(of(&head).statuses(), [100], "it is waited for");
    for (cut, asked) in [(head.len(), true), (usize::MAX, false)] {
        let came = served((head.clone() + "{}" + NEXT).as_bytes(), cut, false, Takes::All);
        assert_eq!(came.bodies(), ["{}", ""]);
        let interim: &[u16] = if asked { &[100] } else { &[] };
        assert_eq!(
            came.statuses(),
            [interim, &[200, 200]].concat(),
            "who does not wait is not asked"
        );
    }
    let came = served(head.as_bytes(), usize::MAX, false, Takes::Nothing);
    assert_eq!(
        (came.statuses(), came.ended),
        (vec![200], true),
        "what may or may not follow is nothing to us"
    );
    let old = head.replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(of(&old).statuses(), [0_u16; 0], "it does not know of that");
}

/// A connection with an answer that never comes, and what has become of that answer.
fn unanswered(bytes: &[u8], closes: bool) -> (bool, bool) {
    let (script, _sent) = script(bytes, usize::MAX, closes);
    let asked = Arc::new(());
    let answer = |request: Box<Parts>, body: RequestBody, _: Option<Refusal>| {
        let asked = Arc::clone(&asked);
        async move {
            pending::<()>().await;
            drop((request, body, asked));
            Response::new(AnswerBody::whole(""))
        }
    };
    timeless(async {
        let signals = Signals::default();
        let mut timer = pin!(sleep(PATIENCE));
        let mut serving = pin!(serve(script, BOUNDS, &signals, timer.as_mut(), answer));
        let ended = serving.as_mut().poll(&mut nobody()).is_ready();
        (ended, Arc::strong_count(&asked) == 1)
    })
}

#[test]
fn x07_a_client_that_leaves_takes_its_request_along_whatever_of_it_has_come() {
    let whole = post("content-length: 2\r\n", "{}");
    let part = post("content-length: 9\r\n", "{}");
    let chunked = post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n");
    for bytes in [NEXT, &whole, &part, &chunked] {
        assert_eq!(unanswered(bytes.as_bytes(), true), (true, true), "{bytes:?}");
        assert_eq!(unanswered(bytes.as_bytes(), false), (false, false), "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn d01_the_time_for_a_head_is_total_and_begins_with_the_wait_for_it() {
    let (mut client, server) = tokio::io::duplex(1024);
    let serving = tokio::spawn(async move {
        let signals = Signals::default();
        let mut timer = pin!(sleep(PATIENCE));
        let answer =
            async |_: Box<Parts>, _: RequestBody, _: Option<Refusal>| Response::new(AnswerBody::whole(""));
        serve(server, BOUNDS, &signals, timer.as_mut(), answer).await;
    });
    let begun = clock::now();
    sleep(PATIENCE / 2).await;
    client.write_all(NEXT.as_bytes()).await.unwrap();
    for byte in NEXT.as_bytes()[..20].iter().chain([&b'x'; 100]) {
        sleep(PATIENCE / 40).await;
        if client.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    serving.await.unwrap();
    let took = clock::now() - begun;
    assert!(took >= PATIENCE * 3 / 2 && took < PATIENCE * 2, "{took:?}");
}

const LATEST: Manner = Manner {
    latest: true,
    keeps: true,
    bare: false,
};
const OLD: Manner = Manner {
    latest: false,
    ..LATEST
};
const HEAD: Manner = Manner { bare: true, ..LATEST };

/// Status, length and manner of an answer; how it is framed, whether another request may follow, and a line of it.
type Answered = (u16, Option<u64>, Manner, Framing, bool, &'static str);

const ANSWERS: &[Answered] = &[
    (
        200,
        Some(5),
        LATEST,
        Framing::Length,
        true,
        "content-length: 5\r\n",
    ),
    (
        200,
        Some(0),
        LATEST,
        Framing::Length,
        true,
        "content-length: 0\r\n",
    ),
    (
        200,
        None,
        LATEST,
        Framing::Chunked,
        true,
        "transfer-encoding: chunked\r\n",
    ),
    (200, None, OLD, Framing::ToTheEnd, false, "connection: close\r\n"),
    (
        200,
        Some(5),
        OLD,
        Framing::Length,
        true,
        "connection: keep-alive\r\n",
    ),
    (405, Some(5), HEAD, Framing::Over, true, "content-length: 5\r\n"),
    (
        200,
        None,
        HEAD,
        Framing::Over,
        true,
        "transfer-encoding: chunked\r\n",
    ),
    (
        204,
        Some(0),
        LATEST,
        Framing::Over,
        true,
        "HTTP/1.1 204 No Content\r\n",
    ),
];

#[test]
fn an_answer_is_framed_as_its_client_understands_it() {
    for (status, length, manner, framing, keeps, line) in ANSWERS.iter().copied() {
        let (mut out, status) = (Outbox::default(), StatusCode::from_u16(status).unwrap());
        let headers = HeaderMap::from_iter([(http::header::CONTENT_LENGTH, HeaderValue::from_static("77"))]);
        let framed = answer::put_head(&mut out, (status, &headers, None), length, manner);
        let text = String::from_utf8(out.head(0).clone()).unwrap();
        assert_eq!(framed, (framing, keeps), "{text}");
        assert!(
            text.contains(line) && !text.contains("77") && text.ends_with(" GMT\r\n\r\n"),
            "{text}"
        );
    }
}

#[test]
fn chunks_are_sized_and_end_once() {
    for (framing, expected) in [
        (
            Framing::Chunked,
            "2\r\nhi\r\n1001\r\n".to_owned() + &"x".repeat(4097) + "\r\n2\r\nho\r\n0\r\n\r\n",
        ),
        (Framing::Length, "hi".to_owned() + &"x".repeat(4097) + "ho"),
    ] {
        for ends_with_its_last_piece in [true, false] {
            let (mut out, mut framing) = (Outbox::default(), framing);
            framing.put(&mut out, Bytes::from_static(b"hi"), false);
            framing.put(&mut out, Bytes::new(), false);
            framing.put(&mut out, Bytes::from("x".repeat(4097)), false);
            framing.put(&mut out, Bytes::from_static(b"ho"), ends_with_its_last_piece);
            if !ends_with_its_last_piece {
                framing.end(&mut out);
            }
            assert!(framing.is_over());
            assert_eq!(out.len(), expected.len());
            let (mut script, sent) = script(b"", 1, false);
            assert!(out.poll(&mut script, &mut nobody()).is_ready() && out.is_done());
            assert_eq!(String::from_utf8(sent.lock().unwrap().clone()).unwrap(), expected);
        }
    }
}

/// What hyper's server hands on of the same bytes.
fn hypers(bytes: &[u8]) -> Vec<Asked> {
    let asked = Arc::<Mutex<Vec<Asked>>>::default();
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let nth = asked.lock().unwrap().len();
        let (request, body) = request.into_parts();
        asked.lock().unwrap().push(Asked::of(&request, None));
        let asked = Arc::clone(&asked);
        async move {
            let body = body.collect().await;
            let body = body.map(|body| body.to_bytes().to_vec()).map_err(|_why| ());
            asked.lock().unwrap()[nth].body = Some(body);
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let (script, _sent) = script(bytes, usize::MAX, false);
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(script), service);
    let mut connection = pin!(connection);
    for _ in 0..100 {
        if connection.as_mut().poll(&mut nobody()).is_ready() {
            break;
        }
    }
    asked.lock().unwrap().clone()
}

/// Bytes that are nearly requests: sound pieces, odd ones, in any order.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let pieces = &[
        "POST / HTTP/1.1\r\n",
        "GET /x HTTP/1.0\r\n",
        "PRI * HTTP/2.0\r\n",
        "host: a\r\n",
        "content-length: 2\r\n",
        "Content-Length:  3 \r\n",
        "content-length: 0\r\n",
        "content-length: 2,2\r\n",
        "transfer-encoding: chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "connection: close\r\n",
        "connection: keep-alive\r\n",
        "x: y\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "{}",
        "2\r\n{}\r\n",
        "0\r\n\r\n",
        "3;e\r\nabc\r\n",
        "0\r\nx: 1\r\n\r\n",
        "\0",
    ][..];
    let sound = prop::sample::select(
        &[
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ][..],
    );
    let sound = prop::collection::vec(sound, 0..3);
    let odd = prop::collection::vec(prop::sample::select(pieces), 0..14);
    // What is no head is told so at the end of its head at the latest; before, it depends on the cuts.
    (sound, odd).prop_map(|(sound, odd)| format!("{}{}\r\n\r\n", sound.concat(), odd.concat()).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// hyper is the witness: whatever we hand on, it hands on the same. Where it goes on and we do not, we have refused.
    #[test]
    fn d12_requests_are_what_hyper_makes_of_them_or_refused(bytes in nearly_requests(), cut in 1_usize..40) {
        let came = served(&bytes, usize::MAX, false, Takes::All);
        prop_assert_eq!(&served(&bytes, cut, false, Takes::All), &came, "cuts change nothing");
        let mut hypers = hypers(&bytes);
        let mut ours = came.asked.clone();
        if ours.last().is_some_and(|last| last.refused.is_some()) {
            ours.pop();
            hypers.truncate(ours.len());
        } else if came.ended {
            hypers.truncate(ours.len());
        }
        prop_assert_eq!(ours, hypers, "{:?}", String::from_utf8_lossy(&bytes));
    }

    /// Any bytes at all end in something, the same however they are cut.
    #[test]
    fn any_bytes_are_read_the_same_however_they_are_cut(
        tail in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..20, closes: bool, head: bool,
    ) {
        let head = if head { &b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"[..] } else { b"" };
        let bytes = [head, &tail, b"\r\n\r\n"].concat();
        let whole = served(&bytes, usize::MAX, closes, Takes::All);
        prop_assert_eq!(served(&bytes, cut, closes, Takes::All), whole);
    }
}
