//! A21: whatever a hundred thousand requests name, there are as many series as before, and no more memory.

use std::collections::BTreeMap;

use fastrand::Rng;
use llm_sim::{Answer, Sim, Speaks};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use super::super::support::client::chat;
use super::super::support::{Client, Proxy, within};
use super::scrape;

const KEY: &str = "sk-canary-client-key";
/// Clients at once, and what each asks for.
const CLIENTS: u64 = 4;
const EACH: usize = 25_000;
/// How many keys and how many paths each guesses; a wrong one ends its connection.
const GUESSES: usize = 1_000;
/// How many are sent before the last of their answers is read.
const TOGETHER: usize = 500;
/// What the memory may grow by, in KiB, from a tenth of them on: less than half of what a map of the names would take.
const GROWTH: usize = 4 * 1024;
/// What the series may be of this config, with every dialect and status.
const SERIES: usize = 160;

/// The answers that came, by their status.
type Answers = BTreeMap<u16, u64>;

/// A request that names what nobody has named before, and what would break out of a label if it came into one: no alias,
/// or an alias by its pattern.
fn hostile(rng: &mut Rng) -> Vec<u8> {
    let nobody = format!("x\"}} 1\n# {:x}\u{1b}[31m\u{202e}", rng.u64(..));
    let model = |name: &str| {
        let body = chat(name, false).to_string();
        let length = body.len();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let request = match rng.u32(0..64) {
        0 => model(&format!("glob-{nobody}")),
        _ => model(&nobody),
    };
    request.into_bytes()
}

fn get(path: &str, key: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n\r\n")
}

/// Reads so many answers.
async fn read(reads: &mut ReadHalf<'_>, count: usize, answers: &mut Answers) {
    const HEAD: &[u8] = b"HTTP/1.1 ";
    let (mut text, mut found) = (Vec::new(), 0);
    while found < count {
        let got = within("answers", reads.read_buf(&mut text)).await.unwrap();
        assert!(got > 0, "the connection ended after {found} of {count} answers");
        let mut done = 0;
        for at in memchr::memmem::find_iter(&text, HEAD) {
            let Some(status) = text.get(at + HEAD.len()..at + HEAD.len() + 3) else {
                break;
            };
            let status = std::str::from_utf8(status).unwrap().parse().unwrap();
            *answers.entry(status).or_default() += 1;
            found += 1;
            done = at + HEAD.len();
        }
        // What may be the beginning of a head stays.
        text.drain(..done.max(text.len().saturating_sub(HEAD.len() + 3)));
    }
}

/// One client's requests, all with the key on one connection.
async fn ask(address: String, seed: u64, count: usize) -> Answers {
    let mut rng = Rng::with_seed(seed);
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let (mut reads, mut writes) = stream.split();
    let mut answers = Answers::new();
    for _ in 0..count / TOGETHER {
        let requests: Vec<u8> = (0..TOGETHER).flat_map(|_| hostile(&mut rng)).collect();
        let write = async { writes.write_all(&requests).await.unwrap() };
        tokio::join!(write, read(&mut reads, TOGETHER, &mut answers));
    }
    for _ in 0..GUESSES {
        let key = get("/v1/models", &format!("x\"}}-{:x}", rng.u64(..)));
        let path = get(&format!("/v1/x%22%7d-{:x}", rng.u64(..)), KEY);
        for guess in [key, path] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(guess.as_bytes()).await.unwrap();
            read(&mut stream.split().0, 1, &mut answers).await;
        }
    }
    answers
}

/// All clients at once.
async fn flood(proxy: &Proxy, round: u64, each: usize) -> Answers {
    let tasks =
        (0..CLIENTS).map(|n| tokio::spawn(ask(proxy.address().to_owned(), round * CLIENTS + n, each)));
    let mut all = Answers::new();
    for task in tasks.collect::<Vec<_>>() {
        for (status, count) in task.await.unwrap() {
            *all.entry(status).or_default() += count;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a21_a_hundred_thousand_hostile_names_make_no_series_and_take_no_memory() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy()).forget();
    let yaml = format!(
        "api_keys: {{name: team, key: {KEY}}}
backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}
models: {{m: {{backend: a, model: real}}, glob-*: {{backend: a}}}}
logging: {{access: false}}
",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    // A tenth before, so that pools and buffers are as large as they get.
    let first = flood(&proxy, 0, EACH / 10).await;
    let (series, memory) = (scrape(&proxy).await, proxy.memory("VmRSS"));
    let rest = flood(&proxy, 1, EACH - EACH / 10).await;
    let samples = scrape(&proxy).await;
    assert_eq!(
        series.keys().collect::<Vec<_>>(),
        samples.keys().collect::<Vec<_>>(),
        "no series came with names"
    );
    assert!(samples.len() < SERIES, "{} series", samples.len());
    let named: Vec<_> = samples.keys().filter(|name| name.contains("x\\\"")).collect();
    assert_eq!(named, [""; 0]);
    for status in [200, 401, 404, 429] {
        let sent = first.get(&status).unwrap_or(&0) + rest.get(&status).unwrap_or(&0);
        let status = format!("status=\"{status}\"");
        let of_requests =
            |name: &&String| name.starts_with("llm_proxy_requests_total") && name.contains(&status);
        let counted: u64 = samples
            .keys()
            .filter(of_requests)
            .map(|name| samples[name].parse::<u64>().unwrap())
            .sum();
        assert_eq!(counted, sent, "all are counted: {status}");
    }
    let grown = proxy.memory("VmRSS").saturating_sub(memory);
    assert!(grown < GROWTH, "{grown} KiB more for 90,000 more names");
    let status: Value = proxy.status().await;
    assert_eq!(status["affinity"]["conversations"], 0);
    let recent = Client::plain(proxy.admin())
        .get("/api/requests?limit=1000000")
        .await;
    assert!(recent.body.len() < 1024 * 1024, "{} bytes", recent.body.len());
    proxy.finish().await;
}

#[tokio::test]
async fn a21_a_field_whose_name_is_a_megabyte_leaves_a_short_warning() {
    let sim = Sim::start(Speaks::Messages).await.unwrap();
    sim.always(Answer::healthy());
    let yaml = format!(
        "backends: {{name: a, protocol: anthropic, url: '{}', api_key: sk-canary-backend}}\nmodels: {{m: {{backend: a}}}}\n",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    let mut body = chat("m", false);
    for name in [
        "x".repeat(1024 * 1024),
        "\u{fc}nknown".to_owned(),
        "seed".to_owned(),
    ] {
        body[name] = Value::from(7);
    }
    let reply = proxy
        .client()
        .post("/v1/chat/completions", &body)
        .await
        .expect(200);
    let told: Vec<&str> = reply.header("x-llm-proxy-warnings").split(", ").collect();
    assert_eq!(told.len(), 3, "one odd name hides no other");
    assert!(told.contains(&"seed") && told.contains(&"?nknown"), "{told:?}");
    assert!(told.iter().all(|name| name.len() < 150), "{told:?}");
    let records = proxy.recorded(1).await;
    assert!(records[0].to_string().len() < 2048);
    proxy.finish().await;
}
