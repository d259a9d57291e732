//! The headers of a request or of a response as a list: they are written once, one after the other, or read once, and a few
//! of them looked for. In a map each name would be hashed for that.

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

    /// The first of that name.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Their values, in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut HeaderValue> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same as a map.
    pub fn into_map(self) -> HeaderMap {
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
        for (name, value) in map {
            // Of several of a name only the first comes with it.
            let name = name.or_else(|| lines.0.last().map(|(name, _)| name.clone()));
            if let Some(name) = name {
                lines.append(name, value);
            }
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
        assert_eq!(lines.get(&ACCEPT), Some(&value("a")));
        lines.insert(ACCEPT, value("d"));
        lines.remove(&COOKIE);
        assert_eq!(all(&lines), ["host=h", "accept=d"]);
    }
}
