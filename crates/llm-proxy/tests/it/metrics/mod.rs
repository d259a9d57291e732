//! `/metrics`: what it counts agrees with the access records, and nobody outside can make a label.

mod agree;
mod bounded;

use std::collections::BTreeMap;
use std::path::Path;

use std::time::Duration;

use llm_sim::{Answer, Sim, Speaks};
use regex::Regex;
use serde_json::Value;

use super::support::client::chat;
use super::support::{Client, Proxy, until};

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
