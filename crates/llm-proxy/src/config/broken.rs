//! Broken configs, and every word that is said about each (reliability.md, K01, K09, K10 and A18).

use std::path::Path;

use super::{Report, Severity, parse};

/// The least that a config needs.
const LEAST: &str =
    "backends: [{name: a, protocol: openai, url: \"http://a.example\"}]\nmodels: {m: {backend: a}}\n";

/// What is wrong, the file, and each error as one line.
struct Case {
    what: &'static str,
    yaml: String,
    errors: Vec<&'static str>,
}

/// The cases of `broken.txt`.
fn cases() -> Vec<Case> {
    include_str!("broken.txt")
        .split("=== ")
        .skip(1)
        .map(case)
        .collect()
}

fn case(text: &'static str) -> Case {
    let (what, rest) = text.split_once('\n').unwrap();
    let errors = rest.lines().filter_map(|line| line.strip_prefix("! ")).collect();
    let yaml = rest
        .lines()
        .filter(|line| !line.starts_with("! ") && !line.is_empty());
    let yaml = yaml.map(|line| {
        if line == "@least" {
            LEAST.to_owned()
        } else {
            format!("{line}\n")
        }
    });
    Case {
        what,
        yaml: yaml.collect(),
        errors,
    }
}

/// The errors alone, a line each.
fn errors(report: &Report) -> Vec<String> {
    let errors = report.0.iter().filter(|one| one.severity == Severity::Error);
    errors
        .map(|one| one.to_string().replacen("c.yaml:", "", 1))
        .collect()
}

/// The report on a file that must not load. There are no variables, and files are relative to nowhere.
fn refused(yaml: &str) -> Report {
    match parse(yaml, "c.yaml", Path::new(""), &|_| None) {
        Ok(_) => panic!("this is not refused:\n{yaml}"),
        Err(report) => report,
    }
}

#[test]
fn every_broken_config_is_refused_with_all_of_its_errors_each_at_its_place() {
    let cases = cases();
    assert!(cases.len() >= 80, "{}", cases.len());
    for Case {
        what,
        yaml,
        errors: expected,
    } in cases
    {
        assert_eq!(errors(&refused(&yaml)), expected, "{what}:\n{yaml}");
    }
}

/// Configs that load, and what their owner is told.
const WARNED: [(&str, &str); 17] = [
    (
        "trusted_proxies: [0.0.0.0/0]\n",
        "c.yaml:1:19: this believes anybody's `X-Forwarded-For`",
    ),
    (
        "api_keys: {name: k, key: 0123456789abcdef, models: [n]}\n",
        "c.yaml:1:53: `n` fits no alias",
    ),
    (
        "api_keys: {name: k, key: 0123456789abcdef, models: [x*]}\n",
        "c.yaml:1:53: `x*` fits no alias",
    ),
    (
        "ADD {name: b, protocol: openai, url: 'http://b'}\n",
        "c.yaml:3:10: no alias leads to the backend `b`",
    ),
    (
        "ADD {name: a2, protocol: openai, url: 'http://b', enabled: false}\n",
        "",
    ),
    (
        "cluster: {redis: 'redis://127.0.0.1:6379'}\n",
        "c.yaml:1:1: the section `cluster` is read and checked, but has no effect in this version",
    ),
    ("telemetry: {otlp: 'http://127.0.0.1:4317'}\n", ""),
    (
        "telemetry: {otlp: 'https://x', tls: {insecure: true}}\n",
        "c.yaml:1:37: anybody on the way can read and change what goes to the collector",
    ),
    (
        "ledger: {url: off}\nlogging: {bodies: off, mask: standard}\nstream: {early_heartbeat_after: off, heartbeat: off}\n",
        "",
    ),
    (
        "trusted_proxies: []\napi_keys: {name: k, key: 0123456789abcdef, priority: 0}\n",
        "",
    ),
    ("trusted_proxies: 10.0.0.0/8\n", ""),
    (
        "api_keys: {name: k, key: 0123456789abcdef, expires: 2025-12-31}\n",
        "c.yaml:1:53: this key has expired, so nobody can use it",
    ),
    (
        "api_keys: {name: k, key: 0123456789abcdef, enabled: false, expires: 9999-12-30T00:00:00Z}\n",
        "",
    ),
    ("logging: {mask: strict, bodies: all, file: {dir: logs}}\n", ""),
    (
        "api_keys: [{name: k, key: 0123456789abcdef, budget: {usd: 5}}]\n",
        "c.yaml:1:53: without a ledger, what was spent of a budget is forgotten at a restart; set `ledger.url`",
    ),
    ("fallback:\n# nothing but a comment\n", ""),
    ("api_keys: {name: k, key: 0123456789abcdef, models: 'm*'}\n", ""),
];

#[test]
fn what_is_odd_but_not_wrong_is_a_warning() {
    for (lines, expected) in WARNED {
        let yaml = match lines.strip_prefix("ADD ") {
            Some(backend) => LEAST
                .replace("[{name: a,", "\n- {name: a,")
                .replace("}]", &format!("}}\n- {backend}")),
            None => format!("{lines}{LEAST}"),
        };
        let loaded = parse(&yaml, "c.yaml", Path::new(""), &|_| None);
        let warnings = loaded
            .unwrap_or_else(|report| panic!("{report}\n{yaml}"))
            .warnings;
        let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.join("\n"), expected, "{yaml}");
    }
}

#[test]
fn no_secret_is_shown_wherever_the_error_is() {
    for Case { what, yaml, .. } in cases() {
        let report = refused(&yaml);
        for text in [
            report.render(true),
            report.render(false),
            report.to_string(),
            format!("{report:?}"),
        ] {
            for secret in [
                "hunter2",
                "sk-secret",
                "changeme-",
                "aaaaaaaa",
                "0123456789abcdef",
            ] {
                assert!(!text.contains(secret), "{what}: {text}");
            }
        }
    }
}

#[test]
fn a_hundred_megabytes_and_bombs_are_refused_fast() {
    let bomb = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!(
            "{text}a{n}: &a{n} [{}]\n",
            vec![format!("*a{}", n - 1); 20].join(", ")
        )
    });
    for (text, message) in [
        (
            "x".repeat(100 << 20),
            "c.yaml: cannot read the config: it is larger than 4096 KiB",
        ),
        (bomb, "the aliases in this file repeat too much"),
        ("- ".repeat(1 << 20), "this is not YAML"),
        ("{".repeat(1 << 20), "this is not YAML"),
        ("- a\n".repeat(1 << 18), "there are too many values in this file"),
    ] {
        let report = refused(&text);
        assert!(report.to_string().contains(message), "{report}");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let path = std::env::temp_dir().join(format!("llm-proxy-large-{}.yaml", std::process::id()));
    // Sparse: it says 100 GB, and holds nothing.
    std::fs::File::create(&path)
        .and_then(|file| file.set_len(100 << 30))
        .unwrap();
    let report = super::load(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(
        report
            .to_string()
            .ends_with("cannot read the config: it is larger than 4096 KiB"),
        "{report}"
    );
}

/// A config with something of everything, to be broken.
const WHOLE: &str = include_str!("../../../../examples/full.yaml");

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,400}") {
        let _ = parse(&text, "c.yaml", Path::new(""), &|_| None);
    }

    #[test]
    fn no_change_to_a_real_config_makes_it_panic(
        changes in proptest::collection::vec(
            (0..WHOLE.len(), 0..40_usize, "[ \t\n\\-:{}\\[\\]&*$|>\"'#,0aé<]{0,6}"),
            1..6,
        )
    ) {
        let mut text = WHOLE.to_owned();
        for (at, len, with) in changes {
            let start = text.floor_char_boundary(at);
            let end = text.floor_char_boundary((start + len).min(text.len()));
            text.replace_range(start..end.max(start), &with);
        }
        let outcome = parse(&text, "c.yaml", Path::new(""), &|_| Some("0123456789abcdefghij".to_owned()));
        if let Err(report) = outcome {
            let _ = report.render(true);
        }
    }
}
