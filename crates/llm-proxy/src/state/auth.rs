//! Who is asking: the keys that clients present, and what each may use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use super::rates::{Level, Rates};
use super::spending::{Budget, Spendings};
use crate::base::glob::Glob;
use crate::base::identity::identity;
use crate::base::secret::digest;
use crate::config::types::ApiKey;
use crate::limits::Buckets;

/// Longer keys are refused unread: hashing them would be work done for strangers.
const MAX_KEY: usize = 4096;
/// The headers, other than `authorization`, that may carry a key.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

/// The client's side of a key: its name, what it may use, and how much of it.
#[derive(Debug)]
pub struct Client {
    /// Which key it is, by name and digest: what it has used up is found by this after a reload.
    pub id: u64,
    /// Its name in logs.
    pub name: Arc<str>,
    /// The aliases that it may use.
    pub models: Vec<Glob>,
    /// Its own rates.
    pub rates: Option<Arc<Buckets>>,
    /// Its own requests at once.
    pub max_concurrent: Option<u32>,
    /// Its place in the queue: higher goes first.
    pub priority: i32,
    /// Whether usage must be known of its streams, for its limit of tokens or its budget.
    pub needs_usage: bool,
    /// What it may spend.
    pub budget: Option<Budget>,
    enabled: bool,
    expires: Option<SystemTime>,
}

impl Client {
    fn new(key: &ApiKey, (rates, spendings): (&Rates, &Spendings)) -> Self {
        let own = |rate| rates.shared((Level::Key, &key.name), rate);
        let id = identity(&[b"client", key.name.as_bytes(), &key.digest]);
        let budget = |budget| spendings.budget(id, &key.name, budget);
        Self {
            id,
            name: Arc::from(key.name.as_str()),
            models: key.models.clone(),
            rates: key.rate_limit.as_ref().map(own),
            max_concurrent: key.max_concurrent,
            priority: key.priority,
            needs_usage: key.budget.is_some() || key.rate_limit.is_some_and(|rate| rate.tpm.is_some()),
            budget: key.budget.map(budget),
            enabled: key.enabled,
            expires: key.expires,
        }
    }

    /// Whether its key is taken at that time: it is switched on, and has not ended. Most have no end, and no time is asked
    /// for.
    pub fn is_valid(&self, now: impl FnOnce() -> SystemTime) -> bool {
        self.enabled && self.expires.is_none_or(|end| now() < end)
    }

    /// Whether it may use that alias.
    pub fn may_use(&self, alias: &str) -> bool {
        self.models.iter().any(|glob| glob.matches(alias))
    }
}

/// Nobody in particular may come in. There is one reason only, so that none can be told from another.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused;

/// All client keys, by digest; those that are switched off or have ended too, or a config of nothing else would look
/// like one without keys, which lets anybody in.
#[derive(Debug, Default)]
pub struct Keys {
    by_digest: HashMap<[u8; 32], Arc<Client>>,
}

impl Keys {
    /// The keys of a config, with their buckets among `rates`, and what they have spent.
    pub fn new(keys: &[ApiKey], (rates, spendings): (&Rates, &Spendings)) -> Self {
        let client = |key: &ApiKey| (key.digest, Arc::new(Client::new(key, (rates, spendings))));
        Self {
            by_digest: keys.iter().map(client).collect(),
        }
    }

    /// The client of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<Client>> {
        self.by_digest.values().find(|client| &*client.name == name)
    }

    /// Who presents these headers: exactly one distinct valid key must result. `Ok(None)` where no keys are configured.
    ///
    /// Only digests are looked up, so the time taken tells nothing about how near a guess was; the map's hash is
    /// keyed at random, and the digest that was found is compared in constant time all the same. A key that is not
    /// valid at `now` is like one that nobody has.
    ///
    /// # Errors
    /// [`Refused`]: no valid key, or two different ones.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        now: impl Fn() -> SystemTime,
    ) -> Result<Option<&Arc<Client>>, Refused> {
        if self.by_digest.is_empty() {
            return Ok(None);
        }
        let mut found: Option<&Arc<Client>> = None;
        let known = presented(headers).filter_map(|key| self.find(&digest(key)));
        for client in known.filter(|client| client.is_valid(&now)) {
            match found {
                // The same key under two names of headers is one key.
                Some(other) if !Arc::ptr_eq(other, client) => return Err(Refused),
                _ => found = Some(client),
            }
        }
        found.map(Some).ok_or(Refused)
    }

    /// Everybody who may come in.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.by_digest.values().map(AsRef::as_ref)
    }

    fn find(&self, digest: &[u8; 32]) -> Option<&Arc<Client>> {
        let (known, client) = self.by_digest.get_key_value(digest)?;
        bool::from(known.ct_eq(digest)).then_some(client)
    }
}

/// Every key that the headers carry.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    // One pass over the headers: four look-ups would hash four names.
    let carried = headers.iter().filter_map(|(name, value)| {
        let value = value.as_bytes();
        if *name == AUTHORIZATION {
            bearer(value)
        } else {
            KEY_HEADERS.contains(&name.as_str()).then_some(value)
        }
    });
    carried.filter(|key| !key.is_empty() && key.len() <= MAX_KEY)
}

/// The token of an `authorization: Bearer` value; the scheme has no case (RFC 9110, 11.1).
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderName, HeaderValue};

    use super::*;

    const ONE: &str = "first-key-0123456789";
    const TWO: &str = "second-key-0123456789";
    const OFF: &str = "switched-off-0123456789";
    const OVER: &str = "has-ended-0123456789";

    fn nothing_used() -> (&'static Rates, &'static Spendings) {
        let nothing: &'static (Rates, Spendings) = Box::leak(Box::default());
        (&nothing.0, &nothing.1)
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn key(name: &str, value: &str) -> ApiKey {
        ApiKey {
            name: name.to_owned(),
            digest: digest(value.as_bytes()),
            key: None,
            models: vec![Glob::new("*")],
            enabled: true,
            expires: None,
            rate_limit: None,
            max_concurrent: None,
            priority: 0,
            budget: None,
        }
    }

    fn off() -> ApiKey {
        ApiKey {
            enabled: false,
            ..key("off", OFF)
        }
    }

    fn until(end: SystemTime) -> ApiKey {
        ApiKey {
            expires: Some(end),
            ..key("over", OVER)
        }
    }

    fn keys() -> Keys {
        Keys::new(
            &[key("one", ONE), key("two", TWO), off(), until(now())],
            nothing_used(),
        )
    }

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        headers.iter().map(pair).collect()
    }

    fn who(pairs: &[(&str, &str)]) -> Option<String> {
        let keys = keys();
        let client = keys.identify(&headers(pairs), now).ok()?;
        client.map(|client| client.name.to_string())
    }

    #[test]
    fn exactly_one_distinct_valid_key_must_result() {
        let bearer = "Bearer first-key-0123456789";
        for (why, pairs, expected) in [
            ("A02 bearer", &[("authorization", bearer)][..], Some("one")),
            (
                "the scheme has no case",
                &[("authorization", "bEARER first-key-0123456789")],
                Some("one"),
            ),
            ("A02 x-api-key", &[("x-api-key", TWO)], Some("two")),
            ("A02 api-key", &[("api-key", TWO)], Some("two")),
            ("A02 x-goog-api-key", &[("x-goog-api-key", TWO)], Some("two")),
            (
                "A03 the same key twice",
                &[("authorization", bearer), ("x-api-key", ONE)],
                Some("one"),
            ),
            (
                "A03 valid and junk",
                &[("authorization", "Bearer junk"), ("x-api-key", ONE)],
                Some("one"),
            ),
            (
                "A03 two valid keys",
                &[("authorization", bearer), ("x-api-key", TWO)],
                None,
            ),
            ("A01 none", &[], None),
            ("A04 empty", &[("authorization", "Bearer ")], None),
            ("A04 a prefix", &[("x-api-key", "first-key-012345678")], None),
            (
                "A04 a space behind it",
                &[("x-api-key", "first-key-0123456789 ")],
                None,
            ),
            ("A01 switched off", &[("x-api-key", OFF)], None),
            ("A01 ended", &[("x-api-key", OVER)], None),
            (
                "a valid one and one that is not",
                &[("x-api-key", OFF), ("api-key", OVER), ("authorization", bearer)],
                Some("one"),
            ),
        ] {
            assert_eq!(who(pairs).as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn a_key_is_taken_up_to_its_end_and_not_at_it() {
        let (before, keys) = (
            now() - Duration::from_nanos(100),
            Keys::new(&[until(now())], nothing_used()),
        );
        let presented = headers(&[("x-api-key", OVER)]);
        assert!(keys.identify(&presented, || before).is_ok());
        assert!(keys.identify(&presented, now).is_err());
    }

    #[test]
    fn a_config_whose_keys_are_all_over_lets_nobody_in_and_one_without_keys_anybody() {
        for keys in [vec![off()], vec![until(now())], vec![off(), until(now())]] {
            let keys = Keys::new(&keys, nothing_used());
            assert!(keys.identify(&HeaderMap::new(), now).is_err());
            assert!(keys.identify(&headers(&[("x-api-key", OFF)]), now).is_err());
        }
        let open = Keys::new(&[], nothing_used());
        assert!(matches!(open.identify(&HeaderMap::new(), now), Ok(None)));
    }

    #[test]
    fn a_key_keeps_its_identity_over_a_reload_and_another_under_its_name_does_not_inherit_it() {
        let id = |keys: &[ApiKey]| Keys::new(keys, nothing_used()).named("one").unwrap().id;
        let before = id(&[key("one", ONE)]);
        let kept = id(&[
            key("two", TWO),
            ApiKey {
                priority: 7,
                ..key("one", ONE)
            },
        ]);
        assert_eq!(before, kept);
        assert_ne!(before, id(&[key("one", TWO)]));
    }

    /// Time is not measured: what is compared knows nothing of nearness, so there is nothing to measure.
    #[test]
    fn a05_a_guess_is_looked_up_by_its_digest_which_is_as_far_off_for_a_near_one_as_for_any() {
        let right = "0123456789abcdef0123456789abcdef";
        let keys = Keys::new(&[key("right", right)], nothing_used());
        let alike = |guess: &str| {
            let pairs = digest(guess.as_bytes()).into_iter().zip(digest(right.as_bytes()));
            pairs.take_while(|(ours, theirs)| ours == theirs).count()
        };
        for shared in 0..right.len() {
            let guess = format!("{}{}", &right[..shared], "x".repeat(right.len() - shared));
            assert!(alike(&guess) <= 2, "{shared} bytes right, and the digest says so");
            assert!(keys.identify(&headers(&[("x-api-key", &guess)]), now).is_err());
        }
        let endless = format!("{right}{}", "x".repeat(MAX_KEY));
        assert_eq!(
            presented(&headers(&[("x-api-key", &endless)])).count(),
            0,
            "is not even hashed"
        );
    }
}
