//! What the head of an answer says of ours, beside what came from a backend: who gave the answer, to which request, and how
//! the request's limits stand.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::standing::{self, Standings};

/// Which backend answered.
const BACKEND: &str = "x-llm-proxy-backend";
/// The backend's model.
const MODEL: &str = "x-llm-proxy-model";
/// How many attempts it took.
const ATTEMPTS: &str = "x-llm-proxy-attempts";
/// Which request it answers.
const REQUEST_ID: &str = "x-request-id";

/// These headers, apart from the others until a head is written: each that goes through a map is hashed.
#[derive(Debug, Default)]
pub struct Own {
    source: Option<Source>,
    request_id: Option<HeaderValue>,
    standings: Option<Standings>,
}

/// Where an answer comes from.
#[derive(Debug)]
pub(super) struct Source {
    /// The backend's name.
    pub backend: HeaderValue,
    /// The backend's model; none where its name is nothing that a header may say.
    pub model: Option<HeaderValue>,
    /// How many attempts it took.
    pub attempts: usize,
}

impl Own {
    /// Says where the answer comes from, if it is to say so.
    pub(super) fn comes_from(&mut self, source: Option<Source>) {
        self.source = source;
    }

    /// Says which request it answers.
    pub fn answers(&mut self, request_id: HeaderValue) {
        self.request_id = Some(request_id);
    }

    /// Says how the request's limits stand.
    pub fn stand(&mut self, standings: Standings) {
        self.standings = Some(standings);
    }

    /// Shows each header to `write`: its name and its text.
    pub fn each(&self, mut write: impl FnMut(&'static str, &[u8])) {
        if let Some(source) = &self.source {
            write(BACKEND, source.backend.as_bytes());
            if let Some(model) = &source.model {
                write(MODEL, model.as_bytes());
            }
            write(ATTEMPTS, itoa::Buffer::new().format(source.attempts).as_bytes());
        }
        if let Some(id) = &self.request_id {
            write(REQUEST_ID, id.as_bytes());
        }
        if let Some(standings) = &self.standings {
            standings.each(write);
        }
    }

    /// What bytes they are written in, at most, each with its line's ends.
    pub fn room(&self) -> usize {
        const LINE: usize = ": \r\n".len();
        const SOURCE: usize =
            BACKEND.len() + MODEL.len() + ATTEMPTS.len() + "18446744073709551615".len() + 3 * LINE;
        let source = self.source.as_ref().map_or(0, |source| {
            SOURCE + source.backend.len() + source.model.as_ref().map_or(0, HeaderValue::len)
        });
        let id = self.request_id.as_ref();
        source
            + id.map_or(0, |id| REQUEST_ID.len() + id.len() + LINE)
            + self.standings.map_or(0, |_| Standings::ROOM)
    }

    /// Whether one of them has that name: then no other may.
    pub fn has(&self, name: &HeaderName) -> bool {
        let is_ours = match name.as_str() {
            BACKEND | ATTEMPTS => self.source.is_some(),
            MODEL => self.source.as_ref().is_some_and(|source| source.model.is_some()),
            REQUEST_ID => self.request_id.is_some(),
            _ => false,
        };
        is_ours || self.standings.is_some_and(|standings| standings.has(name))
    }

    /// Puts them into a map.
    pub fn insert_into(&self, headers: &mut HeaderMap) {
        self.each(standing::insert(headers));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use llm_dialect::Dialect;

    use super::*;
    use crate::limits::{Standing, Unit};

    fn own([source, model, id, standings]: [bool; 4]) -> Own {
        let standing = Standing {
            limit: u64::MAX,
            remaining: u64::MAX,
            reset: Duration::MAX,
        };
        Own {
            source: source.then(|| Source {
                backend: HeaderValue::from_static("b"),
                model: model.then(|| HeaderValue::from_static("m")),
                attempts: usize::MAX,
            }),
            request_id: id.then(|| HeaderValue::from_static("req-1")),
            standings: standings.then(|| Standings::of_one(Dialect::Messages, Unit::Tokens, standing)),
        }
    }

    #[test]
    fn it_has_the_names_that_it_writes_and_no_others_and_fits_into_its_room() {
        let mut all = HeaderMap::new();
        own([true; 4]).insert_into(&mut all);
        assert_eq!(all.len(), 10);
        for bits in 0..16 {
            let own = own([1, 2, 4, 8].map(|bit| bits & bit > 0));
            let (mut map, mut length) = (HeaderMap::new(), 0);
            own.each(|name, text| length += name.len() + text.len() + ": \r\n".len());
            own.insert_into(&mut map);
            assert!(length <= own.room(), "{own:?}");
            for name in all.keys() {
                assert_eq!(own.has(name), map.contains_key(name), "{name} of {own:?}");
            }
        }
    }
}
