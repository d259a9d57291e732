//! The headers of a request as a list: a handful, which are written once, one after the other. In a map each name would be
//! hashed for that.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<(HeaderName, HeaderValue)>);

impl Lines {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds one behind all others, whatever their names.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// Puts one in place of all others of its name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.append(name, value);
    }

    /// Adds one if there is none of its name.
    pub fn insert_if_missing(&mut self, name: HeaderName, value: HeaderValue) {
        if !self.0.iter().any(|(other, _)| *other == name) {
            self.append(name, value);
        }
    }

    /// Takes out all of that name.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|(other, _)| other != name);
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The same as a map.
    pub(super) fn into_map(self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for (name, value) in self.0 {
            map.append(name, value);
        }
        map
    }
}

impl From<HeaderMap> for Lines {
    fn from(map: HeaderMap) -> Self {
        let mut lines = Self::with_capacity(map.len());
        for (name, value) in &map {
            lines.append(name.clone(), value.clone());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, COOKIE, HOST};

    use super::*;

    #[test]
    fn what_is_inserted_is_alone_and_what_is_appended_is_not() {
        let value = HeaderValue::from_static;
        let mut lines = Lines::with_capacity(1);
        lines.append(ACCEPT, value("a"));
        lines.append(HOST, value("h"));
        lines.append(ACCEPT, value("b"));
        lines.insert_if_missing(ACCEPT, value("c"));
        lines.insert_if_missing(COOKIE, value("c"));
        let all = |lines: &Lines| -> Vec<String> {
            let text =
                |(name, value): (&HeaderName, &HeaderValue)| format!("{name}={}", value.to_str().unwrap());
            lines.iter().map(text).collect()
        };
        assert_eq!(all(&lines), ["accept=a", "host=h", "accept=b", "cookie=c"]);
        let map = lines.clone().into_map();
        assert_eq!(map.get_all(ACCEPT).iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            all(&Lines::from(map)),
            ["accept=a", "accept=b", "host=h", "cookie=c"]
        );
        lines.insert(ACCEPT, value("d"));
        lines.remove(&COOKIE);
        assert_eq!(all(&lines), ["host=h", "accept=d"]);
    }
}
