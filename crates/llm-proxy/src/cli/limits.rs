//! The limits that count for a request, as `explain` tells them.

use std::fmt::Write as _;

use crate::config::Config;
use crate::config::types::{ApiKey, Rate};

/// The limits of a request with that key for that alias.
pub(super) fn describe(config: &Config, key: Option<&ApiKey>, alias: &str, text: &mut String) {
    let rates = config.rate_limit.as_ref();
    let own = key.and_then(|key| Some((key.name.as_str(), key.rate_limit.as_ref()?)));
    let of_model = rates.and_then(|rates| rates.per_model.get(alias));
    let levels = [
        (
            "each address".to_owned(),
            rates.and_then(|rates| rates.per_ip.as_ref()),
        ),
        (
            "everybody together".to_owned(),
            rates.and_then(|rates| rates.global.as_ref()),
        ),
        (
            own.map_or_else(String::new, |(name, _)| format!("key `{name}`")),
            own.map(|(_, rate)| rate),
        ),
        (format!("alias `{alias}`"), of_model),
    ];
    for (whose, rate) in levels {
        if let Some(rate) = rate {
            let _ = writeln!(text, "limit of {whose}: {}", in_words(rate));
        }
    }
    if let Some((key, budget)) = key.and_then(|key| Some((key, key.budget?))) {
        let per = format!("{:?}", budget.per).to_lowercase();
        let _ = writeln!(text, "budget of key `{}`: ${} a {per}", key.name, budget.usd);
    }
    at_once(config, key, text);
}

fn at_once(config: &Config, key: Option<&ApiKey>, text: &mut String) {
    let bounds = &config.concurrency;
    let _ = write!(
        text,
        "at once: {} in all, {} of one address",
        bounds.max_requests, bounds.per_ip
    );
    if let Some(most) = key.and_then(|key| key.max_concurrent) {
        let _ = write!(text, ", {most} of this key");
    }
    let _ = match bounds.queue_size {
        0 => writeln!(text, "; nobody waits"),
        size => writeln!(
            text,
            "; {size} more may wait, each for {:?}",
            bounds.queue_timeout
        ),
    };
}

fn in_words(rate: &Rate) -> String {
    let parts = [
        (rate.rps, "requests a second"),
        (rate.rpm, "requests a minute"),
        (rate.tpm, "tokens a minute"),
        (rate.burst, "at once"),
    ];
    let said = parts
        .into_iter()
        .filter_map(|(amount, unit)| Some(format!("{} {unit}", amount?)));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_by_the_parts_that_it_has() {
        let rate = Rate {
            rps: Some(0.5),
            tpm: Some(200_000.0),
            burst: Some(3.0),
            ..Rate::default()
        };
        assert_eq!(
            in_words(&rate),
            "0.5 requests a second, 200000 tokens a minute, 3 at once"
        );
    }
}
