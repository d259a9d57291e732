//! A backend's own key, once, in the header that the backend reads.

use super::Rules;
use crate::api::{Api, Envelope};
use crate::fault::Fault;
use crate::seen::Seen;

/// All headers in which some provider takes a key.
const HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Exactly one credential, of a kind that the API takes, and one of the keys where there are any.
pub(super) fn check(seen: &Seen, api: Api, rules: &Rules) -> Result<(), Fault> {
    let given: Vec<&(String, String)> = seen
        .headers
        .iter()
        .filter(|(name, _)| HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .collect();
    let [(name, value)] = given.as_slice() else {
        return Err(match given.len() {
            0 => Fault::new(401, "You didn't provide an API key."),
            _ => Fault::new(400, "more than one credential in a request"),
        });
    };
    let Some(key) = key(&name.to_ascii_lowercase(), value, api) else {
        return Err(Fault::new(
            401,
            format!("no API key in the header that this API reads, but in {name}"),
        ));
    };
    if key.is_empty() || !rules.keys.is_empty() && !rules.keys.iter().any(|known| known == key) {
        return Err(refused(api));
    }
    Ok(())
}

fn key<'a>(name: &str, value: &'a str, api: Api) -> Option<&'a str> {
    match (name, api) {
        ("authorization", _) => value.strip_prefix("Bearer "),
        ("x-api-key", Api::Messages | Api::CountTokens | Api::Models) => Some(value),
        ("api-key", api) if api.envelope() == Envelope::OpenAi => Some(value),
        _ => None,
    }
}

fn refused(api: Api) -> Fault {
    match api.envelope() {
        Envelope::OpenAi => Fault::of_status(401),
        Envelope::Anthropic => Fault::new(401, "invalid x-api-key"),
    }
}
