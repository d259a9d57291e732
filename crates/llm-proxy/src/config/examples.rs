//! The example configs load, and the one with every key says what it says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::types::{Listen, OutboundProxy, Period, Rotate, StatusPattern, Strategy, TextPattern};
use super::{Config, Loaded, parse};
use crate::base::Class;

/// A folder with the files that the examples name.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("llm-proxy-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("prompts")).unwrap();
        let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
        for (file, text) in [
            ("cert.pem", certificate),
            ("ca.pem", certificate),
            ("key.pem", key),
            ("team.md", ""),
            ("prices.yaml", ""),
        ] {
            std::fs::write(dir.join(file), text).unwrap();
        }
        Self(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn env(name: &str) -> Option<String> {
    (name != "ADMIN_KEY").then(|| format!("value-of-{name}-0123456789"))
}

fn loaded(text: &str, dir: &Path) -> Loaded {
    parse(text, "config.yaml", dir, &env).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

#[test]
fn every_example_loads() {
    let folder = Folder::new("examples");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let found = loaded(&std::fs::read_to_string(&path).unwrap(), &folder.0);
            let full = path.ends_with("full.yaml");
            assert!(
                full || found.warnings.is_empty(),
                "{}: {}",
                path.display(),
                found.warnings[0]
            );
            count += 1;
        }
    }
    assert!(count >= 4);
}

const FULL: &str = include_str!("../../../../examples/full.yaml");

fn full() -> Config {
    let folder = Folder::new("full");
    let mut config = loaded(FULL, &folder.0).config;
    for path in config
        .tls
        .iter_mut()
        .flat_map(|tls| [&mut tls.cert, &mut tls.key])
        .chain(&mut config.prices.file)
    {
        *path = path.strip_prefix(&folder.0).unwrap().to_owned();
    }
    config
}

#[test]
fn the_full_example_reads_as_the_contract_says() {
    let config = full();
    assert_eq!(config.listen, [Listen::Tcp("127.0.0.1:8765".parse().unwrap())]);
    assert_eq!(config.tls.unwrap().cert, Path::new("cert.pem"));
    assert_eq!(config.admin.listen, Some("127.0.0.1:8766".parse().unwrap()));
    assert!(config.admin.key.is_none(), "an empty key is none");
    let key = &config.api_keys[0];
    assert_eq!(
        (key.name.as_str(), key.max_concurrent, key.budget.unwrap().per),
        ("team", Some(20), Period::Day)
    );
    assert_eq!(key.digest, key.key.as_ref().unwrap().digest());
    assert_eq!(config.api_keys[1].digest[..2], [0x8d, 0x96]);
}

#[test]
fn failure_and_bounds_of_the_full_example() {
    let config = full();
    let fallback = &config.fallback;
    assert_eq!(
        (fallback.max_attempts, fallback.cooldown),
        (3, Duration::from_secs(15))
    );
    assert_eq!(fallback.cooldowns[&Class::Quota], Duration::from_mins(30));
    assert_eq!(config.detection.error_codes[6], StatusPattern::Hundred(5));
    assert!(matches!(
        &config.detection.error_patterns[1],
        TextPattern::Regex(_)
    ));
    assert_eq!(config.detection.error_map[0].class, Class::Quota);
    assert_eq!(config.limits.max_body, 32 << 20);
    assert_eq!(config.stream.heartbeat, Some(Duration::from_secs(15)));
    assert_eq!(config.stream.early_heartbeat_after, None);
    let log = config.logging.file.unwrap();
    assert!(log.rotate == Rotate::Daily && log.dir.ends_with("logs") && log.max_size == Some(100 << 20));
    assert_eq!(config.prices.file.unwrap(), Path::new("prices.yaml"));
    let files = config.system_prompts.iter().map(|prompt| prompt.file.as_deref());
    assert_eq!(files.collect::<Vec<_>>(), [Some("team.md"), None]);
}

#[test]
fn backends_and_routes_of_the_full_example() {
    let config = full();
    let openai = &config.backends[0];
    assert_eq!(openai.url, "https://api.openai.com/v1");
    assert_eq!(openai.headers[0].1, "blue");
    assert!(openai.headers[0].1.is_sensitive());
    assert_eq!(openai.http_proxy, OutboundProxy::None);
    assert_eq!(openai.timeout.first_byte, Some(Duration::from_mins(2)));
    assert_eq!(config.backends[2].api_keys.len(), 2);
    let sonnet = &config.models["claude-sonnet"];
    assert_eq!(sonnet.strategy, Strategy::Weighted);
    let shares: Vec<(i32, u32)> = sonnet
        .routes
        .iter()
        .map(|route| (route.priority, route.weight))
        .collect();
    assert_eq!(shares, [(1, 3), (1, 1), (2, 1)]);
    assert_eq!(sonnet.defaults, [("max_tokens".to_owned(), json!(8192))]);
    assert_eq!(sonnet.overrides, [("temperature".to_owned(), json!(0))]);
    assert_eq!(config.models["gpt-*"].routes[0].model, None);
    assert_eq!(config.models["gpt-5"].routes[0].context, Some(400_000));
}

#[test]
fn what_has_no_effect_yet_is_warned_of_once_each() {
    let folder = Folder::new("later");
    let warnings: Vec<String> = loaded(FULL, &folder.0)
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    let all = warnings.join("\n");
    let line = "the section `cluster` is read and checked, but has no effect in this version";
    assert_eq!(all.matches(line).count(), 1, "{all}");
    assert!(!all.contains("early_heartbeat"), "what is off needs no warning");
}

#[test]
fn a_config_of_the_least_has_every_default() {
    let least =
        "backends: {name: a, protocol: openai, url: \"http://a.example/\"}\nmodels: {m: {backend: a}}\n";
    let Loaded { config, warnings } = loaded(least, Path::new(""));
    assert!(warnings.is_empty());
    assert_eq!(config.listen, [Listen::Tcp("127.0.0.1:8765".parse().unwrap())]);
    assert_eq!(config.admin.listen, Some("127.0.0.1:8766".parse().unwrap()));
    assert_eq!(config.backends[0].apis.len(), 8);
    assert_eq!(config.fallback.cooldowns.len(), 3);
    assert_eq!(config.detection.error_codes.len(), 7);
    assert_eq!(config.timeout.total, Duration::from_mins(30));
    assert_eq!(config.limits.max_json_depth, 128);
    assert_eq!(
        (
            config.concurrency.max_requests,
            config.concurrency.per_ip,
            config.concurrency.queue_size
        ),
        (500, 50, 1000)
    );
    assert!(config.rate_limit.is_none() && config.logging.file.is_none());
    assert!(config.models["m"].affinity && config.models["m"].enabled && config.logging.access);
    assert_eq!(config.shutdown_grace, Duration::from_secs(30));
}
