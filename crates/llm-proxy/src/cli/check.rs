//! `llm-proxy check`: everything that is wrong with a config file, and a line on what it holds.

use std::fmt::Write as _;
use std::path::Path;

use super::Outcome;
use crate::config::{self, Config, Diagnostic, Loaded, Report, Severity};
use crate::prices;

/// Loads the file and tells what it finds, errors and warnings on standard error. `colour`: with terminal colours.
pub fn run(path: &Path, colour: bool) -> Outcome {
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into(),
    );
    told(&name, config::load(path), colour)
}

fn told(name: &str, loaded: Result<Loaded, Report>, colour: bool) -> Outcome {
    match loaded {
        Ok(loaded) => {
            let out = format!("{name} is valid: {}\n", summary(&loaded.config));
            let mut err = shown(Report(loaded.warnings), colour);
            for unpriced in prices::unknown(&loaded.config) {
                let _ = write!(err, "warning: {unpriced}\n\n");
            }
            Outcome { out, err, code: 0 }
        }
        Err(report) => {
            let count = |of| {
                report
                    .0
                    .iter()
                    .filter(|one: &&Diagnostic| one.severity == of)
                    .count()
            };
            let errors = counted(count(Severity::Error), "error");
            let warnings = match count(Severity::Warning) {
                0 => String::new(),
                some => format!(" and {}", counted(some, "warning")),
            };
            let first = format!("{name} has {errors}{warnings}.\n\n");
            Outcome::failed(first + &shown(report, colour), 2)
        }
    }
}

/// All diagnostics with an empty line after each; nothing if there are none.
fn shown(report: Report, colour: bool) -> String {
    if report.0.is_empty() {
        return String::new();
    }
    report.render(colour) + "\n\n"
}

fn summary(config: &Config) -> String {
    let keys = match config.api_keys.len() {
        0 => "no keys (loopback only)".to_owned(),
        some => counted(some, "key"),
    };
    let backends = counted(config.backends.len(), "backend");
    let aliases = match config.models.len() {
        1 => "1 alias".to_owned(),
        some => format!("{some} aliases"),
    };
    format!("{backends}, {aliases}, {keys}")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Outcome {
        told(
            "config.yaml",
            config::parse(yaml, "config.yaml", Path::new(""), &|_| None),
            false,
        )
    }

    #[test]
    fn a_budget_is_warned_of_what_has_no_price() {
        let outcome = check(&format!(
            "{GOOD}api_keys: [{{name: team, key: 0123456789abcdef, budget: {{usd: 1}}}}]\n"
        ));
        assert_eq!(outcome.code, 0);
        let warning = "warning: the key `team` has a budget and may use models whose price is not known";
        assert!(outcome.err.contains(warning), "{}", outcome.err);
    }

    const GOOD: &str = "backends: [{name: a, protocol: anthropic, url: https://a.example}]\n\
                        models: {m: {backend: a}}\n";

    #[test]
    fn a_valid_config_gets_one_line() {
        let outcome = check(GOOD);
        assert_eq!(
            outcome,
            Outcome::fine("config.yaml is valid: 1 backend, 1 alias, no keys (loopback only)\n".to_owned())
        );
    }

    #[test]
    fn warnings_do_not_fail() {
        let outcome = check(&format!("{GOOD}cluster: {{redis: 'redis://x'}}\n"));
        assert_eq!(outcome.code, 0);
        assert_eq!(
            outcome.err,
            "warning: the section `cluster` is read and checked, but has no effect in this version\n \
             --> config.yaml:3:1\n  |\n3 | cluster: {redis: 'redis://x'}\n  | ^^^^^^^\n\n"
        );
    }

    #[test]
    fn a_broken_config_fails_with_every_error_after_one_sentence() {
        let outcome = check(&format!(
            "{GOOD}lisen: x\nwatch: maybe\ntelemetry: {{otlp: 'http://x'}}\n"
        ));
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""));
        assert!(
            outcome
                .err
                .starts_with("config.yaml has 2 errors and 1 warning.\n\nerror: unknown key `lisen`")
        );
        assert!(
            outcome.err.contains("help: did you mean `listen`?"),
            "{}",
            outcome.err
        );
        assert!(outcome.err.contains("config.yaml:4:8"), "{}", outcome.err);
    }

    #[test]
    fn a_file_that_is_not_there_fails_too() {
        let outcome = run(Path::new("/nowhere/config.yaml"), false);
        assert_eq!(outcome.code, 2);
        assert!(outcome.err.contains("cannot read the config"), "{}", outcome.err);
    }
}
