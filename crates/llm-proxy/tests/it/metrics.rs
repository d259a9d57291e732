//! `/metrics`: what it counts agrees with the access records, and nobody outside can make a label.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use llm_sim::{Answer, Cut, Sim, Speaks};
use regex::Regex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::records::all_fit;
use super::support::client::chat;
use super::support::{Client, Proxy, until, within};

/// Samples by their whole names, labels included, as they are written.
type Samples = BTreeMap<String, String>;

/// The page, read strictly: every sample is of the family that was announced last, with help and a type, and is there
/// once.
async fn scrape(proxy: &Proxy) -> Samples {
    let reply = Client::plain(proxy.admin()).get("/metrics").await.expect(200);
    assert_eq!(
        reply.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let sample = Regex::new(
        r#"^([a-z_]+?)((?:_bucket|_sum|_count)?)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? ([0-9.e+-]+)$"#,
    )
    .unwrap();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut samples = Samples::new();
    for line in reply.text().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
            assert!(help.len() > family.len() + 10 && help.ends_with('.'), "{line}");
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, of) = told.split_once(' ').unwrap();
            assert_eq!(name, family, "{line}");
            kind = of.to_owned();
        } else {
            let parts = sample
                .captures(line)
                .unwrap_or_else(|| panic!("no sample: {line}"));
            let whole = format!("{}{}", &parts[1], &parts[2]);
            let of_histogram = kind == "histogram" && &parts[1] == family.as_str() && !parts[2].is_empty();
            assert!(whole == family || of_histogram, "{line} below {family}");
            let name = line.rsplit_once(' ').unwrap().0.to_owned();
            let again = samples.insert(name, parts[4].to_owned());
            assert_eq!(again, None, "twice: {line}");
        }
    }
    samples
}

/// The samples of one metric, without those that are 0.
fn of(samples: &Samples, name: &str) -> Samples {
    let own = |(sample, value): &(&String, &String)| sample.split('{').next() == Some(name) && *value != "0";
    let own = samples.iter().filter(own);
    own.map(|(sample, value)| (sample.clone(), value.clone()))
        .collect()
}

fn value<'a>(samples: &'a Samples, name: &str) -> &'a str {
    samples
        .get(name)
        .unwrap_or_else(|| panic!("no {name}: {samples:#?}"))
}

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

/// A random request; some of their clients leave.
async fn ask(client: Client, mut rng: Rng) {
    let model = ["m", "m", "m", "n", "glob-a", "glob-b", "nowhere"][rng.usize(0..7)];
    let stream = rng.bool();
    match rng.u32(0..12) {
        0 => drop(client.get("/v1/nothing").await),
        1 => drop(client.get("/v1/models").await),
        2 => drop(client.send("POST", "/v1/messages", b"{").await),
        3 => {
            let body = chat(model, true).to_string();
            drop(client.open("POST", "/v1/chat/completions", body.as_bytes()).await);
        }
        4..8 => drop(client.messages(model, stream).await),
        8 | 9 => drop(client.responses(model, stream).await),
        _ => drop(client.chat(model, stream).await),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o09_the_numbers_agree_with_the_records_of_some_thousand_random_requests() {
    const TASKS: u64 = 8;
    const EACH: u64 = 375;
    let (first, second) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::Messages).await.unwrap(),
    );
    let mut rng = Rng::with_seed(9);
    for sim in [&first, &second] {
        for _ in 0..TASKS * EACH {
            sim.next(answer(&mut rng));
        }
        sim.always(Answer::healthy());
    }
    let yaml = format!(
        "fallback: {{cooldown: 1ms, cooldown_max: 1ms, cooldowns: {{auth: 1ms, quota: 1ms, not_found: 1ms}}, retry_budget: 1}}
backends:
  - {{name: o, protocol: openai, url: {}, api_key: sk-canary-o}}
  - {{name: a, protocol: anthropic, url: {}, api_key: sk-canary-a}}
models:
  m: {{routes: [{{backend: o, model: real, priority: 1}}, {{backend: a, model: real, priority: 2}}]}}
  n: {{backend: a, model: real}}
  glob-*: {{backend: o}}
",
        first.url(),
        second.url()
    );
    let proxy = Arc::new(Proxy::start(&yaml).await);
    let tasks = (0..TASKS).map(|task| {
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
    let records = proxy.recorded(usize::try_from(TASKS * EACH).unwrap()).await;
    all_fit(&records);
    let expected = expected(&records);
    let samples = scrape(&proxy).await;
    for name in [
        "llm_proxy_requests_total",
        "llm_proxy_tokens_total",
        "llm_proxy_attempts_total",
        "llm_proxy_added_seconds_count",
        "llm_proxy_first_byte_seconds_count",
    ] {
        let told = of(&expected, name);
        assert!(!told.is_empty(), "{name}: nothing to compare");
        assert_eq!(of(&samples, name), told);
    }
    // Streams that break later cool as `midstream`, after their attempts are on record as answered.
    let mut cooldowns = of(&samples, "llm_proxy_cooldowns_total");
    cooldowns.retain(|name, _| !name.contains("midstream"));
    assert_eq!(cooldowns, of(&expected, "llm_proxy_cooldowns_total"));
    let classes = of(&samples, "llm_proxy_attempts_total").len();
    assert!(classes >= 12, "too few kinds of outcomes: {classes}");
    Arc::into_inner(proxy).unwrap().finish().await;
}

/// Sends these requests on one connection without waiting for answers, and counts those with that status.
async fn pipelined(proxy: &Proxy, requests: Vec<u8>, count: usize, status: &str) {
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut reads, mut writes) = stream.into_split();
    let write = tokio::spawn(async move {
        writes.write_all(&requests).await.unwrap();
        writes
    });
    let status = format!("HTTP/1.1 {status}");
    let mut found = 0;
    let mut text = Vec::new();
    while found < count {
        let before = text.len().saturating_sub(status.len() - 1);
        let got = within("answers", reads.read_buf(&mut text)).await.unwrap();
        assert!(got > 0, "the connection ended after {found} answers");
        found += memchr::memmem::find_iter(&text[before..], &status).count();
        let keep = text.len().saturating_sub(status.len() - 1);
        text.drain(..keep);
    }
    write.await.unwrap();
    proxy.sent(count as u64);
}

#[tokio::test]
async fn a21_random_models_keys_and_paths_make_no_series() {
    const MODELS: usize = 10_000;
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let yaml = format!(
        "api_keys: {{name: team, key: sk-canary-client-key}}
backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}
models: {{m: {{backend: a, model: real}}, glob-*: {{backend: a}}}}
",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    let keyed = proxy.client().header("x-api-key", "sk-canary-client-key");
    keyed.chat("m", false).await.expect(200);
    keyed.chat("glob-0", false).await.expect(200);
    let mut rng = Rng::with_seed(21);
    let mut requests = Vec::new();
    for _ in 0..MODELS {
        let model = format!("random\"}}-{:x}", rng.u64(..));
        let body = json!({"model": model, "messages": []}).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: sk-canary-client-key\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        requests.extend_from_slice(head.as_bytes());
        requests.extend_from_slice(body.as_bytes());
    }
    pipelined(&proxy, requests, MODELS, "404").await;
    for n in 0..200 {
        let path = format!("/v1/random-{:x}", rng.u64(..));
        keyed.get(&path).await.expect(404);
        let key = format!("random-{:x}", rng.u64(..));
        let stranger = proxy
            .client()
            .header("x-api-key", &key)
            .messages("m", false)
            .await;
        assert!([401, 429].contains(&stranger.status), "{}", stranger.status);
        keyed.chat(&format!("glob-{n}"), false).await.expect(200);
    }
    let samples = scrape(&proxy).await;
    assert!(samples.len() < 150, "{} series", samples.len());
    let random: Vec<_> = samples.keys().filter(|name| name.contains("random")).collect();
    assert_eq!(random, [""; 0]);
    let count = |labels: &str| value(&samples, &format!("llm_proxy_requests_total{{{labels}}}")).to_owned();
    // Unknown paths with this header are told as Messages would.
    assert_eq!(count(r#"dialect="chat",alias="other",status="404""#), "10000");
    assert_eq!(count(r#"dialect="messages",alias="other",status="404""#), "200");
    assert_eq!(count(r#"dialect="chat",alias="glob-*",status="200""#), "201");
    proxy.finish().await;
}

/// Two backends, the first of which is refused its key, behind limits of every kind and one place.
fn crowded(sim: &Sim) -> String {
    format!(
        "api_keys: {{name: team, key: sk-canary-client-key, rate_limit: {{rpm: 60}}}}
concurrency: {{max_requests: 1, queue_size: 1}}
rate_limit: {{per_model: {{m: {{rpm: 100}}}}}}
backends:
  - {{name: a, protocol: openai, url: '{0}', api_key: sk-canary-backend}}
  - {{name: b, protocol: openai, url: '{0}', api_key: sk-canary-other}}
models:
  m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]}}
",
        sim.url()
    )
}

/// What the page says while one is served, one waits and one was turned away.
const CROWDED: [(&str, &str); 13] = [
    ("llm_proxy_requests_in_flight", "2"),
    ("llm_proxy_places_in_service", "1"),
    ("llm_proxy_places_max", "1"),
    ("llm_proxy_queue_waiting", "1"),
    (r#"llm_proxy_queue_refused_total{reason="full"}"#, "1"),
    (r#"llm_proxy_backend_in_flight{backend="b"}"#, "1"),
    (r#"llm_proxy_cooling{backend="a",scope="key"}"#, "1"),
    (r#"llm_proxy_cooling{backend="b",scope="key"}"#, "0"),
    (r#"llm_proxy_cooldowns_total{backend="a",class="auth"}"#, "1"),
    (
        r#"llm_proxy_rate_limit{scope="key",name="team",unit="requests"}"#,
        "60",
    ),
    (
        r#"llm_proxy_rate_limit{scope="model",name="m",unit="requests"}"#,
        "100",
    ),
    ("llm_proxy_config_generation", "1"),
    ("llm_proxy_panics_total", "0"),
];

#[tokio::test]
async fn the_gauges_show_the_queue_the_limits_and_what_cools() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.next(Answer::status(401));
    sim.always(Answer::healthy().first_delay(Duration::from_mins(1)));
    let proxy = Proxy::start(&crowded(&sim)).await;
    let keyed = proxy.client().header("x-api-key", "sk-canary-client-key");
    let body = chat("m", true).to_string();
    let served = keyed.open("POST", "/v1/chat/completions", body.as_bytes()).await;
    sim.wait_seen(2).await;
    let waits = keyed.open("POST", "/v1/chat/completions", body.as_bytes()).await;
    until("one that waits", async || {
        (value(&scrape(&proxy).await, "llm_proxy_queue_waiting") == "1").then_some(())
    })
    .await;
    keyed.messages("m", false).await.expect(529);
    let samples = scrape(&proxy).await;
    for (name, expected) in CROWDED {
        assert_eq!(value(&samples, name), expected, "{name}");
    }
    let left = r#"llm_proxy_rate_limit_remaining{scope="key",name="team",unit="requests"}"#;
    let left: f64 = value(&samples, left).parse().unwrap();
    assert!((57.0..=60.0).contains(&left), "{left}");
    drop((served, waits));
    proxy.finish().await;
}

#[tokio::test]
async fn reloads_are_counted_and_what_was_counted_outlives_them() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let yaml = format!(
        "backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}\nmodels: {{m: {{backend: a}}}}\n",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    proxy.recorded(1).await;
    proxy.reload(&yaml).await;
    proxy.rewrite("backends: [");
    proxy.signal("-HUP");
    let success = "llm_proxy_config_last_reload_success";
    let samples = until("the refusal", async || {
        Some(scrape(&proxy).await).filter(|samples| value(samples, success) == "0")
    })
    .await;
    for (name, expected) in [
        (r#"llm_proxy_reloads_total{result="taken"}"#, "1"),
        (r#"llm_proxy_reloads_total{result="refused"}"#, "1"),
        ("llm_proxy_config_generation", "2"),
        (r#"llm_proxy_attempts_total{backend="a",class="ok"}"#, "1"),
    ] {
        assert_eq!(value(&samples, name), expected, "{name}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn l22_what_the_log_lost_is_counted_by_outlet() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let yaml = format!(
        "logging: {{file: {{dir: config.yaml/no}}, bodies: all}}
backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}
models: {{m: {{backend: a}}}}
",
        sim.url()
    );
    let proxy = Proxy::start(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    let dropped = |outlet: &str| format!("llm_proxy_log_dropped_total{{outlet=\"{outlet}\"}}");
    let samples = until("lost lines and bodies", async || {
        let samples = scrape(&proxy).await;
        let lost = |outlet| value(&samples, &dropped(outlet)) != "0";
        (lost("file") && lost("bodies")).then_some(samples)
    })
    .await;
    assert_eq!(value(&samples, &dropped("bodies")), "1");
    assert_eq!(value(&samples, &dropped("stderr")), "0");
    proxy.finish().await;
}

/// Every metric of ours that a text names.
fn named(text: &str) -> Vec<String> {
    let name = Regex::new(r"\bllm_proxy_[a-z0-9_]+").unwrap();
    name.find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

#[tokio::test]
async fn the_dashboard_the_alerts_and_the_page_of_metrics_name_those_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&format!(
        "backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend}}\nmodels: {{m: {{backend: a}}}}\n",
        sim.url()
    ))
    .await;
    let page = Client::plain(proxy.admin()).get("/metrics").await.text();
    let families = |kind: &str| -> Vec<String> {
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let own = types.filter_map(|line| line.strip_suffix(kind)?.strip_suffix(' '));
        own.map(str::to_owned).collect()
    };
    let plain = [families("counter"), families("gauge")].concat();
    let histograms = families("histogram");
    let parts = |name: &String| ["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"));
    let queried: Vec<String> = histograms
        .iter()
        .flat_map(parts)
        .chain(plain.iter().cloned())
        .collect();
    for path in ["deploy/grafana/llm-proxy.json", "deploy/prometheus/alerts.yaml"] {
        let names = named(&read(path));
        assert!(names.len() >= 8, "{path} names {names:?}");
        for name in names {
            assert!(queried.contains(&name), "{path} names {name}, which is not there");
        }
    }
    let listed = read("docs/reference/metrics.md");
    let mut listed: Vec<String> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("| `llm_proxy_")?.split('`').next())
        .map(|name| format!("llm_proxy_{name}"))
        .collect();
    let mut there = [plain, histograms].concat();
    listed.sort_unstable();
    there.sort_unstable();
    assert_eq!(listed, there);
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/llm-proxy.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let titled = |panel: &&Value| panel["title"].as_str().is_some_and(|title| !title.is_empty());
    assert_eq!(panels.iter().filter(titled).count(), panels.len());
    proxy.finish().await;
}
