//! O09: after ten thousand requests of every outcome, `/metrics`, `/api/status`, `/api/requests` and the access records
//! tell the same.

use std::collections::BTreeMap;

use fastrand::Rng;
use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::{Value, json};

use super::super::ledger::{Book, expected_row, usage};
use super::super::records::all_fit;
use super::super::support::client::chat;
use super::super::support::{Client, Proxy, until};
use super::{Samples, of, scrape, value};

/// Clients at once, and how often each asks.
const CLIENTS: u64 = 16;
const EACH: u64 = 625;

/// A random answer of a backend, most of them sound.
fn answer(rng: &mut Rng) -> Answer {
    let sound = Answer::healthy()
        .usage(rng.u64(1..500), rng.u64(1..500))
        .cached(rng.u64(0..1));
    match rng.u32(0..20) {
        0 => Answer::status(500),
        1 => Answer::status(429),
        2 => Answer::status(529),
        3 => Answer::status(401),
        4 => Answer::status(400),
        5 => Answer::reset(),
        6 => Answer::healthy().empty(),
        7 => sound.after_deltas(1, Cut::Rst),
        8 => sound.after_deltas(1, Cut::Fault(529)),
        _ => sound,
    }
}

/// A random request: some are refused at the door, some of their clients leave.
async fn ask(client: Client, mut rng: Rng) {
    let model = [
        "m", "m", "m", "n", "glob-a", "glob-b", "nowhere", "barred", "rare",
    ][rng.usize(0..9)];
    let stream = rng.bool();
    let keyed = || client.clone().header("x-api-key", "sk-canary-client-key");
    match rng.u32(0..16) {
        0 => drop(keyed().get("/v1/nothing").await),
        1 => drop(keyed().get("/v1/models").await),
        2 => drop(keyed().send("POST", "/v1/messages", b"{").await),
        3 => {
            let body = chat(model, true).to_string();
            drop(
                keyed()
                    .open("POST", "/v1/chat/completions", body.as_bytes())
                    .await,
            );
        }
        4 => drop(
            client
                .header("x-api-key", &format!("guess-{}", rng.u32(..)))
                .chat(model, stream)
                .await,
        ),
        5..10 => drop(keyed().messages(model, stream).await),
        10..12 => drop(keyed().responses(model, stream).await),
        _ => drop(keyed().chat(model, stream).await),
    }
}

/// What the metrics of requests and attempts must say after these records.
fn expected(records: &[Value]) -> Samples {
    let mut counts = BTreeMap::new();
    let mut add = |name: String, amount: u64| *counts.entry(name).or_insert(0) += amount;
    for record in records {
        let alias = label(&record["alias"]);
        let (dialect, status) = (record["dialect"].as_str().unwrap(), &record["status"]);
        add(
            format!(r#"llm_proxy_requests_total{{dialect="{dialect}",alias="{alias}",status="{status}"}}"#),
            1,
        );
        for (kind, field) in [
            ("input", "input_tokens"),
            ("output", "output_tokens"),
            ("cache_read", "cached_tokens"),
        ] {
            let name = format!(r#"llm_proxy_tokens_total{{alias="{alias}",kind="{kind}"}}"#);
            add(name, record[field].as_u64().unwrap_or(0));
        }
        let answered = u64::from(record["first_byte_ms"].is_number());
        add("llm_proxy_added_seconds_count".to_owned(), answered);
        for attempt in record["attempts"].as_array().unwrap() {
            let [backend, class] = ["backend", "class"].map(|field| attempt[field].as_str().unwrap());
            let labels = format!(r#"{{backend="{backend}",class="{class}"}}"#);
            add(format!("llm_proxy_attempts_total{labels}"), 1);
            add(
                format!(r#"llm_proxy_first_byte_seconds_count{{backend="{backend}"}}"#),
                u64::from(class == "ok"),
            );
            let cooled = u64::from(attempt["cooldown"]["scope"].is_string());
            add(format!("llm_proxy_cooldowns_total{labels}"), cooled);
        }
    }
    counts
        .into_iter()
        .map(|(name, count)| (name, count.to_string()))
        .collect()
}

/// The alias that a record's is counted for.
fn label(alias: &Value) -> &str {
    match alias.as_str() {
        None => "other",
        Some(glob) if glob.starts_with("glob-") => "glob-*",
        Some(alias) => alias,
    }
}

/// Two backends that fail in every way, behind a door that refuses in every way.
fn config(first: &Sim, second: &Sim) -> String {
    format!(
        "api_keys: {{name: team, key: sk-canary-client-key, models: [m, n, rare, 'glob-*', nowhere]}}
fallback: {{cooldown: 1ms, cooldown_max: 1ms, cooldowns: {{auth: 1ms, quota: 1ms, not_found: 1ms}}, retry_budget: 1}}
rate_limit: {{per_model: {{rare: {{rpm: 60, burst: 5}}}}}}
concurrency: {{max_requests: 12, queue_size: 2}}
ledger: {{url: 'sqlite:ledger.db'}}
backends:
  - {{name: o, protocol: openai, url: {}, api_key: sk-canary-o}}
  - {{name: a, protocol: anthropic, url: {}, api_key: sk-canary-a}}
models:
  m: {{routes: [{{backend: o, model: real, priority: 1}}, {{backend: a, model: real, priority: 2}}]}}
  n: {{backend: a, model: real}}
  rare: {{backend: o, model: real}}
  barred: {{backend: o, model: real}}
  glob-*: {{backend: o}}
",
        first.url(),
        second.url()
    )
}

/// Every client's requests, at once.
async fn traffic(proxy: &Proxy) {
    let tasks = (0..CLIENTS).map(|task| {
        let client = proxy.client();
        tokio::spawn(async move {
            for n in 0..EACH {
                ask(client.clone(), Rng::with_seed(task * EACH + n)).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// The counters say what the records say.
fn counters_agree(samples: &Samples, records: &[Value]) {
    let expected = expected(records);
    for name in [
        "llm_proxy_requests_total",
        "llm_proxy_tokens_total",
        "llm_proxy_attempts_total",
        "llm_proxy_added_seconds_count",
        "llm_proxy_first_byte_seconds_count",
    ] {
        let told = of(&expected, name);
        assert!(!told.is_empty(), "{name}: nothing to compare");
        assert_eq!(of(samples, name), told);
    }
    // Streams that break later cool as `midstream`, after their attempts are on record as answered.
    let mut cooldowns = of(samples, "llm_proxy_cooldowns_total");
    cooldowns.retain(|name, _| !name.contains("midstream"));
    assert_eq!(cooldowns, of(&expected, "llm_proxy_cooldowns_total"));
    let classes = of(samples, "llm_proxy_attempts_total").len();
    assert!(classes >= 12, "too few kinds of outcomes: {classes}");
    let statuses: Vec<&Value> = records.iter().map(|record| &record["status"]).collect();
    for status in [200, 400, 401, 403, 404, 429, 499] {
        assert!(statuses.contains(&&json!(status)), "nothing ended with {status}");
    }
}

/// The status says what the records and the metrics say.
async fn status_agrees(proxy: &Proxy, records: usize) {
    until("the status and the gauges to agree", async || {
        let (status, samples) = (proxy.status().await, scrape(proxy).await);
        let gauge = |labels: String| {
            value(&samples, &format!("llm_proxy_{labels}"))
                .parse::<u64>()
                .unwrap()
        };
        let backends = status["backends"].as_array().unwrap();
        let same = |backend: &Value| {
            let name = backend["name"].as_str().unwrap();
            let scopes = ["backend", "backend_model", "key", "key_model"];
            let cooling: u64 = scopes
                .map(|scope| gauge(format!("cooling{{backend=\"{name}\",scope=\"{scope}\"}}")))
                .iter()
                .sum();
            backend["cooldowns"].as_array().unwrap().len() as u64 == cooling
                && (backend["state"] == "cooling") == (cooling > 0)
                && backend["in_flight"] == gauge(format!("backend_in_flight{{backend=\"{name}\"}}"))
        };
        let queue = &status["concurrency"];
        let agree = backends.iter().all(same)
            && status["in_flight"] == 0
            && gauge("requests_in_flight".to_owned()) == 0
            && status["finished"] == records
            && queue["refused_full"] == gauge("queue_refused_total{reason=\"full\"}".to_owned())
            && queue["refused_timeout"] == gauge("queue_refused_total{reason=\"timeout\"}".to_owned());
        agree.then_some(())
    })
    .await;
}

/// What `/api/requests` remembers are the last of the records, word for word.
async fn recent_agree(proxy: &Proxy, records: &[Value]) {
    let admin = Client::plain(proxy.admin());
    let told = admin.get("/api/requests?limit=100000").await.expect(200).json();
    assert_eq!(told["last"], records.len());
    let mut recent = told["requests"].as_array().unwrap().clone();
    let mut number = records.len();
    let by_id: BTreeMap<&str, &Value> = records
        .iter()
        .map(|record| (record["request_id"].as_str().unwrap(), record))
        .collect();
    for one in &mut recent {
        assert_eq!(one["number"], number, "the newest first, none left out");
        number -= 1;
        one.as_object_mut().unwrap().remove("number");
        assert_eq!(&one, &by_id[one["request_id"].as_str().unwrap()]);
    }
    assert!(recent.len() >= 100);
}

/// The ledger has a row for each record but those of strangers, word for word, and its sums are their sums.
async fn ledger_agrees(proxy: &Proxy, records: &[Value]) {
    let is_known = |record: &&Value| record["key"].is_string() || record["alias"].is_string();
    let known: Vec<&Value> = records.iter().filter(is_known).collect();
    let book = Book::of(proxy, "ledger.db");
    let rows = book.filled(known.len()).await;
    for record in known.iter().step_by(97) {
        let row = rows.iter().find(|row| row["request_id"] == record["request_id"]);
        assert_eq!(row, Some(&expected_row(record)));
    }
    let usage = usage(proxy, "?by=model&days=2").await;
    assert_eq!(usage["source"], "ledger");
    let sum = |field: &str| {
        let numbers = known.iter().filter_map(|record| record[field].as_u64());
        numbers.sum::<u64>()
    };
    for field in ["input_tokens", "cached_tokens", "output_tokens"] {
        assert_eq!(usage["total"][field], sum(field), "{field}");
        assert_eq!(book.sum(field), sum(field), "{field}");
    }
    assert_eq!(usage["total"]["requests"], known.len());
    let failed = |record: &&&Value| {
        let gone = record["class"] == "client_gone";
        !gone && (record["class"].is_string() || record["status"].as_u64() >= Some(400))
    };
    let failed = known.iter().filter(failed).count();
    assert_eq!(usage["total"]["errors"], failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o09_the_numbers_agree_with_the_records_of_ten_thousand_random_requests() {
    let (first, second) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::Messages).await.unwrap(),
    );
    let mut rng = Rng::with_seed(9);
    for sim in [&first, &second] {
        for _ in 0..CLIENTS * EACH {
            sim.next(answer(&mut rng));
        }
        sim.always(Answer::healthy());
    }
    let proxy = Proxy::start(&config(&first, &second)).await;
    traffic(&proxy).await;
    let records = proxy.recorded(usize::try_from(CLIENTS * EACH).unwrap()).await;
    assert_eq!(records.len() as u64, CLIENTS * EACH);
    all_fit(&records);
    counters_agree(&scrape(&proxy).await, &records);
    status_agrees(&proxy, records.len()).await;
    recent_agree(&proxy, &records).await;
    ledger_agrees(&proxy, &records).await;
    proxy.finish().await;
}
