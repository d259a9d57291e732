//! Who is asking: the keys that clients present, and what each may use.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use subtle::ConstantTimeEq;

use super::rates::{Level, Rates};
use crate::base::glob::Glob;
use crate::base::secret::digest;
use crate::config::types::ApiKey;
use crate::limits::Buckets;

/// Longer keys are refused unread: hashing them would be work done for strangers.
const MAX_KEY: usize = 4096;
/// The headers, other than `authorization`, that may carry a key.
static KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The client's side of a key: its name and what it may use.
#[derive(Debug)]
pub struct Client {
    /// Its name in logs.
    pub name: Arc<str>,
    /// The aliases that it may use.
    pub models: Vec<Glob>,
    /// Its own rates.
    pub rates: Option<Arc<Buckets>>,
}

impl Client {
    /// Whether it may use that alias.
    pub fn may_use(&self, alias: &str) -> bool {
        self.models.iter().any(|glob| glob.matches(alias))
    }
}

/// Nobody in particular may come in. There is one reason only, so that none can be told from another.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused;

/// All client keys, by digest.
#[derive(Debug, Default)]
pub struct Keys {
    by_digest: HashMap<[u8; 32], Arc<Client>>,
}

impl Keys {
    /// The keys of a config, with their buckets among `rates`.
    pub fn new(keys: &[ApiKey], rates: &Rates) -> Self {
        let client = |key: &ApiKey| {
            let own = |rate| rates.shared((Level::Key, &key.name), rate);
            Arc::new(Client {
                name: Arc::from(key.name.as_str()),
                models: key.models.clone(),
                rates: key.rate_limit.as_ref().map(own),
            })
        };
        Self {
            by_digest: keys.iter().map(|key| (key.digest, client(key))).collect(),
        }
    }

    /// Who presents these headers: exactly one distinct valid key must result. `Ok(None)` where no keys are configured.
    ///
    /// Only digests are looked up, so the time taken tells nothing about how near a guess was; the map's hash is
    /// keyed at random, and the digest that was found is compared in constant time all the same.
    ///
    /// # Errors
    /// [`Refused`]: no valid key, or two different ones.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Option<&Arc<Client>>, Refused> {
        if self.by_digest.is_empty() {
            return Ok(None);
        }
        let mut found: Option<&Arc<Client>> = None;
        for client in presented(headers).filter_map(|key| self.find(&digest(key))) {
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
    let bearer = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| bearer(value.as_bytes()));
    let others = KEY_HEADERS
        .iter()
        .flat_map(|name| headers.get_all(name))
        .map(http::HeaderValue::as_bytes);
    bearer
        .chain(others)
        .filter(|key| !key.is_empty() && key.len() <= MAX_KEY)
}

/// The token of an `authorization: Bearer` value; the scheme has no case (RFC 9110, 11.1).
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str);

    fn keys() -> Keys {
        let key = |name: &str, value: &str| ApiKey {
            name: name.to_owned(),
            digest: digest(value.as_bytes()),
            key: None,
            models: vec![Glob::new("*")],
            rate_limit: None,
            max_concurrent: None,
            priority: 0,
            budget: None,
        };
        let keys = [
            key("one", "first-key-0123456789"),
            key("two", "second-key-0123456789"),
        ];
        Keys::new(&keys, &Rates::default())
    }

    fn who(headers: &[(&str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        keys()
            .identify(&map)
            .ok()
            .flatten()
            .map(|client| client.name.to_string())
    }

    #[test]
    fn exactly_one_distinct_valid_key_must_result() {
        let one = "first-key-0123456789";
        let two = "second-key-0123456789";
        let bearer = format!("Bearer {one}");
        let cases: [Case<'_>; 11] = [
            (&[("authorization", &bearer)], Some("one"), "A02 bearer"),
            (
                &[("authorization", "bearer first-key-0123456789")],
                Some("one"),
                "the scheme has no case",
            ),
            (&[("x-api-key", two)], Some("two"), "A02 x-api-key"),
            (&[("api-key", two)], Some("two"), "A02 api-key"),
            (&[("x-goog-api-key", two)], Some("two"), "A02 x-goog-api-key"),
            (
                &[("authorization", &bearer), ("x-api-key", one)],
                Some("one"),
                "A03 the same key twice is one key",
            ),
            (
                &[("authorization", "Bearer junk"), ("x-api-key", one)],
                Some("one"),
                "A03 valid and junk",
            ),
            (
                &[("authorization", &bearer), ("x-api-key", two)],
                None,
                "A03 two different valid keys",
            ),
            (&[], None, "A01 none"),
            (&[("authorization", "Bearer ")], None, "A04 empty"),
            (
                &[("x-api-key", "first-key-012345678")],
                None,
                "A04 a prefix of a valid key",
            ),
        ];
        for (headers, expected, why) in cases {
            assert_eq!(who(headers).as_deref(), expected, "{why}");
        }
    }
}
