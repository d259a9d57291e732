//! How the proxy is, in one sentence.

use serde_json::Value;

use super::board::{list, text};
use super::paint::Tone;

/// How it is, and how bad that is.
pub(super) fn sentence(status: &Value) -> (Tone, String) {
    if text(status, "/phase") != "serving" {
        let phase = text(status, "/phase").replace('_', " ");
        return (Tone::Warn, format!("It takes no new connections: {phase}."));
    }
    let backends: Vec<&Value> = list(status, "backends").collect();
    let all = backends.len();
    let named = |state: &str| -> Vec<&str> {
        let own = backends.iter().filter(|backend| text(backend, "/state") == state);
        own.map(|backend| text(backend, "/name")).collect()
    };
    let (cooling, off) = (named("cooling"), named("disabled"));
    let well = all - cooling.len() - off.len();
    let said = match (well, cooling.len()) {
        (0, _) => {
            return (
                Tone::Bad,
                "No backend can be used as it should: requests fail or wait.".to_owned(),
            );
        }
        (_, 0) if off.is_empty() && all == 1 => "Its one backend is well.".to_owned(),
        (_, 0) if off.is_empty() => format!("All {all} backends are well."),
        (_, 0) => format!("{well} of {all} backends are well, the rest is disabled."),
        (_, 1) => format!("{} cools, {well} of {all} backends are well.", cooling.concat()),
        (_, n) => format!(
            "{n} backends cool ({}), {well} of {all} are well.",
            cooling.join(", ")
        ),
    };
    let tone = if cooling.is_empty() {
        Tone::Good
    } else {
        Tone::Warn
    };
    (tone, said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sentence_names_who_is_not_well() {
        for (phase, states, tone, said) in [
            ("serving", &["ok"][..], Tone::Good, "Its one backend is well."),
            ("serving", &["ok", "ok"], Tone::Good, "All 2 backends are well."),
            (
                "serving",
                &["ok", "cooling"],
                Tone::Warn,
                "b1 cools, 1 of 2 backends are well.",
            ),
            (
                "serving",
                &["cooling", "ok", "cooling"],
                Tone::Warn,
                "2 backends cool (b0, b2), 1 of 3 are well.",
            ),
            (
                "serving",
                &["ok", "disabled"],
                Tone::Good,
                "1 of 2 backends are well, the rest is disabled.",
            ),
            (
                "serving",
                &["cooling", "disabled"],
                Tone::Bad,
                "No backend can be used as it should: requests fail or wait.",
            ),
            (
                "draining",
                &["ok"],
                Tone::Warn,
                "It takes no new connections: draining.",
            ),
        ] {
            let backends = states
                .iter()
                .zip(0..)
                .map(|(state, n)| json!({"name": format!("b{n}"), "state": state}));
            let status = json!({"phase": phase, "backends": backends.collect::<Vec<_>>()});
            assert_eq!(sentence(&status), (tone, said.to_owned()));
        }
    }
}
