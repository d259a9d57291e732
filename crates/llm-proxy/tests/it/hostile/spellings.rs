//! D12: requests that could be read in two ways are refused, alone and pipelined, and nothing behind them is read.

use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::support::{Proxy, within};
use super::corpus::{Spelling, Then, corpus};
use super::recorder::{Heard, Recorder};

/// What must reach the end of an idle connection soon.
const QUICK: &str = "timeout: {request: 1s}\n";

/// The proxy before that backend.
pub async fn before(backend: &Recorder) -> Proxy {
    Proxy::start(&format!(
        "{QUICK}backends: [{{name: r, protocol: openai, url: \"http://{}/v1\", api_key: sk-canary-recorder}}]
models: {{m: {{backend: r, model: m}}}}\n",
        backend.address()
    ))
    .await
}

/// Sends all, as fast as it is taken, and reads to the end.
pub async fn exchange(io: impl AsyncRead + AsyncWrite + Unpin, raw: &[u8]) -> String {
    let (mut reader, mut writer) = tokio::io::split(io);
    let mut answer = Vec::new();
    // Whoever refuses the beginning may not wait for the rest.
    let both = async { tokio::join!(writer.write_all(raw), reader.read_to_end(&mut answer)) };
    let _ = within("the end of the connection", both).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The heads of the answers, in order. Messages speak of HTTP too, but not with a status behind it.
pub fn heads(answer: &str) -> Vec<&str> {
    let starts = answer.match_indices("HTTP/1.").map(|(at, _)| &answer[at..]);
    let heads = starts.map(|rest| rest.split("\r\n\r\n").next().unwrap());
    heads.filter(|head| status(head).is_some()).collect()
}

pub fn status(head: &str) -> Option<u16> {
    head.split(' ').nth(1)?.parse().ok()
}

/// What a backend has heard of that spelling, by its number; garbage is never anybody's.
pub fn of_spelling(heard: &[Heard], nth: usize) -> Vec<(String, Vec<u8>)> {
    let mark = format!("\"{nth:03} ");
    let mine = |heard: &Heard| match heard {
        Heard::Request(what, body) => String::from_utf8_lossy(body)
            .contains(&mark)
            .then(|| (what.clone(), body.clone())),
        Heard::Garbage(bytes) => panic!("no request at all: {:?}", String::from_utf8_lossy(bytes)),
    };
    heard.iter().filter_map(mine).collect()
}

#[track_caller]
fn judge(spelling: &Spelling, answer: &str, heard: &[(String, Vec<u8>)]) {
    let Spelling { name, sound, .. } = spelling;
    let heads = heads(answer);
    let statuses: Vec<u16> = heads.iter().filter_map(|head| status(head)).collect();
    let (good, rest) = statuses
        .split_at_checked(*sound)
        .unwrap_or_else(|| panic!("{name}: {answer}"));
    assert!(good.iter().all(|status| *status == 200), "{name}: {answer}");
    assert_eq!(
        rest.len(),
        usize::from(spelling.then != Then::Silence),
        "{name}: {answer}"
    );
    let known = [400, 431, 505];
    assert!(
        rest.iter().all(|status| known.contains(status)),
        "{name}: {answer}"
    );
    if let (Some(head), Then::End) = (heads.last(), spelling.then) {
        assert!(head.contains("connection: close"), "{name}: {answer}");
    }
    assert!(heard.len() <= *sound, "{name}: {heard:?}");
    for (what, body) in heard {
        assert_eq!(what, "POST /v1/chat/completions", "{name}");
        let body = String::from_utf8_lossy(body);
        assert!(
            !body.contains("smuggled") && !body.contains("odd"),
            "{name}: {body}"
        );
    }
}

#[tokio::test]
async fn d12_what_can_be_read_in_two_ways_is_refused_and_the_requests_before_it_are_answered() {
    let backend = Recorder::start().await;
    let proxy = before(&backend).await;
    let spellings = corpus();
    assert!(spellings.len() > 40, "{}", spellings.len());
    let asked = spellings.iter().map(async |spelling| {
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        exchange(stream, &spelling.raw).await
    });
    let answers = join_all(asked).await;
    let heard = backend.heard();
    for (nth, (spelling, answer)) in spellings.iter().zip(&answers).enumerate() {
        judge(spelling, answer, &of_spelling(&heard, nth));
    }
    // What hyper refuses itself has been no request: it has no id, and no line in the log.
    let on_record = answers.iter().flat_map(|answer| heads(answer));
    let on_record = on_record.filter(|head| head.contains("x-request-id: ")).count();
    proxy.sent(u64::try_from(on_record).unwrap());
    proxy.finish().await;
}

#[tokio::test]
async fn d12_the_admin_listener_refuses_them_as_well() {
    let backend = Recorder::start().await;
    let proxy = before(&backend).await;
    let sound = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for odd in [
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
        "GET /healthz HTTP/1.1\nhost: localhost\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
    ] {
        let stream = TcpStream::connect(proxy.admin()).await.unwrap();
        let answer = exchange(stream, format!("{sound}{odd}{sound}").as_bytes()).await;
        let statuses: Vec<_> = heads(&answer).into_iter().filter_map(status).collect();
        assert_eq!(statuses, [200, 400], "{odd:?}: {answer}");
    }
    proxy.finish().await;
}
